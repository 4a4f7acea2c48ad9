"""The loop with a fake network on a fake machine: what is run, judged, told and recorded."""

import numpy as np
import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.data.sampling import ClipSpec
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.prediction import Prediction, StageTimes
from mutualnet3d.query_table import Entry
from mutualnet3d.streaming.clips import ClipBuffer
from mutualnet3d.streaming.governor import BudgetGovernor, OperatingPoint
from mutualnet3d.streaming.loop import Listeners, run_stream
from mutualnet3d.streaming.record import Phase
from mutualnet3d.streaming.source import StreamFrame
from mutualnet3d.streaming.timeline import Timeline

FAST, SLOW = mn.Configuration(0.63, 20, 2), mn.Configuration(1.0, 32, 4)
TAKES = {FAST: 10.0, SLOW: 30.0}
FPS = 10.0


class Stream:
    """A stream of so many frames; a clip of 4 frames ends with every second one."""

    def __init__(self, count, budgets, slower=lambda clip: 1.0, stop_at=None):
        self.count, self.budgets, self.slower, self.stop_at = count, Timeline.parse(budgets), slower, stop_at
        preprocessing = Preprocessing(ClipSpec(4, 3, 30.0), 16, 16, (0.45,) * 3, (0.225,) * 3)
        self.buffer = ClipBuffer(preprocessing, FPS, stride=2)
        points = [OperatingPoint(c, ms, 50.0 + ms) for c, ms in TAKES.items()]
        self.governor = BudgetGovernor(points, self.budgets.at(0.0))
        self.said, self.shapes = [], []

    def frames(self):
        for number in range(self.count):
            self.asked = number
            yield StreamFrame(number, number / FPS, np.zeros((16, 20, 3), np.uint8))

    def predict(self, clip, configuration):
        self.shapes.append(clip.shape)
        took = TAKES[configuration] * self.slower(len(self.shapes) - 1)
        entry = Entry(configuration, 1.0, 1.0, 50.0)
        times = StageTimes(99.0, 0.25 * took, 0.75 * took, 7.0)
        return Prediction(configuration, entry, (("golf", 1.0),), torch.ones(1), times)

    def run(self):
        ticks = iter([5.0, 8.5])
        say = self.said.append
        listeners = Listeners(
            frame=lambda frame, clip: say(("frame", frame.number, clip and clip.number)),
            clip=lambda clip: say(("clip", clip.number)),
            switch=lambda switch: say(("switch", switch.after)),
            log=lambda values: say(("log", values["event"])),
            second=lambda second: say(("second", second)),
        )
        stopped = (lambda: self.asked >= self.stop_at) if self.stop_at is not None else lambda: False
        arguments = self.frames(), FPS, self.predict, self.buffer, self.governor, self.budgets
        return run_stream(*arguments, listeners, stopped, lambda: next(ticks))


def test_every_due_clip_is_run_and_told_in_order():
    stream = Stream(8, "100")
    record = stream.run()
    assert [(clip.number, clip.frame, clip.configuration) for clip in record.clips] == [
        (0, 3, SLOW),
        (1, 5, SLOW),
        (2, 7, SLOW),
    ]
    assert stream.shapes == [(4, 16, 20, 3)] * 3
    assert stream.said[-6:] == [
        ("second", 0.6),
        ("frame", 6, 1),
        ("second", 0.7),
        ("log", "clip"),
        ("clip", 2),
        ("frame", 7, 2),
    ]
    assert stream.said[:2] == [("second", 0.0), ("frame", 0, None)]
    assert (record.frames, record.stream_s, record.wall_s, record.interrupted) == (8, pytest.approx(0.8), 3.5, False)


def test_latency_is_preprocessing_and_network():
    clip = Stream(4, "29").run().clips[0]  # FAST
    assert (clip.preprocess_ms, clip.network_ms, clip.switch_ms, clip.latency_ms) == (2.5, 7.5, 7.0, 10.0)
    assert clip.within
    assert clip.to_dict()["latency_ms"] == 10.0


def test_a_halved_budget_holds_from_the_very_next_clip():
    record = Stream(60, "0:60,2:20,4:60").run()
    assert all(clip.within for clip in record.clips)
    for clip in record.clips:
        assert clip.budget_ms == (20.0 if 2 <= clip.time_s < 4 else 60.0)
        assert clip.phase == (0 if clip.time_s < 2 else 1 if clip.time_s < 4 else 2)
    by_time = {round(clip.time_s, 3): clip.configuration for clip in record.clips}
    assert (by_time[1.9], by_time[2.1], by_time[3.9]) == (SLOW, FAST, FAST)
    assert by_time[5.9] == SLOW
    assert [(s.time_s, s.reason) for s in record.switches] == [
        (2.0, "budget fell"),
        (pytest.approx(4.7), "budget rose"),
    ]


def test_a_clip_is_judged_against_the_budget_of_its_start():
    """Clip 8 takes three times as long and the budget holds; its switch belongs to later clips."""
    record = Stream(40, "0:60", slower=lambda number: 3.0 if number == 8 else 1.0).run()
    assert [clip.number for clip in record.clips if not clip.within] == [8]
    assert record.clips[8].latency_ms == 90.0


def test_stopping_keeps_what_was_done():
    stream = Stream(1000, "100", stop_at=10)
    record = stream.run()
    assert record.interrupted
    assert (record.frames, len(record.clips)) == (10, 4)
    assert stream.said[-1] == ("frame", 9, 3)


def test_a_stream_without_clips():
    record = Stream(3, "0:60,2:30").run()
    assert record.clips == ()
    (phase,) = record.phases()
    assert (phase.clips, phase.within, phase.p90_ms) == (0, None, None)
    assert record.to_dict()["overall"]["within"] is None


def test_an_empty_stream():
    record = Stream(0, "60").run()
    assert (record.frames, record.phases()) == (0, ())


def test_the_summary_is_that_of_the_clips():
    record = Stream(60, "0:60,2:20,4:8", slower=lambda number: 1 + 0.01 * (number % 7)).run()
    summary = record.to_dict()
    assert [phase["start_s"] for phase in summary["phases"]] == [0.0, 2.0, 4.0]
    for number, phase in enumerate(summary["phases"]):
        clips = [clip for clip in record.clips if clip.phase == number]
        latencies = [clip.latency_ms for clip in clips]
        assert phase["clips"] == len(clips)
        assert phase["within"] == np.mean([clip.latency_ms <= clip.budget_ms for clip in clips])
        assert phase["median_ms"] == pytest.approx(np.median(latencies), abs=1e-3)
        assert phase["p90_ms"] == pytest.approx(np.percentile(latencies, 90, method="inverted_cdf"), abs=1e-3)
        assert phase["longest_ms"] == pytest.approx(max(latencies), abs=1e-3)
    assert summary["phases"][2]["within"] == 0.0
    assert record.clips[-1].out_of_reach
    assert summary["overall"]["clips"] == len(record.clips)
    assert summary["switches"] == len(record.switches)
    assert sum(summary["overall"]["configurations"].values()) == len(record.clips)


def test_a_phase_of_one_clip():
    clip = Stream(4, "60").run().clips[0]
    phase = Phase.of([clip], 0.0, 60.0)
    assert phase.median_ms == phase.p90_ms == phase.longest_ms == clip.latency_ms
