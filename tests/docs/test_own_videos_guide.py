"""docs/own_videos.md does what it says: its blocks run here in their order, and print what it quotes."""

import csv
import re

import pytest
from following import check_quotation, loosely

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
    for block, output in quoted:
        check_quotation(block, output, pattern)


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
