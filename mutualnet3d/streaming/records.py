"""What happened in a stream: a record per clip, and what they add up to."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mutualnet3d.predictor.prediction import Prediction
from mutualnet3d.streaming.governor import Switch


@dataclass(frozen=True)
class ClipRecord:
    """One clip.

    Attributes:
        time_s: of its last frame.
        configuration: that it ran at.
        gmacs: of that configuration.
        budget_ms: that held.
        latency_ms: preprocessing and network, as observed; ``preprocess_ms`` and ``network_ms`` apart.
        switch_ms: waiting for the sub-network; not in the latency.
        load: the governor's estimate after this clip.
        labels: (name, probability).
    """

    time_s: float
    configuration: str
    gmacs: float
    budget_ms: float
    latency_ms: float
    preprocess_ms: float
    network_ms: float
    switch_ms: float
    load: float
    labels: tuple[tuple[str | int, float], ...]

    @classmethod
    def of(cls, prediction: Prediction, time_s: float, budget_ms: float, load: float) -> ClipRecord:
        """The record of a clip's ``prediction``; its latency and labels are the prediction's."""
        times, entry = prediction.times, prediction.entry
        measured = times.latency_ms, times.preprocess_ms, times.network_ms, times.switch_ms
        return cls(time_s, str(entry.configuration), entry.gmacs, budget_ms, *measured, load, prediction.labels)

    @property
    def within(self) -> bool:
        """Whether its latency was at most the budget."""
        return self.latency_ms <= self.budget_ms


@dataclass(frozen=True)
class Phase:
    """Clips that ran one after another under one budget.

    Attributes:
        start_s: time of its first clip.
        budget_ms: that held.
        clips: how many.
        within: fraction of them whose latency was at most the budget.
        median_ms: of their latencies.
        configuration: that most of them ran at.
    """

    start_s: float
    budget_ms: float
    clips: int
    within: float
    median_ms: float
    configuration: str


@dataclass(frozen=True)
class StreamReport:
    """A whole stream.

    Attributes:
        clips, switches: in the order of time.
        skipped: clips that were due and left out because their time had passed (real time only).
        frames: that were written.
    """

    clips: tuple[ClipRecord, ...]
    switches: tuple[Switch, ...]
    skipped: int
    frames: int

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The stretches between changes of the budget."""
        groups = itertools.groupby(self.clips, key=lambda clip: clip.budget_ms)
        return tuple(_phase(list(clips)) for _, clips in groups)

    @property
    def total(self) -> Phase:
        """All clips together, whatever their budgets; ValueError where there are none."""
        if not self.clips:
            raise ValueError("a stream without a clip has no latencies")
        return _phase(self.clips)

    def summary(self) -> dict:
        """Plain values: totals and phases."""
        phases = [asdict(phase) for phase in self.phases]
        values = {"frames": self.frames, "clips": len(self.clips), "skipped": self.skipped}
        values |= {"switches": len(self.switches), "phases": phases}
        if not self.clips:
            return values | {"within": None, "median_ms": None}
        return values | {"within": self.total.within, "median_ms": self.total.median_ms}

    def lines(self) -> list[dict]:
        """Plain values of every clip and switch, by time; a switch follows the clip that called for it."""
        clips = [(clip.time_s, 0, {"type": "clip", "within": clip.within, **asdict(clip)}) for clip in self.clips]
        switches = [(switch.time_s, 1, {"type": "switch", **_plain(switch)}) for switch in self.switches]
        return [values for *_, values in sorted(clips + switches, key=lambda each: each[:2])]


def _phase(clips: Sequence[ClipRecord]) -> Phase:
    within = sum(clip.within for clip in clips) / len(clips)
    median = statistics.median(clip.latency_ms for clip in clips)
    ((configuration, _),) = Counter(clip.configuration for clip in clips).most_common(1)
    return Phase(clips[0].time_s, clips[0].budget_ms, len(clips), within, median, configuration)


def _plain(switch: Switch) -> dict:
    return asdict(switch) | {"before": str(switch.before), "after": str(switch.after)}
