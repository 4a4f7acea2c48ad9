"""Boxes that follow the pixels. A box is x1, y1, x2, y2; arrays are float64 (R, 4).

Pixel coordinates are those of pixel centres, as in PySlowFast: a frame of W pixels reaches from 0 to W - 1. There, both
axes are scaled by the ratio of the longer sides; here each axis by its own, so that boxes differ from PySlowFast's by
less than a pixel where frames are scaled.
"""

import numpy as np

from mutualnet3d.data.transforms import Window


def to_pixels(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """From fractions of the frame to its pixels, clipped to the frame."""
    return clip_boxes(boxes * np.array([width, height, width, height], dtype=np.float64), height, width)


def clip_boxes(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Boxes cut off where the frame ends; one that lies outside becomes a line or a point on its edge."""
    return np.clip(boxes, 0.0, np.array([width - 1.0, height - 1.0, width - 1.0, height - 1.0]))


def move_to_window(boxes: np.ndarray, window: Window) -> np.ndarray:
    """From pixels of the frame to pixels of a window of it, mirrored where the window is, clipped to the window."""
    moved = boxes - np.array([window.left, window.top, window.left, window.top], dtype=np.float64)
    if window.mirrored:
        moved[:, [0, 2]] = window.size - 1 - moved[:, [2, 0]]
    return clip_boxes(moved, window.size, window.size)


def have_area(boxes: np.ndarray) -> np.ndarray:
    """bool (R,): whether x1 < x2 and y1 < y2."""
    return (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
