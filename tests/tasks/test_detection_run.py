"""Detection from the lists to the table, against loops written out."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from task_runs import CLASSES, SECONDS, TABLE, UNSEEN, ava_cfg, normalised

import mutualnet3d as mn
from mutualnet3d.data import build_entries
from mutualnet3d.data import test_dataset as dataset_of
from mutualnet3d.data.ava_files import KeyFrame, read_detections, read_ground_truth, read_label_map
from mutualnet3d.errors import ConfigError, DataError
from mutualnet3d.evaluation.ava_map import ava_map
from mutualnet3d.evaluation.ava_map.__main__ import main as ava_map_command
from mutualnet3d.evaluation.grid import evaluate_grid
from mutualnet3d.evaluation.measures import measures
from mutualnet3d.pipeline import run
from mutualnet3d.summary import print_usage

EVALUATED = {("one", s) for s in range(SECONDS)} | {("two", s) for s in range(SECONDS) if s != 3}


def brute_force(model, cfg, configuration, path):
    """One key frame after another, as rows of a file; (mAP, {(video, second): scores})."""
    items, rows, scores = dataset_of(build_entries(cfg, "test"), cfg, 1, 1), [], {}
    for item in items:
        if item.error is not None:
            continue
        boxes = torch.nn.functional.pad(item.boxes, (1, 0))  # of clip 0
        with torch.no_grad():
            found = model(normalised(item.clip, cfg), configuration, boxes).sigmoid()
        scores[item.video, item.second] = found
        for box, of in zip(item.normalised_boxes.tolist(), found.tolist(), strict=True):
            rows += [",".join(map(str, (item.video, item.second, *box, k + 1, s))) for k, s in enumerate(of)]
    path.write_text("\n".join(rows))
    folder = cfg.AVA.ANNOTATION_DIR
    truth, labels = read_ground_truth(f"{folder}/val_truth.csv"), read_label_map(f"{folder}/labels.pbtxt")
    return ava_map(truth, read_detections(path), labels, {KeyFrame("two", 3)}), scores


def test_values_are_those_of_a_loop_over_key_frames(detection_run, tmp_path):
    model, cfg = mn.load_model(detection_run.output / "model.pyth"), detection_run.cfg
    results = json.loads((detection_run.output / "test_results.json").read_text())
    stored = np.load(detection_run.output / "test_scores.npz")
    assert detection_run.table.metric == results["metric"] == "map"
    assert {e.configuration for e in detection_run.table.entries} == set(map(mn.Configuration.parse, TABLE))
    values = set()
    for entry in detection_run.table.entries:
        expected, scores = brute_force(model, cfg, entry.configuration, tmp_path / "rows.csv")
        number = stored["configurations"].tolist().index(str(entry.configuration))
        assert {tuple(path.rsplit(",", 1)) for path in stored["paths"].tolist()} == {(v, str(s)) for v, s in scores}
        np.testing.assert_allclose(stored["scores"][number], torch.cat([*scores.values()]), rtol=1e-4, atol=1e-5)
        assert entry.accuracy == pytest.approx(expected.map, abs=1e-9)
        assert results["accuracies"][str(entry.configuration)] == {"map": entry.accuracy}
        assert results["per_class"][str(entry.configuration)] == pytest.approx(dict(expected.per_class), abs=1e-9)
        assert entry.top5 is None
        values.add(entry.accuracy)
    assert len(values) > 1
    assert set(scores) == EVALUATED - {UNSEEN}


def test_unreadable_movies_are_named_once_and_their_people_missed(detection_run):
    results = json.loads((detection_run.output / "test_results.json").read_text())
    (missing,) = results["missing"]
    assert missing["path"].endswith("gone")
    assert missing["reason"].startswith(f"{SECONDS} key frames; the first: ")
    assert (results["views"], results["videos"], results["key_frames"]) == ([1, 1], 2, 2 * SECONDS - 2)
    folder = detection_run.cfg.AVA.ANNOTATION_DIR
    truth, labels = read_ground_truth(f"{folder}/val_truth.csv"), read_label_map(f"{folder}/labels.pbtxt")
    full = mn.Configuration(1.0, 32, 4)
    rows = read_detections(detection_run.output / f"detections_{full}.csv")
    left_out = {KeyFrame("two", 3), *(KeyFrame("gone", second) for second in range(SECONDS))}
    reached = ava_map(truth, rows, labels, left_out)
    assert reached.map > detection_run.table[full].accuracy
    assert ava_map(truth, rows, labels, left_out | {KeyFrame(*UNSEEN)}).map > reached.map


def test_detections_in_the_official_format(detection_run, capsys):
    """The command of the official evaluation gives the mAP of the run from its file."""
    folder, full = detection_run.cfg.AVA.ANNOTATION_DIR, mn.Configuration(1.0, 32, 4)
    path = detection_run.output / f"detections_{full}.csv"
    arguments = ["-g", f"{folder}/val_truth.csv", "-l", f"{folder}/labels.pbtxt", "-e", f"{folder}/excluded.csv"]
    assert ava_map_command([*arguments, "-d", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["mAP@0.5IOU"] == detection_run.table[full].accuracy / 100
    lines = [line.split(",") for line in path.read_text().splitlines()]
    assert {line[1] for line in lines if line[0] == "one"} == {f"{s:04d}" for s in range(SECONDS) if s != UNSEEN[1]}
    assert {line[6] for line in lines} == {"1", "2", "3"}
    boxes = {tuple(row.split(",")[2:6]) for row in Path(folder, "found.csv").read_text().splitlines()}
    assert {tuple(line[2:6]) for line in lines} <= boxes, "as the detector's file writes them"


def test_validation_sees_every_fourth_second(detection_run):
    model, cfg = mn.load_model(detection_run.output / "model.pyth"), detection_run.cfg
    lines = [json.loads(line) for line in (detection_run.output / "log.jsonl").read_text().splitlines()]
    (line,) = [line for line in lines if line["type"] == "val"]
    assert (line["metric"], line["epoch"]) == ("map", 2)
    assert all("top1" not in line for line in lines)
    val = build_entries(cfg, "val")
    assert {(e.video, e.second) for e in val} == {
        (video, s) for video in ("one", "two", "gone") for s in (0, 4, 8) if (video, s) != UNSEEN
    }
    result = evaluate_grid(model, dataset_of(val, cfg, 1, 1), [model.space.full], cfg)
    (found,) = measures(result, cfg, "val").values()
    assert found.accuracy == pytest.approx(line["map"], abs=1e-6)
    assert "on 9 key frames (5 with detections)" in found.text


def test_report(detection_run):
    page = (detection_run.output / "report.html").read_text()
    for text in ("mAP", "Average precision of each class", "stand", "count as not found", "shorter side 32 pixels"):
        assert text in page
    for text in ("top-1", "cannot be read (", "Classes are numbers", "Test videos</a>", "views of", "None"):
        assert text not in page
    results = json.loads((detection_run.output / "test_results.json").read_text())
    full = results["per_class"]["1.0-32-4"]
    assert all(f'data-value="{ap}"' in page for ap in full.values())


def test_the_cost_is_that_of_a_square_and_the_table_says_so(detection_run):
    """Whatever the shape of the frames, which here are 64 x 48 and 48 x 64."""
    model, table = mn.load_model(detection_run.output / "model.pyth"), detection_run.table
    assert table.provenance["gmacs_of"] == "one view, a square of crop x crop pixels"
    assert table.provenance["crop"] == 32
    for entry in table.entries:
        assert entry.gmacs == mn.complexity(model, entry.configuration, crop=32).gmacs


def test_the_printed_example_has_boxes(detection_run, capsys):
    print_usage(detection_run.table, detection_run.output)
    said = capsys.readouterr().out
    assert "model(clip, best.configuration, boxes)" in said
    assert "predict_net.py" not in said  # which refuses detection networks


def test_the_same_run_again_trains_and_scores_nothing(detection_run, monkeypatch):
    def refuse(*_):
        raise AssertionError("nothing is left to compute")

    before = {entry.configuration: entry.accuracy for entry in detection_run.table.entries}
    monkeypatch.setattr("mutualnet3d.evaluation.detection.KeyFrameScorer.__call__", refuse)
    again = run(detection_run.cfg)
    assert {entry.configuration: entry.accuracy for entry in again.entries} == before


def test_plain_training(ava_data, tmp_path):
    cfg = ava_cfg("slow", ava_data, tmp_path / "plain", "MUTUALNET.ENABLE", False, "SOLVER.MAX_EPOCH", 1)
    (entry,) = run(cfg).entries
    expected, _ = brute_force(mn.load_model(tmp_path / "plain/model.pyth"), cfg, None, tmp_path / "rows.csv")
    assert entry.accuracy == pytest.approx(expected.map, abs=1e-9)
    assert (tmp_path / "plain" / "detections_1.0-32-4.csv").is_file()


REFUSED = [
    (["AVA.GROUNDTRUTH_FILE", "none.csv"], DataError, r"none\.csv"),
    (["AVA.LABEL_MAP_FILE", "none.pbtxt"], DataError, r"none\.pbtxt"),
    (["AVA.EXCLUSION_FILE", "none.csv"], DataError, r"none\.csv"),
    (["AVA.GROUNDTRUTH_FILE", "excluded.csv"], DataError, "no ground truth is left"),
    (["MODEL.NUM_CLASSES", 2], DataError, r"the action is [34]; with MODEL\.NUM_CLASSES 2"),
    (["QUERY_TABLE.SEARCH_VIDEOS", 5], ConfigError, "video by video, which mAP does not allow"),
    (["MODEL.LOSS_FUNC", "cross_entropy"], ConfigError, "set bce or bce_logit, and sigmoid"),
    (["MODEL.HEAD_ACT", "softmax"], ConfigError, "set bce or bce_logit, and sigmoid"),
    (
        ["DETECTION.ENABLE", False, "MODEL.LOSS_FUNC", "cross_entropy", "MODEL.HEAD_ACT", "softmax"],
        ConfigError,
        "boxes",
    ),
    (["DATA.MULTI_LABEL", True], ConfigError, r"DATA\.MULTI_LABEL True"),
]


@pytest.mark.parametrize(("overrides", "error", "message"), REFUSED)
def test_refused_before_training(ava_data, tmp_path, monkeypatch, overrides, error, message):
    monkeypatch.setattr("mutualnet3d.pipeline.train", lambda *_: pytest.fail("training began"))
    with pytest.raises(error, match=message):
        run(ava_cfg("slow", ava_data, tmp_path / "new", *overrides))


def test_a_label_map_above_the_classes(ava_data, tmp_path):
    (tmp_path / "labels.pbtxt").write_text('item { name: "far" id: 5 }')
    cfg = ava_cfg("slow", ava_data, tmp_path / "new", "AVA.LABEL_MAP_FILE", str(tmp_path / "labels.pbtxt"))
    with pytest.raises(ConfigError, match=rf"far has the id 5, and MODEL\.NUM_CLASSES is {len(CLASSES)}"):
        run(cfg)


def test_a_class_without_truth_is_no_zero(ava_data, tmp_path):
    """In test_results.json it is null, in the mean it is left out."""
    labels = (ava_data / "labels.pbtxt").read_text()
    (tmp_path / "labels.pbtxt").write_text(labels)
    truth = [line for line in (ava_data / "val_truth.csv").read_text().splitlines() if line.split(",")[6] != "2"]
    (tmp_path / "truth.csv").write_text("\n".join(truth))
    files = ["AVA.LABEL_MAP_FILE", str(tmp_path / "labels.pbtxt"), "AVA.GROUNDTRUTH_FILE", str(tmp_path / "truth.csv")]
    cfg = ava_cfg("slow", ava_data, tmp_path / "new", *files, "MUTUALNET.ENABLE", False, "SOLVER.MAX_EPOCH", 1)
    (entry,) = run(cfg).entries
    per_class = json.loads((tmp_path / "new/test_results.json").read_text())["per_class"]["1.0-32-4"]
    assert per_class["sit"] is None
    assert math.isclose(entry.accuracy, (per_class["stand"] + per_class["walk"]) / 2)
    assert "–" in (tmp_path / "new" / "report.html").read_text()
