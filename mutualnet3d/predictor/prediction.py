"""What a prediction is made of: frames that were checked, and the answer as a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import DataError
from mutualnet3d.query_table import Entry

Frames = np.ndarray | torch.Tensor


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds of wall-clock time that the stages of one prediction took.

    Attributes:
        decode_ms: opening, decoding and scaling the video's frames; 0.0 for frames in memory.
        preprocess_ms: cutting views, normalising, subsampling and resizing for the configuration; scaling of frames
            that were in memory.
        network_ms: the sub-network, up to logits on the CPU; on a GPU also what is left of the preprocessing there.
        switch_ms: waiting for the sub-network to be built; 0.0 where it was there.
    """

    decode_ms: float
    preprocess_ms: float
    network_ms: float
    switch_ms: float

    @property
    def latency_ms(self) -> float:
        """``preprocess_ms + network_ms``: what a prediction takes once frames and sub-network are there."""
        return self.preprocess_ms + self.network_ms


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a video or image shows, and what it took to say so.

    Attributes:
        configuration: that was run.
        entry: its cost and accuracy in the query table.
        labels: (class name, or its number where no names are known; probability), the most probable first. Of several
            views it is their mean, or with DATA.ENSEMBLE_METHOD max their maximum.
        scores: float32 (K,), of the views together as the evaluation makes them: the sum of their probabilities, or
            with DATA.ENSEMBLE_METHOD max the maximum; of one view the probabilities.
        times: of the stages.
    """

    configuration: Configuration
    entry: Entry
    labels: tuple[tuple[str | int, float], ...]
    scores: torch.Tensor
    times: StageTimes


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


def checked_image(image: Frames) -> np.ndarray:
    """DataError unless uint8 (H, W, 3) with no empty side."""
    if isinstance(image, (np.ndarray, torch.Tensor)) and image.ndim == 4:
        raise DataError(
            f"frames of shape {tuple(image.shape)} were given, and this network classifies images: give one of them, "
            "uint8 (H, W, 3), RGB"
        )
    return checked_frames(image[None] if isinstance(image, (np.ndarray, torch.Tensor)) else image, at_least=1)[0]


def checked_top_k(top_k: int) -> int:
    """``top_k``; DataError unless it is a whole number of at least 1."""
    if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
        raise DataError(f"top_k {top_k!r} must be a whole number of at least 1")
    return top_k


def checked_views(views: tuple[int, int], images: bool = False) -> tuple[int, int]:
    """``views``; DataError unless they are at least 1 temporal clip, and 1 or 3 spatial crops; of images 1 and 1."""
    whole = isinstance(views, (tuple, list)) and all(isinstance(v, int) and not isinstance(v, bool) for v in views)
    if not whole or len(views) != 2 or views[0] < 1 or views[1] not in (1, 3):
        raise DataError(f"views {views!r} must be (temporal clips, at least 1; spatial crops, 1 or 3), such as (10, 3)")
    if images and tuple(views) != (1, 1):
        raise DataError(f"views {views!r} of an image: it has one; leave views at (1, 1)")
    return views[0], views[1]
