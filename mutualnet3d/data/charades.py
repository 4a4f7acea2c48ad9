"""Videos with several labels at several times, as training and test data see them (:class:`kinetics.LabelledVideo`)."""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from mutualnet3d.data.decode import VideoReader, open_video
from mutualnet3d.data.frame_list import FrameList
from mutualnet3d.data.frames import FrameReader

_LISTED_FPS = 24.0  # of the frames that Charades offers; no rule of Charades depends on it


def multi_hot(labels: Iterable[int], num_classes: int) -> torch.Tensor:
    """float32 (K,): 1 at each of the ``labels``, 0 elsewhere."""
    vector = torch.zeros(num_classes)
    vector[list(labels)] = 1.0
    return vector


@dataclass(frozen=True)
class ListedVideo:
    """A video of a frame list: pictures in a folder, labels per frame.

    Attributes:
        frames: the list, shared by its videos.
        video: position in the list.
        num_classes: K.
    """

    frames: FrameList = field(repr=False)
    video: int
    num_classes: int

    @property
    def path(self) -> str:
        """Names the video: folder of the pictures and name in the list."""
        return os.path.join(self.frames.prefix, self.frames.videos[self.video])

    @property
    def label(self) -> torch.Tensor:
        """float32 (K,): the labels that any frame has."""
        return multi_hot(self.frames.labels(self.video), self.num_classes)

    def open(self, backend: str) -> VideoReader:
        """A reader of the pictures; ``backend`` is for video files."""
        count = self.frames.num_frames(self.video)
        return FrameReader(self.path, count, lambda frame: self.frames.path(self.video, frame), _LISTED_FPS)

    def clip_label(self, first: int, last: int, fps: float) -> torch.Tensor:
        """float32 (K,): the labels that any of the frames first..last has."""
        return multi_hot(self.frames.labels(self.video, first, last), self.num_classes)


@dataclass(frozen=True)
class SegmentedVideo:
    """A video file with labelled segments.

    Attributes:
        path: the file.
        segments: (label, first second, last second); they may overlap and reach beyond the video.
        num_classes: K.
    """

    path: str
    segments: tuple[tuple[int, float, float], ...]
    num_classes: int

    @property
    def label(self) -> torch.Tensor:
        """float32 (K,): the labels of all segments."""
        return multi_hot((label for label, _, _ in self.segments), self.num_classes)

    def open(self, backend: str) -> VideoReader:
        """The open video file. Raises VideoError."""
        return open_video(self.path, backend)

    def clip_label(self, first: int, last: int, fps: float) -> torch.Tensor:
        """float32 (K,): the labels of the segments that hold any of the frames first..last; frame i is shown at second
        i / fps."""
        return multi_hot(
            (label for label, start, end in self.segments if _holds_a_frame(start * fps, end * fps, first, last)),
            self.num_classes,
        )


def _holds_a_frame(start: float, end: float, first: int, last: int) -> bool:
    """Whether a whole number of first..last lies in start..end; 59.9999999 is 60 with an error of the last digit."""
    return max(first, math.ceil(round(start, 6))) <= min(last, math.floor(round(end, 6)))
