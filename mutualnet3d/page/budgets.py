"""Budgets that a slider can stand at: a round number for each entry of a query table's Pareto front."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mutualnet3d.errors import BudgetError
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.query_table.table import UNITS

_POSITIONS = 200  # of the slider, at least: what decides how its budgets are rounded


@dataclass(frozen=True)
class BudgetScale:
    """What a budget buys.

    Attributes:
        cost: ``gmacs`` or ``latency_ms``, per view.
        entries: the Pareto front, by rising cost.
        marks: for each entry the least budget that buys it, its cost rounded up to a multiple of ``step``.
        step: a power of ten.
    """

    cost: str
    entries: tuple[Entry, ...]
    marks: tuple[float, ...]
    step: float

    @classmethod
    def of(cls, table: QueryTable, cost: str) -> BudgetScale:
        """The scale of ``table``; QueryTableError where ``cost`` was not measured for every entry."""
        entries = table.pareto(cost)
        costs = [getattr(entry, cost) for entry in entries]
        digits = -math.floor(math.log10(max(costs[-1], 1e-9) / _POSITIONS))
        step = 10.0**-digits
        marks = tuple(round(math.ceil(each / step - 1e-6) * step, max(digits, 0)) for each in costs)
        return cls(cost, entries, marks, step)

    @property
    def unit(self) -> str:
        return UNITS[self.cost]

    def snap(self, budget: float) -> tuple[float, Entry]:
        """(mark, entry) of the most accurate entry within ``budget``.

        Raises:
            BudgetError: it is no number, or below the lowest mark.
        """
        number = isinstance(budget, (int, float)) and not isinstance(budget, bool)
        fitting = [i for i, mark in enumerate(self.marks) if number and mark <= budget + self.step / 2]
        if not fitting:
            raise BudgetError(
                f"a budget of {budget} {self.unit} buys nothing: the least is {self.marks[0]:g} {self.unit}, for "
                f"{self.entries[0].configuration}"
            )
        return self.marks[fitting[-1]], self.entries[fitting[-1]]


def scales_of(table: QueryTable) -> tuple[BudgetScale, ...]:
    """By GMACs and, where every entry was measured, by latency."""
    measured = all(entry.latency_ms is not None for entry in table.entries)
    return tuple(BudgetScale.of(table, cost) for cost in ("gmacs", "latency_ms")[: 1 + measured])
