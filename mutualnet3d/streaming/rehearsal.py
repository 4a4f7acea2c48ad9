"""Before a stream starts: build the sub-networks that it may need, and learn what a clip takes at each."""

from __future__ import annotations

import statistics

import numpy as np

from mutualnet3d.configuration import Configuration
from mutualnet3d.predictor import AdaptivePredictor
from mutualnet3d.predictor.prediction import StageTimes
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.streaming.governor import ExpectedLatency

_WARMUP, _PASSES = 2, 9  # the median of the passes counts


def candidates(table: QueryTable) -> tuple[Entry, ...]:
    """The entries worth running: the Pareto front by measured latency where there is one, else by GMACs."""
    measured = all(entry.latency_ms is not None for entry in table.entries)
    return table.pareto("latency_ms" if measured else "gmacs")


def rehearse(predictor: AdaptivePredictor, clip: np.ndarray) -> tuple[ExpectedLatency, ...]:
    """What a clip is expected to take, preprocessing included, at each of the :func:`candidates`, by rising GMACs.

    Networks whose latency the table knows take that and the preprocessing measured here; others are measured here.
    Every sub-network is built and has run by then.

    Args:
        predictor: it must keep as many sub-networks as there are candidates, or they are built again.
        clip: uint8 (T, H, W, 3), of the stream's size; what it shows does not matter.
    """
    entries = candidates(predictor.table)
    times: dict[Configuration, list[StageTimes]] = {entry.configuration: [] for entry in entries}
    for number in range(_WARMUP + _PASSES):  # in turns: no drift of the machine favours one
        for configuration, own in times.items():
            run = predictor.predict_clip(clip, configuration=configuration)
            if number >= _WARMUP:
                own.append(run.times)
    return tuple(_expected(entry, times[entry.configuration]) for entry in entries)


def _expected(entry: Entry, times: list[StageTimes]) -> ExpectedLatency:
    preprocess_ms = statistics.median(each.preprocess_ms for each in times)
    measured_ms = statistics.median(each.network_ms for each in times)
    network_ms = measured_ms if entry.latency_ms is None else entry.latency_ms
    return ExpectedLatency(entry.configuration, preprocess_ms + network_ms, entry.accuracy)
