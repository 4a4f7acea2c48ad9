"""What a prediction is made of, as values."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import DataError
from mutualnet3d.predictor.labels import Labels
from mutualnet3d.query_table import Entry


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds of wall-clock time that the stages of one prediction took.

    Attributes:
        decode_ms: opening, decoding and scaling the video's frames; 0.0 for frames in memory.
        preprocess_ms: cutting views, normalising, subsampling and resizing for the configuration; scaling of frames
            that were in memory.
        network_ms: the sub-network, up to logits on the CPU; on a GPU also what is left of the preprocessing there.
        switch_ms: waiting for the sub-network to be built; 0.0 where it was there.
        detector_ms: finding people; 0.0 where their boxes were given.
    """

    decode_ms: float
    preprocess_ms: float
    network_ms: float
    switch_ms: float
    detector_ms: float = 0.0

    @property
    def latency_ms(self) -> float:
        """``preprocess_ms + network_ms``: what a prediction takes once frames, boxes and sub-network are there."""
        return self.preprocess_ms + self.network_ms


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a video or image shows, and what it took to say so.

    Attributes:
        configuration: that was run.
        entry: its cost and accuracy in the query table.
        labels: (class name, or its number where no names are known; probability), the most probable first. Of several
            views it is their mean, or with DATA.ENSEMBLE_METHOD max their maximum. Where videos have several labels
            each probability stands for itself: they do not add up to 1.
        scores: float32 (K,), of the views together as the evaluation makes them: the sum of their probabilities, or
            with DATA.ENSEMBLE_METHOD max the maximum; of one view the probabilities.
        times: of the stages.
    """

    configuration: Configuration
    entry: Entry
    labels: Labels
    scores: torch.Tensor
    times: StageTimes


@dataclass(frozen=True, eq=False)
class Detections:
    """What the people of one key frame do.

    Attributes:
        second: of the key frame, since the first frame of the video.
        boxes: float64 (R, 4), x1, y1, x2, y2 in pixels of the video's frame; R may be 0.
        labels: of each box, as in :class:`Prediction`; each probability stands for itself.
        scores: float32 (R, K), probabilities; (0, 0) where nobody is.
        configuration: that was run.
        entry: its cost and accuracy in the query table.
        times: of the stages.
    """

    second: float
    boxes: np.ndarray
    labels: tuple[Labels, ...]
    scores: torch.Tensor
    configuration: Configuration
    entry: Entry
    times: StageTimes


def checked_views(views: tuple[int, int], images: bool = False) -> tuple[int, int]:
    """``views``; DataError unless they are at least 1 temporal clip, and 1 or 3 spatial crops; of images 1 and 1."""
    whole = isinstance(views, (tuple, list)) and all(isinstance(v, int) and not isinstance(v, bool) for v in views)
    if not whole or len(views) != 2 or views[0] < 1 or views[1] not in (1, 3):
        raise DataError(f"views {views!r} must be (temporal clips, at least 1; spatial crops, 1 or 3), such as (10, 3)")
    if images and tuple(views) != (1, 1):
        raise DataError(f"views {views!r} of an image: it has one; leave views at (1, 1)")
    return views[0], views[1]


def milliseconds_since(start: float) -> float:
    """Of wall-clock time; ``start`` is a ``time.perf_counter()``."""
    return 1000 * (time.perf_counter() - start)
