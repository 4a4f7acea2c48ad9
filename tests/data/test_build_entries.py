"""From the name of a dataset to its videos."""

import pytest

from mutualnet3d.data.build import build_entries
from mutualnet3d.errors import ConfigError


def test_kinetics_in_any_spelling(cfg, tmp_path):
    (tmp_path / "val.csv").write_text("a.mp4 1\n")
    (tmp_path / "test.csv").write_text("b.mp4 2\n")
    cfg.DATA.PATH_TO_DATA_DIR, cfg.TRAIN.DATASET, cfg.TEST.DATASET = str(tmp_path), "Kinetics", "kinetics"
    assert build_entries(cfg, "val") == [("a.mp4", 1)]
    assert build_entries(cfg, "test") == [("b.mp4", 2)]


@pytest.mark.parametrize(("split", "node"), [("train", "TRAIN"), ("val", "TRAIN"), ("test", "TEST")])
def test_unknown_datasets_are_refused(cfg, split, node):
    cfg[node].DATASET = "imagenet21k"
    with pytest.raises(ConfigError, match=rf"{node}\.DATASET is 'imagenet21k'.*kinetics, synthetic"):
        build_entries(cfg, split)


def test_synthetic_is_rendered_first(cfg, tmp_path):
    motions = pytest.importorskip("mutualnet3d.data.synthetic_motion").MOTIONS
    pytest.importorskip("mutualnet3d.data.synthetic")
    cfg.TRAIN.DATASET, cfg.MODEL.NUM_CLASSES = "synthetic", len(motions)
    cfg.DATA.PATH_TO_DATA_DIR = str(tmp_path / "videos")
    cfg.SYNTHETIC.NUM_TRAIN = cfg.SYNTHETIC.NUM_VAL = cfg.SYNTHETIC.NUM_TEST = 1
    cfg.SYNTHETIC.NUM_FRAMES = 10
    entries = build_entries(cfg, "train")
    assert sorted(entry.label for entry in entries) == list(range(len(motions)))
    assert all((tmp_path / "videos").joinpath(entry.path).is_file() for entry in entries)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"TRAIN.DATASET": "charades"}, r"TRAIN\.DATASET is 'charades' and TEST\.DATASET 'kinetics'.*the same one"),
        ({"TRAIN.DATASET": "ava", "TEST.DATASET": "Ava"}, r"ava and DETECTION\.ENABLE False; it must be True"),
        ({"TRAIN.DATASET": "charades", "TEST.DATASET": "charades"}, r"DATA\.MULTI_LABEL False; it must be True"),
        ({"DATA.MULTI_LABEL": True}, r"kinetics and DATA\.MULTI_LABEL True; it must be False"),
        ({"DETECTION.ENABLE": True}, r"kinetics and DETECTION\.ENABLE True; it must be False"),
    ],
)
def test_what_does_not_fit_together_is_refused(cfg, overrides, message):
    for key, value in overrides.items():
        node, name = key.split(".")
        cfg[node][name] = value
    with pytest.raises(ConfigError, match=message):
        build_entries(cfg, "train")
