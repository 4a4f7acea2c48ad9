"""Labels beside the points of a chart: inside the axes, over no other label and over few points."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from mutualnet3d.visualization.drawing import INK

DIRECTIONS = ((-1, 1), (-1, 0), (0, 1), (1, -1), (0, -1), (1, 0), (1, 1), (-1, -1))  # left above is freest: tried first
DISTANCES = (5, 12, 22, 34, 48, 64)  # of a label from its point, in points
OUTSIDE, CLASH, COVERED, AWAY = 1000.0, 100.0, 3.0, 0.2  # what a place costs


@dataclass(frozen=True)
class Label:
    """A text beside the point (x, y), in data units. ``keep``: written even where it must cover another label."""

    text: str
    x: float
    y: float
    keep: bool = False


def place_labels(axes: Axes, labels: Sequence[Label], spots: np.ndarray) -> None:
    """Write ``labels`` in order of precedence; one that finds no free place is left out unless it is to keep (bold).

    Args:
        axes: its scales and limits must be final.
        spots: (K, 2) display coordinates of what labels should leave free.
    """
    renderer = axes.figure.canvas.get_renderer()
    pixel = axes.figure.dpi / 72.0  # per point
    frame = axes.get_window_extent(renderer)
    taken: list[tuple[float, float, float, float]] = []
    for label in labels:
        font = {"fontsize": 8.0, "fontweight": "bold"} if label.keep else {"fontsize": 7.0}
        probe = axes.text(0, 0, label.text, transform=None, **font)
        extent = probe.get_window_extent(renderer)
        probe.remove()
        half_w, half_h = 0.5 * extent.width + pixel, 0.5 * extent.height + pixel
        x, y = axes.transData.transform((label.x, label.y))
        best_cost, best = math.inf, (0.0, 0.0, 0)
        for distance in DISTANCES:
            for dx, dy in DIRECTIONS:
                cx, cy = x + dx * (half_w + distance * pixel), y + dy * (half_h + distance * pixel)
                box = cx - half_w, cy - half_h, cx + half_w, cy + half_h
                outside = box[0] < frame.x0 or box[1] < frame.y0 or box[2] > frame.x1 or box[3] > frame.y1
                clashes = sum(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken)
                cost = OUTSIDE * outside + CLASH * clashes + COVERED * _covered(spots, *box) + AWAY * distance
                if cost < best_cost:
                    best_cost, best = cost, (cx, cy, distance)
        if best_cost >= CLASH and not label.keep:
            continue
        cx, cy, distance = best
        taken.append((cx - half_w, cy - half_h, cx + half_w, cy + half_h))
        leader = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=((cx - x) / pixel, (cy - y) / pixel),
            textcoords="offset points",
            ha="center",
            va="center",
            color=INK,
            zorder=6,
            arrowprops=leader if distance > DISTANCES[0] else None,
            **font,
        )


def spots_of(axes: Axes, points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Display coordinates (K, 2) of ``points`` (P, 2), and every few pixels along ``line`` (L, 2), in data units."""
    corners = axes.transData.transform(line)
    pieces = [np.linspace(a, b, 2 + int(np.hypot(*(b - a)) // 6)) for a, b in itertools.pairwise(corners)]
    return np.concatenate([axes.transData.transform(points), corners, *pieces])


def _covered(spots: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> int:
    """How many of ``spots`` (K, 2) lie in a box."""
    return int(np.sum((spots[:, 0] > x0) & (spots[:, 0] < x1) & (spots[:, 1] > y0) & (spots[:, 1] < y1)))
