"""Clips that slide over a stream: the frames that one spans are scaled once and kept, no others."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from mutualnet3d.data.decode import resize
from mutualnet3d.data.sampling import clip_span, view_clips
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.errors import ConfigError
from mutualnet3d.streaming.source import StreamFrame


class ClipBuffer:
    """The newest frames of a stream, and when a clip of them is due.

    Args:
        preprocessing: frames of a clip, their distance, and the size that they are scaled to.
        fps: of the stream.
        stride: frames from the start of one clip to that of the next; None: a quarter of what a clip spans.
    """

    def __init__(self, preprocessing: Preprocessing, fps: float, stride: int | None = None):
        span = clip_span(fps, preprocessing.clip)
        (self._offsets,) = view_clips(math.ceil(span), fps, preprocessing.clip, 1)
        self.stride = max(1, round(span / 4)) if stride is None else stride
        if self.stride < 1:
            raise ConfigError(f"a stride of {stride} frames must be at least 1")
        self._short_side = preprocessing.short_side
        self._frames: deque[tuple[int, np.ndarray]] = deque()
        self._next = int(self._offsets[-1])

    def add(self, frame: StreamFrame) -> None:
        """The next frame."""
        self._frames.append((frame.number, resize(frame.image, self._short_side)))
        start = frame.number - int(self._offsets[-1])
        while len(self._frames) > 1 and self._frames[1][0] <= start:
            self._frames.popleft()

    @property
    def due(self) -> bool:
        """Whether the newest frame ends a clip that :meth:`take` should give."""
        return bool(self._frames) and self._frames[-1][0] >= self._next

    def take(self) -> np.ndarray:
        """The clip that ends with the newest frame, uint8 (T, h, w, 3); the next is due a stride later.

        Where a frame is missing the one before it stands for it.
        """
        newest = self._frames[-1][0]
        self._next = newest + self.stride
        numbers = np.array([number for number, _ in self._frames])
        wanted = newest - self._offsets[-1] + self._offsets
        places = np.maximum(np.searchsorted(numbers, wanted, side="right") - 1, 0)
        return np.stack([self._frames[place][1] for place in places.tolist()])
