"""What ``tools/demo_net.py`` shows on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from mutualnet3d.predictor.subnetworks import SwitchingCost
from mutualnet3d.streaming.governor import ExpectedLatency
from mutualnet3d.streaming.records import Phase, StreamReport


def print_points(points: Sequence[ExpectedLatency], switching: SwitchingCost, console: Console | None = None) -> None:
    """What a clip is expected to take at each configuration that the governor may choose."""
    shown = _table("expected per clip, preprocessing and network", "configuration", "ms", "accuracy %")
    for point in points:
        shown.add_row(str(point.configuration), f"{point.latency_ms:.1f}", f"{point.accuracy:.1f}")
    console = console or Console()
    console.print(shown)
    console.print(
        f"{switching.built} sub-networks {'converted' if switching.converts else 'built'} ahead, median "
        f"{switching.median_ms:.0f} ms; changing between them builds nothing",
        highlight=False,
    )


def print_report(report: StreamReport, console: Console | None = None) -> None:
    """Clips within the budget, by phase and in all, and every switch."""
    console = console or Console()
    if report.switches:
        console.print(_switches(report))
    if report.clips:
        console.print(_phases(report))
    left_out = f", {report.skipped} clips left out to keep up" if report.skipped else ""
    console.print(f"{report.frames} frames, {len(report.clips)} clips{left_out}", highlight=False)


def _switches(report: StreamReport) -> Table:
    shown = _table("switches", "second", "from", "to", "why", "budget ms", "observed ms", "load")
    for each in report.switches:
        observed = "-" if each.observed_ms is None else f"{each.observed_ms:.1f}"
        cells = f"{each.budget_ms:.1f}", observed, f"{each.load:.2f}"
        shown.add_row(f"{each.time_s:.1f}", str(each.before), str(each.after), each.reason, *cells)
    return shown


def _phases(report: StreamReport) -> Table:
    shown = _table("budget", "from second", "budget ms", "clips", "within %", "median ms", "mostly")
    for phase in report.phases:
        shown.add_row(*_cells(f"{phase.start_s:.1f}", f"{phase.budget_ms:.1f}", phase))
    shown.add_section()
    shown.add_row(*_cells("all", "", report.total))
    return shown


def _cells(start: str, budget: str, phase: Phase) -> tuple[str, ...]:
    within, median = f"{100 * phase.within:.1f}", f"{phase.median_ms:.1f}"
    return start, budget, str(phase.clips), within, median, phase.configuration


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if name in ("from", "to", "why") else "right")
    return table
