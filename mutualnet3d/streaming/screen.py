"""What a stream's picture shows, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from mutualnet3d.query_table import Entry


@dataclass(frozen=True)
class Moment:
    """One clip: how long it took, what was allowed, and where on the front it ran."""

    latency_ms: float
    budget_ms: float


@dataclass(frozen=True)
class Screen:
    """All that is drawn over a frame.

    Attributes:
        labels: (name, probability) of the newest clip, the most probable first; none before the first clip.
        entry: what runs now.
        metric: what ``entry.accuracy`` is.
        position, steps: of what runs now on the front, and how long the front is.
        budget_ms: milliseconds per clip that are allowed now.
        history: the last clips, the newest last.
        load: observed over expected latency.
        out_of_reach: even the cheapest configuration exceeds the budget.
        notes: what just happened, the newest last.
    """

    labels: tuple[tuple[str, float], ...]
    entry: Entry
    metric: str
    position: int
    steps: int
    budget_ms: float
    history: tuple[Moment, ...]
    load: float
    out_of_reach: bool
    notes: tuple[str, ...]
