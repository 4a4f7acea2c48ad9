"""Before a stream starts: build the sub-networks that it may need, and learn what a clip takes at each."""

from __future__ import annotations

import statistics

import numpy as np

from mutualnet3d.predictor import AdaptivePredictor
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.streaming.governor import OperatingPoint, latency_front

_WARMUP, _PASSES = 2, 5


def candidates(table: QueryTable) -> tuple[Entry, ...]:
    """The entries worth running: the Pareto front by measured latency where there is one, else by GMACs."""
    if any(entry.latency_ms is None for entry in table.entries):
        return table.pareto()
    points = [OperatingPoint(e.configuration, e.latency_ms, e.accuracy) for e in table.entries]
    return tuple(table[point.configuration] for point in latency_front(points))


def rehearse(predictor: AdaptivePredictor, clip: np.ndarray, passes: int = _PASSES) -> tuple[OperatingPoint, ...]:
    """What a clip is expected to take, preprocessing included, at each of the :func:`candidates`, by rising GMACs.

    Networks whose latency the table knows take that and the preprocessing measured here; others are measured here.
    Every sub-network is built and has run by then.

    Args:
        predictor: it must keep as many sub-networks as there are candidates, or they are built again.
        clip: uint8 (T, H, W, 3), of the stream's size; what it shows does not matter.
        passes: that are timed; the median counts.
    """
    points = []
    for entry in candidates(predictor.table):
        runs = [predictor.predict_clip(clip, configuration=entry.configuration) for _ in range(_WARMUP + passes)]
        times = [run.times for run in runs[_WARMUP:]]
        preprocess_ms = statistics.median(each.preprocess_ms for each in times)
        network_ms = entry.latency_ms or statistics.median(each.network_ms for each in times)
        points.append(OperatingPoint(entry.configuration, preprocess_ms + network_ms, entry.accuracy))
    return tuple(points)
