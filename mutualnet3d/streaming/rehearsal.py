"""Before a stream starts: build the sub-networks that it may need, and learn what a clip takes at each."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import numpy as np

from mutualnet3d.predictor import AdaptivePredictor
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.streaming.governor import OperatingPoint, latency_front

_WARMUP, _PASSES = 1, 9


@dataclass(frozen=True)
class Rehearsal:
    """What a stream may expect.

    Attributes:
        points: by rising latency and accuracy, only those that no faster one reaches.
        spread: the slowest over the median latency of a configuration, at least 1.
    """

    points: tuple[OperatingPoint, ...]
    spread: float


def candidates(table: QueryTable) -> tuple[Entry, ...]:
    """The entries worth running: the Pareto front by measured latency where there is one, else by GMACs."""
    measured = all(entry.latency_ms is not None for entry in table.entries)
    return table.pareto("latency_ms" if measured else "gmacs")


def rehearse(predictor: AdaptivePredictor, clip: np.ndarray, passes: int = _PASSES) -> Rehearsal:
    """What a clip takes here and now, preprocessing included, at each of the :func:`candidates`.

    They run in turns, so that each finds the caches as another one left them. Every sub-network is built and has run
    by then.

    Args:
        predictor: it must keep as many sub-networks as there are candidates, or they are built again.
        clip: uint8 (T, H, W, 3), of the stream's size; what it shows does not matter.
        passes: that are timed, at least 1; the median counts.
    """
    entries = candidates(predictor.table)
    times: dict[Entry, list[float]] = {entry: [] for entry in entries}
    for number in range(_WARMUP + passes):
        for entry in entries:
            took = predictor.predict_clip(clip, configuration=entry.configuration).times.latency_ms
            if number >= _WARMUP:
                times[entry].append(took)
    medians = {entry: statistics.median(taken) for entry, taken in times.items()}
    points = [OperatingPoint(e.configuration, medians[e], e.accuracy) for e in entries]
    spread = statistics.median(max(taken) / medians[entry] for entry, taken in times.items())
    return Rehearsal(latency_front(points), spread)
