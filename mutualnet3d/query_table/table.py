"""The query table: a budget in, the best configuration out (section 3.1 of the paper).

A table is a value that knows where it comes from. It may hold the latencies of several devices.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import TYPE_CHECKING

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import BudgetError, QueryTableError
from mutualnet3d.files import sha256, write_text
from mutualnet3d.query_table import devices, file
from mutualnet3d.query_table.entry import Entry, pareto_front
from mutualnet3d.query_table.metric import metric_name

if TYPE_CHECKING:
    from mutualnet3d.latency import Latency, Setting

UNITS = {"gmacs": "GMACs", "latency_ms": "ms"}


@dataclass(frozen=True)
class QueryTable:
    """Entries by rising cost, and where they come from.

    Args:
        entries: one per configuration.
        metric: what ``accuracy`` is, for example ``top1``.
        provenance: plain values: the checkpoint's hash, the data, the views, the date.
        device: label of the device whose latencies are the entries' ``latency_ms``; the only one by default.

    Raises:
        QueryTableError: no entries, a configuration twice, or ``latency_ms`` that are not those of ``device``.
    """

    entries: tuple[Entry, ...]
    metric: str = "top1"
    provenance: dict = field(default_factory=dict)
    device: str | None = None

    def __post_init__(self) -> None:
        entries = tuple(sorted(self.entries, key=lambda e: (e.gmacs, -e.accuracy, str(e.configuration))))
        if not entries:
            raise QueryTableError("a query table needs at least one entry")
        seen = [entry.configuration for entry in entries]
        if twice := {str(c) for c, times in Counter(seen).items() if times > 1}:
            raise QueryTableError(f"configurations {', '.join(sorted(twice))} have more than one entry")
        object.__setattr__(self, "entries", entries)
        self._choose_device()

    def _choose_device(self) -> None:
        if self.device is None and len(self.devices) == 1:
            object.__setattr__(self, "device", self.devices[0])
            if all(entry.latency_ms is None for entry in self.entries):
                object.__setattr__(self, "entries", tuple(entry.on(self.device) for entry in self.entries))
        if self.device is None and not self.devices:
            return  # latencies of a device without a name
        if self.device is not None and self.device not in self.devices:
            raise QueryTableError(f"device {self.device!r} has no latency here; {self._describe_devices()}")
        if wrong := [str(e.configuration) for e in self.entries if e.latency_ms != e.on(self.device).latency_ms]:
            raise QueryTableError(
                f"latency_ms of {_list(wrong)} is not that of the table's device {self.device!r}; "
                f"{self._describe_devices()}"
            )

    @property
    def metric_name(self) -> str:
        """``metric`` as people write it: ``top-1``, ``mAP``."""
        return metric_name(self.metric)

    @property
    def devices(self) -> tuple[str, ...]:
        """Labels of the devices that measured at least one entry, sorted."""
        return tuple(sorted({label for entry in self.entries for label, _ in entry.latencies}))

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
            QueryTableError: a latency budget for a table without latencies, or of several devices (see :meth:`on`).
        """
        limits = {"max_gmacs": max_gmacs, "max_latency_ms": max_latency_ms, "min_accuracy": min_accuracy}
        for name, budget in limits.items():
            if budget is not None and (not isinstance(budget, Real) or isinstance(budget, bool) or budget != budget):
                raise BudgetError(f"{name} {budget!r} is not a number")
        fitting = list(self.entries)
        if max_gmacs is not None:
            fitting = self._within(fitting, "gmacs", max_gmacs)
        if max_latency_ms is not None:
            fitting = self._within(fitting, "latency_ms", max_latency_ms)
        cost = "gmacs" if max_latency_ms is None else "latency_ms"
        top = max(fitting, key=lambda e: (e.accuracy, -getattr(e, cost)))
        if min_accuracy is None:
            return top
        if top.accuracy < min_accuracy:
            raise BudgetError(
                f"no configuration within the budget reaches {min_accuracy} {self.metric_name}; the most accurate, "
                f"{top.configuration}, reaches {top.accuracy:.2f}"
            )
        if max_gmacs is not None or max_latency_ms is not None:
            return top
        return min((e for e in fitting if e.accuracy >= min_accuracy), key=lambda e: (e.gmacs, -e.accuracy))

    def _within(self, entries: list[Entry], cost: str, budget: float) -> list[Entry]:
        self._require(cost)
        fitting = [entry for entry in entries if getattr(entry, cost) <= budget]
        if not fitting:
            cheapest = min(self.entries, key=lambda e: getattr(e, cost))
            raise BudgetError(
                f"no configuration costs at most {budget} {UNITS[cost]} (within the other budgets given); the cheapest "
                f"is {cheapest.configuration} at {_enough(getattr(cheapest, cost))} {UNITS[cost]}"
            )
        return fitting

    def _require(self, cost: str) -> None:
        """QueryTableError unless every entry has the ``cost``."""
        if cost not in UNITS:
            raise QueryTableError(f"cost {cost!r} is not one of {', '.join(UNITS)}")
        missing = [str(entry.configuration) for entry in self.entries if getattr(entry, cost) is None]
        if missing and self.device is None and self.devices:
            raise QueryTableError(
                f"this table has latencies of several devices, choose one by its label; {self._describe_devices()}"
            )
        if len(missing) == len(self.entries):
            raise QueryTableError(f"this table has no {cost}; measure it first or ask with another budget")
        if missing:
            choose = f", or choose a device, which leaves them out; {self._describe_devices()}" if self.devices else ""
            raise QueryTableError(f"this table has no {cost} of {_list(missing)}; measure them too{choose}")

    def pareto(self, cost: str = "gmacs") -> tuple[Entry, ...]:
        """The entries on the Pareto front, by rising cost: ``gmacs`` or ``latency_ms``; QueryTableError as in best."""
        self._require(cost)
        return tuple(pareto_front(self.entries, cost))

    def on(self, label: str) -> QueryTable:
        """The table of one device: the entries that it measured, with its latencies as their ``latency_ms``.

        Raises:
            QueryTableError: nothing was measured on ``label``; the message lists the devices.
        """
        if label not in self.devices:
            raise QueryTableError(f"no latency was measured on {label!r}; {self._describe_devices()}")
        entries = tuple(entry.on(label) for entry in self.entries if label in dict(entry.latencies))
        return replace(self, entries=entries, device=label)

    def select(self, configurations: Iterable[Configuration]) -> QueryTable:
        """The table of ``configurations`` alone.

        Its device stays if it measured one of them; ``provenance["latency"]`` keeps the devices that did.

        Raises:
            QueryTableError: there is none, or one is not in this table; the message names those that are.
        """
        return devices.select(self, configurations)

    def with_latencies(self, latencies: Mapping[Configuration, Latency], setting: Setting) -> QueryTable:
        """This table with what was measured in ``setting``, which becomes its device.

        It replaces an earlier measurement in a setting of the same label. Configurations that were not measured stay,
        without this latency. ``provenance["latency"]`` says how it was measured.

        Raises:
            QueryTableError: nothing was measured, a configuration is not in the table, or the batches differ.
        """
        return devices.with_latencies(self, latencies, setting)

    @classmethod
    def merge(cls, tables: Iterable[QueryTable]) -> QueryTable:
        """One table of ``tables`` that were measured on several devices; its provenance is the first's.

        A configuration that is missing in one is kept, without that device's latency. One table is returned as it is.

        Raises:
            QueryTableError: no tables, or they are not of one checkpoint, space and metric, or an accuracy, a cost or
                a device's latency differs; the message names the difference.
        """
        return devices.merge(tables)

    def check_model(self, model: str | os.PathLike) -> None:
        """QueryTableError unless the table belongs to ``model``: a model file, or its SHA-256 in hexadecimal."""
        text = str(model)
        try:
            found = text.lower() if re.fullmatch(r"[0-9a-fA-F]{64}", text) else sha256(model)
        except OSError as error:
            raise QueryTableError(
                f"{text}: cannot be read, so it cannot be compared with the table: {error}"
            ) from error
        expected = self.provenance.get("model_sha256")
        if expected is None:
            raise QueryTableError("this table does not say which model it belongs to (provenance model_sha256)")
        if found != str(expected).lower():
            raise QueryTableError(
                f"this table belongs to the model of SHA-256 {expected}, not to {text} ({found}); take the "
                "query table that was written beside that model"
            )

    def __getitem__(self, configuration: Configuration) -> Entry:
        for entry in self.entries:
            if entry.configuration == configuration:
                return entry
        raise KeyError(f"{configuration} is not in this table of {len(self.entries)} configurations")

    def save(self, path: str | os.PathLike) -> None:
        """Write the table as JSON, atomically."""
        write_text(path, file.to_json(self))

    @classmethod
    def load(cls, path: str | os.PathLike) -> QueryTable:
        """Read a table that :meth:`save` wrote.

        Raises:
            QueryTableError: the file is missing, is not JSON, or is not a query table; the message says where.
        """
        fields = file.read_fields(path)
        try:
            return cls(**fields)
        except QueryTableError as error:
            raise QueryTableError(f"{path}: {error}") from error

    def _describe_devices(self) -> str:
        return f"its devices: {'; '.join(self.devices) or 'none'}"


def _list(names: Sequence[str]) -> str:
    """The first three of ``names``, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _enough(cost: float) -> str:
    """``cost`` in 4 digits, or in all where 4 are less: as a budget it buys the entry."""
    text = f"{cost:.4g}"
    return text if float(text) >= cost else repr(cost)
