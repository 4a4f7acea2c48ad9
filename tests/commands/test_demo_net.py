"""tools/demo_net.py on a small video: the written video, the log, the tables, Ctrl-C, refusals."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from data.video_files import write_video
from tiny import ROOT

import mutualnet3d as mn
from mutualnet3d.commands.demo import main
from mutualnet3d.data.decode import open_video
from mutualnet3d.streaming.load import BusyProcesses
from mutualnet3d.streaming.rehearsal import candidates, rehearse

FRAMES, FPS = 70, 30


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("stream") / "video.mp4", FRAMES, (96, 128), fps=FPS)


@pytest.fixture
def demo(video, tmp_path):
    """Run the command in this process; (exit status, lines of the log)."""

    def run(directory, *words):
        log = tmp_path / "logs" / "log.jsonl"
        status = main([str(word) for word in (directory, "--input", video, "--log", log, "--threads", 1, *words)])
        return status, [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    return run


@pytest.mark.parametrize("kind", ["run", "export"])
def test_a_stream_with_a_budget_that_falls(kind, request, demo, tmp_path, said):
    directory = request.getfixturevalue(f"tiny_{kind}")
    output = tmp_path / "videos" / "out.mp4"
    status, log = demo(directory, "--output", output, "--schedule", "0:100000,1:0.001", "--stride", 5)
    assert status == 0
    with open_video(output) as written:
        assert (written.num_frames, written.size, written.fps) == (FRAMES, (96, 128), FPS)
        assert len(written.frames(range(FRAMES))) == FRAMES
    *events, summary = log
    clips = [event for event in events if event["event"] == "clip"]
    span = 8  # 4 frames at rate 2
    assert [clip["frame"] for clip in clips] == list(range(span - 1, FRAMES, 5))
    assert [clip["within"] for clip in clips] == [clip["frame"] < FPS for clip in clips]
    assert {clip["switch_ms"] for clip in clips} == {0.0}  # the rehearsal has built all
    assert all(name in ("red", "green", "blue") for clip in clips for name, _ in clip["labels"])
    assert summary["event"] == "summary"
    assert (summary["frames"], summary["overall"]["clips"]) == (FRAMES, len(clips))
    assert [phase["within"] for phase in summary["phases"]] == [1.0, 0.0]
    switches = [event for event in events if event["event"] == "switch"]
    assert len(switches) == summary["switches"]
    if len(candidates(mn.QueryTable.load(directory / "query_table.json"))) > 1 and switches:
        assert switches[0]["reason"] == "budget fell"
    printed = said()
    assert "configurations ready" in printed
    assert "latency of clips: preprocessing and network" in printed
    assert "100.0 %" in printed
    assert f"{FRAMES} frames, 2.3 s of stream" in printed


def test_per_cent_without_a_video_and_with_load(tiny_export, demo, said):
    status, log = demo(tiny_export, "--no-video", "--schedule", "0:100000%,1:50000%", "--load", "0.5:1,1.5:0")
    assert status == 0
    first, second = (phase["budget_ms"] for phase in log[-1]["phases"])
    assert first == pytest.approx(2 * second)
    assert [(e["time_s"], e["processes"]) for e in log if e["event"] == "load"] == [(0.5, 1), (1.5, 0)]
    assert "1 busy process beside" in said()


def test_a_video_that_is_shorter_than_a_clip(tiny_run, demo, tmp_path, said):
    short = write_video(tmp_path / "short.mp4", 5)
    status, log = demo(tiny_run, "--input", short, "--output", tmp_path / "out.mp4")
    assert (status, log[-1]["overall"]["clips"]) == (0, 0)
    assert "shorter than one clip" in said()
    with open_video(tmp_path / "out.mp4") as written:
        assert written.num_frames == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input", "{tmp}/absent.mp4"], "absent.mp4"),
        (["--budget", "0"], "a budget of 0.0 ms per clip"),
        (["--stride", "0"], "a stride of 0 frames"),
        (["--precision", "int3"], "precision 'int3'"),
        (["--threads", "0"], "threads 0"),
    ],
)
def test_errors_that_a_message_explains(tiny_run, demo, tmp_path, said, words, message):
    status, _ = demo(tiny_run, "--no-video", *(word.format(tmp=tmp_path) for word in words))
    assert status == 1
    assert message in said()


def test_a_directory_that_is_neither(tmp_path, demo, said):
    assert demo(tmp_path, "--no-video")[0] == 1
    assert "neither an export" in said()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --output FILE, or --no-video"),
        (["--no-video", "--output", "out.mp4"], "give --output FILE, or --no-video"),
        (["--no-video", "--budget", "9", "--schedule", "0:9"], "exclude each other"),
        (["--no-video", "--schedule", "1:9"], "must start at 0 and rise"),
        (["--no-video", "--schedule", "0:x"], "is not SECOND:VALUE"),
        (["--no-video", "--load", "0:1.5"], "whole numbers"),
        (["--no-video", "--load", "2:1,1:0"], "must start at 0 and rise"),
        (["--output", "{video}"], "is the input itself"),
        (["--no-video", "--backend", "tensorflow"], "invalid choice"),
    ],
)
def test_usage(tiny_run, demo, video, said, words, message):
    with pytest.raises(SystemExit) as stop:
        demo(tiny_run, *(word.format(video=video) for word in words))
    assert stop.value.code == 2
    assert message in " ".join(said().split())


def test_ctrl_c_leaves_a_playable_video(tiny_run, tmp_path):
    long = write_video(tmp_path / "long.mp4", 1500, (240, 320))
    output, log = tmp_path / "out.mp4", tmp_path / "log.jsonl"
    words = [tiny_run, "--input", long, "--output", output, "--log", log, "--stride", 1, "--threads", 1]
    process = subprocess.Popen(
        [sys.executable, ROOT / "tools" / "demo_net.py", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") > 20):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (130, "")
    assert "what was shown until then is written" in said
    assert "latency of clips" in said
    summary = json.loads(log.read_text().splitlines()[-1])
    assert summary["interrupted"]
    with open_video(output) as written:
        assert 20 < written.num_frames == summary["frames"] < 1500
        assert len(written.frames([written.num_frames - 1])) == 1


def test_the_rehearsal_builds_all_and_times_in_turns(tiny_export):
    predictor = mn.AdaptivePredictor.load(tiny_export, threads=1, max_networks=8)
    rehearsal = rehearse(predictor, np.zeros((4, 36, 48, 3), np.uint8), passes=3)
    entries = candidates(predictor.table)
    assert set(entries) == set(predictor.table.pareto("latency_ms"))
    assert predictor.switching.built == len(entries)
    assert {point.configuration for point in rehearsal.points} <= {entry.configuration for entry in entries}
    assert rehearsal.spread >= 1


def test_without_latencies_the_cost_is_counted(tiny_run):
    table = mn.QueryTable.load(tiny_run / "query_table.json")
    assert candidates(table) == table.pareto()


def test_busy_processes_come_and_go():
    with BusyProcesses() as busy:
        busy.set(2)
        pids = [process.pid for process in busy._running]
        assert len(busy) == 2
        busy.set(1)
        assert not alive(pids[1])
        assert alive(pids[0])
    assert not any(alive(pid) for pid in pids)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
