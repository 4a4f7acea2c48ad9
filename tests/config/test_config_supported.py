"""No key is without effect in silence."""

import logging
import re
from pathlib import Path

import pytest

import mutualnet3d
from mutualnet3d.config import get_cfg, load_config
from mutualnet3d.config.supported import IMPLIED, REFUSED, UNREAD, check_supported, leaves
from mutualnet3d.errors import ConfigError

PACKAGE = Path(mutualnet3d.__file__).parent
NOT_READERS = ("pyslowfast_keys.py", "defaults.py", "supported.py", "validate.py", "validate_space.py")


def test_every_key_is_read_refused_or_announced():
    source = "\n".join(p.read_text() for p in PACKAGE.rglob("*.py") if p.name not in NOT_READERS)
    checks = (PACKAGE / "config" / "supported.py").read_text()
    for key, _ in leaves(get_cfg()):
        if f"cfg.{key}" in checks:
            continue
        read = re.search(rf"\.{key.rsplit('.', 1)[-1]}\b", source)
        assert read or key in REFUSED or UNREAD.fullmatch(key) or IMPLIED.fullmatch(key), key


@pytest.mark.parametrize(
    "overrides",
    [
        ["AUG.ENABLE", True],
        ["AVA.BGR", True],
        ["DATA.REVERSE_INPUT_CHANNEL", True],
        ["AVA.TRAIN_USE_COLOR_AUGMENTATION", True],
        ["DATA.TRAIN_JITTER_SCALES_RELATIVE", [0.08, 1.0]],
        ["TEST.NUM_TEMPORAL_CLIPS", [3]],
        ["MODEL.LOSS_FUNC", "bce_logit"],
        ["DETECTION.ENABLE", True],
    ],
)
def test_what_would_change_a_result_is_refused_by_name(overrides):
    with pytest.raises(ConfigError, match=overrides[0].replace(".", r"\.")):
        check_supported(load_config((), overrides))


def test_the_defaults_pass_and_other_unread_keys_are_announced(caplog):
    with caplog.at_level(logging.WARNING):
        check_supported(get_cfg())
        assert not caplog.records
        check_supported(load_config((), ["TENSORBOARD.ENABLE", True, "TENSORBOARD.HISTOGRAM.ENABLE", True]))
        assert not caplog.records
        check_supported(load_config((), ["TENSORBOARD.MODEL_VIS.ENABLE", True, "MODEL.ACT_CHECKPOINT", True]))
    assert "TENSORBOARD.MODEL_VIS.ENABLE" in caplog.text
    assert "MODEL.ACT_CHECKPOINT" in caplog.text
