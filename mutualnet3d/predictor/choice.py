"""Which entry of a query table a prediction runs: a named configuration, or the best within budgets."""

from __future__ import annotations

from typing import TypedDict

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import BudgetError, ConfigurationError, QueryTableError
from mutualnet3d.query_table import Entry, QueryTable


class Budget(TypedDict, total=False):
    """What every prediction takes by name; see :meth:`AdaptivePredictor.choose`."""

    max_gmacs: float | None
    max_latency_ms: float | None
    min_accuracy: float | None
    configuration: Configuration | None


def choose(
    table: QueryTable,
    *,
    max_gmacs: float | None = None,
    max_latency_ms: float | None = None,
    min_accuracy: float | None = None,
    configuration: Configuration | None = None,
) -> Entry:
    """See :meth:`AdaptivePredictor.choose`."""
    budgets = {"max_gmacs": max_gmacs, "max_latency_ms": max_latency_ms, "min_accuracy": min_accuracy}
    given = [name for name, value in budgets.items() if value is not None]
    if configuration is not None:
        if given:
            raise BudgetError(f"configuration {configuration} and {', '.join(given)} were given: give one of them")
        return entry_of(table, configuration)
    if max_latency_ms is not None and any(entry.latency_ms is None for entry in table.entries):
        raise QueryTableError(
            "max_latency_ms: the query table has no latencies that were measured with this backend, precision and "
            "device; measure them, or give max_gmacs"
        )
    return table.best(**budgets)


def entry_of(table: QueryTable, configuration: Configuration) -> Entry:
    """The entry of ``configuration``; ConfigurationError where there is none."""
    try:
        return table[configuration]
    except KeyError as error:
        raise ConfigurationError(
            f"{configuration!r} is not a Configuration in the query table; it has "
            f"{', '.join(str(entry.configuration) for entry in table.entries)}"
        ) from error


def chosen_by_budgets(table: QueryTable) -> tuple[Configuration, ...]:
    """What a single budget may choose: the Pareto front by GMACs, and that by latency where all were measured."""
    measured = all(entry.latency_ms is not None for entry in table.entries)
    fronts = [table.pareto(cost) for cost in ("gmacs", "latency_ms")[: 1 + measured]]
    return tuple(dict.fromkeys(entry.configuration for front in fronts for entry in front))
