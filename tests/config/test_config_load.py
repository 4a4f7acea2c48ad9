"""Files, overrides, types, unknown keys."""

import logging
from pathlib import Path

import pytest

from mutualnet3d.config import check_config, get_cfg, load_config, load_config_text
from mutualnet3d.config.supported import check_supported
from mutualnet3d.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="a.yaml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write_file


def test_defaults_are_a_plain_run_and_every_call_gives_a_new_copy():
    cfg = load_config()
    assert cfg == get_cfg()
    assert cfg.MUTUALNET.ENABLE is False
    assert cfg.DATA.DECODING_BACKEND == "pyav"
    cfg.MUTUALNET.WIDTH.append(3)
    assert get_cfg().MUTUALNET.WIDTH == [0.63, 1.0]


def test_later_files_win_and_overrides_win_over_files(write):
    first = write("SOLVER: {BASE_LR: 0.2, MAX_EPOCH: 5}\n")
    second = write("SOLVER: {BASE_LR: 0.4}\n", "b.yaml")
    cfg = load_config([str(first), second], ["SOLVER.MAX_EPOCH", 7])
    assert (cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_EPOCH) == (0.4, 7)


def test_base_files(write):
    write("SOLVER: {BASE_LR: 0.2, MAX_EPOCH: 5}\n", "base.yaml")
    write("SOLVER: {MOMENTUM: 0.5}\n", "other.yaml")
    cfg = load_config(write("_BASE_: [base.yaml, other.yaml]\nSOLVER:\n  BASE_LR: 0.3\n"))
    assert (cfg.SOLVER.BASE_LR, cfg.SOLVER.MAX_EPOCH, cfg.SOLVER.MOMENTUM) == (0.3, 5, 0.5)


def test_yaml_anchors(write):
    cfg = load_config(write("TRAIN: &one {BATCH_SIZE: 8}\nTEST: {<<: *one, NUM_SPATIAL_CROPS: 1}\n"))
    assert (cfg.TRAIN.BATCH_SIZE, cfg.TEST.BATCH_SIZE, cfg.TEST.NUM_SPATIAL_CROPS) == (8, 8, 1)


def test_empty_file_and_empty_node(write):
    assert load_config(write("# nothing\n")) == get_cfg()
    assert load_config(write("SOLVER:\n")) == get_cfg()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("SOLVER.BASE_LR", 1, 1.0),
        ("SOLVER.BASE_LR", "1", 1.0),
        ("SOLVER.WEIGHT_DECAY", "1e-4", 1e-4),
        ("SOLVER.WARMUP_EPOCHS", "34", 34.0),
        ("SOLVER.MAX_EPOCH", "1e1", 10),
        ("SOLVER.MAX_EPOCH", 10.0, 10),
        ("TRAIN.ENABLE", "False", False),
        ("TRAIN.ENABLE", "true", True),
        ("MUTUALNET.SPATIAL", "[142, 178, 224]", [142, 178, 224]),
        ("MUTUALNET.SPATIAL", (142, 224), [142, 224]),
        ("MUTUALNET.WIDTH", "(0.5, 1)", [0.5, 1]),
        ("SOLVER.LRS", ["1e-1", 1], [0.1, 1]),
        ("SOLVER.CLIP_GRAD_L2NORM", "1.5", 1.5),
        ("SOLVER.CLIP_GRAD_L2NORM", "None", None),
        ("TRAIN.CHECKPOINT_FILE_PATH", None, ""),
        ("TRAIN.CHECKPOINT_FILE_PATH", "None", ""),
        ("TRAIN.CHECKPOINT_FILE_PATH", Path("a") / "b.pyth", "a/b.pyth"),
        ("OUTPUT_DIR", "123", "123"),
        ("OUTPUT_DIR", "'quoted'", "quoted"),
        ("BN.NUM_SYNC_DEVICES", None, None),
        ("AVA.TRAIN_PREDICT_BOX_LISTS", "['a.csv', 'b.csv']", ["a.csv", "b.csv"]),
        ("QUERY_TABLE.CONFIGURATIONS", "[0.63-142-3, 1.0-224-8]", ["0.63-142-3", "1.0-224-8"]),
    ],
)
def test_forgiven(key, value, expected):
    cfg = load_config(overrides=[key, value])
    for name in key.split("."):
        cfg = cfg[name]
    assert cfg == expected
    assert type(cfg) is type(expected)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("TRAIN.ENABLE", 1, "True or False"),
        ("TRAIN.ENABLE", "yes", "True or False"),
        ("SOLVER.MAX_EPOCH", "1.5", "an integer"),
        ("SOLVER.MAX_EPOCH", True, "an integer"),
        ("SOLVER.MAX_EPOCH", None, "an integer"),
        ("SOLVER.MAX_EPOCH", float("inf"), "an integer"),
        ("SOLVER.BASE_LR", "fast", "a number"),
        ("SOLVER.BASE_LR", False, "a number"),
        ("OUTPUT_DIR", 5, "a text"),
        ("MUTUALNET.SPATIAL", 224, "a list"),
        ("TRAIN.CHECKPOINT_CLEAR_NAME_PATTERN", "model.", "a list"),
        ("SOLVER.CLIP_GRAD_VAL", "much", "a number or None"),
    ],
)
def test_refused_with_key_value_and_type(key, value, expected):
    with pytest.raises(ConfigError) as error:
        load_config(overrides=[key, value])
    for part in ("override: ", key, repr(value), expected):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("MUTUALNET.WIDTHS", "MUTUALNET.WIDTH"),
        ("MODEL.NUM_CLASES", "MODEL.NUM_CLASSES"),
        ("model.num_classes", "MODEL.NUM_CLASSES"),
        ("TRAIN.NUM_CLASSES", "MODEL.NUM_CLASSES"),
        ("MODLE.ARCH", "MODEL.ARCH"),
        ("BATCH_SIZE", "BATCH_SIZE"),
    ],
)
def test_unknown_override_suggests_the_nearest_key(key, nearest):
    with pytest.raises(ConfigError, match=f"unknown key {key}; did you mean .*{nearest}") as error:
        load_config(overrides=[key, 1])
    assert "override" in str(error.value)


def test_unknown_keys_in_a_file_name_file_and_line(write):
    with pytest.raises(
        ConfigError, match=r"a\.yaml:2: unknown key SOLVER\.BASE_LEARNING; did you mean SOLVER\.BASE_LR"
    ):
        load_config(write("SOLVER:\n  BASE_LEARNING: 0.1\n"))
    with pytest.raises(ConfigError, match=r"a\.yaml:1: unknown key SOLVR; did you mean SOLVER\?"):
        load_config(write("SOLVR:\n  BASE_LR: 0.1\n"))
    with pytest.raises(ConfigError, match="unknown key QQQQQQ; get_cfg"):
        load_config(write("QQQQQQ: 1\n"))


def test_unknown_key_of_a_base_file_names_the_base_file(write):
    write("NONSENSE: 1\n", "base.yaml")
    with pytest.raises(ConfigError, match=r"base\.yaml:1: unknown key NONSENSE"):
        load_config(write("_BASE_: base.yaml\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SOLVER:\n  BASE_LR: 0.1\n  BASE_LR: 0.2\n", r"a\.yaml:3: the key BASE_LR .* line 2"),
        ("SOLVER: {}\nSOLVER: {}\n", r"a\.yaml:2: the key SOLVER"),
        ("SOLVER: [1\n", r"a\.yaml:2: not valid YAML"),
        ("SOLVER: !!python/object:os.system x\n", "not valid YAML"),
        ("SOLVER: *b\n", r"a\.yaml:1: not valid YAML: found undefined alias"),
        ("SOLVER: &x {BASE_LR: *x}\n", "leads back into itself"),
        ("NUM_GPUS: 1\n---\nNUM_GPUS: 2\n", "not valid YAML"),
        ("\x00", "not valid YAML"),
        ("[a]: 1\n", "unknown key"),
        ("just words\n", "KEY: VALUE"),
        ("SOLVER: 3\n", "SOLVER is a node"),
        ("NUM_GPUS: {A: 1}\n", "NUM_GPUS is one value"),
        ("_BASE_: a.yaml\n", "leads back"),
        ("_BASE_: 3\n", "_BASE_ takes"),
        ("_BASE_: missing.yaml\n", r"missing\.yaml does not exist"),
        ("OUTPUT_DIR: 5\n", r"a\.yaml:1: OUTPUT_DIR is 5.*quotes"),
    ],
)
def test_refused_files(write, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(write(text))


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["NUM_GPUS", 1, "RNG_SEED"], "RNG_SEED has no value"),
        (["NUM_GPUS=1"], "NUM_GPUS=1 has no value"),
        ([3, "NUM_GPUS"], "3 stands where a key is expected"),
        ("NUM_GPUS 1", "flat list"),
        (["_BASE_", "x"], "unknown key _BASE_"),
    ],
)
def test_refused_overrides(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config(overrides=overrides)


def test_learning_rates_are_scaled_once():
    cfg = load_config(overrides=["SOLVER.BASE_LR_SCALE_NUM_SHARDS", True, "NUM_SHARDS", 4, "SOLVER.COSINE_END_LR", 0.1])
    assert pytest.approx((0.4, 0.04, 0.4)) == (cfg.SOLVER.BASE_LR, cfg.SOLVER.WARMUP_START_LR, cfg.SOLVER.COSINE_END_LR)
    check_config(cfg)
    again = load_config_text(cfg.dump())
    assert again == cfg


def test_a_dumped_config_is_a_config_file(write):
    cfg = load_config(overrides=["SOLVER.BASE_LR_SCALE_NUM_SHARDS", True, "NUM_SHARDS", 4, "TASK", "x: [y"])
    assert load_config(write(cfg.dump())) == cfg


def test_stored_text_refuses_like_a_file():
    with pytest.raises(ConfigError, match=r"epoch 3:1: unknown key NUM_GPU; did you mean NUM_GPUS"):
        load_config_text("NUM_GPU: 1\n", name="epoch 3")
    with pytest.raises(ConfigError, match="only works in files"):
        load_config_text("_BASE_: a.yaml\n")


def test_the_file_of_the_query_table_has_one_name(write):
    """Configs of older runs name it; they load where they name that very file."""
    old = "QUERY_TABLE: {ENABLE: False, FILE: query_table.json}\n"
    overrides = ["QUERY_TABLE.FILE", "query_table.json", "QUERY_TABLE.ENABLE", False]
    new = load_config(overrides=overrides[2:])
    assert load_config(write(old)) == load_config_text(old) == load_config(overrides=overrides) == new
    with pytest.raises(ConfigError, match=r"a\.yaml:2: QUERY_TABLE\.FILE is 'mine\.json'; .* always query_table\.json"):
        load_config(write("QUERY_TABLE:\n  FILE: mine.json\n"))
    with pytest.raises(ConfigError, match=r"override: QUERY_TABLE\.FILE is ''; .* remove it"):
        load_config(overrides=["QUERY_TABLE.FILE", ""])


def test_nodes_of_other_networks_load_and_are_announced(write, caplog):
    cfg = load_config(write("MVIT: {DEPTH: 16, REV: {ENABLE: True}}\nTENSORBOARD: {MODEL_VIS: {ENABLE: True}}\n"))
    assert cfg.MVIT.REV.ENABLE is True
    with caplog.at_level(logging.WARNING):
        check_supported(cfg)
    assert "MVIT" in caplog.text
    assert "TENSORBOARD" in caplog.text
    assert load_config_text(cfg.dump()) == cfg
