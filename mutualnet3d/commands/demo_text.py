"""What ``tools/demo_net.py`` says in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from mutualnet3d.query_table import QueryTable
from mutualnet3d.streaming.record import Phase, StreamRecord
from mutualnet3d.streaming.rehearsal import Rehearsal
from mutualnet3d.summary import print_plain

_MOST_SWITCHES = 20


def describe_front(table: QueryTable, rehearsal: Rehearsal) -> str:
    """The configurations that the stream chooses among, in one line."""
    points = ", ".join(f"{p.configuration} {p.latency_ms:.3g} ms ({p.accuracy:.1f} %)" for p in rehearsal.points)
    return f"{len(rehearsal.points)} configurations ready: {points}; {table.metric} in brackets"


def print_record(record: StreamRecord, console: Console) -> None:
    """The phases of the budget, and the switches."""
    phases = Table(title="latency of clips: preprocessing and network", title_justify="left")
    for name in ("from s", "budget ms", "clips", "within", "median ms", "p90 ms", "longest ms"):
        phases.add_column(name, justify="right")
    phases.add_column("ran mostly", overflow="fold")
    for phase in record.phases():
        phases.add_row(f"{phase.start_s:g}", f"{phase.budget_ms:.4g}", *_figures(phase))
    phases.add_section()
    phases.add_row("all", "", *_figures(record.overall()))
    console.print(phases)
    if record.switches:
        switches = Table(title="switches", title_justify="left")
        for name in ("at s", "from", "to", "because", "budget ms", "load"):
            switches.add_column(name, justify="left" if name == "because" else "right")
        for switch in record.switches[:_MOST_SWITCHES]:
            switches.add_row(
                f"{switch.time_s:.1f}",
                str(switch.before),
                str(switch.after),
                switch.reason,
                f"{switch.budget_ms:.4g}",
                f"{switch.load:.2f}",
            )
        console.print(switches)
    if len(record.switches) > _MOST_SWITCHES:
        print_plain(console, f"and {len(record.switches) - _MOST_SWITCHES} more switches; --log lists all")
    print_plain(
        console,
        f"{record.frames} frames, {record.stream_s:.1f} s of stream in {record.wall_s:.1f} s; "
        f"{len(record.switches)} switches",
    )


def _figures(phase: Phase) -> tuple[str, ...]:
    if not phase.clips:
        return ("0", "-", "-", "-", "-", "-")
    most = ", ".join(f"{name} ({clips})" for name, clips in phase.configurations[:2])
    times = (f"{value:.4g}" for value in (phase.median_ms, phase.p90_ms, phase.longest_ms))
    return (str(phase.clips), f"{100 * phase.within:.1f} %", *times, most)
