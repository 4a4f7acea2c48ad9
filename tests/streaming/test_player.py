"""The loop of a stream with a predictor whose latencies are made up, and a clock that is moved by hand."""

import numpy as np
import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.data.sampling import ClipSpec
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.predictor.prediction import Prediction, StageTimes
from mutualnet3d.query_table import Entry
from mutualnet3d.streaming.busy import BusyProcesses
from mutualnet3d.streaming.clips import ClipBuffer
from mutualnet3d.streaming.governor import BudgetGovernor, ExpectedLatency
from mutualnet3d.streaming.player import Pace, StreamPlayer
from mutualnet3d.streaming.rehearsal import candidates, rehearse
from mutualnet3d.streaming.source import StreamFrame
from mutualnet3d.streaming.timeline import Timeline

FPS = 10.0
CHEAP, DEAR = mn.Configuration(0.63, 8, 2), mn.Configuration(1.0, 12, 2)
MS = {CHEAP: 10.0, DEAR: 40.0}
TABLE = mn.QueryTable(tuple(Entry(c, ms / 100, 1.0, 50 + ms, latency_ms=ms) for c, ms in MS.items()))


class Predictor:
    """Takes 1 ms to preprocess and what the table says for the network, times ``load``; moves the clock by it."""

    def __init__(self, table=TABLE, load=lambda: 1.0, clock=None):
        self.table, self.load, self.clock, self.asked = table, load, clock, []

    def predict_clip(self, clip, configuration, top_k=5):
        self.asked.append((configuration, clip))
        ms = MS[configuration] * self.load()
        if self.clock is not None:
            self.clock.now += (ms + 1) / 1000
        times = StageTimes(0.0, 1.0, ms, 0.0)
        return Prediction(
            configuration, TABLE[configuration], (("walk", 0.9), (7, 0.1)), torch.tensor([0.9, 0.1]), times
        )


class Clock:
    now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        assert seconds > 0
        self.now += seconds


def frames(count):
    return (StreamFrame(n, n / FPS, np.full((8, 8, 3), n, np.uint8)) for n in range(count))


def player(predictor, budgets="60"):
    points = [ExpectedLatency(c, ms + 1, 50 + ms) for c, ms in MS.items()]
    budgets = Timeline.parse(budgets)
    buffer = ClipBuffer(Preprocessing(ClipSpec(2, 2, FPS), 8, 8, (0.5,) * 3, (0.5,) * 3), FPS, stride=2)
    return StreamPlayer(predictor, BudgetGovernor(points, budgets.at(0)), buffer, budgets)


def test_every_clip_is_predicted_and_every_frame_is_shown():
    predictor = Predictor()
    stream = player(predictor)
    shown = list(stream.play(frames(20), FPS))
    report = stream.report()
    assert [frame.number for frame, _ in shown] == list(range(20))
    assert [clip[:, 0, 0, 0].tolist() for _, clip in predictor.asked] == [[n - 3, n] for n in range(3, 20, 2)]
    assert (report.frames, len(report.clips), report.skipped) == (20, 9, 0)
    assert shown[2][1].labels == ()
    assert shown[3][1].labels == (("walk", 0.9), ("7", 0.1))
    assert [len(screen.history) for _, screen in shown] == [0, 0, 0, *(i // 2 for i in range(2, 19))]
    first = report.clips[0]
    assert (first.time_s, first.configuration, first.latency_ms) == (0.3, "1.0-12-2", 41.0)
    assert (first.preprocess_ms, first.network_ms, first.budget_ms, first.within) == (1.0, 40.0, 60.0, True)


def test_a_budget_halved_and_restored():
    stream = player(Predictor(), "0:60,4:30,8:60")
    shown = list(stream.play(frames(120), FPS))
    report = stream.report()
    assert all(clip.within for clip in report.clips)  # the switch comes before the first clip under the new budget
    assert [(s.time_s, s.reason) for s in report.switches] == [(4.0, "budget fell"), (8.7, "budget rose")]
    assert [(p.budget_ms, p.start_s, p.within, p.median_ms) for p in report.phases] == [
        (60.0, 0.3, 1.0, 41.0),
        (30.0, 4.1, 1.0, 11.0),
        (60.0, 8.1, 1.0, 41.0),
    ]
    assert [p.configuration for p in report.phases] == ["1.0-12-2", "0.63-8-2", "1.0-12-2"]
    fallen = shown[40][1]
    assert fallen.notes == ("budget 60 → 30 ms", "▼ 1.0-12-2 → 0.63-8-2: budget fell")
    assert (fallen.entry.configuration, fallen.position, fallen.steps, fallen.budget_ms) == (CHEAP, 0, 2, 30.0)
    assert shown[64][1].notes != () == shown[66][1].notes  # they are shown for 2.5 s
    assert shown[87][1].notes == ("budget 30 → 60 ms", "▲ 0.63-8-2 → 1.0-12-2: budget rose")


def test_load_from_outside():
    load = [1.0]
    stream = player(Predictor(load=lambda: load[0]))
    for frame, _ in stream.play(frames(100), FPS):
        load[0] = 2.0 if 40 <= frame.number < 70 else 1.0
    report = stream.report()
    assert [s.reason for s in report.switches] == ["load rose", "load fell"]
    assert sum(not clip.within for clip in report.clips) == 2


def test_real_time_waits_and_leaves_clips_out():
    clock = Clock()
    stream = player(Predictor(clock=clock))
    for frame, _ in stream.play(frames(20), FPS, Pace(True, clock, clock.sleep)):
        assert frame.time_s <= clock() <= frame.time_s + 0.05
    assert (len(stream.report().clips), stream.report().skipped) == (9, 0)

    clock = Clock()
    stream = player(
        Predictor(load=lambda: 25.0, clock=clock), "5000"
    )  # a clip takes 1 s and more, one is due every 0.2 s
    list(stream.play(frames(100), FPS, Pace(True, clock, clock.sleep)))
    report = stream.report()
    assert report.frames == 100
    assert report.skipped + len(report.clips) == 49
    assert 9 <= len(report.clips) <= 14
    assert clock() < 11.5


def test_report_before_the_first_clip():
    stream = player(Predictor())
    list(stream.play(frames(2), FPS))
    summary = stream.report().summary()
    assert (summary["clips"], summary["within"], summary["phases"]) == (0, None, [])
    with pytest.raises(ValueError, match="without a clip"):
        _ = stream.report().total


def test_lines_are_in_the_order_of_time():
    stream = player(Predictor(), "0:60,4:30")
    list(stream.play(frames(60), FPS))
    lines = stream.report().lines()
    assert [line["time_s"] for line in lines] == sorted(line["time_s"] for line in lines)
    assert {line["type"] for line in lines} == {"clip", "switch"}
    (switch,) = [line for line in lines if line["type"] == "switch"]
    assert (switch["before"], switch["after"], switch["reason"]) == ("1.0-12-2", "0.63-8-2", "budget fell")
    assert stream.report().summary()["within"] == 1.0


def test_rehearsal_adds_the_preprocessing_to_the_table_s_latency():
    clip = np.zeros((2, 8, 8, 3), np.uint8)
    points = rehearse(Predictor(load=lambda: 3.0), clip)
    assert [(p.configuration, p.latency_ms) for p in points] == [(CHEAP, 11.0), (DEAR, 41.0)]
    bare = mn.QueryTable(tuple(Entry(c, ms / 100, 1.0, 50 + ms) for c, ms in MS.items()))
    predictor = Predictor(bare, load=lambda: 3.0)
    assert [p.latency_ms for p in rehearse(predictor, clip)] == [31.0, 121.0]  # measured here
    assert [c for c, _ in predictor.asked[:4]] == [CHEAP, DEAR, CHEAP, DEAR]


def test_candidates_are_the_front_of_what_is_known():
    slow = Entry(mn.Configuration(0.63, 10, 2), 0.2, 1.0, 70.0, latency_ms=50.0)  # few multiply-adds, yet slow
    with_latencies = mn.QueryTable((*TABLE.entries, slow))
    assert [e.configuration for e in candidates(with_latencies)] == [CHEAP, DEAR]
    entries = [Entry(e.configuration, e.gmacs, e.mparams, e.accuracy) for e in with_latencies.entries]
    assert [e.configuration for e in candidates(mn.QueryTable(tuple(entries)))] == [CHEAP, slow.configuration, DEAR]


def test_busy_processes_come_and_go():
    with BusyProcesses(Timeline.parse("0:0,1:2,2:1")) as busy:
        busy.at(0.5)
        assert len(busy) == 0
        busy.at(1.0)
        processes = list(busy._processes)
        assert [process.poll() for process in processes] == [None, None]
        busy.at(2.5)
        assert len(busy) == 1
    assert len(busy) == 0
    assert all(process.poll() is not None for process in processes)
