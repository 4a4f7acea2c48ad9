"""Frames that are in memory, behind the interface of a video file; and a list of videos that are decoded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mutualnet3d.data.decode import VideoReader, resize, scaled_size
from mutualnet3d.errors import VideoError


class FramesInMemory(VideoReader):
    """See :class:`mutualnet3d.data.decode.VideoReader`.

    Args:
        frames: uint8 (F, H, W, 3), RGB.
        fps: frames per second that they were taken at.
        path: names them in messages.
    """

    def __init__(self, frames: np.ndarray, fps: float, path: str = "frames in memory"):
        self.path, self.num_frames, self.promised_frames, self.fps = path, len(frames), len(frames), fps
        self._frames = frames

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self._frames.shape[1:3]

    def count_decodable(self) -> int:
        """All of them."""
        return self.num_frames

    def close(self) -> None:
        """Nothing is open."""

    def frames(self, indices, short_side: int | None = None) -> np.ndarray:
        """See :meth:`VideoReader.frames`; always a copy."""
        if scaled_size(*self.size, short_side) != tuple(self.size):
            return super().frames(indices, short_side)
        return self._frames[self._wanted(indices)]

    def _decode(self, wanted: list[int], short_side: int | None) -> dict[int, np.ndarray]:
        return {index: resize(self._frames[index], short_side) for index in wanted}


class KeptInMemory(Sequence):
    """A list of videos, or images, whose frames stay in memory from the first time that they are read.

    The same pixels come out as without it. What does not fit any more, or does not decode as a whole, is read from its
    file every time.

    Args:
        entries: of a list, see :class:`mutualnet3d.data.kinetics.LabelledVideo`.
        num_bytes: of decoded frames, in each process that reads them: with DATA_LOADER.NUM_WORKERS in every worker.
    """

    def __init__(self, entries: Sequence, num_bytes: float):
        self._entries = entries
        self._left = num_bytes
        self._kept: dict[int, tuple[np.ndarray, float]] = {}  # frames and their rate, by position in the list
        self._refused: set[int] = set()

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> KeptEntry:
        return KeptEntry(self, range(len(self))[index], self._entries[index])

    def open(self, index: int, backend: str) -> VideoReader:
        """The video at ``index``, from memory where it is there. Raises VideoError."""
        entry = self._entries[index]
        if not (index in self._kept or index in self._refused or self._read(index, entry, backend)):
            self._refused.add(index)
        return FramesInMemory(*self._kept[index], entry.path) if index in self._kept else entry.open(backend)

    def _read(self, index: int, entry, backend: str) -> bool:
        """Keep the frames of ``entry``; False where they do not fit or do not all decode."""
        with entry.open(backend) as video:
            try:
                frames = video.frames([0])
                size = video.num_frames * frames.nbytes
                if size > self._left:
                    return False
                if video.num_frames > 1:
                    frames = video.frames(range(video.num_frames))
            except VideoError:  # whoever asks for the damaged frames is told so
                return False
        self._left -= size
        self._kept[index] = frames, video.fps
        return True


class KeptEntry:
    """An entry of :class:`KeptInMemory`; what it opens may be in memory, all else is the list's own."""

    def __init__(self, memory: KeptInMemory, index: int, entry):
        self._memory, self._index, self._entry = memory, index, entry

    def open(self, backend: str) -> VideoReader:
        """See :meth:`KeptInMemory.open`."""
        return self._memory.open(self._index, backend)

    @property
    def path(self) -> str:
        """Of the entry."""
        return self._entry.path

    @property
    def label(self):
        """Of the whole video."""
        return self._entry.label

    def clip_label(self, first: int, last: int, fps: float):
        """Label of the frames first..last."""
        return self._entry.clip_label(first, last, fps)
