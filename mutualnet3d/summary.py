"""What the command line shows at the end of a run."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mutualnet3d.pipeline import MODEL_FILE
from mutualnet3d.query_table import QueryTable
from mutualnet3d.testing import CURVE_FILE


def print_table(table: QueryTable, console: Console | None = None) -> None:
    """The table by rising cost; entries on the Pareto front are marked."""
    console = console or Console()
    front = set(table.pareto())
    shown = Table(
        title=f"query table: {len(table.entries)} configurations, * on the Pareto front", title_justify="left"
    )
    for name in ("", "width", "spatial", "temporal", "GMACs / view", "Mparams", f"{table.metric} %"):
        shown.add_column(name, justify="right")
    for entry in table.entries:
        c = entry.configuration
        shown.add_row(
            "*" if entry in front else "",
            f"{c.width:g}",
            str(c.spatial),
            "-" if c.temporal is None else str(c.temporal),
            f"{entry.gmacs:.4g}",
            f"{entry.mparams:.3g}",
            f"{entry.accuracy:.1f}",
        )
    console.print(shown)


def print_usage(table: QueryTable, output_dir: str | Path, table_file: str, console: Console | None = None) -> None:
    """How to use what a run left in ``output_dir``, with a budget that exists."""
    console = console or Console()
    output = Path(output_dir)
    budget = _round_up(table.pareto()[len(table.pareto()) // 2].gmacs)
    console.print(
        f"""
Written to {output}: {MODEL_FILE} (weights and statistics), {table_file}, {CURVE_FILE}. Use them:

    import mutualnet3d as mn
    table = mn.QueryTable.load("{output / table_file}")
    model = mn.load_model("{output / MODEL_FILE}")
    best = table.best(max_gmacs={budget:g})           # {table.best(max_gmacs=budget).configuration}
    logits = model(clip, best.configuration)      # clip: (N, 3, {_frames(table)}, H, W) float, normalised
    dense = mn.extract_dense(model, best.configuration)   # an ordinary, smaller network
""",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _round_up(value: float) -> float:
    """To three digits, so that what is printed still affords what it was made from."""
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(f"{math.ceil(value / unit) * unit:.3g}")


def _frames(table: QueryTable) -> str:
    return str(table.provenance.get("frames", "T"))
