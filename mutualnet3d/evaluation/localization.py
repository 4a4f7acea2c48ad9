"""Weakly supervised localization: from a class activation map to a box, and how often the box is right.

A box is x1, y1, x2, y2, the edges of what it holds, in pixels of the view: the whole view is 0, 0, width, height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torchvision.ops import box_iou

MATCHING_IOU = 0.5
THRESHOLD = 0.2  # share of a map's maximum, arXiv 1512.04150


def box_of_map(activation_map: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """The box around the largest connected region (8 neighbours) where a map exceeds a share of its maximum.

    Args:
        activation_map: float (H, W).
        threshold: share of the map's maximum, in (0, 1).

    Returns:
        float64 (4,); zeros where no value is positive: nothing speaks for the class.
    """
    highest = activation_map.max()
    if not highest > 0:
        return np.zeros(4)
    mask = (activation_map > threshold * highest).astype(np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    left, top, width, height, _ = statistics[1 + statistics[1:, cv2.CC_STAT_AREA].argmax()]
    return np.array([left, top, left + width, top + height], dtype=np.float64)


def best_overlap(box: np.ndarray, truths: np.ndarray) -> float:
    """The largest IoU of ``box`` (4,) with one of ``truths`` (R, 4)."""
    return float(box_iou(torch.from_numpy(box[None]), torch.from_numpy(truths)).max())


def centre_box(truths: Sequence[np.ndarray], width: int, height: int) -> np.ndarray:
    """The box of the mean width and height of ``truths``, each (R, 4), in the middle of a view."""
    sizes = np.concatenate([truth[:, 2:] - truth[:, :2] for truth in truths]).mean(0)
    middle = np.array([width, height]) / 2
    return np.concatenate([middle - sizes / 2, middle + sizes / 2])


@dataclass(frozen=True)
class Localization:
    """How often the boxes of one method are right. Per cent, over frames with at least one true box in view.

    Attributes:
        method: a configuration, or the name of a baseline.
        threshold: share of the map's maximum; None for baselines.
        frames: how many.
        localized: frames where the box has an IoU of at least 0.5 with a true one; maps are of the true class.
        top1: frames of clips whose class is recognised; None for baselines.
        localized_and_top1: frames where both are right; None for baselines.
        mean_iou: per cent, with the true box that overlaps most.
    """

    method: str
    threshold: float | None
    frames: int
    localized: float
    top1: float | None
    localized_and_top1: float | None
    mean_iou: float


@dataclass
class Tally:
    """Overlaps of one method, frame by frame, and whether the frame's clip was recognised."""

    method: str
    threshold: float | None = None
    overlaps: list[float] = field(default_factory=list)
    recognised: list[bool] = field(default_factory=list)

    def add(self, overlap: float, recognised: bool = False) -> None:
        """One frame."""
        self.overlaps.append(overlap)
        self.recognised.append(recognised)

    def result(self) -> Localization:
        """The per cent of what was added."""
        found = np.array(self.overlaps) >= MATCHING_IOU
        right, classifies = np.array(self.recognised), self.threshold is not None
        return Localization(
            self.method,
            self.threshold,
            len(found),
            _percent(found),
            _percent(right) if classifies else None,
            _percent(found & right) if classifies else None,
            _percent(self.overlaps),
        )


def _percent(values: Sequence[float] | np.ndarray) -> float:
    return 100.0 * float(np.mean(values))
