"""What the command line shows at the end of a run."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mutualnet3d.output_files import (
    CONFIG_FILE,
    CURVE_FILE,
    LOG_FILE,
    MODEL_FILE,
    REPORT_FILE,
    RESULTS_FILE,
    SCORES_FILE,
    SEARCH_FILE,
    STDOUT_FILE,
    TABLE_FILE,
    UNREADABLE_FILE,
)
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


def print_usage(table: QueryTable | None, output_dir: str | Path, console: Console | None = None) -> None:
    """What a run left in ``output_dir``, and the commands and the code that go on from there.

    Args:
        table: None where the run made none. The budgets that are shown exist in it.
    """
    console = console or Console()
    output = Path(output_dir)
    print_plain(console, f"\n{output} holds:")
    for name, what in _FILES.items():
        if any(output.glob(name)):
            print_plain(console, f"  {name:<25}{what}")
    print_plain(console, "\nGo on with:")
    for command, what in _commands(table, output, logs=any(output.rglob("events.out.tfevents.*"))):
        print_plain(console, f"  {command}   # {what}")
    if table is not None:
        print_plain(console, _code(table, output))


_FILES = {
    MODEL_FILE: "weights, BatchNorm statistics of the calibrated configurations, config",
    TABLE_FILE: "cost and accuracy of each configuration",
    CURVE_FILE: "its picture",
    REPORT_FILE: "the run on one page",
    RESULTS_FILE: "accuracies; test videos that could not be read",
    SCORES_FILE: "the scores of every test video",
    SEARCH_FILE: "scores of the search among configurations",
    "detections_*.csv": "what AVA's official evaluation counts",
    "checkpoints": "what the same command goes on from",
    LOG_FILE: "losses of full, smallest and random configurations",
    STDOUT_FILE: "what was said",
    CONFIG_FILE: "the config",
    UNREADABLE_FILE: "training videos that could not be read",
}


def _commands(table: QueryTable | None, output: Path, logs: bool) -> list[tuple[str, str]]:
    """(command line, what it does) of what a run's folder is good for."""
    folder = shlex.quote(str(output))
    board = [(f"tensorboard --logdir {folder}", "the curves")] if logs else []
    if table is None:
        model = shlex.quote(str(output / MODEL_FILE))
        test = f"{_tool('test')} --model {model} OUTPUT_DIR {folder} QUERY_TABLE.ENABLE True"
        return [(test, "accuracies, and the query table"), *board]
    commands = [
        (f"{_tool('query')} {folder} --max-gmacs {_budget(table):g}", "the best configuration for a budget"),
        (f"{_tool('export')} --model {folder} --output {shlex.quote(str(output / 'export'))}", "files for deployment"),
        (f"{_tool('report')} {folder}", "the page again; --compare OTHER_OUTPUT_DIR"),
    ]
    if "boxes" not in table.provenance:
        commands.insert(1, (f"{_tool('predict')} --model {folder} FILES ...", "what videos or pictures show"))
    if table.provenance.get("frames", 0) is not None:
        people = " --detector --download" if "boxes" in table.provenance else ""
        demo = f"{_tool('demo')} {folder} --input VIDEO.mp4 --output OUT.mp4{people}"
        commands.append((demo, "what a video shows, drawn over it"))
    return [*commands, *board]


def _tool(name: str) -> str:
    """The command of tools/<name>_net.py, as seen from here; without the repository that of its module."""
    script = Path(__file__).resolve().parents[1] / "tools" / f"{name}_net.py"
    if not script.is_file():
        return f"python -m mutualnet3d.commands.{name}"
    near = script.is_relative_to(Path.cwd())
    return f"python {shlex.quote(str(script.relative_to(Path.cwd()) if near else script))}"


def _code(table: QueryTable, output: Path) -> str:
    budget, boxes = _budget(table), ""
    clip = f"clip: (N, 3, {_frames(table)}H, W) float, normalised"
    source = "image.jpg" if _frames(table) == "" else "video.mp4"
    predict = f'predict("{source}"'
    if "boxes" in table.provenance:
        boxes, clip = ", boxes", f"{clip}; boxes: (R, 5) float: clip in the batch, x1, y1, x2, y2 in its pixels"
        predict = 'detect("video.mp4", boxes'
    return f"""
    import mutualnet3d as mn
    table = mn.QueryTable.load("{output / TABLE_FILE}")
    model = mn.load_model("{output / MODEL_FILE}")
    best = table.best(max_gmacs={budget:g})           # {table.best(max_gmacs=budget).configuration}
    logits = model(clip, best.configuration{boxes})      # {clip}
    dense = mn.extract_dense(model, best.configuration)   # an ordinary, smaller network
    mn.AdaptivePredictor.load("{output}").{predict}, max_gmacs={budget:g})
"""


def _budget(table: QueryTable) -> float:
    """GMACs of the middle of the Pareto front."""
    return _round_up(table.pareto()[len(table.pareto()) // 2].gmacs)


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
