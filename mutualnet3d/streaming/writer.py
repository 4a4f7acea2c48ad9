"""Frames to an H.264 video, as they come."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mutualnet3d.errors import DataError

_OPTIONS = {"crf": "20", "preset": "superfast"}


class VideoWriter:
    """An mp4 file (H.264, yuv420p) that is playable however the writing ends. A context manager.

    It encodes within :meth:`write`, in the calling thread: nothing runs beside whatever is timed between two frames.
    The file appears under its name when the writer closes, with the frames that were written by then; without any
    there is none. Odd sides lose their last row or column, which yuv420p cannot hold.

    Args:
        path: of the file; its folder is made.
        size: (height, width) of the frames, pixels, at least 2.
        fps: frames per second that frame numbers count in.

    Raises:
        DataError: the size or the rate cannot be encoded.
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike, size: tuple[int, int], fps: float):
        self._path = Path(path)
        self._height, self._width = size[0] // 2 * 2, size[1] // 2 * 2
        rate = Fraction(fps).limit_denominator(1001)
        if min(self._height, self._width) < 2 or rate <= 0:
            raise DataError(f"{path}: frames of {size[0]} x {size[1]} at {fps} per second cannot be written as H.264")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        self._container = av.open(str(self._temporary), "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=rate, options=_OPTIONS)
        self._stream.height, self._stream.width, self._stream.pix_fmt = self._height, self._width, "yuv420p"
        self._stream.codec_context.thread_count = 1
        self._time_base, self._last = 1 / rate, -1

    def write(self, image: np.ndarray, number: int) -> None:
        """One frame, uint8 (H, W, 3) RGB; ``number`` is its time in frames and must rise.

        Raises:
            DataError: the frame has another size than the video, or its number does not rise.
        """
        if number <= self._last or image.shape[0] // 2 * 2 != self._height or image.shape[1] // 2 * 2 != self._width:
            raise DataError(
                f"{self._path}: frame {number} of {image.shape[0]} x {image.shape[1]} does not follow frame "
                f"{self._last} of {self._height} x {self._width}"
            )
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[: self._height, : self._width]), format="rgb24")
        frame.pts, frame.time_base, self._last = number, self._time_base, number
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Finish the file."""
        try:
            if self._last >= 0:
                self._container.mux(self._stream.encode())
            self._container.close()
            if self._last >= 0:
                os.replace(self._temporary, self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
