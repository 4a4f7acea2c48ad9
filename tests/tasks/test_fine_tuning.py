"""From a network that was trained mutually on single labels to both tasks, with BatchNorm frozen."""

import logging
import signal

import pytest
import torch
from task_runs import ava_cfg, charades_cfg
from tiny import tiny_cfg

import mutualnet3d as mn
from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import ConfigurationError
from mutualnet3d.models.artefact import save_model
from mutualnet3d.pipeline import run

FROZEN = ["MODEL.FROZEN_BN", True, "SOLVER.MAX_EPOCH", 1]
CALIBRATED = (Configuration(0.63, 20, 2), Configuration(0.63, 32, 4), Configuration(1.0, 20, 2))
TABLE = ["QUERY_TABLE.CONFIGURATIONS", ["1.0-32-4", *map(str, CALIBRATED)]]


@pytest.fixture(scope="session")
def kinetics_model(tmp_path_factory):
    """A single-label network of 3 classes with statistics of some configurations."""
    torch.manual_seed(3)
    cfg = tiny_cfg()
    model = mn.build_model(cfg)
    clips = [torch.randn(4, 3, 4, 32, 32) for _ in range(2)]
    mn.calibrate(model, clips, [model.space.full, *CALIBRATED])
    path = tmp_path_factory.mktemp("kinetics") / "model.pyth"
    save_model(path, model, cfg)
    return path


@pytest.fixture
def task(request, ava_data, charades_data, tmp_path):
    if request.param == "ava":
        return lambda *words: ava_cfg("slow", ava_data, tmp_path / "tuned", *words)
    return lambda *words: charades_cfg(
        "slow", charades_data, tmp_path / "tuned", "frames", "TEST.NUM_ENSEMBLE_VIEWS", 1, *words
    )


both = pytest.mark.parametrize("task", ["ava", "charades"], indirect=True)


@both
def test_adaptive_with_frozen_statistics(task, kinetics_model, caplog):
    """Statistics stay those of the source, so that no configuration is calibrated; weights move, the head is new."""
    caplog.set_level(logging.INFO, "mutualnet3d")
    cfg = task("TRAIN.CHECKPOINT_FILE_PATH", str(kinetics_model), *FROZEN, *TABLE, "BN.USE_PRECISE_STATS", True)
    table = run(cfg)
    assert "head.projection.weight (3, 256) -> (4, 256)" in caplog.text
    assert "left as initialised, other shape" in caplog.text
    assert "calibrating" not in caplog.text
    assert {e.configuration for e in table.entries} == {Configuration(1.0, 32, 4), *CALIBRATED}
    source, tuned = mn.load_model(kinetics_model), mn.load_model(f"{cfg.OUTPUT_DIR}/model.pyth")
    assert set(tuned.calibrated) == set(source.calibrated)
    before, after = source.state_dict(), tuned.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        if "running_" in name or ".statistics." in name or "num_batches" in name:
            assert torch.equal(after[name], value), name
        elif value.ndim > 1:
            assert after[name].shape != value.shape or not torch.equal(after[name], value), name


@both
def test_plain_with_frozen_statistics(task, kinetics_model):
    """The weights move under full alone: statistics of the others would be of another network, and are gone."""
    cfg = task("TRAIN.CHECKPOINT_FILE_PATH", str(kinetics_model), *FROZEN, "MUTUALNET.ENABLE", False)
    (entry,) = run(cfg).entries
    tuned = mn.load_model(f"{cfg.OUTPUT_DIR}/model.pyth")
    assert tuned.calibrated == (tuned.space.full,) == (entry.configuration,)


@both
def test_adaptive_with_statistics_anew(task, kinetics_model, caplog):
    caplog.set_level(logging.INFO, "mutualnet3d")
    cfg = task("TRAIN.CHECKPOINT_FILE_PATH", str(kinetics_model), "SOLVER.MAX_EPOCH", 1, *TABLE)
    run(cfg)
    assert "calibrating 3 configurations" in caplog.text
    before, after = (mn.load_model(p).state_dict() for p in (kinetics_model, f"{cfg.OUTPUT_DIR}/model.pyth"))
    changed = [name for name in before if ".statistics." in name and not torch.equal(before[name], after[name])]
    assert len(changed) > 50


@both
def test_another_space_than_the_source(task, kinetics_model):
    """Weights do not depend on sizes and lengths; statistics do, and those that are of no configuration here go."""
    words = ["TRAIN.CHECKPOINT_FILE_PATH", str(kinetics_model), "SOLVER.MAX_EPOCH", 1, "MUTUALNET.SPATIAL", [24, 32]]
    cfg = task(*words, "MUTUALNET.ENABLE", False)
    (entry,) = run(cfg).entries
    assert entry.configuration == Configuration(1.0, 32, 4)
    assert mn.load_model(f"{cfg.OUTPUT_DIR}/model.pyth").calibrated == (entry.configuration,)


@both
def test_frozen_without_statistics(task):
    with pytest.raises(ConfigurationError, match=r"0\.63-20-2 has no frozen BatchNorm statistics"):
        run(task(*FROZEN))


@both
def test_stopped_and_gone_on_is_the_same(task, kinetics_model, tmp_path, monkeypatch):
    """With momentum and dropout; every parameter, statistic and score."""
    from mutualnet3d.training.loop import _Run

    words = ["TRAIN.CHECKPOINT_FILE_PATH", str(kinetics_model), "MODEL.FROZEN_BN", True, *TABLE]
    whole = run(task(*words, "OUTPUT_DIR", str(tmp_path / "whole")))
    original, left = _Run.train_iteration, [4]

    def stopping(self, *arguments):
        loss = original(self, *arguments)
        left[0] -= 1
        if not left[0]:
            signal.raise_signal(signal.SIGTERM)
        return loss

    monkeypatch.setattr(_Run, "train_iteration", stopping)
    cfg = task(*words)
    with pytest.raises(KeyboardInterrupt):
        run(cfg)
    assert not (tmp_path / "tuned" / "model.pyth").exists()
    table = run(cfg)
    assert [(e.configuration, e.accuracy) for e in table.entries] == [
        (e.configuration, e.accuracy) for e in whole.entries
    ]
    one, other = (mn.load_model(tmp_path / name / "model.pyth").state_dict() for name in ("whole", "tuned"))
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())
