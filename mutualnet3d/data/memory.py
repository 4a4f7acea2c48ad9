"""Frames that are in memory, behind the interface of a video file."""

from __future__ import annotations

import numpy as np

from mutualnet3d.data.decode import VideoReader, resize


class FramesInMemory(VideoReader):
    """See :class:`mutualnet3d.data.decode.VideoReader`.

    Args:
        frames: uint8 (F, H, W, 3), RGB.
        fps: frames per second that they were taken at.
    """

    def __init__(self, frames: np.ndarray, fps: float):
        self.path, self.num_frames, self.promised_frames, self.fps = "frames in memory", len(frames), len(frames), fps
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

    def _decode(self, wanted: list[int], short_side: int | None) -> dict[int, np.ndarray]:
        return {index: resize(self._frames[index], short_side) for index in wanted}
