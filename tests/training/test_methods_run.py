"""Every method through the command line: what a run leaves, how it goes on, and what it refuses."""

import json
import os
import signal

import numpy as np
import pytest
import torch
from tiny import tiny_cfg, words

import mutualnet3d as mn
from mutualnet3d.commands.run import main
from mutualnet3d.commands.test import main as evaluate
from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import CheckpointError
from mutualnet3d.evaluation.choice import table_configurations, uncalibrated
from mutualnet3d.evaluation.result import load_scores
from mutualnet3d.methods import METHODS, Method
from mutualnet3d.models.artefact import read_checkpoint
from mutualnet3d.models.space import space_from_config
from mutualnet3d.training.checkpoint import Position, check_method, checkpoint_path, newest_readable, save_checkpoint
from mutualnet3d.training.cost import expected_step_gmacs
from mutualnet3d.training.loop import train

FIXED = Configuration(0.8, 20, 2)
KEYS = {"independent": ["MUTUALNET.FIXED", str(FIXED)], "slimmable": ["MUTUALNET.WIDTHS_TRAINED", [0.63, 0.8, 1.0]]}
ONE_EPOCH = ["SOLVER.MAX_EPOCH", 1, "TRAIN.EVAL_PERIOD", 1, "QUERY_TABLE.WIDTHS", []]
FEW = ["QUERY_TABLE.CONFIGURATIONS", ["0.63-20-2"]]


def keys(name):
    return ["MUTUALNET.METHOD", name, *KEYS.get(name, [])]


@pytest.fixture(scope="module")
def runs(tiny_data, tmp_path_factory):
    """Output folders of a run of one epoch of every method."""
    folder = tmp_path_factory.mktemp("methods")
    for name in METHODS:
        few = [] if name == "independent" else FEW
        assert main(words(tiny_data, folder / name, *ONE_EPOCH, *keys(name), *few)) == 0
    return folder


@pytest.mark.parametrize("name", METHODS)
def test_a_run_from_videos_to_the_table(runs, name):
    table, model = mn.QueryTable.load(runs / name / "query_table.json"), mn.load_model(runs / name / "model.pyth")
    found = {str(entry.configuration) for entry in table.entries}
    assert found == ({str(FIXED)} if name == "independent" else {"0.63-20-2", "1.0-32-4"})
    record = table.provenance["training"]
    assert (record["method"], record["iterations"], record["clips"]) == (name, 4, 8)
    assert record["teacher"] == ("labels" if name in KEYS else "full")
    assert 0 < record["seconds"] < 100
    method = Method.from_cfg(tiny_cfg(*keys(name)), model.space)
    assert record["gmacs"] == pytest.approx(8 * expected_step_gmacs(model, method))
    assert model.training_provenance == record
    shown = (
        f"{name}, sub-networks learn {record['teacher']}, {record['gmacs'] / 1000:.3g} x 10^12 multiply-adds forward"
    )
    assert shown in (runs / name / "report.html").read_text()
    *trained, line = [json.loads(x) for x in (runs / name / "log.jsonl").read_text().splitlines()]
    firsts = [method.draw(iteration)[0] for iteration in range(4)]
    named = [None if first == model.space.full else str(first) for first in firsts]
    assert [each.get("configuration") for each in trained] == named
    assert 0 <= line["top1"] <= 100
    validated = FIXED if name == "independent" else "full"
    assert f"validation of {validated}: " in (runs / name / "stdout.log").read_text()
    np.testing.assert_allclose(load_scores(runs / name / "test_scores.npz").scores.sum(-1), 1, rtol=1e-5)


def test_the_grid_of_every_method():
    """The paper's US-Net+ is a network of ``usnet`` at all resolutions, which the default grid has."""
    resolutions = [f"{s}-{t}" for s in (20, 32) for t in (2, 4)]

    def grid(*widths):
        return {f"{w}-{r}" for w in widths for r in resolutions}

    for name in METHODS:
        own = {"slimmable": grid(0.63, 0.8, 1.0), "independent": {str(FIXED)}}.get(name)
        judged = {str(FIXED)} if name == "independent" else set()
        for overrides, expected in (
            ([], own or grid(0.63, 0.81, 1.0)),
            (["QUERY_TABLE.WIDTH_STEP", 0.2], own or grid(0.63, 0.83, 1.0)),  # slimmable trained no 0.83
            (["QUERY_TABLE.WIDTHS", [0.7, 1.0]], grid(0.7, 1.0) | judged),
            (["QUERY_TABLE.CONFIGURATIONS", ["1.0-32-4"], "QUERY_TABLE.WIDTH_STEP", 0.2], {"1.0-32-4"} | judged),
        ):
            cfg = tiny_cfg(*keys(name), "QUERY_TABLE.WIDTHS", [], *overrides)
            assert {str(c) for c in table_configurations(cfg, space_from_config(cfg))} == expected, (name, overrides)


def test_full_is_calibrated_where_training_does_not_run_it(runs):
    """Multi-scale runs full at times only, so its momentum statistics would be stale."""
    entries = read_checkpoint(checkpoint_path(runs / "multiscale", Position(1)))
    assert list(entries["statistics_provenance"]) == ["1.0-32-4"]
    assert not read_checkpoint(checkpoint_path(runs / "usnet", Position(1)))["statistics_provenance"]
    model = mn.load_model(runs / "multiscale" / "model.pyth")
    cfg = tiny_cfg(*keys("multiscale"))
    assert uncalibrated(model, cfg, (model.space.smallest, model.space.full)) == []
    del model.statistics_provenance[model.space.full]
    assert uncalibrated(model, cfg, (model.space.smallest, model.space.full)) == [model.space.full]
    assert uncalibrated(model, tiny_cfg(), (model.space.smallest, model.space.full)) == []


def test_other_configurations_of_an_independent_network(runs, tiny_data, tmp_path):
    """They can be asked for; full is then calibrated like the others, and not taken at its initial statistics."""
    chosen = ["QUERY_TABLE.CONFIGURATIONS", ["1.0-32-4", "0.63-20-2"], *keys("independent"), *ONE_EPOCH]
    assert main(words(tiny_data, tmp_path / "output", *chosen)) == 0
    table = mn.QueryTable.load(tmp_path / "output" / "query_table.json")
    assert {str(e.configuration) for e in table.entries} == {"1.0-32-4", "0.63-20-2", str(FIXED)}
    model = mn.load_model(tmp_path / "output" / "model.pyth")
    assert set(model.statistics_provenance) == {e.configuration for e in table.entries}
    norm = model.s1.pathway0_stem.bn
    assert norm.running_mean.abs().max() > 0
    without = ["--model", str(runs / "independent" / "model.pyth"), "--configurations", "1.0-32-4"]
    assert evaluate([*without, "OUTPUT_DIR", str(tmp_path / "tested")]) == 1


@pytest.mark.parametrize("name", ["multiscale", "independent", "slimmable"])
def test_a_resumed_run_is_the_uninterrupted_one(tiny_data, tmp_path, name):
    ends, seconds = [], []
    for folder, stop_after in (("whole", None), ("resumed", 6)):
        output = tmp_path / folder
        cfg = tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(output), *keys(name))
        if stop_after:
            with pytest.raises(KeyboardInterrupt):
                train(_stopping(cfg, stop_after), cfg)
            at = read_checkpoint(checkpoint_path(output, Position(1, 2)))["training_provenance"]
            assert (at["iterations"], at["method"]) == (6, name)
            seconds.append(at["seconds"])
        model = mn.build_model(cfg)
        train(model, cfg)
        seconds.append(model.training_provenance["seconds"])
        ends.append(read_checkpoint(checkpoint_path(output, Position(2)))["model_state"])
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(value, ends[1][key]) for key, value in ends[0].items())
    assert seconds[2] > seconds[1] > 0  # those before the stop count


def _stopping(cfg, iteration):
    """A network that asks to be stopped in the first training pass of ``iteration``, from 1."""
    model, per_step, count = mn.build_model(cfg), len(Method.from_cfg(cfg, mn.build_model(cfg).space).slots), 0

    def count_and_stop(*_):
        nonlocal count
        count += model.training
        if model.training and count == per_step * (iteration - 1) + 1:
            os.kill(os.getpid(), signal.SIGINT)

    model.register_forward_pre_hook(count_and_stop)
    return model


def test_a_checkpoint_of_another_method_is_refused(runs, tiny_data, capsys):
    for name, overrides, message in (
        ("mutual", keys("usnet"), "METHOD mutual, the config says usnet"),
        ("mutual", ["MUTUALNET.ENABLE", False], "METHOD mutual, the config says plain"),
        ("mutual", [*keys("mutual"), "MUTUALNET.NUM_RANDOM", 3], "NUM_RANDOM 1, the config says 3"),
        (
            "independent",
            [*keys("independent"), "MUTUALNET.FIXED", "1.0-32-4"],
            "FIXED 0.8-20-2, the config says 1.0-32-4",
        ),
    ):
        cfg = tiny_cfg("OUTPUT_DIR", str(runs / name), "DATA.PATH_TO_DATA_DIR", str(tiny_data), *overrides)
        with pytest.raises(CheckpointError, match=f"{message}; choose another OUTPUT_DIR"):
            train(mn.build_model(cfg), cfg)


@pytest.mark.parametrize(
    ("name", "other"),
    [("slimmable", ["MUTUALNET.WIDTHS_TRAINED", [0.9, 1.0]]), ("independent", ["MUTUALNET.FIXED", "0.9-20-2"])],
)
def test_a_checkpoint_of_another_space_is_refused(tiny_data, tmp_path, name, other):
    """Its configurations cannot even be named in this space."""
    words = ["DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(tmp_path), *keys(name)]
    cfg = tiny_cfg(*words)
    model, scaler = mn.build_model(cfg), torch.amp.GradScaler("cpu", enabled=False)
    save_checkpoint(tmp_path, model, torch.optim.SGD(model.parameters(), 0.1), scaler, cfg, Position(1))
    cfg = tiny_cfg(*words, *other, "MUTUALNET.WIDTH", [0.9, 1.0], "QUERY_TABLE.WIDTHS", [])
    with pytest.raises(CheckpointError, match=r"was trained for .*0\.63.*the config asks for .*0\.9"):
        train(mn.build_model(cfg), cfg)


def test_a_position_within_an_epoch_is_of_its_batch_size(tiny_data, tmp_path):
    output = tmp_path / "output"
    words = ["DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(output), *keys("independent")]
    cfg = tiny_cfg(*words)
    with pytest.raises(KeyboardInterrupt):
        train(_stopping(cfg, 6), cfg)
    assert newest_readable(output)[0] == checkpoint_path(output, Position(1, 2))
    other = tiny_cfg(*words, "TRAIN.BATCH_SIZE", cfg.TRAIN.BATCH_SIZE // 2)
    with pytest.raises(CheckpointError, match="within an epoch of batches of 12 clips in 6 iterations, now 1 are one"):
        train(mn.build_model(other), other)
    path, entries = newest_readable(output)
    method = Method.from_cfg(other, space_from_config(other))
    for older in ({}, {"method": "independent"}):  # as files of older versions are
        check_method(entries | {"training_provenance": older}, method, other, 1, path)
    with pytest.raises(CheckpointError, match="batches of 12 clips"):
        check_method(entries, method, other, 1, path)


def test_labels_in_place_of_a_teacher(tiny_data, tmp_path):
    keys = ["MUTUALNET.TEACHER", "labels", "MUTUALNET.NUM_RANDOM", 0, "TEST.ENABLE", False, *ONE_EPOCH]
    assert main(words(tiny_data, tmp_path / "output", *keys)) == 0
    record = mn.load_model(tmp_path / "output" / "model.pyth").training_provenance
    assert (record["method"], record["teacher"]) == ("mutual", "labels")
    lines = [json.loads(line) for line in (tmp_path / "output" / "log.jsonl").read_text().splitlines()]
    losses = [line["loss_smallest"] for line in lines if line["type"] == "train"]
    assert losses[0] == pytest.approx(np.log(3), abs=0.5)  # cross-entropy of three classes, not a divergence near 0


def test_labels_until_full_can_teach(tiny_data, tmp_path):
    keys = ["MUTUALNET.LABEL_EPOCHS", 1.5, "MUTUALNET.NUM_RANDOM", 0, "TEST.ENABLE", False, "SOLVER.BASE_LR", 0.0]
    assert main(words(tiny_data, tmp_path, *keys, "SOLVER.WARMUP_EPOCHS", 0, "SOLVER.COSINE_END_LR", 0.0)) == 0
    assert mn.load_model(tmp_path / "model.pyth").training_provenance["teacher"] == "labels for 1.5 epochs, then full"
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss_smallest"] for line in lines if line["type"] == "train"]
    assert len(losses) == 8  # 2 epochs of 4 iterations, by a network that learns nothing
    assert min(losses[:6]) > np.log(3) / 2
    assert max(losses[6:]) < np.log(3) / 4
    places = ["DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(tmp_path)]
    other = tiny_cfg(*places, "MUTUALNET.NUM_RANDOM", 0, "MUTUALNET.LABEL_EPOCHS", 1.0)
    with pytest.raises(CheckpointError, match=r"LABEL_EPOCHS 1\.5, the config says 1\.0"):
        train(mn.build_model(other), other)
