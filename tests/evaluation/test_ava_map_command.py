"""``python -m mutualnet3d.evaluation.ava_map`` and its official arguments."""

import json
import subprocess
import sys

import pytest

from mutualnet3d.evaluation.ava_map.__main__ import main

LABELS = 'item {\n  name: "stand"\n  id: 1\n}\nitem {\n  name: "swim \u6e38"\n  id: 2\n}\n'
KEY = "PascalBoxes_PerformanceByCategory/AP@0.5IOU/"


@pytest.fixture
def files(tmp_path):
    """Two of three truths found, and one false detection before them in an excluded key frame."""
    texts = {
        "gt.csv": "v,0902,0.1,0.1,0.5,0.5,1,0\nv,0903,0.1,0.1,0.5,0.5,1,0\nv,0904,0.1,0.1,0.5,0.5,1,0\n",
        "det.csv": "v,0902,0.1,0.1,0.5,0.5,1,0.5\nv,0903,0.1,0.1,0.5,0.5,1,0.4\nv,0904,0.7,0.7,0.9,0.9,1,0.9\n",
        "labels.pbtxt": LABELS,
        "ex.csv": "v,0904\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def arguments(files, *more, names=("-g", "-d", "-l")):
    paths = (files / "gt.csv", files / "det.csv", files / "labels.pbtxt")
    return [*(str(x) for pair in zip(names, paths, strict=True) for x in pair), *more]


def test_result_under_the_official_keys(files, capsys):
    assert main(arguments(files, names=("--groundtruth", "--detections", "--labelmap"))) == 0
    result = json.loads(capsys.readouterr().out)
    expected = (2 / 3 + 2 / 3) / 3
    assert result["mAP@0.5IOU"] == result["PascalBoxes_Precision/mAP@0.5IOU"] == pytest.approx(expected)
    assert result[KEY + "stand"] == pytest.approx(expected)
    assert result[KEY + "swim \u6e38"] is None
    assert result["truths"] == 3


def test_exclusions_and_output(files, capsys):
    out = files / "new folder" / "result.json"
    assert main(arguments(files, "-e", str(files / "ex.csv"), "--output", str(out))) == 0
    assert json.loads(capsys.readouterr().out)["mAP@0.5IOU"] == 1.0
    assert json.loads(out.read_text(encoding="utf-8"))["mAP@0.5IOU"] == 1.0


def test_limit(files, capsys):
    with (files / "det.csv").open("a") as file:
        file.write("v,0902,0.7,0.7,0.9,0.9,1,0.95\n")
    values = []
    for limit in ("1", "0", "50"):
        assert main(arguments(files, "--limit", limit)) == 0
        values.append(json.loads(capsys.readouterr().out)["detections"])
    assert values == [3, 4, 4]
    with pytest.raises(SystemExit, match="2"):
        main(arguments(files, "--limit", "-1"))


def test_a_bad_file_is_one_line_and_status_1(files):
    (files / "det.csv").write_text("v,0902,0.1,0.1,0.5,0.5,1\n")
    command = [sys.executable, "-W", "error", "-m", "mutualnet3d.evaluation.ava_map", *arguments(files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("DataError: ")
    assert f"{files / 'det.csv'}:1: 7 columns" in line
