"""Command lines given spoiled files: status 1 and one line that names what is wrong; --trust-pickle."""

import json
import os
import re
import shutil

import pytest
import torch

from mutualnet3d.commands.calibrate import main as calibrate_net
from mutualnet3d.commands.export import main as export_net
from mutualnet3d.commands.query import main as query_net
from mutualnet3d.commands.report import main as report_net
from mutualnet3d.commands.run import main as run_net
from mutualnet3d.commands.test import main as evaluate_net
from mutualnet3d.deployment import open_deployment
from mutualnet3d.errors import MutualNetError
from mutualnet3d.models import build_model
from tests.tiny import OVERRIDES, RECIPE, tiny_cfg


@pytest.fixture
def fails(capfd, caplog):
    """``fails(main, words)``: the one line that the command says before it ends with status 1."""

    def check(main, *words) -> str:
        capfd.readouterr()
        caplog.clear()
        assert main([str(word) for word in words]) == 1
        out, err = capfd.readouterr()
        said = [*(out + err).splitlines(), *(line for message in caplog.messages for line in message.split("\n"))]
        lines = [line for line in said if "Error: " in line]
        assert len(lines) == 1, said
        assert "Traceback" not in out + err
        assert lines[0].isprintable()
        return lines[0]

    return check


def test_tables_models_configs_and_folders(tmp_path, fails):
    bad = tmp_path / "bad"
    bad.write_bytes(b'\x80\x04{"a": [\x1b[31m\n\n')
    (tmp_path / "a\x1b[31m.yaml").write_text("SOLVER:\n  BASE_LR: [1\n")
    assert "QueryTableError" in fails(query_net, bad)
    assert "CheckpointError" in fails(evaluate_net, "--model", bad)
    assert "CheckpointError" in fails(calibrate_net, "--model", bad)
    assert "Error" in fails(export_net, "--model", bad, "--output", tmp_path / "out")
    assert "DataError" in fails(report_net, tmp_path)
    line = fails(run_net, "--cfg", tmp_path / "a\x1b[31m.yaml")
    assert r"a\x1b[31m.yaml" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a\x1b[31m.yaml", "bad"]


def test_a_list_that_is_none(tmp_path, fails):
    (tmp_path / "train.csv").write_bytes(b"\xff\xfe\x00")
    words = [*("--cfg", RECIPE), *OVERRIDES, "DATA.PATH_TO_DATA_DIR", tmp_path, "OUTPUT_DIR", tmp_path / "out"]
    assert re.search(r"DataError: .*train\.csv: is not UTF-8", fails(run_net, *words))


class Runs:
    """Makes a folder when it is read as an ordinary pickle."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_the_way_out_for_a_pickle_that_wants_code(tmp_path, tiny_data, fails):
    """Refused, with the option in the message; no config can give it; with it the file is read as it wants."""
    trace, path = tmp_path / "ran", tmp_path / "zoo.pyth"
    state = build_model(tiny_cfg()).state_dict()
    torch.save({"model_state": state, "extra": Runs(trace)}, path)
    words = [*("--cfg", RECIPE), *OVERRIDES, *("DATA.PATH_TO_DATA_DIR", tiny_data, "OUTPUT_DIR", tmp_path / "out")]
    words += [*("TRAIN.ENABLE", False, "MUTUALNET.ENABLE", False, "TEST.ENABLE", False)]
    for key in ("TEST.CHECKPOINT_FILE_PATH", "TRAIN.CHECKPOINT_FILE_PATH"):
        line = fails(run_net, *words, key, path)
        assert "WeightsError" in line
        assert "--trust-pickle" in line
        assert not trace.exists()
        assert run_net([str(word) for word in (*words, key, path, "--trust-pickle")]) == 0
        assert trace.is_dir()
        trace.rmdir()
    (tmp_path / "a.yaml").write_text("TRUST_PICKLE: True\n")
    assert "unknown key TRUST_PICKLE" in fails(run_net, "--cfg", tmp_path / "a.yaml")


def test_manifests_and_lists_make_nothing_be_written_outside(tmp_path, tiny_export):
    """An export whose manifest names other places is opened, or refused; the places stay as they are."""
    place = tmp_path / "a" / "export"
    shutil.copytree(tiny_export, place)
    values = json.loads((place / "manifest.json").read_text())
    for network in values["networks"]:
        network["files"] = {f"../../{name}": each for name, each in network["files"].items()}
    (place / "manifest.json").write_text(json.dumps(values))
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(MutualNetError, match="outside the export directory"):
        open_deployment(place)
    assert sorted(path for path in tmp_path.rglob("*")) == before
