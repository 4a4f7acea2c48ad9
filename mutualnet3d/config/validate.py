"""Checks of values that contradict each other or lie outside their bounds."""

from collections.abc import Callable
from itertools import pairwise
from numbers import Real
from typing import Any

from fvcore.common.config import CfgNode

from mutualnet3d.architectures import is_image_network
from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import ConfigError, ConfigurationError
from mutualnet3d.methods import METHODS, SMALLEST, TEACHERS

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
    _check_space(cfg)
    _check_method(cfg)
    _check_own(cfg)


def slow_frames(cfg: CfgNode) -> int:
    """Frames of the Slow pathway of a multi-pathway network, or of the one branch: the largest temporal value."""
    if cfg.MODEL.ARCH in cfg.MODEL.MULTI_PATHWAY_ARCH:
        return cfg.DATA.NUM_FRAMES // cfg.SLOWFAST.ALPHA
    return cfg.DATA.NUM_FRAMES


def _value(cfg: CfgNode, key: str) -> Any:
    for name in key.split("."):
        cfg = cfg[name]
    return cfg


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)


def _at_least(cfg: CfgNode, bound: float, *keys: str) -> None:
    for key in keys:
        value = _value(cfg, key)
        _require(value >= bound, f"{key} is {value}; it must be at least {bound}")


def _one_of(cfg: CfgNode, choices: tuple, *keys: str) -> None:
    for key in keys:
        value = _value(cfg, key)
        _require(value in choices, f"{key} is {value!r}; it must be one of {', '.join(map(str, choices))}")


def _list_of(cfg: CfgNode, key: str, test: Callable[[Any], bool], what: str, length: int | None = None) -> list:
    values = _value(cfg, key)
    right = all(test(value) for value in values) and length in (None, len(values))
    _require(right, f"{key} is {values}; it must be a list of {what}")
    return values


def _number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _positive_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _ascending(values: list) -> bool:
    return all(a < b for a, b in pairwise(values))


def _check_machine(cfg: CfgNode) -> None:
    _at_least(cfg, 0, "NUM_GPUS", "SHARD_ID", "DATA_LOADER.NUM_WORKERS", "RNG_SEED")
    _at_least(cfg, 1, "NUM_SHARDS", "LOG_PERIOD")
    _require(
        cfg.SHARD_ID < cfg.NUM_SHARDS,
        f"SHARD_ID is {cfg.SHARD_ID}; it must be below NUM_SHARDS = {cfg.NUM_SHARDS} (machines are counted from 0)",
    )


def _check_train_test(cfg: CfgNode) -> None:
    _at_least(cfg, 1, "TRAIN.BATCH_SIZE", "TEST.BATCH_SIZE", "TRAIN.EVAL_PERIOD", "TRAIN.CHECKPOINT_PERIOD")
    for key in ("TRAIN.BATCH_SIZE", "TEST.BATCH_SIZE"):
        size, gpus = _value(cfg, key), max(1, cfg.NUM_GPUS)
        _require(
            size % gpus == 0,
            f"{key} is {size}, which NUM_GPUS = {gpus} does not divide; every GPU takes the same share, "
            f"so use {max(1, size // gpus) * gpus} or another multiple of {gpus}",
        )
    _one_of(cfg, ("pytorch", "caffe2"), "TRAIN.CHECKPOINT_TYPE", "TEST.CHECKPOINT_TYPE")
    _one_of(cfg, (1, 3), "TEST.NUM_SPATIAL_CROPS")
    _at_least(cfg, 1, "TEST.NUM_ENSEMBLE_VIEWS")
    _list_of(cfg, "TEST.NUM_TEMPORAL_CLIPS", _positive_int, "positive integers (numbers of views)")


def _check_data(cfg: CfgNode) -> None:
    _at_least(cfg, 1, "DATA.NUM_FRAMES", "DATA.SAMPLING_RATE", "DATA.TRAIN_CROP_SIZE", "DATA.TEST_CROP_SIZE")
    _at_least(cfg, 1, "DATA.TARGET_FPS")
    _list_of(cfg, "DATA.MEAN", _number, "3 numbers, one per colour", 3)
    _list_of(cfg, "DATA.STD", _positive, "3 positive numbers, one per colour", 3)
    _list_of(cfg, "DATA.TRAIN_JITTER_SCALES", _positive, "2 positive numbers: the range of the short side", 2)
    low, high = cfg.DATA.TRAIN_JITTER_SCALES
    _require(low <= high, f"DATA.TRAIN_JITTER_SCALES is {[low, high]}; the first must not exceed the second")
    _list_of(cfg, "DATA.INPUT_CHANNEL_NUM", lambda value: value == 3, "3 (RGB), one per pathway")
    _require(bool(cfg.DATA.INPUT_CHANNEL_NUM), "DATA.INPUT_CHANNEL_NUM is empty; write [3], for SlowFast [3, 3]")
    _one_of(cfg, DECODERS, "DATA.DECODING_BACKEND")
    _one_of(cfg, ("sum", "max"), "DATA.ENSEMBLE_METHOD")
    _one_of(cfg, AUGMENTATIONS, "IMAGE.AUGMENTATION")
    ratio = cfg.DATA.IN_VAL_CROP_RATIO
    _require(0 < ratio <= 1, f"DATA.IN_VAL_CROP_RATIO is {ratio}; it must be above 0 and at most 1")
    if cfg.MODEL.ARCH in cfg.MODEL.MULTI_PATHWAY_ARCH:
        frames, alpha = cfg.DATA.NUM_FRAMES, cfg.SLOWFAST.ALPHA
        _at_least(cfg, 1, "SLOWFAST.ALPHA", "SLOWFAST.BETA_INV")
        _require(
            frames >= alpha and frames % alpha == 0,
            f"DATA.NUM_FRAMES is {frames}; the Slow pathway takes every SLOWFAST.ALPHA = {alpha}th frame, so use a "
            f"multiple of {alpha}, such as {max(1, frames // alpha) * alpha}",
        )


def _check_model(cfg: CfgNode) -> None:
    _list_of(cfg, "SOLVER.BETAS", lambda value: _number(value) and 0 <= value < 1, "2 numbers in [0, 1)", 2)
    _at_least(cfg, 1, "MODEL.NUM_CLASSES", "RESNET.NUM_GROUPS", "RESNET.WIDTH_PER_GROUP")
    rate = cfg.MODEL.DROPOUT_RATE
    _require(0 <= rate < 1, f"MODEL.DROPOUT_RATE is {rate}; it must lie in [0, 1)")
    _one_of(cfg, LOSSES, "MODEL.LOSS_FUNC")
    _one_of(cfg, ("softmax", "sigmoid"), "MODEL.HEAD_ACT")
    _require(
        cfg.BN.NORM_TYPE != "sub_batchnorm",
        "BN.NORM_TYPE is 'sub_batchnorm', which splits batches; write batchnorm, which is what PySlowFast's "
        "checkpoints of it hold",
    )
    _one_of(cfg, NORMS, "BN.NORM_TYPE")
    _at_least(cfg, 0, "BN.NUM_BATCHES_PRECISE", "BN.WEIGHT_DECAY")


def _check_solver(cfg: CfgNode) -> None:
    solver, smoothing = cfg.SOLVER, cfg.SOLVER.LABEL_SMOOTHING
    _require(0 <= smoothing < 1, f"SOLVER.LABEL_SMOOTHING is {smoothing}; it must lie in [0, 1)")
    _require(
        not smoothing or cfg.MODEL.LOSS_FUNC == "cross_entropy",
        f"SOLVER.LABEL_SMOOTHING is {smoothing}; MODEL.LOSS_FUNC {cfg.MODEL.LOSS_FUNC} does not smooth labels: set it "
        "to 0, or MODEL.LOSS_FUNC cross_entropy",
    )
    _at_least(cfg, 0, "SOLVER.BASE_LR", "SOLVER.WARMUP_START_LR", "SOLVER.COSINE_END_LR", "SOLVER.WARMUP_EPOCHS")
    _at_least(cfg, 0, "SOLVER.WEIGHT_DECAY", "SOLVER.MOMENTUM")
    _at_least(cfg, 1, "SOLVER.MAX_EPOCH")
    _one_of(cfg, POLICIES, "SOLVER.LR_POLICY")
    _list_of(cfg, "SOLVER.STEPS", _number, "numbers (epochs)")
    _list_of(cfg, "SOLVER.LRS", _number, "numbers (factors of SOLVER.BASE_LR)")
    if solver.LR_POLICY == "steps_with_relative_lrs":
        _require(
            bool(solver.STEPS) and solver.STEPS[0] == 0 and _ascending(solver.STEPS),
            f"SOLVER.STEPS is {solver.STEPS}; steps_with_relative_lrs takes epochs that start with 0 and ascend",
        )
        # PySlowFast's Charades recipe lists more factors than steps: those at the end are never reached.
        _require(
            len(solver.LRS) >= len(solver.STEPS),
            f"SOLVER.LRS has {len(solver.LRS)} factors for the {len(solver.STEPS)} epochs of SOLVER.STEPS; "
            "give one factor per step",
        )


def _check_space(cfg: CfgNode) -> None:
    width = _list_of(cfg, "MUTUALNET.WIDTH", _positive, "2 positive numbers: lowest and highest width", 2)
    _require(width[0] <= width[1], f"MUTUALNET.WIDTH is {width}; the first, the lowest, must not exceed the second")
    axes = [("SPATIAL", cfg.DATA.TRAIN_CROP_SIZE, "DATA.TRAIN_CROP_SIZE")]
    if is_image_network(cfg):
        _check_image_network(cfg)
    else:
        axes.append(("TEMPORAL", slow_frames(cfg), _frames_name(cfg)))
    for name, full, source in axes:
        key = f"MUTUALNET.{name}"
        values = _list_of(cfg, key, _positive_int, "positive integers")
        _require(_ascending(values), f"{key} is {values}; it must ascend, for example {sorted(set(values))}")
        _require(
            not values or values[-1] == full,
            f"{key} is {values}; its last value must be {full}, which is {source}: the full network runs there. "
            f"Write {key} [] for the paper's factors",
        )
    _at_least(cfg, 1, "MUTUALNET.DIVISOR")
    _at_least(cfg, 0, "MUTUALNET.NUM_RANDOM", "MUTUALNET.DISTILL_WEIGHT")


def _check_image_network(cfg: CfgNode) -> None:
    """Images have no temporal axis; widths above 1 are those of a network that is built as wide."""
    arch, factor, highest = cfg.MODEL.ARCH, cfg.IMAGE.WIDTH_FACTOR, cfg.MUTUALNET.WIDTH[1]
    _require(
        not cfg.MUTUALNET.TEMPORAL,
        f"MUTUALNET.TEMPORAL is {cfg.MUTUALNET.TEMPORAL}; images of MODEL.ARCH {arch} have no frames: write []",
    )
    _require(not cfg.DETECTION.ENABLE, f"DETECTION.ENABLE is True; {arch} has no detection head: write False")
    _require(factor > 0, f"IMAGE.WIDTH_FACTOR is {factor}; it must be above 0")
    has_factor = arch.startswith(("mobilenet", "vgg"))
    _require(
        factor == 1 or has_factor,
        f"IMAGE.WIDTH_FACTOR is {factor}; {arch} has no such factor: write 1.0"
        + (", and set IMAGE.WIDEN_FACTOR" if arch == "wide_resnet" else ""),
    )
    _require(
        highest <= 1 or factor == highest,
        f"MUTUALNET.WIDTH is {cfg.MUTUALNET.WIDTH}; "
        + (
            f"widths above 1 need the network built that wide, and IMAGE.WIDTH_FACTOR is {factor}: set it to "
            f"{highest}, or MUTUALNET.WIDTH to at most 1"
            if has_factor
            else f"{arch} cannot be built wider than it is: its highest must be at most 1"
        ),
    )
    _at_least(cfg, 1, "IMAGE.WIDEN_FACTOR")
    _require(
        cfg.IMAGE.DEPTH >= 10 and cfg.IMAGE.DEPTH % 6 == 4,
        f"IMAGE.DEPTH is {cfg.IMAGE.DEPTH}; a wide ResNet has 6 n + 4 convolutions: 10, 16, 22, 28, 40",
    )


def _check_method(cfg: CfgNode) -> None:
    node = cfg.MUTUALNET
    _one_of(cfg, METHODS, "MUTUALNET.METHOD")
    _one_of(cfg, SMALLEST, "MUTUALNET.SMALLEST")
    _one_of(cfg, TEACHERS, "MUTUALNET.TEACHER")
    method = f"MUTUALNET.METHOD is {node.METHOD}"
    _require(
        node.ENABLE or node.METHOD == "mutual",
        f"{method} and MUTUALNET.ENABLE False, which trains the full network alone; set MUTUALNET.ENABLE True",
    )
    for key, owner, unset in (
        ("SMALLEST", "mutual", "auto"),
        ("FIXED", "independent", ""),
        ("WIDTHS_TRAINED", "slimmable", []),
    ):
        _require(
            owner == node.METHOD or node[key] == unset,
            f"MUTUALNET.{key} is {node[key]!r} and {method}; it belongs to METHOD {owner}: leave it {unset!r}",
        )
    if node.METHOD == "independent":
        _require(bool(node.FIXED), f"{method} and MUTUALNET.FIXED is empty; name a configuration: '0.63-142-3'")
        _parse_configuration("MUTUALNET.FIXED", node.FIXED)
    if node.METHOD == "slimmable":
        widths = _list_of(cfg, "MUTUALNET.WIDTHS_TRAINED", _positive, "positive numbers")
        (low, high) = node.WIDTH
        _require(
            bool(widths) and _ascending(widths) and low <= widths[0] and widths[-1] == high,
            f"MUTUALNET.WIDTHS_TRAINED is {widths}; it must ascend within MUTUALNET.WIDTH {[low, high]} and end with "
            f"{high}, such as {sorted({low, high})}",
        )
    if cfg.MODEL.FROZEN_BN and node.ENABLE:
        _check_frozen(cfg)


def _check_frozen(cfg: CfgNode) -> None:
    """Frozen statistics exist of calibrated configurations alone; the smallest must be one of them."""
    node, why = cfg.MUTUALNET, "MODEL.FROZEN_BN is True: every configuration needs statistics before training, so"
    _require(
        node.METHOD == "mutual" and node.SMALLEST in ("auto", "lowest"),
        f"{why} it works with MUTUALNET.METHOD mutual and SMALLEST auto or lowest only; MUTUALNET.METHOD is "
        f"{node.METHOD}, SMALLEST {node.SMALLEST}: set MODEL.FROZEN_BN False",
    )
    _require(
        node.SMALLEST == "lowest" or not is_image_network(cfg),
        f"{why} the narrowest cannot run at random resolutions, as MUTUALNET.SMALLEST {node.SMALLEST} asks for with "
        "images: set MUTUALNET.SMALLEST lowest, or MODEL.FROZEN_BN False",
    )


def _parse_configuration(key: str, text: Any) -> None:
    try:
        Configuration.parse(text)
    except ConfigurationError as error:
        raise ConfigError(f"{key} holds a wrong configuration: {error}") from error


def _frames_name(cfg: CfgNode) -> str:
    multi = cfg.MODEL.ARCH in cfg.MODEL.MULTI_PATHWAY_ARCH
    return "DATA.NUM_FRAMES // SLOWFAST.ALPHA" if multi else "DATA.NUM_FRAMES"


def _check_own(cfg: CfgNode) -> None:
    _at_least(cfg, 1, "CALIBRATION.NUM_BATCHES")
    _at_least(cfg, 0, "CALIBRATION.NUM_CLIPS", "QUERY_TABLE.SEARCH_VIDEOS", "QUERY_TABLE.WIDTH_STEP")
    _at_least(cfg, 0, "CALIBRATION.BATCH_SIZE", "SYNTHETIC.NUM_TRAIN", "SYNTHETIC.NUM_VAL", "SYNTHETIC.NUM_TEST")
    for key in ("CALIBRATION.CONFIGURATIONS", "QUERY_TABLE.CONFIGURATIONS"):
        for text in _value(cfg, key):
            _parse_configuration(key, text)
    low, high = cfg.MUTUALNET.WIDTH
    widths = _list_of(cfg, "QUERY_TABLE.WIDTHS", _positive, "positive numbers")
    outside = [width for width in widths if not low <= width <= high]
    _require(
        not outside,
        f"QUERY_TABLE.WIDTHS holds {outside}; the network is trained for widths in {[low, high]} (MUTUALNET.WIDTH)",
    )
    step = cfg.QUERY_TABLE.WIDTH_STEP
    _require(
        step == 0 or step >= 0.001, f"QUERY_TABLE.WIDTH_STEP is {step}; it must be 0 (off) or at least 0.001 of full"
    )
    _require(
        not (step and widths),
        f"QUERY_TABLE.WIDTH_STEP is {step} and QUERY_TABLE.WIDTHS {widths}: both name the widths; set one of them",
    )
    _at_least(cfg, 1, "TENSORBOARD.HISTOGRAM.TOPK")
    _list_of(cfg, "TENSORBOARD.HISTOGRAM.FIGSIZE", _positive, "2 positive numbers: width and height in inches", 2)
    _list_of(cfg, "SYNTHETIC.SIZE", _positive_int, "2 positive integers: height and width in pixels", 2)
    _one_of(cfg, ("easy", "hard"), "SYNTHETIC.DIFFICULTY")
    _at_least(cfg, 1, "SYNTHETIC.NUM_FRAMES", "SYNTHETIC.FPS", "AVA.FPS")
    _at_least(cfg, 0, "AVA.START_SECOND")
    _one_of(cfg, ("frames", "segments"), "CHARADES.LISTS")
