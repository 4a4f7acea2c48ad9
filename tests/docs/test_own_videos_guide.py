"""docs/own_videos.md does what it says: its blocks run here in their order, and print what it quotes."""

import csv
import re
import shlex

import pytest
from doc_blocks import block, changed
from following import check_quotation, loosely, printed_by

import mutualnet3d as mn

PAGE = "own_videos.md"


def pattern(line: str) -> str:
    """``line`` as it may look elsewhere: what a training reached, and what the machine has, may differ."""
    words = loosely(line, r"[│%#]|GMACs|cores|,0\.")
    if "cores" in line:
        words = re.sub(r"(?<=NUM_GPUS).*|[^,]*cores.*", ".*", words)
    if re.search(r"%.*\(|,0\.", line):  # a prediction
        words = re.sub(r"jump(?=\\ \[|,)|run(?=\\ \[|,)|turn\\ around(?=\\ \[|,)", r"(jump|run|turn around)", words)
    return words


def test_every_block_prints_what_the_guide_quotes(guide):
    _, quoted = guide
    assert len(quoted) == 5
    for quotation, output in quoted:
        check_quotation(quotation, output, pattern)


@pytest.mark.parametrize(("name", "configurations"), [("my_data/run", 3), ("outputs/theirs", 2)])
def test_adaptive_networks_result(guide, name, configurations):
    folder, _ = guide
    table = mn.QueryTable.load(folder / name / "query_table.json")
    model = mn.load_model(folder / name / "model.pyth")
    assert len(table.entries) == configurations
    assert {entry.configuration for entry in table.entries} <= set(model.calibrated)


def test_the_predictions_are_written(guide):
    folder, _ = guide
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["video"].split("/")[1] for row in rows] == ["run", "turn around"]
    assert all(row["label_1"] in ("jump", "run", "turn around") for row in rows)
    assert not any(row["error"] for row in rows)


def test_the_same_as_the_readme_says_it(guide, monkeypatch):
    """Its three commands, in the guide's folder and on its videos, quicker."""
    folder, _ = guide
    monkeypatch.chdir(folder)
    places = {"my_data": "again", "VIDEO.mp4  ": "my_videos/run/film1_clip1.mp4  "}
    prepare, train, predict = changed(block("README.md", "tools/prepare_data.py"), places).strip().splitlines()
    quick = ["SOLVER.MAX_EPOCH", "1", "SOLVER.WARMUP_EPOCHS", "0", "CALIBRATION.NUM_BATCHES", "1"]
    quick += ["DATA_LOADER.NUM_WORKERS", "0", "QUERY_TABLE.CONFIGURATIONS", "[0.63-50-3]"]
    assert "again/config.yaml" in printed_by(shlex.split(prepare)[1:])
    assert "0.63" in printed_by([*shlex.split(train, comments=True)[1:], *quick])
    said = printed_by(shlex.split(predict, comments=True)[1:])
    assert re.search(r"film1_clip1\.mp4: (\S.* [\d.]+ %,? ?)+ +\(0\.63-50-3\)", said)
