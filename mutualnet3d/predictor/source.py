"""What users give as a video: a file, an open reader, or frames in memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from numbers import Real

import numpy as np
import torch

from mutualnet3d.data.decode import VideoReader, open_video
from mutualnet3d.data.memory import FramesInMemory
from mutualnet3d.errors import DataError

Frames = np.ndarray | torch.Tensor
Source = str | os.PathLike | Frames | VideoReader


@contextlib.contextmanager
def opened(source: Source, fps: float) -> Iterator[VideoReader]:
    """The video of ``source``; what was open before stays open. ``fps``: of frames in memory.

    Raises:
        VideoError: the file cannot be read.
        DataError: frames of another shape or type, or ``fps`` is no number above 0.
    """
    if isinstance(source, VideoReader):
        yield source
    elif isinstance(source, (str, os.PathLike)):
        with open_video(source) as video:
            yield video
    else:
        if isinstance(fps, bool) or not isinstance(fps, Real) or not 0 < fps < float("inf"):
            raise DataError(f"fps {fps!r} of frames in memory must be a number above 0")
        yield FramesInMemory(checked_frames(source, at_least=1), fps)


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
