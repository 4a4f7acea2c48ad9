"""The loop of a stream: frames in, clips to the predictor, latencies to the governor, screens out."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mutualnet3d.predictor import AdaptivePredictor
from mutualnet3d.streaming.clips import ClipBuffer
from mutualnet3d.streaming.governor import BudgetGovernor, Switch
from mutualnet3d.streaming.records import ClipRecord, StreamReport
from mutualnet3d.streaming.screen import Moment, Screen
from mutualnet3d.streaming.source import StreamFrame
from mutualnet3d.streaming.timeline import Timeline

_logger = logging.getLogger(__name__)
_HISTORY, _NOTE_S, _NOTES, _LABELS = 400, 2.5, 2, 5


@dataclass(frozen=True)
class Pace:
    """When clips are predicted: all of them (the default), or in real time.

    Attributes:
        real_time: wait until a frame's time has come, and leave out clips that come too late.
        clock, sleep: seconds.
    """

    real_time: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class StreamPlayer:
    """One stream at one predictor.

    Args:
        predictor: should have every configuration of the governor's front ready.
        governor: chooses; its front must be of the predictor's table.
        buffer: cuts the clips.
        budgets: milliseconds per clip over the seconds of the stream; the first is the governor's.
    """

    def __init__(self, predictor: AdaptivePredictor, governor: BudgetGovernor, buffer: ClipBuffer, budgets: Timeline):
        self._predictor, self._governor, self._buffer, self._budgets = predictor, governor, buffer, budgets
        self._clips: list[ClipRecord] = []
        self._history: deque[Moment] = deque(maxlen=_HISTORY)
        self._notes: deque[tuple[float, str]] = deque(maxlen=_NOTES)
        self._skipped = self._frames = 0

    def play(
        self, frames: Iterable[StreamFrame], fps: float, pace: Pace | None = None
    ) -> Iterator[tuple[StreamFrame, Screen]]:
        """Every frame with what to draw on it, once the clip that it ends was predicted."""
        pace = pace or Pace()
        start = pace.clock()
        for frame in frames:
            self._follow_budget(frame.time_s)
            self._buffer.add(frame)
            late = pace.clock() - start - frame.time_s
            if pace.real_time and late < 0:
                pace.sleep(-late)
            if self._buffer.due:
                clip = self._buffer.take()
                if pace.real_time and late > self._buffer.stride / fps:
                    self._skipped += 1
                else:
                    self._predict(frame.time_s, clip)
            self._frames += 1
            yield frame, self._screen(frame.time_s)

    def report(self) -> StreamReport:
        """What has happened so far."""
        return StreamReport(tuple(self._clips), tuple(self._governor.switches), self._skipped, self._frames)

    def _follow_budget(self, time_s: float) -> None:
        budget, before = self._budgets.at(time_s), self._governor.budget_ms
        if budget != before:
            self._notes.append((time_s, f"budget {before:.3g} → {budget:.3g} ms"))
            self._note(self._governor.set_budget(time_s, budget))
            if self._governor.out_of_reach:
                cheapest = self._governor.front[0]
                _logger.warning(
                    "second %.1f: %.3g ms are out of reach; the cheapest configuration, %s, takes about %.3g ms",
                    *(time_s, budget, cheapest.configuration, self._governor.load * cheapest.latency_ms),
                )

    def _predict(self, time_s: float, clip: np.ndarray) -> None:
        configuration, budget = self._governor.configuration, self._governor.budget_ms
        prediction = self._predictor.predict_clip(clip, configuration=configuration, top_k=_LABELS)
        latency = prediction.times.latency_ms
        self._note(self._governor.observe(time_s, latency))
        self._clips.append(ClipRecord.of(prediction, time_s, budget, self._governor.load))
        self._history.append(Moment(latency, budget))

    def _note(self, switch: Switch | None) -> None:
        if switch is not None:
            arrow = "▼" if switch.reason in ("budget fell", "load rose") else "▲"
            self._notes.append((switch.time_s, f"{arrow} {switch.before} → {switch.after}: {switch.reason}"))

    def _screen(self, time_s: float) -> Screen:
        governor, table = self._governor, self._predictor.table
        labels = self._clips[-1].labels if self._clips else ()
        return Screen(
            labels=tuple((str(name), probability) for name, probability in labels),
            entry=table[governor.configuration],
            metric=table.metric,
            position=governor.position,
            steps=len(governor.front),
            budget_ms=governor.budget_ms,
            history=tuple(self._history),
            load=governor.load,
            out_of_reach=governor.out_of_reach,
            notes=tuple(text for at, text in self._notes if time_s - at < _NOTE_S),
        )
