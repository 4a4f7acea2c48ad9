"""tools/calibrate_net.py: statistics into a model file."""

import hashlib
import shutil
from unittest import mock

import pytest
import torch
from processes import torchrun
from test_test_net import refused, words
from tiny import ROOT

import mutualnet3d as mn
from mutualnet3d.commands.calibrate import main
from mutualnet3d.commands.test import main as evaluate

NEW = mn.Configuration(0.7, 20, 4)


@pytest.fixture
def model(trained, tmp_path):
    """A copy of the model file."""
    return shutil.copy(trained.model, tmp_path / "model.pyth")


def test_a_configuration_is_added_and_the_rest_stays(trained, model, tiny_data, said):
    assert main(words("--model", model, "--configurations", NEW)) == 0
    assert "8 configurations are calibrated" in said()
    before, after = mn.load_model(trained.model), mn.load_model(model)
    assert set(after.calibrated) == {*before.calibrated, NEW}
    state = after.state_dict()
    assert all(torch.equal(state[name], value) for name, value in before.state_dict().items())
    found = after.statistics_provenance[NEW]
    assert {key: found[key] for key in ("list", "list_sha256", "batches", "clips", "batch_size")} == {
        "list": str(tiny_data / "train.csv"),
        "list_sha256": hashlib.sha256((tiny_data / "train.csv").read_bytes()).hexdigest(),
        **{"batches": 2, "clips": 4, "batch_size": 2},
    }
    assert after.statistics_provenance[mn.Configuration(0.63, 20, 2)]["clips"] == 4
    assert evaluate(words("--model", model, "--configurations", NEW, "OUTPUT_DIR", model.parent / "tested")) == 0


def test_the_folder_of_a_run_stands_for_its_model_file(model):
    assert main(words("--model", model.parent, "--configurations", NEW)) == 0
    assert NEW in mn.load_model(model).calibrated
    tested = model.parent / "tested"
    assert evaluate(words("--model", model.parent, "--configurations", NEW, "OUTPUT_DIR", tested)) == 0
    assert mn.QueryTable.load(tested / "query_table.json").entries[0].configuration == NEW


def test_the_model_file_is_read_once(model, monkeypatch):
    read, paths = torch.load, []
    monkeypatch.setattr(torch, "load", lambda path, **options: (paths.append(path), read(path, **options))[1])
    assert main(words("--model", model, "--configurations", NEW)) == 0
    assert [str(path) for path in paths] == [str(model)]


def test_recomputing_gives_the_same_statistics(trained, model):
    """The same clips as those of the run that trained it; memory may lie otherwise, hence the tolerance."""
    assert main(words("--model", model)) == 0
    before, after = mn.load_model(trained.model), mn.load_model(model)
    assert before.calibrated == after.calibrated
    for name, value in before.state_dict().items():
        torch.testing.assert_close(after.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_clips_instead_of_batches_into_another_file(trained, model, tmp_path):
    before = model.read_bytes()
    overrides = ["CALIBRATION.NUM_CLIPS", 7, "CALIBRATION.BATCH_SIZE", 3]
    output = tmp_path / "new.pyth"
    assert main(words("--model", model, "--configurations", NEW, "--output", output, *overrides)) == 0
    assert model.read_bytes() == before
    found = mn.load_model(output).statistics_provenance[NEW]
    assert (found["batches"], found["clips"], found["batch_size"]) == (3, 9, 3)


def test_the_front_of_a_table(trained, model, tmp_path):
    assert main(words("--model", model, "--table", trained.output / "query_table.json", "RNG_SEED", 5)) == 0
    front = {e.configuration for e in mn.QueryTable.load(trained.output / "query_table.json").pareto()}
    after = mn.load_model(model)
    seeds = {c: source["seed"] for c, source in after.statistics_provenance.items()}
    assert {c for c, seed in seeds.items() if seed == 6} == front - {after.space.full}
    assert len(seeds) == 7


def test_full_is_recomputed_only_by_name(trained, model):
    assert main(words("--model", model, "--configurations", "1.0-32-4")) == 0
    before, after = (mn.load_model(path).state_dict() for path in (trained.model, model))
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert changed
    assert all(name.endswith(("running_mean", "running_var")) for name in changed)


def test_two_processes_store_what_one_does(trained, model, tmp_path):
    arguments = ["--model", model, "--configurations", NEW, "CALIBRATION.NUM_BATCHES", 3]
    assert main(words(*arguments, "--output", tmp_path / "one.pyth")) == 0
    done = torchrun(
        2, ROOT / "tools" / "calibrate_net.py", *arguments[:4], "--output", tmp_path / "two.pyth", *arguments[4:]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("calibrating 1 configurations on 3 batches") == 1
    one, two = (mn.load_model(tmp_path / f"{name}.pyth") for name in ("one", "two"))
    for name, value in one.state_dict().items():
        torch.testing.assert_close(two.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    assert two.statistics_provenance[NEW]["clips"] == 6


def test_errors(trained, model, tmp_path, said, monkeypatch):
    monkeypatch.setattr("test_test_net.main", main)
    for arguments, message in (
        (["--model", model, "--configurations", "0.5-20-2"], "ConfigurationError: width 0.5"),
        (["--model", model, "--table", tmp_path / "none.json"], "QueryTableError: "),
        (["--model", model, "DATA.PATH_TO_DATA_DIR", tmp_path], "DataError: "),
        (["--model", model, "QUERY_TABLE.CONFIGURATIONS", ["1.0-32-4"]], "there is nothing to calibrate"),
        (["--model", tmp_path / "none.pyth"], "CheckpointError: "),
    ):
        assert message in refused(arguments, said)
    for arguments in ([], ["--model", model, "--table", "a", "--configurations", "b"]):
        with pytest.raises(SystemExit) as stopped:
            main(words(*arguments))
        assert stopped.value.code == 2


def test_what_ends_it(model, said, monkeypatch):
    """The machine's faults are named as in a run, with the folder of the model file; the file stays."""
    before = model.read_bytes()
    name = "mutualnet3d.commands.calibrate.calibrate_on_list"
    for error, status, message in (
        (KeyboardInterrupt(), 130, "stopped; the model file is as it was"),
        (MemoryError(), 1, "ResourceError: out of memory (no more memory); lower"),
        (OSError(28, "No space left on device"), 1, f"ResourceError: {model.parent} cannot take more files"),
    ):
        monkeypatch.setattr(name, mock.Mock(side_effect=error))
        assert main(words("--model", model)) == status
        assert message in said()
    assert model.read_bytes() == before
