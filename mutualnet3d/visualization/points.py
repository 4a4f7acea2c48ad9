"""What the charts of accuracy against cost draw: the costs that exist, points checked, the front and its ends."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import DataError
from mutualnet3d.query_table import metric_name, pareto_front

MOST = 1e15  # GMACs or ms: nothing costs as much; far from the limits of float64, as charts need
COSTS = {
    "gmacs": "GMACs per view (10⁹ multiply-adds, log scale)",
    "latency_ms": "latency per view (ms, log scale)",
}


@dataclass(frozen=True)
class Point:
    """A configuration in a chart: its cost, above 0, and its accuracy in per cent."""

    configuration: Configuration
    cost: float
    accuracy: float


def chart_points(entries: Iterable[Any], cost: str, path: str | os.PathLike) -> list[Point]:
    """One point an entry (objects with ``configuration``, ``accuracy`` and the attribute ``cost``).

    Raises:
        DataError: there are none, one cannot be drawn, or ``cost`` is unknown; the message begins with ``path``.
    """
    if cost not in COSTS:
        raise DataError(f"{path}: cost {cost!r} is not one of {', '.join(COSTS)}")
    points = [Point(entry.configuration, getattr(entry, cost), entry.accuracy) for entry in entries]
    if not points:
        raise DataError(f"{path}: no points to draw; evaluate at least one configuration first")
    for point in points:
        if point.cost is None:
            raise DataError(f"{path}: {point.configuration} has no {cost}; measure it first, or leave it out")
        if not (1 / MOST < point.cost < MOST and math.isfinite(point.accuracy)):
            raise DataError(
                f"{path}: {point.configuration} has {cost} {point.cost} and accuracy {point.accuracy}; the first"
                f" must be above 0, below {MOST:g} and both finite: evaluate it again, or leave it out"
            )
    return points


def front_of(points: Sequence[Point]) -> list[Point]:
    """The Pareto front among ``points``, by rising cost."""
    return pareto_front(points, "cost")


def metric_label(metric: str) -> str:
    """``top-1 (%)`` for ``top1``, ``mAP (%)`` for ``map``: what a query table's metric is called on an axis."""
    return f"{metric_name(metric)} (%)"


def axes_of(configuration: Configuration) -> tuple[float, int, int]:
    """(width, spatial, temporal), by which configurations are ordered; images have temporal 0."""
    return configuration.width, configuration.spatial, configuration.temporal or 0


def largest(points: Sequence[Any]) -> Any:
    """The one with the largest configuration: full, where the points are those of a query table."""
    return max(points, key=lambda point: axes_of(point.configuration))


def smallest(points: Sequence[Any]) -> Any:
    """The one with the smallest configuration."""
    return min(points, key=lambda point: axes_of(point.configuration))


def changed_axis(one: Configuration, other: Configuration) -> str:
    """Which axis differs: ``width``, ``spatial``, ``temporal``, or ``several``."""
    pairs = zip(("width", "spatial", "temporal"), axes_of(one), axes_of(other), strict=True)
    differing = [name for name, a, b in pairs if a != b]
    return differing[0] if len(differing) == 1 else "several"
