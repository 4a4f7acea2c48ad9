"""One row of a query table: what a configuration costs and reaches."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mutualnet3d.configuration import Configuration
from mutualnet3d.device_label import is_device_label
from mutualnet3d.errors import QueryTableError


@dataclass(frozen=True)
class Entry:
    """What one configuration costs and reaches.

    Attributes:
        configuration: the operating point.
        gmacs: 10^9 multiply-adds per view (papers call them GFLOPs).
        mparams: 10^6 parameters of the dense sub-network.
        accuracy: per cent, of the table's metric.
        top5: per cent, where the metric is top-1.
        latency_ms: milliseconds per view on the table's own device, where it was measured.
        latencies: (label, milliseconds per view) of every device that measured it, by label.

    Raises:
        QueryTableError: a value is missing, negative, not finite or of another type, an accuracy is above 100, or a
            label stands twice.
    """

    configuration: Configuration
    gmacs: float
    mparams: float
    accuracy: float
    top5: float | None = None
    latency_ms: float | None = None
    latencies: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.configuration, Configuration):
            raise QueryTableError(f"configuration {self.configuration!r} is not a Configuration")
        for name in ("gmacs", "mparams", "accuracy", "top5", "latency_ms"):
            value = getattr(self, name)
            if value is not None or name not in ("top5", "latency_ms"):
                self._check_number(name, value)
                if name in ("accuracy", "top5") and value > 100:
                    raise QueryTableError(f"{name} {value!r} of {self.configuration} is above 100 per cent")
        try:
            pairs = tuple(sorted((label, value) for label, value in self.latencies))
        except (TypeError, ValueError) as error:
            raise QueryTableError(
                f"latencies {self.latencies!r} of {self.configuration} are not pairs (label, milliseconds): {error}"
            ) from error
        for label, value in pairs:
            check_label(label)
            self._check_number(f"latency on {label}", value)
        if len(dict(pairs)) < len(pairs):
            raise QueryTableError(f"{self.configuration} has two latencies of one device: {pairs}")
        object.__setattr__(self, "latencies", pairs)

    def _check_number(self, name: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= sys.float_info.max:
            raise QueryTableError(f"{name} {value!r} of {self.configuration} is not a finite number of at least 0")

    def on(self, label: str | None) -> Entry:
        """The same entry with ``latency_ms`` of the device ``label``: ``None`` if it was not measured there."""
        return replace(self, latency_ms=None if label is None else dict(self.latencies).get(label))


def check_label(label: object) -> None:
    """QueryTableError unless ``label`` can name a device: one line of text, without spaces around it."""
    if not is_device_label(label):
        raise QueryTableError(f"device label {label!r} must be one line of text, without spaces around it")


def pareto_front(points: Sequence[Any], cost: str = "gmacs") -> list[Any]:
    """The ``points`` (with ``accuracy``) that no cheaper or equally cheap one reaches in accuracy.

    ``cost`` names the attribute that is their cost. By rising cost, and so by rising accuracy.
    """
    front: list[Any] = []
    for point in sorted(points, key=lambda each: (getattr(each, cost), -each.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front
