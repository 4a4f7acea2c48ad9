"""Every refusal of check_config names the key, the value and the remedy."""

import pytest

from mutualnet3d.config import load_config
from mutualnet3d.errors import ConfigError

SLOW = ["MODEL.ARCH", "slow"]
RESNET = ["MODEL.ARCH", "resnet50", "MUTUALNET.ENABLE", True]
FROZEN = ["MODEL.FROZEN_BN", True]
METHOD = ["MUTUALNET.ENABLE", True, "MUTUALNET.METHOD"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["NUM_GPUS", -1], "NUM_GPUS is -1; it must be at least 0"),
        (["NUM_GPUS", 3], "TRAIN.BATCH_SIZE is 64, which NUM_GPUS = 3 does not divide.*use 63"),
        (["NUM_GPUS", 8, "TEST.BATCH_SIZE", 4], "TEST.BATCH_SIZE is 4.*use 8"),
        (["SHARD_ID", 1], "SHARD_ID is 1; it must be below NUM_SHARDS = 1"),
        (["TEST.NUM_SPATIAL_CROPS", 2], "TEST.NUM_SPATIAL_CROPS is 2; it must be one of 1, 3"),
        (["DATA.TRAIN_CROP_SIZE", 0], "DATA.TRAIN_CROP_SIZE is 0; it must be at least 1"),
        (["DATA.TEST_CROP_SIZE", -1], "DATA.TEST_CROP_SIZE is -1"),
        (["DATA.NUM_FRAMES", 0], "DATA.NUM_FRAMES is 0"),
        (["DATA.NUM_FRAMES", 12], "DATA.NUM_FRAMES is 12.*SLOWFAST.ALPHA = 8.*such as 8"),
        (["DATA.NUM_FRAMES", 4], "DATA.NUM_FRAMES is 4.*such as 8"),
        (["DATA.MEAN", [0.4]], "DATA.MEAN"),
        (["DATA.STD", [0.0, 1, 1]], "DATA.STD"),
        (["DATA.TRAIN_JITTER_SCALES", [320, 256]], "must not exceed"),
        (["DATA.TRAIN_JITTER_SCALES", [256.0, 320.5]], "DATA.TRAIN_JITTER_SCALES.*2 positive integers"),
        (["DATA.PATH_LABEL_SEPARATOR", ""], "DATA.PATH_LABEL_SEPARATOR is empty"),
        (["DATA.DECODING_BACKEND", "ffmpeg"], "DATA.DECODING_BACKEND is 'ffmpeg'.*pyav, decord"),
        (["DATA.ENSEMBLE_METHOD", "mean"], "one of sum, max"),
        (
            ["IMAGE.AUGMENTATION", "strong"],
            "IMAGE.AUGMENTATION is 'strong'; it must be one of none, cifar, resnet, mobile",
        ),
        (["DATA.IN_VAL_CROP_RATIO", 1.2], "DATA.IN_VAL_CROP_RATIO is 1.2; it must be above 0 and at most 1"),
        (["SOLVER.LABEL_SMOOTHING", 1.0], r"SOLVER.LABEL_SMOOTHING is 1.0; it must lie in \[0, 1\)"),
        (
            ["SOLVER.LABEL_SMOOTHING", 0.1, "MODEL.LOSS_FUNC", "bce"],
            "LABEL_SMOOTHING is 0.1; MODEL.LOSS_FUNC bce does not",
        ),
        (["MODEL.LOSS_FUNC", "mse"], "MODEL.LOSS_FUNC is 'mse'.*cross_entropy"),
        (["MODEL.DROPOUT_RATE", 1], "MODEL.DROPOUT_RATE is 1.0"),
        (["MODEL.NUM_CLASSES", 0], "MODEL.NUM_CLASSES is 0"),
        (["TRAIN.CHECKPOINT_TYPE", "tf"], "TRAIN.CHECKPOINT_TYPE is 'tf'; it must be one of pytorch, caffe2"),
        (["SOLVER.LR_POLICY", "linear"], "SOLVER.LR_POLICY is 'linear'"),
        (["SOLVER.LR_POLICY", "steps_with_relative_lrs"], r"SOLVER.STEPS is \[\]"),
        (
            ["SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", [0, 3], "SOLVER.LRS", [1]],
            "SOLVER.LRS has 1 factors for the 2 epochs",
        ),
        (["BN.NORM_TYPE", "layernorm"], "BN.NORM_TYPE"),
        (["BN.NORM_TYPE", "sub_batchnorm"], "write batchnorm"),
        (["MUTUALNET.WIDTH", [0, 1]], "MUTUALNET.WIDTH"),
        (["MUTUALNET.WIDTH", [1.0, 0.5]], "must not exceed"),
        (["MUTUALNET.WIDTH", [0.5]], "2 positive numbers"),
        (["MUTUALNET.SPATIAL", [224, 142]], r"MUTUALNET.SPATIAL is \[224, 142\]; it must ascend.*\[142, 224\]"),
        (["MUTUALNET.SPATIAL", [100, 112]], "last value must be 224, which is DATA.TRAIN_CROP_SIZE"),
        (["MUTUALNET.SPATIAL", [0.5, 224]], "positive integers"),
        (
            ["MUTUALNET.TEMPORAL", [2, 3, 8], "DATA.NUM_FRAMES", 32],
            r"must be 4, which is DATA.NUM_FRAMES // SLOWFAST.ALPHA",
        ),
        ([*SLOW, "MUTUALNET.TEMPORAL", [3, 5, 7]], "must be 8, which is DATA.NUM_FRAMES:"),
        (["MUTUALNET.NUM_RANDOM", -1], "MUTUALNET.NUM_RANDOM"),
        (["MUTUALNET.DIVISOR", 0], "MUTUALNET.DIVISOR"),
        (["MUTUALNET.METHOD", "ours"], "MUTUALNET.METHOD is 'ours'; it must be one of mutual, usnet"),
        (["MUTUALNET.SMALLEST", "first"], "MUTUALNET.SMALLEST is 'first'.*auto, lowest, random, full"),
        (["MUTUALNET.LABEL_EPOCHS", -1], "MUTUALNET.LABEL_EPOCHS is -1.0; it must be at least 0"),
        (["DATA_LOADER.CACHE_GB", -0.5], "DATA_LOADER.CACHE_GB is -0.5; it must be at least 0"),
        (["MUTUALNET.TEACHER", "ema"], "MUTUALNET.TEACHER is 'ema'.*auto, full, labels"),
        (["MUTUALNET.METHOD", "usnet"], "METHOD is usnet and MUTUALNET.ENABLE False.*set MUTUALNET.ENABLE True"),
        ([*METHOD, "usnet", "MUTUALNET.SMALLEST", "lowest"], "SMALLEST is 'lowest' and .*belongs to METHOD mutual"),
        ([*METHOD, "mutual", "MUTUALNET.FIXED", "0.63-142-3"], "FIXED .* belongs to METHOD independent"),
        ([*METHOD, "usnet", "MUTUALNET.WIDTHS_TRAINED", [1.0]], "WIDTHS_TRAINED .* belongs to METHOD slimmable"),
        ([*METHOD, "independent"], "MUTUALNET.FIXED is empty; name a configuration"),
        ([*METHOD, "independent", "MUTUALNET.FIXED", "tiny"], "MUTUALNET.FIXED holds a wrong configuration: 'tiny'"),
        ([*METHOD, "slimmable"], r"WIDTHS_TRAINED is \[\]; it must ascend.*end with 1.0, such as \[0.63, 1.0\]"),
        ([*METHOD, "slimmable", "MUTUALNET.WIDTHS_TRAINED", [0.5, 1.0]], r"within MUTUALNET.WIDTH \[0.63, 1.0\]"),
        ([*METHOD, "slimmable", "MUTUALNET.WIDTHS_TRAINED", [1.0, 0.8]], "must ascend"),
        ([*METHOD, "multiscale", "MODEL.FROZEN_BN", True], "FROZEN_BN is True.*set MODEL.FROZEN_BN False"),
        (
            ["MUTUALNET.ENABLE", True, "MUTUALNET.SMALLEST", "random", *FROZEN],
            "SMALLEST auto or lowest only.*SMALLEST random",
        ),
        (
            ["MUTUALNET.ENABLE", True, "MUTUALNET.SMALLEST", "full", *FROZEN],
            "SMALLEST auto or lowest only.*SMALLEST full",
        ),
        ([*RESNET, *FROZEN], "at random resolutions, as MUTUALNET.SMALLEST auto.*set MUTUALNET.SMALLEST lowest"),
        (["QUERY_TABLE.WIDTHS", [0.5]], r"QUERY_TABLE.WIDTHS holds \[0.5\]"),
        (["QUERY_TABLE.CONFIGURATIONS", ["0.63x142"]], "QUERY_TABLE.CONFIGURATIONS holds.*'0.63x142'.*0.63-142-3"),
        (["CALIBRATION.CONFIGURATIONS", [3]], "CALIBRATION.CONFIGURATIONS holds .*3"),
        (["SYNTHETIC.DIFFICULTY", "medium"], "SYNTHETIC.DIFFICULTY is 'medium'; it must be one of easy, hard"),
        (["SYNTHETIC.SIZE", [96]], "SYNTHETIC.SIZE"),
        (["AVA.FPS", 0], "AVA.FPS"),
        (["AVA.START_SECOND", -1], "AVA.START_SECOND"),
        (["CHARADES.LISTS", "csv"], "CHARADES.LISTS"),
    ],
)
def test_refused(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_config(overrides=overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["NUM_GPUS", 0, "TRAIN.BATCH_SIZE", 3],
        ["TEST.NUM_SPATIAL_CROPS", 1],
        ["MUTUALNET.WIDTH", [1.0, 2.0]],
        ["MUTUALNET.SPATIAL", [224], *SLOW, "MUTUALNET.TEMPORAL", [3, 5, 8]],
        ["QUERY_TABLE.CONFIGURATIONS", ["0.63-142-3", "1-160"]],
        ["MUTUALNET.ENABLE", False, "MUTUALNET.SMALLEST", "random", "MODEL.FROZEN_BN", True],
        [*RESNET, *FROZEN, "MUTUALNET.SMALLEST", "lowest"],
        [*RESNET, *FROZEN, "MUTUALNET.ENABLE", False],
    ],
)
def test_accepted(overrides):
    load_config(overrides=overrides)
