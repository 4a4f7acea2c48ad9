"""Evaluation that is cut off goes on, and two real processes give what one gives."""

import json
from pathlib import Path

import pytest
import torch
from processes import torchrun
from task_runs import SECONDS
from tiny import ROOT

from mutualnet3d.config import load_config
from mutualnet3d.evaluation.detection import KeyFrameScorer
from mutualnet3d.evaluation.grid import VideoScorer
from mutualnet3d.evaluation.result import load_scores
from mutualnet3d.pipeline import run

FEW = ["QUERY_TABLE.CONFIGURATIONS", ["1.0-32-4", "0.63-20-2"], "TEST.NUM_ENSEMBLE_VIEWS", 2]


def again(finished, output: Path, *overrides):
    """A config that tests the model file of a finished run into ``output``."""
    model = ["TEST.CHECKPOINT_FILE_PATH", str(finished.output / "model.pyth"), "TRAIN.ENABLE", False]
    return load_config(finished.output / "config.yaml", ["OUTPUT_DIR", str(output), *model, *FEW, *overrides])


def interrupted(finished, output, scorer, monkeypatch):
    """Stopped after two groups of items, then gone on; how many groups each part scored."""
    original, counts = scorer.__call__, [0]

    def stopping(self, items):
        if counts == [2]:
            raise KeyboardInterrupt
        counts[-1] += 1
        return original(self, items)

    monkeypatch.setattr(scorer, "__call__", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(again(finished, output, "TEST.BATCH_SIZE", 1))
    assert (output / "test_scores").is_dir()
    counts.append(0)
    run(again(finished, output, "TEST.BATCH_SIZE", 1))
    return counts


def same_scores(one: Path, other: Path, exactly: bool):
    first, second = (load_scores(folder / "test_scores.npz") for folder in (one, other))
    tolerance = {"rtol": 0, "atol": 0} if exactly else {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(first.scores, second.scores, **tolerance)
    assert (first.paths, first.missing, first.configurations) == (second.paths, second.missing, second.configurations)
    assert torch.equal(first.indices, second.indices)
    assert torch.equal(first.labels, second.labels)
    assert (first.boxes is None) == (second.boxes is None)
    assert first.boxes is None or torch.equal(first.boxes, second.boxes)
    results = [json.loads((folder / "test_results.json").read_text()) for folder in (one, other)]
    assert not exactly or results[0] == results[1]


def test_key_frames(detection_run, tmp_path, monkeypatch):
    groups = 3 * SECONDS - 2  # one unseen, one excluded
    assert interrupted(detection_run, tmp_path / "cut", KeyFrameScorer, monkeypatch) == [2, groups - 2]
    run(again(detection_run, tmp_path / "whole", "TEST.BATCH_SIZE", 1))
    same_scores(tmp_path / "cut", tmp_path / "whole", exactly=True)


def test_videos(charades_run, tmp_path, monkeypatch):
    assert interrupted(charades_run, tmp_path / "cut", VideoScorer, monkeypatch) == [2, 2]
    run(again(charades_run, tmp_path / "whole", "TEST.BATCH_SIZE", 1))
    same_scores(tmp_path / "cut", tmp_path / "whole", exactly=True)


def test_other_boxes_are_scored_anew(detection_run, ava_data, tmp_path):
    """Neither moved boxes nor another RoIAlign may take the scores that are there."""
    run(again(detection_run, tmp_path / "out"))
    before = load_scores(tmp_path / "out" / "test_scores.npz")
    run(again(detection_run, tmp_path / "out", "DETECTION.ALIGNED", not detection_run.cfg.DETECTION.ALIGNED))
    assert not torch.equal(load_scores(tmp_path / "out" / "test_scores.npz").scores, before.scores)
    moved = (ava_data / "found.csv").read_text().replace(",0.95\n", ",0.96\n").replace("one,1,0.", "one,1,0.0")
    (tmp_path / "moved.csv").write_text(moved)
    run(again(detection_run, tmp_path / "out", "AVA.TEST_PREDICT_BOX_LISTS", [str(tmp_path / "moved.csv")]))
    after = load_scores(tmp_path / "out" / "test_scores.npz")
    differing = {path for path, a, b in zip(before.paths, before.boxes, after.boxes, strict=True) if (a != b).any()}
    assert differing == {"one,1"}
    rows = torch.tensor([path == "one,1" for path in before.paths])
    assert not torch.equal(after.scores[:, rows], before.scores[:, rows])


@pytest.mark.parametrize("detection_run", ["slowfast"], indirect=True)
def test_two_processes_on_key_frames(detection_run, tmp_path):
    shared_equals_alone(detection_run, tmp_path)


@pytest.mark.parametrize("charades_run", ["segments"], indirect=True)
def test_two_processes_on_videos(charades_run, tmp_path):
    shared_equals_alone(charades_run, tmp_path)


def shared_equals_alone(finished, folder):
    cfg = again(finished, folder / "shared")
    (folder / "config.yaml").write_text(cfg.dump())
    done = torchrun(2, ROOT / "tools" / "run_net.py", "--cfg", folder / "config.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    run(again(finished, folder / "alone"))
    same_scores(folder / "shared", folder / "alone", exactly=False)
    names = [{path.name for path in (folder / name).iterdir()} for name in ("shared", "alone")]
    assert names[0] - {"stdout.log"} == names[1]
