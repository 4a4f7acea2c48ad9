"""The model file says where its statistics come from."""

import re

import pytest
import torch
from tiny import tiny_cfg

import mutualnet3d as mn
from mutualnet3d.calibration import discard_statistics
from mutualnet3d.errors import CheckpointError, WeightsError
from mutualnet3d.models import Slow
from mutualnet3d.models.artefact import save_model

SMALL, MIDDLE = mn.Configuration(0.63, 20, 2), mn.Configuration(0.8, 32, 4)


def calibrated():
    model = mn.build_model(tiny_cfg())
    assert model.statistics_provenance == {}
    mn.calibrate(model, [torch.randn(n, 3, 4, 32, 32) for n in (2, 3)], [SMALL], source={"list": "here", "seed": 7})
    mn.calibrate(model, [torch.randn(4, 3, 4, 32, 32)], [MIDDLE, model.space.full])
    return model


def test_provenance_of_each_configuration():
    provenance = calibrated().statistics_provenance
    assert set(provenance) == {SMALL, MIDDLE, mn.Configuration(1.0, 32, 4)}
    small = provenance[SMALL]
    assert {k: small[k] for k in ("list", "seed", "batches", "clips", "mutualnet3d")} == {
        **{"list": "here", "seed": 7, "batches": 2, "clips": 5},
        "mutualnet3d": mn.__version__,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", small["date"])
    assert (provenance[MIDDLE]["batches"], provenance[MIDDLE]["clips"]) == (1, 4)
    assert "list" not in provenance[MIDDLE]


def test_it_survives_saving_twice(tmp_path):
    model = calibrated()
    save_model(tmp_path / "one.pyth", model, tiny_cfg())
    loaded = mn.load_model(tmp_path / "one.pyth")
    assert loaded.statistics_provenance == model.statistics_provenance
    save_model(tmp_path / "two.pyth", loaded, tiny_cfg())
    assert mn.load_model(tmp_path / "two.pyth").statistics_provenance == model.statistics_provenance


def test_it_comes_with_weights(tmp_path):
    """load_weights: into a network whose own statistics, and what was known of them, leave with its weights."""
    model, other = calibrated(), mn.build_model(tiny_cfg())
    save_model(tmp_path / "model.pyth", model, tiny_cfg())
    wide = mn.Configuration(0.9, 32, 4)
    mn.calibrate(other, [torch.randn(2, 3, 4, 32, 32)], [wide])
    mn.load_weights(other, tmp_path / "model.pyth")
    assert set(other.calibrated) == set(model.calibrated)
    assert other.statistics_provenance == model.statistics_provenance
    mn.load_weights(other, mn.build_model(tiny_cfg()).state_dict())
    assert other.statistics_provenance == {}
    entries = torch.load(tmp_path / "model.pyth", weights_only=True) | {"statistics_provenance": [1]}
    with pytest.raises(WeightsError, match="its statistics_provenance is malformed"):
        mn.load_weights(other, entries)


def test_every_network_has_one():
    """Without build_model too."""
    assert Slow(tiny_cfg()).statistics_provenance == {}


def test_it_goes_with_the_statistics():
    model = calibrated()
    discard_statistics(model, [MIDDLE])
    assert set(model.statistics_provenance) == {SMALL, model.space.full}
    assert model.calibrated == (model.space.full, SMALL)
    discard_statistics(model)
    assert model.statistics_provenance == {}
    assert model.calibrated == (model.space.full,)


def test_recalibration_replaces_it():
    model = calibrated()
    mn.calibrate(model, [torch.randn(6, 3, 4, 32, 32)], [SMALL])
    assert model.statistics_provenance[SMALL]["clips"] == 6
    assert "list" not in model.statistics_provenance[SMALL]


def test_files_of_older_versions_say_nothing(tmp_path):
    save_model(tmp_path / "model.pyth", calibrated(), tiny_cfg())
    entries = torch.load(tmp_path / "model.pyth", weights_only=True)
    del entries["statistics_provenance"]
    torch.save(entries, tmp_path / "old.pyth")
    old = mn.load_model(tmp_path / "old.pyth")
    assert old.statistics_provenance == {}
    assert set(old.calibrated) == {SMALL, MIDDLE, old.space.full}
    for malformed in ({"none": {}}, {"0.63-20-2": 3}, [1]):
        torch.save(entries | {"statistics_provenance": malformed}, tmp_path / "bad.pyth")
        with pytest.raises(CheckpointError, match=r"bad\.pyth: its statistics_provenance is malformed"):
            mn.load_model(tmp_path / "bad.pyth")
