"""The loop of a stream: a frame, a clip when one is due, the governor's verdict, a picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mutualnet3d.configuration import Configuration
from mutualnet3d.prediction import Frames, Prediction
from mutualnet3d.streaming.clips import ClipBuffer
from mutualnet3d.streaming.governor import BudgetGovernor, Switch
from mutualnet3d.streaming.record import Clip, StreamRecord, switch_values
from mutualnet3d.streaming.source import StreamFrame
from mutualnet3d.streaming.timeline import Timeline


@dataclass(frozen=True)
class Listeners:
    """Who wants to know what happens; each does nothing by default.

    Attributes:
        frame: called with every frame after its clip, if it had one, and the last clip so far.
        clip: with every clip.
        switch: with every switch.
        log: with every clip and switch as plain values.
        second: with the stream's time before every frame.
    """

    frame: Callable[[StreamFrame, Clip | None], object] = lambda frame, clip: None
    clip: Callable[[Clip], object] = lambda clip: None
    switch: Callable[[Switch], object] = lambda switch: None
    log: Callable[[dict], object] = lambda values: None
    second: Callable[[float], object] = lambda second: None


def run_stream(
    frames: Iterable[StreamFrame],
    fps: float,
    predict: Callable[[Frames, Configuration], Prediction],
    buffer: ClipBuffer,
    governor: BudgetGovernor,
    budgets: Timeline,
    listeners: Listeners = Listeners(),
    stopped: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.perf_counter,
) -> StreamRecord:
    """Run a stream to its end, or until ``stopped()``, which is asked before every frame.

    A clip is run when its last frame has come, in this thread; a file waits meanwhile, a camera goes on. It is judged
    against the budget of that moment. Its latency is ``Prediction.times.latency_ms``.

    Args:
        frames: of the stream, one after another.
        fps: of the stream, frames per second.
        predict: a clip and a configuration to what it shows.
        buffer: cuts the clips.
        governor: chooses the configurations; its budget is set from ``budgets``.
        budgets: milliseconds per clip over the seconds of the stream.
        clock: seconds, for ``wall_s`` of the record alone.
    """
    clips: list[Clip] = []
    switches: list[Switch] = []
    start, count, end_s, interrupted = clock(), 0, 0.0, False

    def note(switch: Switch | None) -> None:
        if switch is not None:
            switches.append(switch)
            listeners.log(switch_values(switch))
            listeners.switch(switch)

    for frame in frames:
        interrupted = stopped()
        if interrupted:
            break
        listeners.second(frame.time_s)
        budget = budgets.at(frame.time_s)
        if budget != governor.budget_ms:
            note(governor.set_budget(frame.time_s, budget))
        buffer.add(frame)
        if buffer.due:
            configuration = governor.configuration
            prediction = predict(buffer.take(), configuration)
            switch = governor.observe(frame.time_s, prediction.times.latency_ms)
            clip = _clip(len(clips), frame, budgets.phase(frame.time_s), budget, prediction, governor)
            clips.append(clip)
            listeners.log(clip.to_dict())
            listeners.clip(clip)
            note(switch)
        listeners.frame(frame, clips[-1] if clips else None)
        count, end_s = count + 1, frame.time_s + 1 / fps
    return StreamRecord(tuple(clips), tuple(switches), budgets.steps, count, end_s, clock() - start, interrupted)


def _clip(
    number: int, frame: StreamFrame, phase: int, budget: float, prediction: Prediction, governor: BudgetGovernor
) -> Clip:
    times = prediction.times
    return Clip(
        number,
        frame.number,
        frame.time_s,
        phase,
        prediction.configuration,
        budget,
        times.preprocess_ms,
        times.network_ms,
        times.switch_ms,
        governor.load,
        governor.out_of_reach,
        prediction.labels,
    )
