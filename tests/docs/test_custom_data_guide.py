"""docs/custom_data.md does what it says: its blocks run here in their order, and print what it quotes."""

import contextlib
import io
import re
import shutil

import pytest
from doc_blocks import ROOT
from following import check_quotation, loosely

import mutualnet3d as mn
from mutualnet3d.commands import run as run_command

PAGE = "custom_data.md"
GUIDE = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")


def pattern(line: str) -> str:
    """``line`` as it may look elsewhere: what a training reached, and which configurations are best, may differ."""
    return loosely(line, r"[│%]|IOU|GMACs|Mparams|^[\d.]+-\d+-\d+$")


def test_every_block_prints_what_the_guide_quotes(guide):
    _, quoted = guide
    assert len(quoted) >= 8
    for block, output in quoted:
        check_quotation(block, output, pattern)


@pytest.mark.parametrize("name", ["several", "boxes"])
def test_a_trained_adaptive_network_and_its_table_result(guide, name):
    folder, _ = guide
    table = mn.QueryTable.load(folder / "outputs" / name / "query_table.json")
    model = mn.load_model(folder / "outputs" / name / "model.pyth")
    assert table.metric == "map"
    assert len(table.entries) == 3
    assert {entry.configuration for entry in table.entries} <= set(model.calibrated)
    assert all(0 <= entry.accuracy <= 100 for entry in table.entries)


def replaced(name: str, old: str, new: str):
    """An edit of a file of the guide."""
    return lambda folder: (folder / name).write_text((folder / name).read_text().replace(old, new))


def written(name: str, text: str):
    return lambda folder: (folder / name).write_text(text)


FRAME_LISTS = ["AVA.VIDEO_DIR", "", "AVA.FRAME_LIST_DIR", "my_data", "AVA.TRAIN_LISTS", '["other.csv"]']
# The rows of the guide's table in their order: which config, what is wrong in it, what is wrong in a file.
MISTAKES = [
    ("several", [], replaced("train_segments.csv", "id,actions", "video,actions")),
    ("several", ["CHARADES.LISTS", "frames"], written("train.csv", "id,actions\n")),
    ("several", [], written("train_segments.csv", "id,actions\nday0,c003 0.00 3.00\n")),
    ("several", [], written("train_segments.csv", "id,actions\nday0,wave 0.00 3.00\n")),
    ("boxes", [], written("train_boxes.csv", "day0,0001,0.1,0.2,0.4,0.9,0,0\n")),
    ("boxes", [], written("train_boxes.csv", "day0,0001,0.1,0.2,0.4,0.9,4,0\n")),
    ("boxes", [], written("train_boxes.csv", "day0,0001,8,12,32,57,1,0\n")),
    ("boxes", [], written("train_boxes.csv", "day0,0001,0.6,0.2,0.3,0.7,1,0\n")),
    ("boxes", ["AVA.START_SECOND", "900"], None),
    ("boxes", ["AVA.DETECTION_SCORE_THRESH", "0.9"], None),
    ("boxes", ["AVA.FRAME_LIST_DIR", "my_data"], None),
    (
        "boxes",
        FRAME_LISTS,
        written("other.csv", 'original_vido_id video_id frame_id path labels\nday_0 0 0 a.jpg ""\n'),
    ),
    ("boxes", ["MODEL.NUM_CLASSES", "2"], replaced("train_boxes.csv", ",3,", ",2,")),
    ("boxes", ["MODEL.LOSS_FUNC", "cross_entropy"], None),
    ("several", [], written("val_segments.csv", "id,actions\nday5,\n")),
    ("several", ["DATA.PATH_PREFIX", "my_data"], None),
]
MESSAGES = re.findall(r"^\| `(.+?)` \|", GUIDE.partition("## When it says no")[2], re.MULTILINE)


def test_every_message_has_its_mistake():
    assert len(MESSAGES) == len(MISTAKES)


@pytest.mark.parametrize(("message", "mistake"), list(zip(MESSAGES, MISTAKES, strict=False)), ids=range(len(MESSAGES)))
def test_messages(guide, message, mistake, monkeypatch, tmp_path):
    """A mistake is answered by the message that the guide quotes, and with exit status 1."""
    (name, overrides, edit), folder = mistake, guide[0]
    for entry in folder.iterdir():
        if entry.name != "outputs":
            copy = shutil.copytree if entry.name == "my_data" else lambda source, target: target.symlink_to(source)
            copy(entry, tmp_path / entry.name)
    if edit:
        edit(tmp_path / "my_data")
    monkeypatch.chdir(tmp_path)
    words = ["--cfg", "configs/Demo/MN_SLOW_SMALL.yaml", f"my_data/{name}.yaml", *overrides]
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        assert run_command.main(words) == 1
    assert message in output.getvalue()
    assert "epoch 1" not in output.getvalue()
