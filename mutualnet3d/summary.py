"""What the command line shows at the end of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mutualnet3d.output_files import CURVE_FILE, MODEL_FILE, TABLE_FILE
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.query_table.text import latencies, latency_columns, milliseconds


def print_table(
    table: QueryTable,
    console: Console | None = None,
    entries: Sequence[Entry] | None = None,
    cost: str = "gmacs",
) -> None:
    """``entries`` (default: all) by rising cost; those on the Pareto front of ``cost`` are marked.

    Each device has a column of milliseconds, numbered where there are several; their labels stand below the table. To
    leave room for them the configuration is then one column; in a narrow terminal cells are folded, never cut.
    """
    console = console or Console()
    entries = table.entries if entries is None else entries
    front, devices = set(table.pareto(cost)), latency_columns(table)
    count = "" if len(entries) == len(table.entries) else f"{len(entries)} of "
    by = "" if cost == "gmacs" else f" of {cost}"
    title = f"query table: {count}{len(table.entries)} configurations, * on the Pareto front{by}"
    shown = Table(title=title, title_justify="left")
    numbers = [f" [{number}]" if len(devices) > 1 else "" for number, _ in enumerate(devices, start=1)]
    axes = ("configuration", "GMACs") if devices else ("width", "spatial", "temporal", "GMACs / view")
    for name in ("", *axes, "Mparams", f"{table.metric_name} %", *(f"ms{number}" for number in numbers)):
        shown.add_column(Text(name), justify="right", overflow="fold")
    for entry in entries:
        c = entry.configuration
        values = (str(c),) if devices else (f"{c.width:g}", str(c.spatial), str(c.temporal or "-"))
        shown.add_row(
            "*" if entry in front else "",
            *values,
            f"{entry.gmacs:.4g}",
            f"{entry.mparams:.3g}",
            f"{entry.accuracy:.1f}",
            *(milliseconds(value) or "-" for value in latencies(table, entry)),
        )
    console.print(shown)
    for number, label in zip(numbers, devices, strict=True):
        if label:
            print_plain(console, f"ms{number}: per view on {label}")


def print_entry(table: QueryTable, entry: Entry, console: Console | None = None) -> None:
    """One entry, a line for each of its values."""
    console = console or Console()
    print_plain(console, str(entry.configuration))
    lines = [
        f"{entry.gmacs:.4g} GMACs / view",
        f"{entry.mparams:.3g} Mparams",
        f"{entry.accuracy:.2f} % {table.metric_name}",
    ]
    if entry.top5 is not None:
        lines.append(f"{entry.top5:.2f} % top-5")
    for label, value in zip(latency_columns(table), latencies(table, entry), strict=True):
        if value is not None:
            lines.append(f"{milliseconds(value)} ms / view{label and f' ({label})'}")
    for line in lines:
        print_plain(console, f"  {line}")


def print_plain(console: Console, text: str) -> None:
    """``text`` as it is: no markup, no colours, no line breaks of the terminal's width."""
    console.print(text, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_usage(table: QueryTable, output_dir: str | Path, console: Console | None = None) -> None:
    """How to use what a run left in ``output_dir``, with a budget that exists."""
    console = console or Console()
    output = Path(output_dir)
    boxes, clip = "", f"clip: (N, 3, {_frames(table)}H, W) float, normalised"
    if "boxes" in table.provenance:
        boxes, clip = ", boxes", f"{clip}; boxes: (R, 5) float: clip in the batch, x1, y1, x2, y2 in its pixels"
    budget = _round_up(table.pareto()[len(table.pareto()) // 2].gmacs)
    print_plain(
        console,
        f"""
Written to {output}: {MODEL_FILE} (weights and statistics), {TABLE_FILE}, {CURVE_FILE}. Use them:

    import mutualnet3d as mn
    table = mn.QueryTable.load("{output / TABLE_FILE}")
    model = mn.load_model("{output / MODEL_FILE}")
    best = table.best(max_gmacs={budget:g})           # {table.best(max_gmacs=budget).configuration}
    logits = model(clip, best.configuration{boxes})      # {clip}
    dense = mn.extract_dense(model, best.configuration)   # an ordinary, smaller network
""",
    )


def _round_up(value: float) -> float:
    """To three digits, so that what is printed still affords what it was made from."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{math.ceil(value / unit) * unit:.3g}")


def _frames(table: QueryTable) -> str:
    """The third axis of a clip; images, whose table says None of it, have none."""
    frames = table.provenance.get("frames", "T")
    return "" if frames is None else f"{frames}, "
