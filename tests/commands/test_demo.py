"""tools/demo_net.py: a stream from a video to a video, exit statuses, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import av
import pytest
import torch
from tiny import ROOT, tiny_cfg

import mutualnet3d as mn
from mutualnet3d.commands.demo import main
from mutualnet3d.files import sha256
from mutualnet3d.layers import SlimmableBatchNorm3d, activation_of
from mutualnet3d.models.artefact import save_model
from mutualnet3d.query_table import Entry, QueryTable
from tests.data.video_files import decode_all, write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a run leaves: a tiny network with statistics of four configurations, dearer ones said to be better."""
    folder = tmp_path_factory.mktemp("a run")
    model = mn.build_model(tiny_cfg())
    entries = []
    for configuration in model.space.grid((0.63, 1.0)):
        for norm in (m for m in model.modules() if isinstance(m, SlimmableBatchNorm3d)):
            activation = activation_of(configuration, model.space.full)
            count = norm.slim.count(activation.width)
            if configuration != model.space.full:
                norm.store_statistics(activation, torch.zeros(count), torch.ones(count))
        cost = mn.complexity(model, configuration, crop=32)
        entries.append(Entry(configuration, cost.gmacs, cost.mparams, min(99.0, 1e6 * cost.gmacs / 500)))
    save_model(folder / "model.pyth", model, tiny_cfg())
    provenance = {"model_sha256": sha256(folder / "model.pyth")}
    QueryTable(tuple(entries), "top1", provenance).save(folder / "query_table.json")
    return folder


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("videos") / "long.mp4", 60, size=(240, 320))


def demo(folder, video, output, *options):
    return main([str(word) for word in (folder, "--input", video, "--output", output, *options)])


def test_from_video_to_video(folder, video, tmp_path, capsys):
    names = tmp_path / "names.txt"
    names.write_text("röd\ngreen\nblue\n", encoding="utf-8")
    output = tmp_path / "out" / "out.mp4"
    schedule = "0:10000,1:0.001"  # everything fits, then nothing
    assert demo(folder, video, output, "--schedule", schedule, "--class-names", names, "--threads", 1) == 0
    assert sorted(path.name for path in output.parent.iterdir()) == ["out.jsonl", "out.mp4", "out.summary.json"]

    source, written = decode_all(video), decode_all(output)
    assert written.shape == source.shape == (60, 240, 320, 3)
    difference = abs(written.astype(int) - source)[:, 80:140, 250:]
    assert difference.mean() < 12  # between the panels it is the source, encoded once more
    with av.open(str(output)) as container:
        assert container.streams.video[0].average_rate == 30

    lines = [json.loads(line) for line in (output.parent / "out.jsonl").read_text().splitlines()]
    clips = [line for line in lines if line["type"] == "clip"]
    assert [round(30 * clip["time_s"]) for clip in clips] == list(range(7, 60, 2))
    assert all(clip["latency_ms"] == clip["preprocess_ms"] + clip["network_ms"] for clip in clips)
    assert all(clip["switch_ms"] == 0 for clip in clips)  # all were built before the stream began
    assert {name for clip in clips for name, _ in clip["labels"]} == {"röd", "green", "blue"}
    (switch,) = [line for line in lines if line["type"] == "switch"]
    assert (switch["time_s"], switch["reason"]) == (1.0, "budget fell")

    summary = json.loads((output.parent / "out.summary.json").read_text())
    assert (summary["frames"], summary["clips"], summary["switches"]) == (60, len(clips), 1)
    first, second = summary["phases"]
    assert (first["within"], second["within"]) == (1.0, 0.0)
    assert summary["within"] == pytest.approx(first["clips"] / len(clips))
    assert summary["options"]["schedule"] == schedule
    said = capsys.readouterr().out
    assert "budget fell" in said
    assert "out of reach" in said
    assert f"60 frames, {len(clips)} clips" in said


def test_options(folder, video, tmp_path):
    output, log = tmp_path / "out.mp4", tmp_path / "logs" / "a.jsonl"
    options = ["--budget-ms", "500%", "--stride", 7, "--seconds", 1, "--log", log, "--busy", "0:1", "--realtime"]
    assert demo(folder, video, output, *options) == 0
    assert len(decode_all(output)) == 31
    summary = json.loads((tmp_path / "logs" / "a.summary.json").read_text())
    assert summary["clips"] + summary["skipped"] == 4
    assert log.is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video": "none.mp4"}, r"VideoError: none\.mp4: cannot be opened"),
        ({"video": str(ROOT / "README.md")}, r"VideoError: .*README\.md: is not a readable video"),
        ({"folder": str(ROOT)}, "DeploymentError: .*neither an export"),
        ({"options": ["--class-names", "none.txt"]}, r"DataError: none\.txt cannot be read"),
        (
            {"options": ["--class-names", str(ROOT / "pyproject.toml")]},
            r"DataError: \d+ class names for a network of 3",
        ),
        ({"options": ["--boxes", "a.csv", "--top-k", "1"]}, "ConfigError: .* --boxes, --top-k is for networks that de"),
        ({"options": ["--stride", "0"]}, "ConfigError: a stride of 0"),
        ({"options": ["--backend", "abacus"]}, "DeploymentError: backend 'abacus'"),
        ({"output": str(ROOT / "README.md" / "out.mp4")}, "Error: .*README"),
        ({"options": ["--seconds", "0.05"]}, r"DataError: .*long\.mp4: 3 frames are fewer than one clip spans"),
    ],
)
def test_errors_are_one_line(folder, video, tmp_path, capsys, change, message):
    arguments = {"folder": folder, "video": video, "output": tmp_path / "out.mp4", "options": []} | change
    assert demo(*(arguments[name] for name in ("folder", "video", "output")), *arguments["options"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "Error: " in line]
    assert len(lines) == 1
    assert re.search(message, lines[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--schedule", "10:80"], "must start at 0"),
        (["--schedule", "0:80,x"], "'x' is not SECOND:VALUE"),
        (["--schedule", "0:80,10:0"], "'10:0': a budget must be above 0"),
        (["--budget-ms", "0%"], "'0:0%': a budget must be above 0"),
        (["--busy", "0:50%"], "'0:50%' is not SECOND:VALUE"),
        (["--budget-ms", "5", "--schedule", "0:5"], "not allowed with"),
    ],
)
def test_usage(folder, video, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as stopped:
        demo(folder, video, tmp_path / "out.mp4", *options)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "usage" in said
    assert message in said
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_finishes_the_files(folder, video, tmp_path):
    output = tmp_path / "out.mp4"
    words = [folder, "--input", video, "--output", output, "--realtime", "--busy", "0:1"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tools" / "demo_net.py"), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    timer = threading.Timer(120, process.kill)
    timer.start()
    try:
        for line in process.stdout:  # the video plays for 2 s after this
            if "sub-networks built ahead" in line:
                break
        while not list(tmp_path.glob(".out.mp4*")):
            assert process.poll() is None
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate()
    finally:
        timer.cancel()
    assert (process.returncode, errors) == (130, "")
    assert "stopped" in said
    frames = len(decode_all(output))
    assert 0 < frames < 60
    assert json.loads((tmp_path / "out.summary.json").read_text())["frames"] == frames


def test_the_input_is_kept(folder, video, tmp_path, capsys):
    before = video.read_bytes()
    for output, options in ((video, ()), (tmp_path / "out.mp4", ("--log", video)), (tmp_path / "out.jsonl", ())):
        assert demo(folder, video, output, *options) == 1
        assert "would be overwritten" in "".join(capsys.readouterr())
    assert video.read_bytes() == before
    assert not list(tmp_path.iterdir())
