"""The query table as CSV and as Markdown: a row per entry, a column per device, the Pareto front marked with ``*``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mutualnet3d.query_table.entry import Entry

if TYPE_CHECKING:
    from mutualnet3d.query_table.table import QueryTable


def to_csv(table: QueryTable, entries: Sequence[Entry] | None = None, cost: str = "gmacs") -> str:
    """CSV of ``entries`` (default: all) with exact values; what was not measured is empty.

    ``cost`` is the one whose Pareto front, of the whole table, is marked.
    """
    entries = table.entries if entries is None else entries
    front = table.pareto(cost)
    rows = []
    for entry in entries:
        c = entry.configuration
        numbers = (c.width, c.spatial, c.temporal, entry.gmacs, entry.mparams, entry.accuracy, entry.top5)
        rows.append([c, *numbers, *latencies(table, entry), "*" if entry in front else ""])
    names = ("configuration", "width", "spatial", "temporal", "gmacs", "mparams", table.metric, "top5")
    devices = [" ".join(filter(None, ("latency_ms", label))) for label in latency_columns(table)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[*names, *devices, f"pareto {cost}"], *rows])
    return text.getvalue()


def to_markdown(table: QueryTable, entries: Sequence[Entry] | None = None, cost: str = "gmacs") -> str:
    """A Markdown table of ``entries`` (default: all) with rounded values; otherwise as :func:`to_csv`."""
    entries = table.entries if entries is None else entries
    front = table.pareto(cost)
    with_top5 = any(entry.top5 is not None for entry in table.entries)
    header = ["", "configuration", "GMACs", "Mparams", f"{table.metric_name} %", *(["top-5 %"] if with_top5 else [])]
    header += [" ".join(filter(None, ("ms", label and f"({label})"))) for label in latency_columns(table)]
    rows = [header, [":-:", ":--", *["--:"] * (len(header) - 2)]]
    for entry in entries:
        row = ["*" if entry in front else "", str(entry.configuration), f"{entry.gmacs:.4g}", f"{entry.mparams:.3g}"]
        row.append(f"{entry.accuracy:.2f}")
        if with_top5:
            row.append("" if entry.top5 is None else f"{entry.top5:.2f}")
        rows.append(row + [milliseconds(value) for value in latencies(table, entry)])
    return "".join(f"| {' | '.join(map(_escape, row))} |\n" for row in rows)


def latency_columns(table: QueryTable) -> tuple[str, ...]:
    """Labels of the devices of ``table``; one empty label where its latencies name no device."""
    if table.devices:
        return table.devices
    return ("",) if any(entry.latency_ms is not None for entry in table.entries) else ()


def latencies(table: QueryTable, entry: Entry) -> list[float | None]:
    """Milliseconds per view of ``entry`` for each of :func:`latency_columns`; ``None`` where not measured."""
    measured: dict[str, float | None] = {**dict(entry.latencies)} or {"": entry.latency_ms}
    return [measured.get(label) for label in latency_columns(table)]


def milliseconds(value: float | None) -> str:
    """Three digits, or one decimal; "" for ``None``."""
    if value is None:
        return ""
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def _escape(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|")
