"""From a video or image, or from pixels in memory, to normalised views: shared by evaluation and deployed networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch

from mutualnet3d.architectures import is_image_network
from mutualnet3d.data.augmentation import centre_view, scaled_side
from mutualnet3d.data.decode import VideoReader, resize
from mutualnet3d.data.memory import FramesInMemory
from mutualnet3d.data.sampling import ClipSpec, clip_around, key_frame_number, view_clips
from mutualnet3d.data.transforms import normalise, uniform_crop_offsets
from mutualnet3d.errors import ConfigError


@dataclass(frozen=True)
class VideoViews:
    """All views of one video or image, cut from frames that are there once.

    Attributes:
        frames: uint8 (U, H, W, 3), RGB, the frames that any view needs.
        clip_index: int64 (V, T), positions in ``frames`` of the temporal views; of an image (1,).
        crops: int64 (S, 2), (top, left) of the spatial views, pixels.
        crop_size: side of a view, pixels.
    """

    frames: torch.Tensor
    clip_index: torch.Tensor
    crops: torch.Tensor
    crop_size: int

    def __len__(self) -> int:
        return len(self.clip_index) * len(self.crops)

    def __iter__(self) -> Iterator[torch.Tensor]:
        """Every view, uint8 (3, T, crop, crop), in PySlowFast's order: number j is temporal view j // S, crop j % S.

        The one view of an image is (3, crop, crop).
        """
        return (view.movedim(-1, 0) for view in self.stored())

    def stored(self) -> Iterator[torch.Tensor]:
        """The same views as they lie in memory, uint8 ([T,] crop, crop, 3): stacking them copies whole rows."""
        size = self.crop_size
        for indices in self.clip_index:
            for top, left in self.crops.tolist():
                yield self.frames[:, top : top + size, left : left + size][indices]


@dataclass(frozen=True)
class Preprocessing:
    """How a video or an image becomes views, as a value that evaluation and deployments keep.

    Attributes:
        clip: frames of a view and their distance; None for images, which have one view, the centre.
        crop: side of a view, pixels (DATA.TEST_CROP_SIZE).
        short_side: of the frames that one centre crop is cut from, pixels (DATA.TRAIN_JITTER_SCALES[0]; for Charades
            DATA.TEST_CROP_SIZE; for images ``crop`` / DATA.IN_VAL_CROP_RATIO); several crops are cut from frames
            whose shorter side is ``crop``.
        mean, std: of each channel, for pixels in [0, 1].
    """

    clip: ClipSpec | None
    crop: int
    short_side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def from_cfg(cls, cfg) -> Preprocessing:
        """Read the DATA node, TRAIN.DATASET and MODEL.ARCH."""
        data = cfg.DATA
        if is_image_network(cfg):
            crop = data.TEST_CROP_SIZE
            return cls(None, crop, scaled_side(crop, cfg), tuple(data.MEAN), tuple(data.STD))
        clip = ClipSpec.from_cfg(cfg)
        lowest = data.TEST_CROP_SIZE if clip.source_frames else data.TRAIN_JITTER_SCALES[0]
        short_side = max(lowest, data.TEST_CROP_SIZE)
        return cls(clip, data.TEST_CROP_SIZE, short_side, tuple(data.MEAN), tuple(data.STD))

    def check_views(self, num_views: int, num_crops: int) -> None:
        """ConfigError unless there is at least 1 temporal view, and 1 or 3 crops; of images 1 of each."""
        if self.clip is None and (num_views, num_crops) != (1, 1):
            raise ConfigError(
                f"TEST.NUM_ENSEMBLE_VIEWS is {num_views} and TEST.NUM_SPATIAL_CROPS {num_crops}; images have one "
                "view: set both to 1"
            )
        if num_views < 1:
            raise ConfigError(f"TEST.NUM_ENSEMBLE_VIEWS is {num_views}; it must be at least 1")
        uniform_crop_offsets(self.crop, self.crop, self.crop, num_crops)

    def cut_video(self, video: VideoReader, num_views: int, num_crops: int) -> VideoViews:
        """The views of an open video; every frame is decoded once. Raises VideoError where it cannot be read."""
        self.check_views(num_views, num_crops)
        if self.clip is None:
            return self._centre(video.frames([0])[0])
        clips = view_clips(video.num_frames, video.fps, self.clip, num_views)
        needed, positions = np.unique(clips, return_inverse=True)
        frames = video.frames(needed, short_side=self.crop if num_crops > 1 else self.short_side)
        return self._views(frames, positions.reshape(clips.shape), num_crops)

    def cut_frames(self, frames: np.ndarray, fps: float, num_views: int, num_crops: int) -> VideoViews:
        """The views of a video whose frames are in memory: uint8 (F, H, W, 3), RGB, at ``fps`` frames a second."""
        return self.cut_video(FramesInMemory(frames, fps), num_views, num_crops)

    def cut_clip(self, frames: np.ndarray) -> VideoViews:
        """One centre view of exactly these frames, uint8 (T, H, W, 3), RGB."""
        scaled = np.stack([resize(frame, self.short_side) for frame in frames])
        return self._views(scaled, np.arange(len(frames))[None], 1)

    def cut_key_frame(self, video: VideoReader, second: float) -> torch.Tensor:
        """The clip of a key frame, uint8 (3, T, h, w), as the evaluation of detection cuts it: around the frame that is
        shown ``second`` seconds after the first, clamped at the ends, not cropped, the shorter side ``crop``."""
        center = key_frame_number(second, video.fps)
        frames = video.frames(clip_around(center, video.num_frames, video.fps, self.clip), short_side=self.crop)
        return torch.from_numpy(frames).permute(3, 0, 1, 2)

    def normalise(self, clips: torch.Tensor) -> torch.Tensor:
        """uint8 (N, 3, T, H, W) or (N, 3, H, W) on any device to the float32 that networks eat."""
        return normalise(clips, self.mean, self.std)

    def _centre(self, image: np.ndarray) -> VideoViews:
        view = torch.from_numpy(centre_view(image, self.short_side, self.crop))
        first, corner = torch.zeros(1, dtype=torch.int64), torch.zeros(1, 2, dtype=torch.int64)
        return VideoViews(view[None], first, corner, self.crop)

    def _views(self, frames: np.ndarray, clip_index: np.ndarray, num_crops: int) -> VideoViews:
        crops = uniform_crop_offsets(frames.shape[1], frames.shape[2], self.crop, num_crops)
        return VideoViews(
            torch.from_numpy(frames),
            torch.from_numpy(clip_index.astype(np.int64)),
            torch.tensor(crops, dtype=torch.int64),
            self.crop,
        )

    def to_dict(self) -> dict:
        """Plain values for JSON; :meth:`from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> Preprocessing:
        """What :meth:`to_dict` described; KeyError or TypeError where a value is missing or of another kind."""
        return cls(
            None if values["clip"] is None else ClipSpec(**values["clip"]),
            values["crop"],
            values["short_side"],
            tuple(values["mean"]),
            tuple(values["std"]),
        )
