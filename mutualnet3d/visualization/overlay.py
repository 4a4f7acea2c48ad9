"""Several runs in one chart, the Pareto front of each: for example a mutual and independently trained networks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mutualnet3d.errors import DataError
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.visualization.drawing import COLOURS, FAINT, cost_and_accuracy_axes, new_figure, plain, save_png
from mutualnet3d.visualization.points import COSTS, chart_points, front_of, largest, metric_label

SIZE_INCHES = (8.0, 5.0)
MARKERS = "osD^vPX<"


def draw_overlay(
    runs: Mapping[str, Sequence[Entry]], *, title: str, cost: str, metric: str, path: str | os.PathLike
) -> Figure:
    """The chart; see :func:`plot_overlay`. ``runs``: name -> entries; ``path`` begins the messages of errors."""
    runs = {name: chart_points(entries, cost, f"{path}: {name}") for name, entries in runs.items()}
    figure = new_figure(*SIZE_INCHES)
    axes = figure.add_axes((0.085, 0.11, 0.89, 0.81))
    everything = [point for points in runs.values() for point in points]
    cost_and_accuracy_axes(axes, [p.cost for p in everything], [p.accuracy for p in everything])
    handles = []
    for number, (name, points) in enumerate(runs.items()):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        front, full = front_of(points), largest(points)
        axes.plot([p.cost for p in points], [p.accuracy for p in points], ".", ms=6, color=colour, alpha=0.4, mew=0)
        axes.plot([p.cost for p in front], [p.accuracy for p in front], marker=marker, ms=6, color=colour, lw=1.6)
        ring = {"marker": "o", "ms": 14, "mfc": "none", "mec": colour, "mew": 1.5, "linestyle": ""}
        axes.plot(full.cost, full.accuracy, zorder=5, **ring)
        count = "1 configuration" if len(points) == 1 else f"{len(points)} configurations"
        handles.append(Line2D([], [], color=colour, marker=marker, ms=6, lw=1.6, label=f"{plain(name)} ({count})"))
    handles.append(Line2D([], [], linestyle="", marker="o", ms=9, mfc="none", mec=FAINT, mew=1.5, label="full"))
    handles.append(Line2D([], [], linestyle="", marker=".", ms=6, color=FAINT, mew=0, label="not on the Pareto front"))
    axes.set_xlabel(COSTS[cost])
    axes.set_ylabel(metric_label(metric))
    axes.set_title(title, fontsize=11, loc="left")
    axes.legend(handles=handles, loc="best", fontsize=8, framealpha=0.8, edgecolor="none")
    return figure


def plot_overlay(
    tables: Mapping[str, QueryTable],
    path: str | os.PathLike,
    *,
    cost: str = "gmacs",
    title: str = "Pareto fronts",
) -> None:
    """Draw each run's Pareto front in its own colour, its full configuration ringed; a PNG of 1200 x 750 pixels.

    Args:
        tables: name of a run -> its query table. All must have one metric.
        path: file to write.
        cost: ``gmacs``, or ``latency_ms`` of tables of one device (``table.on(label)``).
        title: above the picture.

    Raises:
        DataError: no tables, several metrics or devices, or an entry that cannot be drawn (a cost not measured).
    """
    if not tables:
        raise DataError(f"{path}: no tables to draw; give at least one")
    metric = common_metric(tables, path)
    if cost == "latency_ms" and len(devices := {str(table.device) for table in tables.values()}) > 1:
        raise DataError(f"{path}: latencies of {', '.join(sorted(devices))}; compare on one device: table.on(label)")
    runs = {name: table.entries for name, table in tables.items()}
    save_png(draw_overlay(runs, title=title, cost=cost, metric=metric, path=path), path)


def common_metric(tables: Mapping[str, QueryTable], path: str | os.PathLike) -> str:
    """The metric of all ``tables``; DataError if they have several."""
    metrics = sorted({table.metric for table in tables.values()})
    if len(metrics) > 1:
        raise DataError(f"{path}: the tables measure {', '.join(metrics)}; compare runs of one metric")
    return metrics[0]
