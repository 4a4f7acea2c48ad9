"""What happened in a stream, as values: clips, switches, and their summary over the phases of the budget."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mutualnet3d.configuration import Configuration
from mutualnet3d.streaming.governor import Switch


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        number: 0, 1, 2, ...
        frame, time_s: of its last frame.
        phase: which step of the schedule it began in.
        configuration: that was run.
        budget_ms: when it began.
        preprocess_ms, network_ms: see ``StageTimes``; what is counted against the budget is their sum.
        switch_ms: waiting for a sub-network to be built; not counted.
        load: observed over expected latency, after this clip.
        out_of_reach: whether then even the cheapest configuration was predicted to exceed the budget.
        labels: (name, probability), the most probable first.
    """

    number: int
    frame: int
    time_s: float
    phase: int
    configuration: Configuration
    budget_ms: float
    preprocess_ms: float
    network_ms: float
    switch_ms: float
    load: float
    out_of_reach: bool
    labels: tuple[tuple[str | int, float], ...]

    @property
    def latency_ms(self) -> float:
        """Preprocessing and network."""
        return self.preprocess_ms + self.network_ms

    @property
    def within(self) -> bool:
        """Whether it kept the budget of its beginning."""
        return self.latency_ms <= self.budget_ms

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return {
            "event": "clip",
            "number": self.number,
            "frame": self.frame,
            "time_s": round(self.time_s, 3),
            "configuration": str(self.configuration),
            "budget_ms": round(self.budget_ms, 3),
            "latency_ms": round(self.latency_ms, 3),
            "preprocess_ms": round(self.preprocess_ms, 3),
            "network_ms": round(self.network_ms, 3),
            "switch_ms": round(self.switch_ms, 3),
            "within": self.within,
            "load": round(self.load, 3),
            "out_of_reach": self.out_of_reach,
            "labels": [[name, round(probability, 4)] for name, probability in self.labels],
        }


@dataclass(frozen=True)
class Phase:
    """The clips of one budget, or of all.

    Attributes:
        start_s: when it began.
        budget_ms: that held; None for all phases together.
        clips: how many.
        within: share of them within their budget; None without clips, as the next three.
        median_ms, p90_ms: of the latency.
        longest_ms: of the latency.
        configurations: (configuration, clips), the most used first.
    """

    start_s: float
    budget_ms: float | None
    clips: int
    within: float | None
    median_ms: float | None
    p90_ms: float | None
    longest_ms: float | None
    configurations: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, clips: Sequence[Clip], start_s: float, budget_ms: float | None) -> Phase:
        """The figures of ``clips``."""
        used = tuple(Counter(str(clip.configuration) for clip in clips).most_common())
        if not clips:
            return cls(start_s, budget_ms, 0, None, None, None, None, used)
        taken = sorted(clip.latency_ms for clip in clips)
        within = sum(clip.within for clip in clips) / len(clips)
        p90 = taken[-(-9 * len(taken) // 10) - 1]  # the least that nine in ten do not exceed
        return cls(start_s, budget_ms, len(clips), within, statistics.median(taken), p90, taken[-1], used)

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        values = {name: getattr(self, name) for name in ("start_s", "budget_ms", "clips", "within")}
        latencies = {name: getattr(self, name) for name in ("median_ms", "p90_ms", "longest_ms")}
        rounded = {name: value if value is None else round(value, 3) for name, value in latencies.items()}
        return values | rounded | {"configurations": dict(self.configurations)}


@dataclass(frozen=True)
class StreamRecord:
    """A stream that has ended.

    Attributes:
        steps: (second, budget in ms) of the schedule.
        frames: that were read.
        stream_s: from the first frame to the end of the last one.
        wall_s: that reading, running, drawing and writing took.
        interrupted: somebody stopped it.
    """

    clips: tuple[Clip, ...]
    switches: tuple[Switch, ...]
    steps: tuple[tuple[float, float], ...]
    frames: int
    stream_s: float
    wall_s: float
    interrupted: bool

    def phases(self) -> tuple[Phase, ...]:
        """One for each step of the schedule that the stream reached."""
        return tuple(
            Phase.of([clip for clip in self.clips if clip.phase == number], start, budget)
            for number, (start, budget) in enumerate(self.steps)
            if start < self.stream_s
        )

    def overall(self) -> Phase:
        """All clips."""
        return Phase.of(self.clips, 0.0, None)

    def to_dict(self) -> dict:
        """The summary, plain values for JSON."""
        return {
            "event": "summary",
            "latency": "preprocessing and network; decoding, scaling of frames, drawing and encoding are not counted",
            "frames": self.frames,
            "stream_s": round(self.stream_s, 3),
            "wall_s": round(self.wall_s, 3),
            "interrupted": self.interrupted,
            "switches": len(self.switches),
            "overall": self.overall().to_dict(),
            "phases": [phase.to_dict() for phase in self.phases()],
        }


def switch_values(switch: Switch) -> dict:
    """A switch as plain values for JSON."""
    return {
        "event": "switch",
        "time_s": round(switch.time_s, 3),
        "before": str(switch.before),
        "after": str(switch.after),
        "reason": switch.reason,
        "budget_ms": round(switch.budget_ms, 3),
        "load": round(switch.load, 3),
        "observed_ms": None if switch.observed_ms is None else round(switch.observed_ms, 3),
    }
