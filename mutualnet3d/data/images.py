"""Images with labels, behind the interface of videos: an image is a video of one frame until it leaves this package,
where it has no frames at all, (3, H, W).

Images are read by OpenCV (:func:`mutualnet3d.data.frames.read_picture`), whose pixels are Pillow's: grey, palette and
1-bit ones become RGB, CMYK by the simple formula, alpha is dropped, 16 bits keep their upper 8, EXIF orientation is
applied, of several pages the first is taken. A file that is cut off or no image is a VideoError that names it.
"""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from mutualnet3d.data.augmentation import Augmentation
from mutualnet3d.data.decode import VideoReader, open_video, refuse_what_is_no_file
from mutualnet3d.data.frames import FrameReader
from mutualnet3d.data.memory import FramesInMemory
from mutualnet3d.errors import VideoError
from mutualnet3d.faults import refuse_machine_fault

# First bytes of JPEG, PNG, BMP, TIFF and PNM files; those of WebP are told from AVI's below.
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"BM", b"II*\0", b"MM\0*", *(b"P%d" % kind for kind in range(1, 7)))


class ImageEntry(NamedTuple):
    """An image file and its class."""

    path: str
    label: int

    def open(self, backend: str) -> VideoReader:
        """The image as a video of one frame; ``backend``, a decoder of videos, is not used."""
        return open_image(self.path)

    def clip_label(self, first: int, last: int, fps: float) -> int:
        """The label of the image."""
        return self.label


class ArrayEntry(NamedTuple):
    """An image in memory and its class; ``path`` names it, and no file has that name. ``pixels``: uint8 (H, W, 3)."""

    path: str
    label: int
    pixels: np.ndarray

    def open(self, backend: str) -> VideoReader:
        """The image as a video of one frame."""
        return FramesInMemory(self.pixels[None], fps=1.0)

    def clip_label(self, first: int, last: int, fps: float) -> int:
        """The label of the image."""
        return self.label


def open_image(path: str) -> VideoReader:
    """An image file as a video of one frame, which is read when it is asked for; VideoError then says what is wrong."""
    return FrameReader(path, 1, lambda frame: path, fps=1.0)


def open_media(path: str | os.PathLike, images: bool | None = None, backend: str = "pyav") -> VideoReader:
    """An image file as a video of one frame, or a video file.

    Args:
        images: whether it must be an image (JPEG, PNG, WebP, BMP, TIFF, PNM); None: it may be either.
        backend: decoder of videos, see :func:`mutualnet3d.data.decode.open_video`.

    Raises:
        VideoError: it is of the other kind, or no such file.
    """
    path = os.fspath(path)
    refuse_what_is_no_file(path)
    found = _is_image(path)
    if images and not found:
        raise VideoError(
            path,
            "is no image (JPEG, PNG, WebP, BMP, TIFF, PNM), and this network classifies images; of a video give one "
            "frame as an array, uint8 (H, W, 3), RGB",
        )
    if images is False and found:
        raise VideoError(
            path,
            "is an image, and this network classifies videos; give a video, or its frames as an array, uint8 "
            "(F, H, W, 3), RGB",
        )
    return open_image(path) if found else open_video(path, backend)


def _is_image(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            start = file.read(12)
    except OSError as error:
        refuse_machine_fault(error)
        raise VideoError(path, f"cannot be opened: {error.strerror}") from error
    return start.startswith(_SIGNATURES) or (start[:4], start[8:]) == (b"RIFF", b"WEBP")


class RandomImage:
    """What training sees of an image: the pixels of :class:`Augmentation`, uint8 (crop, crop, 3), and the frame 0."""

    def __init__(self, augmentation: Augmentation):
        self._augmentation = augmentation

    def __call__(self, image: VideoReader, rng: np.random.Generator) -> tuple[np.ndarray, int, int]:
        return self._augmentation(image.frames([0])[0], rng), 0, 0
