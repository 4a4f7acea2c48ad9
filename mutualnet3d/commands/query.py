"""The command line of ``tools/query_net.py``."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from mutualnet3d.commands.guard import guarded
from mutualnet3d.files import write_text
from mutualnet3d.query_entry import Entry
from mutualnet3d.query_table import QueryTable
from mutualnet3d.query_table_file import entry_values, to_json
from mutualnet3d.query_table_text import to_csv, to_markdown
from mutualnet3d.summary import print_entry, print_table

TABLE_FILE = "query_table.json"
FORMATS = ("text", "csv", "markdown", "json")
FILE_WIDTH = 120  # characters of a text table in a file


def main(argv: Sequence[str] | None = None) -> int:
    """Print the best configuration for a budget, or the table.

    Exit status: 0 done, 1 an error that the message explains (a budget below the cheapest), 2 usage, 130 Ctrl-C.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    budgets = {name: getattr(arguments, name) for name in ("max_gmacs", "max_latency_ms", "min_accuracy")}
    asks = any(value is not None for value in budgets.values())
    if asks and arguments.pareto:
        parser.error("--pareto lists configurations, a budget chooses one: give one of the two")

    width = FILE_WIDTH if arguments.output else Console().width

    def body() -> None:
        table, cost = QueryTable.merge([read_table(path) for path in arguments.tables]), "gmacs"
        if arguments.device is not None:
            table, cost = table.on(arguments.device), "latency_ms"
        if asks:
            text = _entry_text(table, table.best(**budgets), cost, arguments.format, width)
        else:
            entries = table.pareto(cost) if arguments.pareto else table.entries
            text = _table_text(table, entries, cost, arguments.format, width)
        if arguments.output:
            write_text(arguments.output, text)
        else:
            print(text, end="")

    return guarded(body)


def read_table(path: str | Path) -> QueryTable:
    """The query table in the file ``path``, or in the run's output directory ``path``."""
    path = Path(path)
    return QueryTable.load(path / TABLE_FILE if path.is_dir() else path)


def _entry_text(table: QueryTable, entry: Entry, cost: str, form: str, width: int) -> str:
    if form == "text":
        return _rendered(width, lambda console: print_entry(table, entry, console))
    if form == "json":
        return json.dumps(entry_values(entry), indent=2) + "\n"
    return _table_text(table, (entry,), cost, form, width)


def _table_text(table: QueryTable, entries: tuple[Entry, ...], cost: str, form: str, width: int) -> str:
    if form == "text":
        return _rendered(width, lambda console: print_table(table, console, entries, cost))
    if form == "json":  # a query table again, which QueryTable.load reads
        measured = any(entry.latency_ms is not None for entry in entries)
        return to_json(replace(table, entries=entries, device=table.device if measured else None))
    return {"csv": to_csv, "markdown": to_markdown}[form](table, entries, cost)


def _rendered(width: int, show: Callable[[Console], None]) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    show(console)
    return console.file.getvalue()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="query_net.py", description="The best configuration of a query table for a budget, or the table itself."
    )
    parser.add_argument(
        "tables",
        nargs="+",
        metavar="TABLE",
        help=f"query table, or a run's OUTPUT_DIR with its {TABLE_FILE}; several, of one checkpoint, are merged",
    )
    parser.add_argument("--max-gmacs", type=float, metavar="X", help="10^9 multiply-adds per view, inclusive")
    parser.add_argument("--max-latency-ms", type=float, metavar="X", help="milliseconds per view, inclusive")
    parser.add_argument("--min-accuracy", type=float, metavar="X", help="per cent of the table's metric, inclusive")
    parser.add_argument("--device", metavar="LABEL", help="the device whose latencies count; others are left out")
    parser.add_argument(
        "--pareto", action="store_true", help="the Pareto front only: by latency with --device, otherwise by GMACs"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--output", metavar="FILE", help="write there instead of to the terminal")
    return parser
