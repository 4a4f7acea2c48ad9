"""A run beside others: Pareto fronts in one chart, and the best of each within the same budgets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mutualnet3d.errors import BudgetError, DataError
from mutualnet3d.output_files import TABLE_FILE
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.visualization.drawing import plain
from mutualnet3d.visualization.latencies import measured_latencies
from mutualnet3d.visualization.overlay import common_metric, draw_overlay
from mutualnet3d.visualization.points import chart_points, front_of
from mutualnet3d.visualization.run_folder import RunFolder

MOST_BUDGETS = 8
SAME = ("data", "videos", "views", "crop")  # of the provenance: else the accuracies are of other tests


@dataclass(frozen=True)
class Comparison:
    """What the report shows of several runs.

    Attributes:
        names: of the runs; the report's own is first.
        figures: (chart, what it shows).
        rows: (budget in GMACs, the best entry of each run within it or None).
        notes: why the accuracies may not be comparable.
    """

    names: tuple[str, ...]
    figures: tuple[tuple[Figure, str], ...]
    rows: tuple[tuple[float, tuple[Entry | None, ...]], ...]
    notes: tuple[str, ...]


def compare_runs(run: RunFolder, others: Sequence[str | os.PathLike]) -> Comparison:
    """``run`` beside the runs of the folders ``others``.

    Raises:
        DataError: ``run`` has no query table; or the runs measure different things.
        QueryTableError: that of another run is missing or malformed.
    """
    if run.table is None:
        raise DataError(f"{run.folder}: has no query table to compare ({' '.join(run.notes)})")
    folders = [run.folder, *map(Path, others)]
    others = [QueryTable.load(folder / TABLE_FILE) for folder in folders[1:]]
    tables = dict(zip(distinct_names(folders), [run.table, *others], strict=True))
    metric = common_metric(tables, run.folder)
    entries = {name: table.entries for name, table in tables.items()}
    look = {"metric": metric, "path": run.folder}
    figures = [(draw_overlay(entries, title="Pareto fronts", cost="gmacs", **look), "accuracy against GMACs")]
    measured = {name: {each.name: each.entries for each in measured_latencies(t)} for name, t in tables.items()}
    for device in measured[next(iter(tables))]:
        if all(device in found for found in measured.values()):
            entries = {name: found[device] for name, found in measured.items()}
            title = plain(f"Pareto fronts on {device}" if device else "Pareto fronts", 80)
            figure = draw_overlay(entries, title=title, cost="latency_ms", **look)
            figures.append((figure, f"accuracy against latency {device}"))
    front = [point.cost for point in front_of(chart_points(run.table.entries, "gmacs", run.folder))]
    chosen = np.unique(np.linspace(0, len(front) - 1, min(len(front), MOST_BUDGETS)).round().astype(int))
    rows = tuple((front[i], tuple(_best(table, front[i]) for table in tables.values())) for i in chosen)
    return Comparison(tuple(tables), tuple(figures), rows, tuple(_differences(tables)))


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """The last parts of the folders' paths, as many as tell them apart; a folder given twice gets a number."""
    folders = [folder.resolve() for folder in folders]
    most = max(len(folder.parts) for folder in folders)
    for length in range(1, most + 1):
        names = ["/".join(folder.parts[-length:]) for folder in folders]
        if len(set(names)) == len(set(folders)):
            break
    return [name if name not in names[:i] else f"{name} ({names[:i].count(name) + 1})" for i, name in enumerate(names)]


def _best(table: QueryTable, budget: float) -> Entry | None:
    try:
        return table.best(max_gmacs=budget)
    except BudgetError:
        return None


def _differences(tables: dict[str, QueryTable]) -> list[str]:
    """What differs in how the runs were tested."""
    notes = []
    for key in SAME:
        values = {name: table.provenance.get(key) for name, table in tables.items()}
        if len({str(value) for value in values.values()}) > 1:
            shown = ", ".join(f"{name}: {value}" for name, value in values.items())
            notes.append(f"Not the same test: {key} differs ({shown}).")
    return notes
