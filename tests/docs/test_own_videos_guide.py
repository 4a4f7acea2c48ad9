"""docs/own_videos.md does what it says: its blocks run here in their order, and print what it quotes."""

import csv
import re

import pytest
from following import check_quotation, follow

import mutualnet3d as mn

PAGE = "own_videos.md"


def pattern(line: str) -> str:
    """``line`` as it may look elsewhere: what a training reached, and what the machine has, may differ."""
    words = re.escape(" ".join(line.split()))
    if re.search(r"[│%#]|GMACs|cores|,0\.", line):
        words = re.sub(r"\d+(\\\.\d+)?", r"[0-9.]+", words)
        words = re.sub(r"│\\ (\\\*\\ )?│", r"│( \\*)? │", words)
    if "cores" in line:
        words = re.sub(r"(?<=NUM_GPUS).*|[^,]*cores.*", ".*", words)
    if re.search(r"%.*\(|,0\.", line):  # a prediction
        words = re.sub(r"jump(?=\\ \[|,)|run(?=\\ \[|,)|turn\\ around(?=\\ \[|,)", r"(jump|run|turn around)", words)
    return words


@pytest.fixture(scope="module")
def guide(tmp_path_factory):
    """(folder in which the guide was followed, what each quoting block is a quotation of)."""
    folder = tmp_path_factory.mktemp("own videos")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, follow(PAGE)


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
