"""The query table: a budget in, the best configuration out (section 3.1 of the paper).

A table is a value that knows where it comes from; it is written as JSON, atomically, and read back with checks.
"""

from __future__ import annotations

import json
import math
import operator
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import BudgetError, ConfigurationError, QueryTableError
from mutualnet3d.files import write_text

FORMAT, VERSION = "mutualnet3d query table", 1


@dataclass(frozen=True)
class Entry:
    """What one configuration costs and reaches.

    Attributes:
        configuration: the operating point.
        gmacs: 10^9 multiply-adds per view (papers call them GFLOPs).
        mparams: 10^6 parameters of the dense sub-network.
        accuracy: per cent, of the table's metric.
        top5: per cent, where the metric is top-1.
        latency_ms: milliseconds per view, where it was measured.
    """

    configuration: Configuration
    gmacs: float
    mparams: float
    accuracy: float
    top5: float | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.configuration, Configuration):
            raise QueryTableError(f"configuration {self.configuration!r} is not a Configuration")
        for name in ("gmacs", "mparams", "accuracy", "top5", "latency_ms"):
            value = getattr(self, name)
            if value is None and name in ("top5", "latency_ms"):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= sys.float_info.max:
                raise QueryTableError(f"{name} {value!r} of {self.configuration} is not a finite number of at least 0")


@dataclass(frozen=True)
class QueryTable:
    """Entries by rising cost, and where they come from.

    Args:
        entries: one per configuration.
        metric: what ``accuracy`` is, for example ``top1``.
        provenance: plain values: the checkpoint's hash, the data, the views, the date.

    Raises:
        QueryTableError: no entries, or a configuration twice.
    """

    entries: tuple[Entry, ...]
    metric: str = "top1"
    provenance: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        entries = tuple(sorted(self.entries, key=lambda e: (e.gmacs, -e.accuracy, str(e.configuration))))
        if not entries:
            raise QueryTableError("a query table needs at least one entry")
        seen = [entry.configuration for entry in entries]
        if twice := {str(c) for c in seen if seen.count(c) > 1}:
            raise QueryTableError(f"configurations {', '.join(sorted(twice))} have more than one entry")
        object.__setattr__(self, "entries", entries)

    def best(
        self,
        max_gmacs: float | None = None,
        max_latency_ms: float | None = None,
        min_accuracy: float | None = None,
    ) -> Entry:
        """The most accurate entry within the budgets; of equals the cheaper. Limits are inclusive.

        Cheaper is: by latency with a latency budget, else by GMACs.
        With ``min_accuracy`` and no budget, the cheapest entry that reaches it; with both, BudgetError unless the most
        accurate entry within the budgets does.

        Raises:
            BudgetError: nothing fits; the message names the cheapest (or the most accurate) entry there is.
            QueryTableError: a latency budget for a table without latencies.
        """
        for name, budget in (
            ("max_gmacs", max_gmacs),
            ("max_latency_ms", max_latency_ms),
            ("min_accuracy", min_accuracy),
        ):
            if budget is not None and (not isinstance(budget, Real) or isinstance(budget, bool) or math.isnan(budget)):
                raise BudgetError(f"{name} {budget!r} is not a number")
        fitting = list(self.entries)
        if max_gmacs is not None:
            fitting = self._within(fitting, "gmacs", max_gmacs, "GMACs")
        if max_latency_ms is not None:
            fitting = self._within(fitting, "latency_ms", max_latency_ms, "ms")
        cost = operator.attrgetter("gmacs" if max_latency_ms is None else "latency_ms")
        top = max(fitting, key=lambda e: (e.accuracy, -cost(e)))
        if min_accuracy is None:
            return top
        if top.accuracy < min_accuracy:
            raise BudgetError(
                f"no configuration within the budget reaches {min_accuracy} {self.metric}; the most accurate, "
                f"{top.configuration}, reaches {top.accuracy:.2f}"
            )
        if max_gmacs is not None or max_latency_ms is not None:
            return top
        return min((e for e in fitting if e.accuracy >= min_accuracy), key=lambda e: (cost(e), -e.accuracy))

    def _within(self, entries: list[Entry], name: str, budget: float, unit: str) -> list[Entry]:
        if any(getattr(entry, name) is None for entry in self.entries):
            raise QueryTableError(f"this table has no {name}; measure it first or ask with another budget")
        fitting = [entry for entry in entries if getattr(entry, name) <= budget]
        if not fitting:
            cheapest = min(self.entries, key=lambda e: getattr(e, name))
            raise BudgetError(
                f"no configuration costs at most {budget} {unit} (within the other budgets given); the cheapest is "
                f"{cheapest.configuration} at {getattr(cheapest, name):.4g} {unit}"
            )
        return fitting

    def pareto(self) -> tuple[Entry, ...]:
        """The entries on the Pareto front, by rising GMACs."""
        return tuple(pareto_front(self.entries))

    def __getitem__(self, configuration: Configuration) -> Entry:
        for entry in self.entries:
            if entry.configuration == configuration:
                return entry
        raise KeyError(f"{configuration} is not in this table of {len(self.entries)} configurations")

    def save(self, path: str | os.PathLike) -> None:
        """Write the table as JSON, atomically."""
        entries = [asdict(replace(e)) | {"configuration": str(e.configuration)} for e in self.entries]
        values = {"format": FORMAT, "version": VERSION, "metric": self.metric, "provenance": self.provenance}
        write_text(path, json.dumps(values | {"entries": entries}, indent=2) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike) -> QueryTable:
        """Read a table that :meth:`save` wrote.

        Raises:
            QueryTableError: the file is missing, is not JSON, or is not a query table; the message says where.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no JSON, endless digits
            raise QueryTableError(f"{path}: cannot be read as JSON: {error}") from error
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise QueryTableError(f"{path}: not a query table of mutualnet3d")
        if values.get("version") != VERSION:
            raise QueryTableError(f"{path}: version {values.get('version')!r}, this release reads {VERSION}")
        metric, provenance = values.get("metric"), values.get("provenance")
        if not isinstance(metric, str) or not isinstance(provenance, dict):
            raise QueryTableError(f"{path}: metric must be a text and provenance an object")
        entries = tuple(_read_entries(values.get("entries"), path))
        try:
            return cls(entries, metric, provenance)
        except QueryTableError as error:
            raise QueryTableError(f"{path}: {error}") from error


def pareto_front(points: Sequence[Any]) -> list[Any]:
    """The ``points`` (with ``gmacs`` and ``accuracy``) that no cheaper or equally cheap one reaches in accuracy.

    By rising GMACs, and so by rising accuracy.
    """
    front: list[Any] = []
    for point in sorted(points, key=lambda each: (each.gmacs, -each.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def _read_entries(values: object, path: str | os.PathLike) -> Iterable[Entry]:
    if not isinstance(values, list):
        raise QueryTableError(f"{path}: entries must be a list")
    for number, value in enumerate(values):
        try:
            yield Entry(**(value | {"configuration": Configuration.parse(value["configuration"])}))
        except (TypeError, KeyError, ConfigurationError, QueryTableError) as error:
            raise QueryTableError(f"{path}: entry {number} is malformed: {error}") from error
