"""tools/activation_maps_net.py: picture, video, localization, exit statuses."""

import csv
import re

import cv2
import numpy as np
import pytest

from mutualnet3d.commands.activation_maps import main
from mutualnet3d.data.decode import open_video
from mutualnet3d.visualization.video_maps import video_maps
from tests.deployment.networks import Network, write_run

SMALL, FULL = "0.63-20-2", "1.0-32-4"


@pytest.fixture(scope="module")
def video(tiny_data):
    return str(tiny_data / "video 8.mp4")


@pytest.fixture
def boxes(tmp_path):
    """The whole frame of videos 8 and 9, and a corner of 10; video 11 has no box."""
    lines = ["video,frame,x1,y1,x2,y2,width,height"]
    for number, box in ((8, "0,0,60,48"), (9, "0,0,60,48"), (10, "20,10,28,16")):
        lines += [f"video {number},{frame},{box},60,48" for frame in range(40)]
    (tmp_path / "boxes.csv").write_text("\n".join(lines) + "\n")
    return str(tmp_path / "boxes.csv")


def test_picture_and_video(tiny_run, video, tmp_path):
    picture, movie = tmp_path / "maps.png", tmp_path / "maps.mp4"
    chosen = ["full", "smallest", "0.63-32-4", FULL]
    words = ["--model", tiny_run, "--input", video, "--output", picture, "--video", movie, "--configurations", *chosen]
    assert main([str(word) for word in (*words, "--class", "green", "--frames", 3)]) == 0
    drawn = cv2.imread(str(picture))
    assert drawn.shape[0] > 600  # the frames and three rows: full once
    with open_video(movie) as written:
        assert written.num_frames == 16  # of 28: four clips of four frames, two apart, cover the video
        assert written.fps == pytest.approx(30 * 16 / 26)  # the last one is frame 25
        first, last = written.frames([0, 15]).astype(int)
    assert np.abs(first - last).max() > 50


def test_picture_and_video_show_one_class(tiny_run, video, tmp_path, monkeypatch):
    seen = []

    def recording(*arguments):
        seen.append((arguments[4], (maps := video_maps(*arguments)).label))
        return maps

    monkeypatch.setattr("mutualnet3d.commands.activation_maps.video_maps", recording)
    outputs = ["--output", tmp_path / "maps.png", "--video", tmp_path / "maps.mp4", "--configurations", "full"]
    assert main([str(word) for word in ("--model", tiny_run, "--input", video, *outputs)]) == 0
    (given, found), again = seen
    assert given is None
    assert again == (found, found)


def test_the_input_is_kept(tiny_run, video, capfd):
    for option in ("--output", "--video"):
        assert main(["--model", str(tiny_run), "--input", video, option, video]) == 1
        assert "would be overwritten" in "".join(capfd.readouterr())
    with open_video(video) as kept:
        assert kept.num_frames > 1


def test_default_class_and_configurations(tiny_run, video, tmp_path, capfd):
    outputs = []
    for extra in ([], ["--configurations", "full", "smallest"], ["--class", "0"], ["--class", "1"], ["--class", "2"]):
        outputs.append(tmp_path / f"{len(outputs)}.png")
        words = ["--model", tiny_run / "model.pyth", "--input", video, "--output", outputs[-1], *extra]
        assert main([str(word) for word in words]) == 0
    default, named, *classes = (path.read_bytes() for path in outputs)
    assert default == named
    assert classes.count(default) == 1  # the one that full sees
    assert "written" in capfd.readouterr().out


def test_slowfast_pathways(tmp_path, video):
    network = Network("slowfast")
    run = write_run(tmp_path, network)
    pictures = []
    for pathway in ("slow", "both"):
        pictures.append(tmp_path / f"{pathway}.png")
        words = ["--model", run, "--input", video, "--output", pictures[-1], "--pathway", pathway]
        assert main([str(word) for word in words]) == 0
    assert pictures[0].read_bytes() != pictures[1].read_bytes()


def test_localization(tiny_run, tiny_data, boxes, tmp_path, capfd):
    """At 32 pixels the tiny network has one feature: its map is the whole view, or nothing."""
    table = tmp_path / "table.csv"
    words = ["--model", tiny_run, "--localization", boxes, "--list", tiny_data / "test.csv", "--output", table]
    assert main([str(word) for word in (*words, "--threshold", 0.2, 0.5)]) == 0
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows[-2:]] == ["centre box of the mean size", "whole view"]
    assert len(rows) == 2 * 8 + 2  # widths x sizes x lengths
    assert {row["threshold"] for row in rows[:-2]} == {"0.2", "0.5"}
    assert len({row["frames"] for row in rows}) == 1
    share = float(rows[-1]["localized"])
    assert share == pytest.approx(200 / 3)
    for row in rows[:-2]:
        assert float(row["localized"]) <= share + 1e-9
        assert float(row["localized_and_top1"]) <= min(float(row["localized"]), float(row["top1"])) + 1e-9
    said = capfd.readouterr().out
    assert "localization on 3 of 4 videos: 1 without a box in view" in said
    assert all(word in said for word in ("smallest" not in said and SMALL, FULL, "whole view", "66.7"))


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (
            ["--input", "{video}", "--output", "{out}", "--configurations", "0.8-20-2"],
            "calibrate_net.py --model .*0.8-20-2",
        ),
        (["--input", "{video}", "--output", "{out}", "--configurations", "0.8-21-2"], "spatial 21 of 0.8-21-2"),
        (["--input", "{video}", "--output", "{out}", "--configurations", "half"], "'half' is not width-spatial"),
        (
            ["--input", "{video}", "--output", "{out}", "--class", "purple"],
            "--class purple: .*0..2 or one of red, green",
        ),
        (["--input", "{video}", "--output", "{out}", "--class", "3"], "--class 3: is no class"),
        (["--input", "{video}", "--output", "{out}", "--pathway", "fast"], "pathway 'fast' is not one of .*: slow"),
        (["--input", "{video}", "--output", "{out}", "--frames", "0"], "0 columns of frames"),
        (["--input", "none.mp4", "--output", "{out}"], "none.mp4: cannot be opened"),
        (["--localization", "none.csv"], "none.csv: cannot be read"),
        (["--localization", "{wrong}"], "wrong.csv:3: .*'x'"),
        (["--localization", "{boxes}", "--list", "{video}"], "name a list in Kinetics format"),
        (["--localization", "{boxes}", "--list", "gone.csv"], "gone.csv: cannot be read"),
        (["--localization", "{boxes}", "--threshold", "1.5"], "threshold 1.5 must lie between 0 and 1"),
    ],
)
def test_errors(tiny_run, video, boxes, tmp_path, capfd, extra, message):
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("video,frame,x1,y1,x2,y2,width,height\nv,0,0,0,1,1,2,2\nv,x,0,0,1,1,2,2\n")
    places = {"video": video, "out": str(tmp_path / "out.png"), "boxes": boxes, "wrong": str(wrong)}
    words = [word.format(**places) for word in extra]
    assert main(["--model", str(tiny_run), *words]) == 1
    assert list(tmp_path.glob("out.png")) == []

    assert re.search(message, "".join(capfd.readouterr()).replace("\n", " "))


def test_detection_is_refused(tmp_path, video, capfd):
    run = write_run(tmp_path, Network("slow detection"))
    assert main(["--model", str(run), "--input", video, "--output", str(tmp_path / "x.png")]) == 1
    assert "detection networks (DETECTION.ENABLE) pool in boxes" in capfd.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--input", "a.mp4", "--output", "b.png"],
        ["--model", "m"],
        ["--model", "m", "--input", "a.mp4"],
        ["--model", "m", "--input", "a.mp4", "--output", "b.png", "--localization", "c.csv"],
        ["--model", "m", "--localization", "c.csv", "--video", "x.mp4"],
        ["--model", "m", "--localization", "c.csv", "--class", "1"],
        ["--model", "m", "--input", "a.mp4", "--output", "b.png", "--pathway", "middle"],
    ],
)
def test_usage(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_help(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "exit status" in said
    assert "--localization" in said
