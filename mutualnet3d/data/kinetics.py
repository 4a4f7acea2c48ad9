"""Videos with one label each: clips for training, all views of a video at once for testing."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from mutualnet3d.data.decode import open_video, resolve_backend
from mutualnet3d.data.kinetics_list import VideoEntry, read_list
from mutualnet3d.data.sampling import ClipSpec, random_clip, view_clips
from mutualnet3d.data.transforms import TrainTransform, draw_scale, random_crop_and_flip, uniform_crop_offsets
from mutualnet3d.errors import ConfigError, DataError, VideoError

__all__ = ["TestItem", "TestVideos", "TrainClips", "TrainItem", "VideoEntry", "read_list"]

_MAX_TRIES = 100


@dataclass(frozen=True)
class TrainItem:
    """One training clip.

    Attributes:
        clip: uint8 (3, T, crop, crop), RGB; stored channels last.
        label: class.
        index: entry that the clip comes from; not the one asked for where that could not be read.
        failures: (path, reason) of every video that was tried before and could not be read.
    """

    clip: torch.Tensor
    label: int
    index: int
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class TestItem:
    """All views of one test video. The video is decoded once; views are cut from it.

    Attributes:
        frames: uint8 (U, H, W, 3), the frames that any view needs; None where the video cannot be read.
        clip_index: int64 (V, T), positions in ``frames`` of the temporal views.
        crops: int64 (S, 2), (top, left) of the spatial views, pixels.
        crop_size: side of a view, pixels.
        label, index, path: of the entry.
        error: why the video cannot be read; None where it can.
    """

    __test__ = False  # pytest: this is no test

    frames: torch.Tensor | None
    clip_index: torch.Tensor | None
    crops: torch.Tensor | None
    crop_size: int
    label: int
    index: int
    path: str
    error: str | None = None

    def view(self, temporal: int, spatial: int) -> torch.Tensor:
        """One view, uint8 (3, T, crop, crop). Raises VideoError where the video could not be read."""
        if self.error is not None:
            raise VideoError(self.path, self.error)
        top, left = self.crops[spatial].tolist()
        window = self.frames[:, top : top + self.crop_size, left : left + self.crop_size]
        return window[self.clip_index[temporal]].permute(3, 0, 1, 2)

    def views(self) -> Iterator[torch.Tensor]:
        """Every view in PySlowFast's order: number j is temporal view j // S and spatial view j % S."""
        if self.error is not None:
            raise VideoError(self.path, self.error)
        for temporal in range(len(self.clip_index)):
            for spatial in range(len(self.crops)):
                yield self.view(temporal, spatial)

    def pin_memory(self) -> "TestItem":
        """A copy whose frames lie in pinned memory."""
        pinned = None if self.frames is None else self.frames.pin_memory()
        return TestItem(**{**self.__dict__, "frames": pinned})


class TrainClips(Dataset):
    """Random clips. Keys are (epoch, index): every draw follows from (seed, epoch, index) alone, so the same items come
    out whatever the number of workers, and an interrupted run goes on with the very clips that it would have seen.

    An unreadable video is replaced by another one, drawn likewise; its failure travels with the item.
    """

    def __init__(self, entries: list[VideoEntry], cfg, seed: int):
        self.entries = entries
        self._seed = seed
        self._spec = ClipSpec.from_cfg(cfg)
        self._transform = TrainTransform.from_cfg(cfg)
        self._backend = resolve_backend(cfg.DATA.DECODING_BACKEND)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: tuple[int, int]) -> TrainItem:
        """Raises DataError where 100 videos in a row cannot be read."""
        epoch, index = key
        rng = np.random.default_rng([self._seed, epoch, index, 1])  # 1: apart from the draws of EpochSampler
        failures = []
        while len(failures) < _MAX_TRIES:
            entry = self.entries[index]
            try:
                clip = self._clip(entry.path, rng)
            except VideoError as error:
                failures.append((error.path, error.reason))
                index = int(rng.integers(len(self.entries)))
                continue
            return TrainItem(torch.from_numpy(clip).permute(3, 0, 1, 2), entry.label, index, tuple(failures))
        first = "; ".join(f"{path}: {reason}" for path, reason in failures[:3])
        raise DataError(
            f"{_MAX_TRIES} videos in a row cannot be read ({first}; ...); check DATA.PATH_PREFIX and "
            "DATA.PATH_LABEL_SEPARATOR, and run tools/check_data.py on the list"
        )

    def _clip(self, path: str, rng: np.random.Generator) -> np.ndarray:
        with open_video(path, self._backend) as video:
            indices = random_clip(video.num_frames, video.fps, self._spec, rng)
            frames = video.frames(indices, short_side=draw_scale(self._transform, rng))
        return random_crop_and_flip(frames, self._transform, rng)


class TestVideos(Dataset):
    """Test videos in the order of the list; every key gives all views of one video.

    An unreadable video gives an item with ``error`` and no frames: it is never replaced by another one.
    """

    __test__ = False  # pytest: this is no test

    def __init__(self, entries: list[VideoEntry], cfg, num_views: int, num_crops: int):
        self.entries = entries
        self._num_views, self._num_crops = num_views, num_crops
        self._crop = cfg.DATA.TEST_CROP_SIZE
        self._spec = ClipSpec.from_cfg(cfg)
        self._backend = resolve_backend(cfg.DATA.DECODING_BACKEND)
        self._short_side = self._crop if num_crops > 1 else max(cfg.DATA.TRAIN_JITTER_SCALES[0], self._crop)
        if num_views < 1:
            raise ConfigError(f"TEST.NUM_ENSEMBLE_VIEWS is {num_views}; it must be at least 1")
        uniform_crop_offsets(
            self._short_side, self._short_side, self._crop, num_crops
        )  # refuses a wrong number of crops

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> TestItem:
        entry = self.entries[index]
        try:
            frames, clip_index = self._decode(entry.path)
        except VideoError as error:
            return TestItem(None, None, None, self._crop, entry.label, index, entry.path, error.reason)
        crops = uniform_crop_offsets(frames.shape[1], frames.shape[2], self._crop, self._num_crops)
        return TestItem(
            frames=torch.from_numpy(frames),
            clip_index=torch.from_numpy(clip_index),
            crops=torch.tensor(crops, dtype=torch.int64),
            crop_size=self._crop,
            label=entry.label,
            index=index,
            path=entry.path,
        )

    def _decode(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Frames of the union of all views, uint8 (U, H, W, 3), and the positions of the views in it, int64 (V, T)."""
        with open_video(path, self._backend) as video:
            clips = view_clips(video.num_frames, video.fps, self._spec, self._num_views)
            needed, positions = np.unique(clips, return_inverse=True)
            return video.frames(needed, short_side=self._short_side), positions.reshape(clips.shape)
