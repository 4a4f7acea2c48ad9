"""What users give as a video or image: a file, an open reader, or pixels in memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from numbers import Real

import numpy as np
import torch

from mutualnet3d.data.decode import VideoReader
from mutualnet3d.data.images import open_media
from mutualnet3d.data.memory import FramesInMemory
from mutualnet3d.errors import DataError

Frames = np.ndarray | torch.Tensor
Source = str | os.PathLike | Frames | VideoReader


@contextlib.contextmanager
def opened(source: Source, fps: float, images: bool = False) -> Iterator[VideoReader]:
    """The video of ``source``, with ``images`` the image as a video of one frame; what was open before stays open.

    Args:
        fps: of frames in memory.

    Raises:
        VideoError: the file cannot be read, or is of the other kind.
        DataError: frames of another shape or type, ``fps`` is no number above 0, or a video is open in place of an
            image.
    """
    if isinstance(source, VideoReader):
        if images and source.num_frames != 1:
            raise DataError(f"{source.path}: a video is open, and this network classifies images: give one frame of it")
        yield source
    elif isinstance(source, (str, os.PathLike)):
        with open_media(source, images) as video:
            yield video
    elif images:
        yield FramesInMemory(checked_image(source)[None], 1.0)
    else:
        if isinstance(fps, bool) or not isinstance(fps, Real) or not 0 < fps < float("inf"):
            raise DataError(f"fps {fps!r} of frames in memory must be a number above 0")
        yield FramesInMemory(checked_frames(source, at_least=1), fps)


def checked_image(image: Frames) -> np.ndarray:
    """DataError unless uint8 (H, W, 3) with no empty side."""
    if not isinstance(image, (np.ndarray, torch.Tensor)):
        return checked_frames(image, at_least=1)
    if image.ndim != 3:
        raise DataError(
            f"an array of shape {tuple(image.shape)} was given, and this network classifies images: give one of them, "
            "uint8 (H, W, 3), RGB"
        )
    return checked_frames(image[None], at_least=1)[0]


def checked_frames(frames: Frames, at_least: int) -> np.ndarray:
    """DataError unless uint8 (T, H, W, 3) with ``at_least`` that many frames and no empty side."""
    if not isinstance(frames, (np.ndarray, torch.Tensor)):
        raise DataError(f"frames are a {type(frames).__name__}; give a path, a NumPy array or a tensor")
    shape = tuple(frames.shape)
    if frames.dtype not in (np.uint8, torch.uint8) or len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise DataError(f"frames are {frames.dtype} of shape {shape}; give uint8 (T, H, W, 3), RGB")
    if len(frames) < at_least:
        raise DataError(f"a clip of {len(frames)} frames is too short: the Slow pathway needs at least {at_least}")
    return frames.cpu().numpy() if isinstance(frames, torch.Tensor) else frames
