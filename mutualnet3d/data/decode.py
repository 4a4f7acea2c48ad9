"""Reading frames of video files: one interface, two backends (PyAV, and decord where it is installed).

with open_video("golf.mp4") as video:
    frames = video.frames([0, 9, 18, 27], short_side=256)      # uint8 (4, H, W, 3), RGB
"""

import logging
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np

from mutualnet3d.data.decode_index import FrameIndex
from mutualnet3d.errors import ConfigError, VideoError

logger = logging.getLogger(__name__)

BACKENDS = ("pyav", "decord", "torchvision")


class VideoReader(ABC):
    """An open video file; a context manager that closes it.

    Attributes:
        path: the file as the user named it.
        num_frames: how many frames the file holds, counted and not read from the container's header.
        promised_frames: what the container's header says, or None where it says nothing.
        fps: average frames per second of the source.
        index: what was read of the file to find its frames; :func:`open_video` takes it back. None: nothing.
    """

    path: str
    num_frames: int
    promised_frames: int | None
    fps: float
    index: FrameIndex | None = None

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels as a player shows it, that is after rotation."""

    @property
    def height(self) -> int:
        """Height in pixels after rotation."""
        return self.size[0]

    @property
    def width(self) -> int:
        """Width in pixels after rotation."""
        return self.size[1]

    def frames(self, indices, short_side: int | None = None) -> np.ndarray:
        """Decode frames, each one once.

        Args:
            indices: frame numbers in the order of presentation, in [0, num_frames); any order, repeats allowed.
                Where fewer frames decode than the file holds (a cut-off end), the last one stands for the missing.
            short_side: scale so that the shorter side has this many pixels; None keeps the size.

        Returns:
            uint8 array (len(indices), H, W, 3), RGB.

        Raises:
            VideoError: the frames cannot be decoded.
            IndexError: an index lies outside [0, num_frames).
        """
        wanted = self._wanted(indices)
        decoded = self._decode(np.unique(wanted).tolist(), short_side)
        return np.stack([decoded[index] for index in wanted.tolist()])

    def _wanted(self, indices) -> np.ndarray:
        """``indices`` as int64, one after another. Raises IndexError, see :meth:`frames`."""
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if wanted.size == 0:
            raise IndexError(f"{self.path}: frames() was asked for no frame at all; give at least one index")
        if wanted.min() < 0 or wanted.max() >= self.num_frames:
            asked, last = f"{wanted.min()}..{wanted.max()}", self.num_frames - 1
            raise IndexError(f"{self.path}: frames {asked} were asked for, the video has 0..{last}")
        return wanted

    def all_frames(self) -> Iterator[np.ndarray]:
        """Every frame from the first on, uint8 (H, W, 3), RGB, upright; decoded once, one held at a time.

        Raises:
            VideoError: the file is damaged; the frames before the damage have come out by then.
        """
        for index in range(self.num_frames):
            yield self._decode([index], None)[index]

    @abstractmethod
    def _decode(self, wanted: list[int], short_side: int | None) -> dict[int, np.ndarray]:
        """Frames by index, uint8 (H, W, 3); ``wanted`` is ascending and without repeats."""

    @abstractmethod
    def count_decodable(self) -> int:
        """Decode the whole file and return how many frames came out. Raises VideoError where it is damaged."""

    @abstractmethod
    def close(self) -> None:
        """Release the file."""

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def open_video(path: str | os.PathLike, backend: str = "pyav", index: FrameIndex | None = None) -> VideoReader:
    """Open a video file.

    Args:
        path: a regular file.
        backend: "pyav", "decord", or "torchvision" (an alias of pyav, see :func:`resolve_backend`).
        index: ``reader.index`` of the same file: saves PyAV from reading every packet again, which matters in movies;
            decord makes its own.

    Raises:
        VideoError: the file is missing, empty, not a video, or has no video stream.
        ConfigError: the backend is unknown or not installed.
    """
    backend = resolve_backend(backend)
    path = os.fspath(path)
    refuse_what_is_no_file(path)
    if backend == "decord":
        from mutualnet3d.data.decode_decord import DecordReader

        return DecordReader(path)
    from mutualnet3d.data.decode_pyav import PyAVReader

    return PyAVReader(path, index)


@cache
def resolve_backend(backend: str) -> str:
    """The decoder that a value of DATA.DECODING_BACKEND stands for: "pyav" or "decord".

    "torchvision" is what PySlowFast's configs say; torchvision has dropped its decoder, so PyAV does the work,
    and one line of the log says so.

    Raises:
        ConfigError: the name is unknown, or decord is asked for and not installed.
    """
    if backend not in BACKENDS:
        raise ConfigError(f"DATA.DECODING_BACKEND is {backend!r}; it must be one of {', '.join(BACKENDS)}")
    if backend == "torchvision":
        logger.info(
            "DATA.DECODING_BACKEND torchvision: torchvision no longer has a video decoder; PyAV is used instead"
        )
        return "pyav"
    if backend == "decord":
        try:
            import decord  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                f"DATA.DECODING_BACKEND is 'decord', which cannot be imported ({error}); "
                "run `pip install decord`, or set DATA.DECODING_BACKEND pyav"
            ) from error
    return backend


def scaled_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """(height, width) after the shorter side became ``short_side``; the longer one is floor(aspect * short_side)."""
    if short_side is None:
        return height, width
    if width < height:
        return int(height / width * short_side), short_side
    return short_side, int(width / height * short_side)


def resize(image: np.ndarray, short_side: int | None) -> np.ndarray:
    """Scale one uint8 image (H, W, 3) bilinearly, without antialiasing, so that its shorter side is ``short_side``."""
    height, width = scaled_size(image.shape[0], image.shape[1], short_side)
    if (height, width) == image.shape[:2]:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def refuse_what_is_no_file(path: str) -> None:
    """VideoError unless ``path`` is a regular file that is not empty."""
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise VideoError(path, f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise VideoError(path, "is not a regular file")
    if status.st_size == 0:
        raise VideoError(path, "the file is empty")
