"""Checks of what is trained and tabulated: the space of configurations, the method, the widths of the query table."""

from typing import Any

from fvcore.common.config import CfgNode

from mutualnet3d.architectures import is_image_network
from mutualnet3d.config.requirements import ascending, at_least, list_of, one_of, positive, positive_int, require
from mutualnet3d.config.values import get_value
from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import ConfigError, ConfigurationError
from mutualnet3d.methods import METHODS, SMALLEST, TEACHERS


def _slow_frames(cfg: CfgNode) -> int:
    """Frames of the Slow pathway of a multi-pathway network, or of the one branch: the largest temporal value."""
    if cfg.MODEL.ARCH in cfg.MODEL.MULTI_PATHWAY_ARCH:
        return cfg.DATA.NUM_FRAMES // cfg.SLOWFAST.ALPHA
    return cfg.DATA.NUM_FRAMES


def check_space(cfg: CfgNode) -> None:
    """The axes of the space are ascending, and end with what the full network runs at."""
    width = list_of(cfg, "MUTUALNET.WIDTH", positive, "2 positive numbers: lowest and highest width", 2)
    require(width[0] <= width[1], f"MUTUALNET.WIDTH is {width}; the first, the lowest, must not exceed the second")
    axes = [("SPATIAL", cfg.DATA.TRAIN_CROP_SIZE, "DATA.TRAIN_CROP_SIZE")]
    if is_image_network(cfg):
        _check_image_network(cfg)
    else:
        axes.append(("TEMPORAL", _slow_frames(cfg), _frames_name(cfg)))
    for name, full, source in axes:
        key = f"MUTUALNET.{name}"
        values = list_of(cfg, key, positive_int, "positive integers")
        require(ascending(values), f"{key} is {values}; it must ascend, for example {sorted(set(values))}")
        require(
            not values or values[-1] == full,
            f"{key} is {values}; its last value must be {full}, which is {source}: the full network runs there. "
            f"Write {key} [] for the paper's factors",
        )
    at_least(cfg, 1, "MUTUALNET.DIVISOR")
    at_least(cfg, 0, "MUTUALNET.NUM_RANDOM", "MUTUALNET.DISTILL_WEIGHT")


def _check_image_network(cfg: CfgNode) -> None:
    """Images have no temporal axis; widths above 1 are those of a network that is built as wide."""
    arch, factor, highest = cfg.MODEL.ARCH, cfg.IMAGE.WIDTH_FACTOR, cfg.MUTUALNET.WIDTH[1]
    require(
        not cfg.MUTUALNET.TEMPORAL,
        f"MUTUALNET.TEMPORAL is {cfg.MUTUALNET.TEMPORAL}; images of MODEL.ARCH {arch} have no frames: write []",
    )
    require(not cfg.DETECTION.ENABLE, f"DETECTION.ENABLE is True; {arch} has no detection head: write False")
    require(factor > 0, f"IMAGE.WIDTH_FACTOR is {factor}; it must be above 0")
    has_factor = arch.startswith(("mobilenet", "vgg", "wide_resnet"))
    require(factor == 1 or has_factor, f"IMAGE.WIDTH_FACTOR is {factor}; {arch} has no such factor: write 1.0")
    require(
        highest <= 1 or factor == highest,
        f"MUTUALNET.WIDTH is {cfg.MUTUALNET.WIDTH}; "
        + (
            f"widths above 1 need the network built that wide, and IMAGE.WIDTH_FACTOR is {factor}: set it to "
            f"{highest}, or MUTUALNET.WIDTH to at most 1"
            if has_factor
            else f"{arch} cannot be built wider than it is: its highest must be at most 1"
        ),
    )
    at_least(cfg, 1, "IMAGE.WIDEN_FACTOR", "IMAGE.STEM_STRIDE")
    require(
        cfg.IMAGE.DEPTH >= 10 and cfg.IMAGE.DEPTH % 6 == 4,
        f"IMAGE.DEPTH is {cfg.IMAGE.DEPTH}; a wide ResNet has 6 n + 4 convolutions: 10, 16, 22, 28, 40",
    )


def check_method(cfg: CfgNode) -> None:
    """What trains the network, and the keys that belong to it."""
    node = cfg.MUTUALNET
    one_of(cfg, METHODS, "MUTUALNET.METHOD")
    one_of(cfg, SMALLEST, "MUTUALNET.SMALLEST")
    one_of(cfg, TEACHERS, "MUTUALNET.TEACHER")
    at_least(cfg, 0, "MUTUALNET.LABEL_EPOCHS")
    method = f"MUTUALNET.METHOD is {node.METHOD}"
    require(
        node.ENABLE or node.METHOD == "mutual",
        f"{method} and MUTUALNET.ENABLE False, which trains the full network alone; set MUTUALNET.ENABLE True",
    )
    for key, owner, unset in (
        ("SMALLEST", "mutual", "auto"),
        ("FIXED", "independent", ""),
        ("WIDTHS_TRAINED", "slimmable", []),
    ):
        require(
            owner == node.METHOD or node[key] == unset,
            f"MUTUALNET.{key} is {node[key]!r} and {method}; it belongs to METHOD {owner}: leave it {unset!r}",
        )
    if node.METHOD == "independent":
        require(bool(node.FIXED), f"{method} and MUTUALNET.FIXED is empty; name a configuration: '0.63-142-3'")
        _parse_configuration("MUTUALNET.FIXED", node.FIXED)
    if node.METHOD == "slimmable":
        widths = list_of(cfg, "MUTUALNET.WIDTHS_TRAINED", positive, "positive numbers")
        (low, high) = node.WIDTH
        require(
            bool(widths) and ascending(widths) and low <= widths[0] and widths[-1] == high,
            f"MUTUALNET.WIDTHS_TRAINED is {widths}; it must ascend within MUTUALNET.WIDTH {[low, high]} and end with "
            f"{high}, such as {sorted({low, high})}",
        )
    if cfg.MODEL.FROZEN_BN and node.ENABLE:
        _check_frozen(cfg)


def _check_frozen(cfg: CfgNode) -> None:
    """Frozen statistics exist of calibrated configurations alone; the smallest must be one of them."""
    node, why = cfg.MUTUALNET, "MODEL.FROZEN_BN is True: every configuration needs statistics before training, so"
    require(
        node.METHOD == "mutual" and node.SMALLEST in ("auto", "lowest"),
        f"{why} it works with MUTUALNET.METHOD mutual and SMALLEST auto or lowest only; MUTUALNET.METHOD is "
        f"{node.METHOD}, SMALLEST {node.SMALLEST}: set MODEL.FROZEN_BN False",
    )
    require(
        node.SMALLEST == "lowest" or not is_image_network(cfg),
        f"{why} the narrowest cannot run at random resolutions, as MUTUALNET.SMALLEST {node.SMALLEST} asks for with "
        "images: set MUTUALNET.SMALLEST lowest, or MODEL.FROZEN_BN False",
    )


def check_table(cfg: CfgNode) -> None:
    """Configurations and widths that are calibrated and tabulated."""
    for key in ("CALIBRATION.CONFIGURATIONS", "QUERY_TABLE.CONFIGURATIONS"):
        for text in get_value(cfg, key):
            _parse_configuration(key, text)
    low, high = cfg.MUTUALNET.WIDTH
    widths = list_of(cfg, "QUERY_TABLE.WIDTHS", positive, "positive numbers")
    outside = [width for width in widths if not low <= width <= high]
    require(
        not outside,
        f"QUERY_TABLE.WIDTHS holds {outside}; the network is trained for widths in {[low, high]} (MUTUALNET.WIDTH)",
    )
    step = cfg.QUERY_TABLE.WIDTH_STEP
    require(
        step == 0 or step >= 0.001, f"QUERY_TABLE.WIDTH_STEP is {step}; it must be 0 (off) or at least 0.001 of full"
    )
    require(
        not (step and widths),
        f"QUERY_TABLE.WIDTH_STEP is {step} and QUERY_TABLE.WIDTHS {widths}: both name the widths; set one of them",
    )


def _parse_configuration(key: str, text: Any) -> None:
    try:
        Configuration.parse(text)
    except ConfigurationError as error:
        raise ConfigError(f"{key} holds a wrong configuration: {error}") from error


def _frames_name(cfg: CfgNode) -> str:
    multi = cfg.MODEL.ARCH in cfg.MODEL.MULTI_PATHWAY_ARCH
    return "DATA.NUM_FRAMES // SLOWFAST.ALPHA" if multi else "DATA.NUM_FRAMES"
