"""The command line of ``tools/query_net.py``."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mutualnet3d.files import refuse_overwriting, write_text
from mutualnet3d.guard import guarded
from mutualnet3d.help import tool_parser
from mutualnet3d.output_files import TABLE_FILE
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.query_table.file import entry_values, to_json
from mutualnet3d.query_table.text import to_csv, to_markdown
from mutualnet3d.summary import print_entry, print_table

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

    def body() -> None:
        refuse_overwriting([arguments.output], [_file_of(path) for path in arguments.tables])
        table, cost = QueryTable.merge([read_table(path) for path in arguments.tables]), "gmacs"
        if arguments.device is not None:
            table, cost = table.on(arguments.device), "latency_ms"
        if asks:
            answer = _Answer(table, (table.best(**budgets),), cost, one=True)
        else:
            answer = _Answer(table, table.pareto(cost) if arguments.pareto else table.entries, cost, one=False)
        if arguments.format == "text" and not arguments.output:
            answer.show(Console())
            return
        text = answer.to_text(arguments.format)
        if arguments.output:
            write_text(arguments.output, text)
        else:
            print(text, end="")

    return guarded(body)


def read_table(path: str | Path) -> QueryTable:
    """The query table in the file ``path``, or in the run's output directory ``path``."""
    return QueryTable.load(_file_of(path))


def _file_of(path: str | Path) -> Path:
    path = Path(path)
    return path / TABLE_FILE if path.is_dir() else path


@dataclass(frozen=True)
class _Answer:
    """``entries`` of ``table``: the ``one`` that a budget chose, or rows, with the front of ``cost`` marked."""

    table: QueryTable
    entries: tuple[Entry, ...]
    cost: str
    one: bool

    def show(self, console: Console) -> None:
        if self.one:
            print_entry(self.table, self.entries[0], console)
        else:
            print_table(self.table, console, self.entries, self.cost)

    def to_text(self, form: str) -> str:
        if form == "text":
            console = Console(file=io.StringIO(), width=FILE_WIDTH, force_terminal=False)
            self.show(console)
            return console.file.getvalue()
        if form == "csv":
            return to_csv(self.table, self.entries, self.cost)
        if form == "markdown":
            return to_markdown(self.table, self.entries, self.cost)
        if self.one:
            return json.dumps(entry_values(self.entries[0]), indent=2) + "\n"
        return to_json(self.table.select(entry.configuration for entry in self.entries))  # a query table again


def _parser() -> argparse.ArgumentParser:
    example = "python tools/query_net.py outputs/demo --max-gmacs 0.124"
    parser = tool_parser(
        "The best configuration of a query table for a budget, or the table itself.", "query_net", example
    )
    parser.add_argument(
        "tables",
        nargs="+",
        metavar="TABLE",
        help=f"query table, or a run's OUTPUT_DIR with its {TABLE_FILE}; several, of one checkpoint, are merged",
    )
    add = parser.add_argument_group(
        "budgets", "the most accurate configuration within them; default: no limit"
    ).add_argument
    add("--max-gmacs", type=float, metavar="X", help="10^9 multiply-adds per view, inclusive; default: no limit")
    add("--max-latency-ms", type=float, metavar="X", help="milliseconds per view, inclusive; default: no limit")
    add(
        "--min-accuracy",
        type=float,
        metavar="X",
        help="per cent of the table's metric, inclusive: the cheapest that reaches it; default: no limit",
    )
    add = parser.add_argument_group("what is shown").add_argument
    add("--device", metavar="LABEL", help="the device whose latencies count; others are left out; default: all")
    add("--pareto", action="store_true", help="the Pareto front only: by latency with --device, otherwise by GMACs")
    add("--format", choices=FORMATS, default="text", help="of the table or the answer")
    add("--output", metavar="FILE", help="file to write; default: to the terminal")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
