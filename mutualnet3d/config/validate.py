"""Checks of values that contradict each other or lie outside their bounds."""

from fvcore.common.config import CfgNode

from mutualnet3d.config.requirements import ascending, at_least, list_of, one_of, positive, positive_int, require
from mutualnet3d.config.validate_space import check_method, check_space, check_table
from mutualnet3d.config.values import get_value, is_number

LOSSES = ("cross_entropy", "bce", "bce_logit")
NORMS = ("batchnorm", "sync_batchnorm")
DECODERS = ("pyav", "decord", "torchvision")
AUGMENTATIONS = ("none", "cifar", "resnet", "mobile")
POLICIES = ("cosine", "steps_with_relative_lrs")


def check_config(cfg: CfgNode) -> None:
    """Refuse a config that cannot be meant. Nothing in ``cfg`` is changed.

    Raises:
        ConfigError: a value is out of bounds, or two values contradict each other. The message names key, value,
            bound and remedy.
    """
    _check_machine(cfg)
    _check_train_test(cfg)
    _check_data(cfg)
    _check_model(cfg)
    _check_solver(cfg)
    check_space(cfg)
    check_method(cfg)
    check_table(cfg)
    _check_own(cfg)


def _check_machine(cfg: CfgNode) -> None:
    at_least(cfg, 0, "NUM_GPUS", "SHARD_ID", "DATA_LOADER.NUM_WORKERS", "DATA_LOADER.CACHE_GB", "RNG_SEED")
    at_least(cfg, 1, "NUM_SHARDS", "LOG_PERIOD")
    require(
        cfg.SHARD_ID < cfg.NUM_SHARDS,
        f"SHARD_ID is {cfg.SHARD_ID}; it must be below NUM_SHARDS = {cfg.NUM_SHARDS} (machines are counted from 0)",
    )


def _check_train_test(cfg: CfgNode) -> None:
    at_least(cfg, 1, "TRAIN.BATCH_SIZE", "TEST.BATCH_SIZE", "TRAIN.EVAL_PERIOD", "TRAIN.CHECKPOINT_PERIOD")
    for key in ("TRAIN.BATCH_SIZE", "TEST.BATCH_SIZE"):
        size, gpus = get_value(cfg, key), max(1, cfg.NUM_GPUS)
        require(
            size % gpus == 0,
            f"{key} is {size}, which NUM_GPUS = {gpus} does not divide; every GPU takes the same share, "
            f"so use {max(1, size // gpus) * gpus} or another multiple of {gpus}",
        )
    one_of(cfg, ("pytorch", "caffe2"), "TRAIN.CHECKPOINT_TYPE", "TEST.CHECKPOINT_TYPE")
    one_of(cfg, (1, 3), "TEST.NUM_SPATIAL_CROPS")
    at_least(cfg, 1, "TEST.NUM_ENSEMBLE_VIEWS")
    list_of(cfg, "TEST.NUM_TEMPORAL_CLIPS", positive_int, "positive integers (numbers of views)")


def _check_data(cfg: CfgNode) -> None:
    at_least(cfg, 1, "DATA.NUM_FRAMES", "DATA.SAMPLING_RATE", "DATA.TRAIN_CROP_SIZE", "DATA.TEST_CROP_SIZE")
    at_least(cfg, 1, "DATA.TARGET_FPS")
    list_of(cfg, "DATA.MEAN", is_number, "3 numbers, one per colour", 3)
    list_of(cfg, "DATA.STD", positive, "3 positive numbers, one per colour", 3)
    list_of(cfg, "DATA.TRAIN_JITTER_SCALES", positive_int, "2 positive integers: the range of the short side", 2)
    low, high = cfg.DATA.TRAIN_JITTER_SCALES
    require(low <= high, f"DATA.TRAIN_JITTER_SCALES is {[low, high]}; the first must not exceed the second")
    list_of(cfg, "DATA.INPUT_CHANNEL_NUM", lambda value: value == 3, "3 (RGB), one per pathway")
    require(bool(cfg.DATA.INPUT_CHANNEL_NUM), "DATA.INPUT_CHANNEL_NUM is empty; write [3], for SlowFast [3, 3]")
    require(bool(cfg.DATA.PATH_LABEL_SEPARATOR), "DATA.PATH_LABEL_SEPARATOR is empty; it stands between path and label")
    one_of(cfg, DECODERS, "DATA.DECODING_BACKEND")
    one_of(cfg, ("sum", "max"), "DATA.ENSEMBLE_METHOD")
    one_of(cfg, AUGMENTATIONS, "IMAGE.AUGMENTATION")
    ratio = cfg.DATA.IN_VAL_CROP_RATIO
    require(0 < ratio <= 1, f"DATA.IN_VAL_CROP_RATIO is {ratio}; it must be above 0 and at most 1")
    if cfg.MODEL.ARCH in cfg.MODEL.MULTI_PATHWAY_ARCH:
        frames, alpha = cfg.DATA.NUM_FRAMES, cfg.SLOWFAST.ALPHA
        at_least(cfg, 1, "SLOWFAST.ALPHA", "SLOWFAST.BETA_INV")
        require(
            frames >= alpha and frames % alpha == 0,
            f"DATA.NUM_FRAMES is {frames}; the Slow pathway takes every SLOWFAST.ALPHA = {alpha}th frame, so use a "
            f"multiple of {alpha}, such as {max(1, frames // alpha) * alpha}",
        )


def _check_model(cfg: CfgNode) -> None:
    list_of(cfg, "SOLVER.BETAS", lambda value: is_number(value) and 0 <= value < 1, "2 numbers in [0, 1)", 2)
    at_least(cfg, 1, "MODEL.NUM_CLASSES", "RESNET.NUM_GROUPS", "RESNET.WIDTH_PER_GROUP")
    rate = cfg.MODEL.DROPOUT_RATE
    require(0 <= rate < 1, f"MODEL.DROPOUT_RATE is {rate}; it must lie in [0, 1)")
    one_of(cfg, LOSSES, "MODEL.LOSS_FUNC")
    one_of(cfg, ("softmax", "sigmoid"), "MODEL.HEAD_ACT")
    require(
        cfg.BN.NORM_TYPE != "sub_batchnorm",
        "BN.NORM_TYPE is 'sub_batchnorm', which splits batches; write batchnorm, which is what PySlowFast's "
        "checkpoints of it hold",
    )
    one_of(cfg, NORMS, "BN.NORM_TYPE")
    at_least(cfg, 0, "BN.NUM_BATCHES_PRECISE", "BN.WEIGHT_DECAY")


def _check_solver(cfg: CfgNode) -> None:
    solver, smoothing = cfg.SOLVER, cfg.SOLVER.LABEL_SMOOTHING
    require(0 <= smoothing < 1, f"SOLVER.LABEL_SMOOTHING is {smoothing}; it must lie in [0, 1)")
    require(
        not smoothing or cfg.MODEL.LOSS_FUNC == "cross_entropy",
        f"SOLVER.LABEL_SMOOTHING is {smoothing}; MODEL.LOSS_FUNC {cfg.MODEL.LOSS_FUNC} does not smooth labels: set it "
        "to 0, or MODEL.LOSS_FUNC cross_entropy",
    )
    at_least(cfg, 0, "SOLVER.BASE_LR", "SOLVER.WARMUP_START_LR", "SOLVER.COSINE_END_LR", "SOLVER.WARMUP_EPOCHS")
    at_least(cfg, 0, "SOLVER.WEIGHT_DECAY", "SOLVER.MOMENTUM")
    at_least(cfg, 1, "SOLVER.MAX_EPOCH")
    one_of(cfg, POLICIES, "SOLVER.LR_POLICY")
    list_of(cfg, "SOLVER.STEPS", is_number, "numbers (epochs)")
    list_of(cfg, "SOLVER.LRS", is_number, "numbers (factors of SOLVER.BASE_LR)")
    if solver.LR_POLICY == "steps_with_relative_lrs":
        require(
            bool(solver.STEPS) and solver.STEPS[0] == 0 and ascending(solver.STEPS),
            f"SOLVER.STEPS is {solver.STEPS}; steps_with_relative_lrs takes epochs that start with 0 and ascend",
        )
        # PySlowFast's Charades recipe lists more factors than steps: those at the end are never reached.
        require(
            len(solver.LRS) >= len(solver.STEPS),
            f"SOLVER.LRS has {len(solver.LRS)} factors for the {len(solver.STEPS)} epochs of SOLVER.STEPS; "
            "give one factor per step",
        )


def _check_own(cfg: CfgNode) -> None:
    at_least(cfg, 1, "CALIBRATION.NUM_BATCHES")
    at_least(cfg, 0, "CALIBRATION.NUM_CLIPS", "QUERY_TABLE.SEARCH_VIDEOS", "QUERY_TABLE.WIDTH_STEP")
    at_least(cfg, 0, "CALIBRATION.BATCH_SIZE", "SYNTHETIC.NUM_TRAIN", "SYNTHETIC.NUM_VAL", "SYNTHETIC.NUM_TEST")
    at_least(cfg, 1, "TENSORBOARD.HISTOGRAM.TOPK")
    list_of(cfg, "TENSORBOARD.HISTOGRAM.FIGSIZE", positive, "2 positive numbers: width and height in inches", 2)
    list_of(cfg, "SYNTHETIC.SIZE", positive_int, "2 positive integers: height and width in pixels", 2)
    one_of(cfg, ("easy", "hard"), "SYNTHETIC.DIFFICULTY")
    at_least(cfg, 1, "SYNTHETIC.NUM_FRAMES", "SYNTHETIC.FPS", "AVA.FPS")
    at_least(cfg, 0, "AVA.START_SECOND")
    one_of(cfg, ("frames", "segments"), "CHARADES.LISTS")
