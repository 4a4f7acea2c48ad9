"""The accuracy-GMACs curve: every configuration of one network, and the Pareto front among them."""

import itertools
import math
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mutualnet3d.errors import DataError
from mutualnet3d.query_table import pareto_front

SIZE_INCHES, DPI = (8.0, 5.0), 150
COLOURS = ("#0b6e99", "#e08e0b", "#7a4fa3", "#2f8f4e", "#c2453d", "#5c6b73", "#b0579b", "#8a7a22")
MARKERS = "osD^vPX<>*hp"
DIAMETERS = (4.5, 9.5)  # of the markers in points: lowest and highest spatial resolution
INK = "#222222"
DIRECTIONS = ((-1, 1), (-1, 0), (0, 1), (1, -1), (0, -1), (1, 0), (1, 1), (-1, -1))  # left above is freest: tried first
DISTANCES = (5, 12, 22, 34, 48, 64)  # of a label from its point, in points


def _size(point: Any) -> tuple[float, int, int]:
    of = point.configuration
    return of.width, of.spatial, of.temporal or 0


class _Style:
    """Colour by temporal, marker by width, diameter by spatial: from the values that occur, each ascending."""

    def __init__(self, points: Sequence[Any]):
        widths, spatials, temporals = (sorted(set(values)) for values in zip(*map(_size, points), strict=True))
        steps = np.linspace(*DIAMETERS, len(spatials)) if len(spatials) > 1 else [sum(DIAMETERS) / 2]
        self.marker = {width: MARKERS[i % len(MARKERS)] for i, width in enumerate(widths)}
        self.diameter = dict(zip(spatials, map(float, steps), strict=True))
        self.colour = {temporal: COLOURS[i % len(COLOURS)] for i, temporal in enumerate(temporals)}

    def draw(self, axes: Axes, point: Any) -> None:
        width, spatial, temporal = _size(point)
        look = {"color": self.colour[temporal], "marker": self.marker[width], "markersize": self.diameter[spatial]}
        axes.plot(point.gmacs, point.accuracy, linestyle="", alpha=0.8, mec="white", mew=0.5, zorder=4, **look)

    def legend(self) -> list[Line2D]:
        """One handle per value, each axis under a heading without a mark."""

        def entry(label: str, marker: str = "", diameter: float = 7.0, colour: str = "#777777") -> Line2D:
            return Line2D([], [], linestyle="", marker=marker, ms=diameter, color=colour, mew=0, label=label)

        entries = [entry("width"), *(entry(f"{width}", marker) for width, marker in self.marker.items())]
        entries += [entry("spatial"), *(entry(f"{value} px", "o", size) for value, size in self.diameter.items())]
        if list(self.colour) != [0]:  # images have no temporal part
            entries.append(entry("temporal"))
            entries += [entry(f"{value} frames", "o", colour=colour) for value, colour in self.colour.items()]
        return [*entries, Line2D([], [], color=INK, linewidth=1.3, label="Pareto front")]


def _covered(spots: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> int:
    """How many of `spots` (K, 2) lie in a box."""
    return int(np.sum((spots[:, 0] > x0) & (spots[:, 0] < x1) & (spots[:, 1] > y0) & (spots[:, 1] < y1)))


def _label(axes: Axes, canvas: FigureCanvasAgg, points: Sequence[Any], bold: set[int], spots: np.ndarray) -> None:
    """Writes each configuration beside its point, inside the axes, over no other label and over few `spots`.

    Args:
        points: in order of precedence.
        bold: ``id`` of the points to emphasise.
        spots: (K, 2) display coordinates of what labels should leave free.
    """
    pixel = canvas.figure.dpi / 72.0  # per point
    frame = axes.get_window_extent(canvas.get_renderer())
    taken: list[tuple[float, float, float, float]] = []
    for point in points:
        font = {"fontsize": 8.0, "fontweight": "bold"} if id(point) in bold else {"fontsize": 7.0}
        probe = axes.text(0, 0, str(point.configuration), transform=None, **font)
        extent = probe.get_window_extent(canvas.get_renderer())
        probe.remove()
        half_w, half_h = 0.5 * extent.width + pixel, 0.5 * extent.height + pixel
        x, y = axes.transData.transform((point.gmacs, point.accuracy))
        best_cost, best = math.inf, (0.0, 0.0, 0)
        for distance in DISTANCES:
            for dx, dy in DIRECTIONS:
                cx, cy = x + dx * (half_w + distance * pixel), y + dy * (half_h + distance * pixel)
                box = cx - half_w, cy - half_h, cx + half_w, cy + half_h
                outside = box[0] < frame.x0 or box[1] < frame.y0 or box[2] > frame.x1 or box[3] > frame.y1
                clashes = sum(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken)
                cost = 1000 * outside + 100 * clashes + 3 * _covered(spots, *box) + 0.2 * distance
                if cost < best_cost:
                    best_cost, best = cost, (cx, cy, distance)
        cx, cy, distance = best
        taken.append((cx - half_w, cy - half_h, cx + half_w, cy + half_h))
        leader = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
        axes.annotate(
            str(point.configuration),
            (point.gmacs, point.accuracy),
            xytext=((cx - x) / pixel, (cy - y) / pixel),
            textcoords="offset points",
            ha="center",
            va="center",
            color=INK,
            zorder=6,
            arrowprops=leader if distance > DISTANCES[0] else None,
            **font,
        )


def _line_spots(axes: Axes, points: Sequence[Any]) -> np.ndarray:
    """Display coordinates every few pixels along the line through `points`, (K, 2)."""
    corners = axes.transData.transform([(each.gmacs, each.accuracy) for each in points])
    pieces = [np.linspace(a, b, 2 + int(np.hypot(*(b - a)) // 6)) for a, b in itertools.pairwise(corners)]
    return np.concatenate([corners, *pieces])


def _save(figure: Figure, path: str | os.PathLike) -> None:
    """PNG at ``DPI``; `path` appears, or is replaced, when it is complete."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        figure.savefig(temporary, format="png", dpi=DPI)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def plot_accuracy_gmacs(
    points: Sequence[Any], path: str | os.PathLike, *, title: str, metric: str = "top-1 (%)"
) -> None:
    """Draws all configurations of one network and writes the picture, a PNG of 1200 x 750 pixels.

    Args:
        points: objects with ``configuration`` (``width``, ``spatial``, ``temporal``, which is None for images),
            ``gmacs`` (10^9 multiply-adds per view, above 0) and ``accuracy`` (per cent).
        path: file to write; its folder must exist.
        title: above the picture.
        metric: what ``accuracy`` is, for the vertical axis.

    Raises:
        DataError: there are no points, or one cannot be drawn.
    """
    points = list(points)
    if not points:
        raise DataError(f"{path}: no points to draw; evaluate at least one configuration first")
    for point in points:
        if not (math.isfinite(point.gmacs) and point.gmacs > 0 and math.isfinite(point.accuracy)):
            raise DataError(
                f"{path}: {point.configuration} has {point.gmacs} GMACs and accuracy {point.accuracy}; the first"
                " must be above 0 and both finite: evaluate it again, or leave it out"
            )

    figure = Figure(figsize=SIZE_INCHES, dpi=DPI)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.08, 0.11, 0.745, 0.81))
    axes.set_xscale("log")
    style, front = _Style(points), pareto_front(points)
    axes.plot([p.gmacs for p in front], [p.accuracy for p in front], color=INK, linewidth=1.3, alpha=0.8, zorder=3)
    for point in sorted(points, key=_size, reverse=True):  # small markers over large ones
        style.draw(axes, point)
    ends = [max(points, key=_size), min(points, key=_size)]
    for point in ends:
        ring = {"marker": "o", "markersize": DIAMETERS[1] + 5, "mfc": "none", "mec": INK, "mew": 1.4}
        axes.plot(point.gmacs, point.accuracy, linestyle="", zorder=5, **ring)

    axes.margins(x=0.09, y=0.12)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(True, color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("GMACs per view (10⁹ multiply-adds, log scale)")
    axes.set_ylabel(metric)
    axes.set_title(title, fontsize=11, loc="left")
    legend = figure.legend(
        handles=style.legend(), loc="upper left", bbox_to_anchor=(0.835, 0.93), frameon=False, fontsize=7.5
    )
    for text in legend.get_texts():
        if text.get_text() in ("width", "spatial", "temporal"):
            text.set_fontweight("bold")

    canvas.draw()  # fixes the scales, which the places of the labels depend on
    spots = axes.transData.transform([(point.gmacs, point.accuracy) for point in points])
    named = {id(point): point for point in (*ends, *front)}
    _label(
        axes,
        canvas,
        list(named.values()),
        bold=set(map(id, ends)),
        spots=np.concatenate([spots, _line_spots(axes, front)]),
    )
    _save(figure, path)
