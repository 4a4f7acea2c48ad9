"""Videos, or images, with labels: clips for training, all views of a video at once for testing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from mutualnet3d.architectures import is_image_network
from mutualnet3d.data.augmentation import Augmentation
from mutualnet3d.data.decode import VideoReader, resolve_backend
from mutualnet3d.data.draws import item_generator
from mutualnet3d.data.images import RandomImage
from mutualnet3d.data.kinetics_list import VideoEntry, read_list
from mutualnet3d.data.sampling import ClipSpec, random_clip
from mutualnet3d.data.substitutes import first_readable, reason_within
from mutualnet3d.data.transforms import TrainTransform, draw_scale, random_crop_and_flip
from mutualnet3d.data.views import Preprocessing, VideoViews
from mutualnet3d.errors import VideoError

__all__ = ["LabelledVideo", "TestItem", "TestVideos", "TrainClips", "TrainItem", "VideoEntry", "read_list"]

Label = int | torch.Tensor  # a class; or float32 (K,), 1 for each class that a video with several labels has


class LabelledVideo(Protocol):
    """A video with labels, as lists give it.

    Attributes:
        path: names the video.
        label: of the whole video.
    """

    path: str
    label: Label

    def open(self, backend: str) -> VideoReader:
        """The open video. Raises VideoError."""

    def clip_label(self, first: int, last: int, fps: float) -> Label:
        """Label of the frames first..last, both included, of the video at ``fps`` frames per second."""


@dataclass(frozen=True)
class TrainItem:
    """One training clip.

    Attributes:
        clip: uint8 (3, T, crop, crop), of an image (3, crop, crop), RGB; stored channels last.
        label: class, or float32 (K,) with several labels.
        index: entry that the clip comes from; not the one asked for where that could not be read.
        failures: (path, reason) of every video that was tried before and could not be read.
    """

    clip: torch.Tensor
    label: Label
    index: int
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class TestItem:
    """All views of one test video. The video is decoded once; views are cut from it.

    Attributes:
        label, index, path: of the entry.
        cut: the views; None where the video cannot be read.
        error: why the video cannot be read; None where it can.
    """

    __test__ = False  # pytest: this is no test

    label: Label
    index: int
    path: str
    cut: VideoViews | None
    error: str | None = None

    def views(self) -> VideoViews:
        """The views, in PySlowFast's order. Raises VideoError where the video could not be read."""
        if self.cut is None:
            raise VideoError(self.path, self.error)
        return self.cut

    def without_frames(self) -> "TestItem":
        """What is known of the video, without its pixels."""
        return replace(self, cut=None)

    def pin_memory(self) -> "TestItem":
        """A copy whose frames lie in pinned memory."""
        cut = self.cut
        return self if cut is None else replace(self, cut=replace(cut, frames=cut.frames.pin_memory()))


class RandomClip:
    """A random clip of a video, its pixels scaled, cropped and mirrored: PySlowFast's rules."""

    def __init__(self, cfg):
        self._spec, self._transform = ClipSpec.from_cfg(cfg), TrainTransform.from_cfg(cfg)

    def __call__(self, video: VideoReader, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
        """uint8 (T, crop, crop, 3), and the numbers of its first and last frame."""
        indices = random_clip(video.num_frames, video.fps, self._spec, rng)
        frames = video.frames(indices, short_side=draw_scale(self._transform, rng))
        return random_crop_and_flip(frames, self._transform, rng), int(indices[0]), int(indices[-1])


class TrainClips(Dataset):
    """Random clips, or views of images. Keys are (epoch, index): every draw follows from (seed, epoch, index) alone, so
    the same items come out whatever the number of workers, and an interrupted run goes on with the very clips that it
    would have seen.

    An unreadable video is replaced by another one, drawn likewise; its failure travels with the item.
    """

    def __init__(self, entries: Sequence[LabelledVideo], cfg, seed: int):
        self.entries = entries
        self._seed = seed
        self._cut: Callable[[VideoReader, np.random.Generator], tuple[np.ndarray, int, int]] = (
            RandomImage(Augmentation.from_cfg(cfg)) if is_image_network(cfg) else RandomClip(cfg)
        )
        self._backend = resolve_backend(cfg.DATA.DECODING_BACKEND)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: tuple[int, int]) -> TrainItem:
        """Raises DataError where 100 videos in a row cannot be read."""
        epoch, index = key
        rng = item_generator(self._seed, epoch, index)
        (clip, label), index, failures = first_readable(
            index, lambda i: self.entries[i].path, len(self), lambda i: self._clip(self.entries[i], rng), rng
        )
        return TrainItem(torch.from_numpy(clip).movedim(-1, 0), label, index, failures)

    def _clip(self, entry: LabelledVideo, rng: np.random.Generator) -> tuple[np.ndarray, Label]:
        with entry.open(self._backend) as video:
            clip, first, last = self._cut(video, rng)
            return clip, entry.clip_label(first, last, video.fps)


class TestVideos(Dataset):
    """Test videos, or images, in the order of the list; every key gives all views of one video.

    An unreadable video gives an item with ``error`` and no frames: it is never replaced by another one.
    """

    __test__ = False  # pytest: this is no test

    def __init__(self, entries: Sequence[LabelledVideo], cfg, num_views: int, num_crops: int):
        self.entries = entries
        self._num_views, self._num_crops = num_views, num_crops
        self._preprocessing = Preprocessing.from_cfg(cfg)
        self._backend = resolve_backend(cfg.DATA.DECODING_BACKEND)
        self._preprocessing.check_views(num_views, num_crops)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> TestItem:
        entry = self.entries[index]
        try:
            with entry.open(self._backend) as video:
                views = self._preprocessing.cut_video(video, self._num_views, self._num_crops)
        except VideoError as error:
            return TestItem(entry.label, index, entry.path, None, reason_within(error, entry.path))
        return TestItem(entry.label, index, entry.path, views)
