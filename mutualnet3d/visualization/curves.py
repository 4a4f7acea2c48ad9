"""Accuracy against cost: every configuration of one network, and the Pareto front among them.

The front is coloured by what changes from one configuration to the next: the axis that gives way as the budget falls
(figure 18 of the paper).
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mutualnet3d.visualization.drawing import FAINT, INK, cost_and_accuracy_axes, new_figure, save_png
from mutualnet3d.visualization.labels import Label, place_labels, spots_of
from mutualnet3d.visualization.points import (
    COSTS,
    Point,
    axes_of,
    changed_axis,
    chart_points,
    front_of,
    largest,
    smallest,
)

SIZE_INCHES = (8.0, 5.0)
MARKERS = "osD^vPX<>*hp"
DIAMETERS = (4.5, 9.5)  # of the markers in points: lowest and highest spatial resolution
TEMPORAL = LinearSegmentedColormap.from_list("temporal", ["#8cc6e0", "#2f86b5", "#0d3b66"])  # few frames to many
CHANGES = {"width": "#c2453d", "spatial": "#2f8f4e", "temporal": "#d9730d", "several": "#8a8a8a"}
LEGEND_VALUES = 6  # of an axis that the legend lists
NAMED = 14  # configurations of the front that are labelled at most


class _Style:
    """Colour by temporal, marker by width, diameter by spatial: from the values that occur, each ascending."""

    def __init__(self, points: Sequence[Point]):
        sizes = zip(*(axes_of(point.configuration) for point in points), strict=True)
        widths, spatials, temporals = (sorted(set(values)) for values in sizes)
        steps = np.linspace(*DIAMETERS, len(spatials)) if len(spatials) > 1 else [sum(DIAMETERS) / 2]
        shades = np.linspace(0, 1, len(temporals)) if len(temporals) > 1 else [0.5]
        markers = MARKERS if len(widths) <= len(MARKERS) else "o" * len(widths)  # too many to tell apart by shape
        self.marker = dict(zip(widths, markers, strict=False))
        self.diameter = dict(zip(spatials, map(float, steps), strict=True))
        self.colour = {value: to_hex(TEMPORAL(shade)) for value, shade in zip(temporals, shades, strict=True)}

    def draw(self, axes: Axes, point: Point) -> None:
        width, spatial, temporal = axes_of(point.configuration)
        look = {"color": self.colour[temporal], "marker": self.marker[width], "markersize": self.diameter[spatial]}
        axes.plot(point.cost, point.accuracy, linestyle="", alpha=0.85, mec="white", mew=0.5, zorder=4, **look)

    def legend(self, changes: set[str]) -> list[Line2D]:
        """One handle per value, each axis under a heading (bold: without a mark), then what changes along the front."""

        def entry(label: str, marker: str = "", diameter: float = 7.0, colour: str = FAINT) -> Line2D:
            return Line2D([], [], linestyle="", marker=marker, ms=diameter, color=colour, mew=0, label=label)

        if len(set(self.marker.values())) == len(self.marker):
            entries = [entry("width"), *(entry(f"{width}", marker) for width, marker in self.marker.items())]
        else:
            widths = list(self.marker)
            entries = [entry("width"), entry(f"{widths[0]} .. {widths[-1]}", "o")]
        entries += [
            entry("spatial"),
            *(entry(f"{value} px", "o", size) for value, size in _some(list(self.diameter.items()), LEGEND_VALUES)),
        ]
        if list(self.colour) != [0]:  # images have no temporal part
            entries.append(entry("temporal"))
            entries += [
                entry(f"{value} frames", "o", colour=colour)
                for value, colour in _some(list(self.colour.items()), LEGEND_VALUES)
            ]
        if changes:
            entries.append(entry("Pareto front"))
            entries += [
                Line2D([], [], color=colour, linewidth=2.0, label=f"{kind} change{'s' * (kind != 'several')}")
                for kind, colour in CHANGES.items()
                if kind in changes
            ]
        return entries


def draw_accuracy_cost(
    points: Sequence[Point], *, title: str, cost: str = "gmacs", metric: str = "top-1 (%)", videos: int | None = None
) -> Figure:
    """The chart; see :func:`plot_accuracy_cost`. ``points`` come from ``chart_points``."""
    figure = new_figure(*SIZE_INCHES)
    axes = figure.add_axes((0.085, 0.11, 0.72, 0.81))
    cost_and_accuracy_axes(axes, [p.cost for p in points], [p.accuracy for p in points])
    style, front = _Style(points), front_of(points)
    changes = [changed_axis(a.configuration, b.configuration) for a, b in itertools.pairwise(front)]
    for (a, b), change in zip(itertools.pairwise(front), changes, strict=True):
        axes.plot([a.cost, b.cost], [a.accuracy, b.accuracy], color=CHANGES[change], linewidth=2.0, zorder=3)
    for point in sorted(points, key=lambda p: axes_of(p.configuration), reverse=True):  # small markers over large ones
        style.draw(axes, point)
    ends = [largest(points), smallest(points)]
    for point in ends:
        ring = {"marker": "o", "markersize": DIAMETERS[1] + 5, "mfc": "none", "mec": INK, "mew": 1.4}
        axes.plot(point.cost, point.accuracy, linestyle="", zorder=5, **ring)
    axes.set_xlabel(COSTS[cost])
    axes.set_ylabel(metric)
    axes.set_title(title, fontsize=11, loc="left")
    if videos:
        _note_error(axes, points, videos)
    _add_legend(figure, style.legend(set(changes)))

    figure.canvas.draw()  # fixes the scales, which the places of the labels depend on
    where = np.array([(point.cost, point.accuracy) for point in points])
    line = np.array([(point.cost, point.accuracy) for point in front])
    named = dict.fromkeys([*ends, *_some(front, NAMED)])
    labels = [Label(str(p.configuration), p.cost, p.accuracy, keep=p in ends) for p in named]
    place_labels(axes, labels, spots_of(axes, where, line))
    return figure


def plot_accuracy_cost(
    points: Iterable[Any],
    path: str | os.PathLike,
    *,
    title: str,
    cost: str = "gmacs",
    metric: str = "top-1 (%)",
    videos: int | None = None,
) -> None:
    """Draw all configurations of one network and write the picture, a PNG of 1200 x 750 pixels.

    Args:
        points: objects with ``configuration`` (``width``, ``spatial``, ``temporal``, which is None for images),
            ``accuracy`` (per cent) and the cost, above 0.
        path: file to write.
        title: above the picture.
        cost: ``gmacs`` (10^9 multiply-adds per view) or ``latency_ms``.
        metric: what ``accuracy`` is, for the vertical axis.
        videos: how many videos the accuracies are of; the chart then says how large their standard error is.

    Raises:
        DataError: there are no points, or one cannot be drawn.
    """
    figure = draw_accuracy_cost(chart_points(points, cost, path), title=title, cost=cost, metric=metric, videos=videos)
    save_png(figure, path)


def plot_accuracy_gmacs(
    points: Iterable[Any], path: str | os.PathLike, *, title: str, metric: str = "top-1 (%)"
) -> None:
    """:func:`plot_accuracy_cost` by GMACs."""
    plot_accuracy_cost(points, path, title=title, cost="gmacs", metric=metric)


def _some(values: list, most: int) -> list:
    """All of them, or ``most`` spread evenly with both ends."""
    if len(values) <= most:
        return values
    return [values[round(i)] for i in np.linspace(0, len(values) - 1, most)]


def _note_error(axes: Axes, points: Sequence[Point], videos: int) -> None:
    """A line under the title's height that says how far chance moves an accuracy of so many videos."""
    error = max(100 * np.sqrt(p.accuracy / 100 * (1 - p.accuracy / 100) / videos) for p in points)
    text = f"{videos} videos: ± {error:.1f} points standard error"
    axes.text(1.0, 1.015, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=7.5, color=FAINT)


def _add_legend(figure: Figure, handles: list[Line2D]) -> None:
    size = min(7.5, 215 / len(handles))  # so that any number fits the height
    with matplotlib.rc_context({"legend.handlelength": 1.6}):
        legend = figure.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0.815, 0.93), frameon=False, fontsize=size
        )
    for text, handle in zip(legend.get_texts(), handles, strict=True):
        if handle.get_marker() in ("", "None") and handle.get_linestyle() == "None":
            text.set_fontweight("bold")
