"""Frames by decord, where it is installed.

decord 0.6, the last release, knows no AV1, converts 10-bit colour otherwise than FFmpeg does, and gives wrong frames of
some HEVC files on random access; for such files PyAV is the backend to use.
"""

from functools import cached_property

import decord
import numpy as np

from mutualnet3d.data.decode import VideoReader, resize
from mutualnet3d.errors import VideoError

decord.logging.set_level(decord.logging.QUIET)  # decord carries its own FFmpeg, which nothing else here uses
_COUNTING_CHUNK = 32


class DecordReader(VideoReader):
    """See :class:`mutualnet3d.data.decode.VideoReader`. One decoding thread."""

    def __init__(self, path: str):
        self.path = path
        self.promised_frames = None
        try:
            self._reader = decord.VideoReader(path, ctx=decord.cpu(0), num_threads=1)
            self.num_frames = len(self._reader)
            self.fps = float(self._reader.get_avg_fps())
        except (decord.DECORDError, RuntimeError) as error:
            raise VideoError(path, f"is not a readable video: {_one_line(error)}") from error
        if self.num_frames == 0:
            raise VideoError(path, "the video stream holds no frame")
        if not self.fps > 0:
            raise VideoError(path, "the container names no frame rate")

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) after rotation; decodes the first frame."""
        return self._batch([0])[0].shape[:2]

    def count_decodable(self) -> int:
        """Decode everything and count."""
        for start in range(0, self.num_frames, _COUNTING_CHUNK):
            self._batch(list(range(start, min(start + _COUNTING_CHUNK, self.num_frames))))
        return self.num_frames

    def close(self) -> None:
        """decord frees the file with the object."""
        self._reader = None

    def _decode(self, wanted: list[int], short_side: int | None) -> dict[int, np.ndarray]:
        images = self._batch(wanted)
        return {index: resize(image, short_side) for index, image in zip(wanted, images, strict=True)}

    def _batch(self, wanted: list[int]) -> np.ndarray:
        try:
            return self._reader.get_batch(wanted).asnumpy()
        except (decord.DECORDError, RuntimeError) as error:
            raise VideoError(self.path, f"damaged: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    """decord's message without its stack trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].split("] ", 1)[-1][:200] if lines else type(error).__name__
