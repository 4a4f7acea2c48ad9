"""A config that suits the videos and the machine: a recipe of configs/, and what is set besides, each with its reason.

Rules of thumb, not measurements: enough steps to learn, few enough to end; every value stands in the file that is
written, to be changed there.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fvcore.common.config import CfgNode

from mutualnet3d.config import load_config
from mutualnet3d.config.values import get_value
from mutualnet3d.data.check import VideoReport
from mutualnet3d.errors import ConfigError
from mutualnet3d.preparation.machine import Machine

RECIPES = {  # small, full: below configs/
    "slow": ("Demo/MN_SLOW_SMALL.yaml", "Kinetics/MN_SLOW_8x8.yaml"),
    "slowfast": ("Demo/MN_SLOWFAST_SMALL.yaml", "Kinetics/MN_SLOWFAST_4x16.yaml"),
    "x3d": ("Demo/MN_X3D_SMALL.yaml", "Kinetics/MN_X3D_M.yaml"),
}
_FULL_FROM = 5000  # training videos from which a full-size network may learn from scratch
_SMALL_CROP = 112  # pixels: up to here a network counts as small; to here full-size ones are cropped on a CPU
_LONGEST_CLIP = 64  # frames
_MOST_VIEWS = 10
_GB_PER_CLIP = 2.0  # of a GPU, for one clip of a full-size network's training at 224 pixels
# (iterations, fewest epochs, most epochs) of a training, by (full size, pre-trained)
_LENGTHS = {
    (False, False): (1200, 10, 60),
    (False, True): (600, 5, 30),
    (True, False): (40000, 30, 196),
    (True, True): (4000, 10, 40),
}
_DIRECTION = re.compile(r"(?<![a-z])(left|right|links|rechts)(?![a-z])|clockwise", re.IGNORECASE)
_NETWORK = ("RESNET", "SLOWFAST", "X3D", "NONLOCAL")  # nodes that say what a network is, and these keys:
_NETWORK_KEYS = (
    *("MODEL.ARCH", "DATA.NUM_FRAMES", "DATA.TRAIN_CROP_SIZE", "DATA.TRAIN_JITTER_SCALES", "DATA.INPUT_CHANNEL_NUM"),
    *("DATA.SAMPLING_RATE", "DATA.TARGET_FPS", "DATA.MEAN", "DATA.STD", "MUTUALNET.WIDTH", "MUTUALNET.DIVISOR"),
)


@dataclass(frozen=True)
class Setting:
    """A key of the config, its value, and why it is that; no reason for what is a matter of course."""

    key: str
    value: Any
    why: str = ""


@dataclass(frozen=True)
class Plan:
    """``recipe``: a file below configs/; ``settings`` are laid over it."""

    recipe: str
    settings: tuple[Setting, ...]

    def overrides(self) -> list[Any]:
        """As ``load_config`` takes them."""
        return [word for setting in self.settings for word in (setting.key, setting.value)]


@dataclass(frozen=True)
class _Facts:
    train: int
    short_s: float  # lower quartile
    median_s: float
    fps: float

    @classmethod
    def of(cls, reports: Sequence[VideoReport], train: int) -> _Facts:
        seconds = sorted(r.seconds or 0.0 for r in reports)
        fps = statistics.median(r.fps or 30.0 for r in reports)
        return cls(train, seconds[len(seconds) // 4], statistics.median(seconds), fps)


def choose_settings(
    labels: Sequence[str],
    reports: Sequence[VideoReport],
    train: int,
    machine: Machine,
    configs: str,
    recipe: str = "slow",
    epochs: int | None = None,
    weights: str = "",
    network: CfgNode | None = None,
) -> Plan:
    """The plan for ``train`` training videos of the classes ``labels``.

    Args:
        reports: of all usable videos.
        configs: the folder of the recipes.
        recipe: slow, slowfast or x3d; with ``network`` its architecture counts.
        epochs: of training; None: chosen.
        weights: file to start from, "" for none.
        network: the config of the network in ``weights``, where the file holds it.

    Raises:
        ConfigError: ``network`` is none of these three.
    """
    facts = _Facts.of(reports, train)
    arch = recipe if network is None else network.MODEL.ARCH
    if arch not in RECIPES:
        raise ConfigError(f"{weights} holds a network of MODEL.ARCH {arch}; one of {', '.join(RECIPES)} is needed")
    if network is not None:
        full = network.DATA.TRAIN_CROP_SIZE > _SMALL_CROP
    else:
        full = bool(weights) or (machine.gpus > 0 and train >= _FULL_FROM)
    path = RECIPES[arch][full]
    base = load_config(f"{configs}/{path}")
    settings = _network(base, network)
    cfg = load_config(f"{configs}/{path}", Plan(path, tuple(settings)).overrides())
    if full and not machine.gpus:
        settings += _smaller_crop()
        cfg.DATA.TRAIN_CROP_SIZE = _SMALL_CROP
    settings += [
        Setting("MODEL.NUM_CLASSES", len(labels)),
        Setting("MUTUALNET.ENABLE", True),
        *_clips(cfg, facts, pretrained=bool(weights)),
        *_directions(labels),
        *_training(base, facts, machine, full, epochs, bool(weights)),
        Setting("TEST.NUM_SPATIAL_CROPS", 1),
        Setting("DATA.TEST_CROP_SIZE", cfg.DATA.TRAIN_CROP_SIZE),
    ]
    if weights:
        settings.append(Setting("TRAIN.CHECKPOINT_FILE_PATH", weights))
    return Plan(path, tuple({setting.key: setting for setting in settings}.values()))  # later ones win


def _network(base: CfgNode, network: CfgNode | None) -> list[Setting]:
    """What makes the recipe's network that of a weight file."""
    if network is None:
        return []
    keys = [*(f"{node}.{name}" for node in _NETWORK for name in network[node]), *_NETWORK_KEYS]
    if network.MUTUALNET.ENABLE:
        keys += ["MUTUALNET.SPATIAL", "MUTUALNET.TEMPORAL"]
    values = {key: get_value(network, key) for key in keys}
    if not network.MUTUALNET.ENABLE:
        values |= {"MUTUALNET.SPATIAL": [], "MUTUALNET.TEMPORAL": []}
    return [Setting(key, v, "as in the weights") for key, v in values.items() if v != get_value(base, key)]


def _smaller_crop() -> list[Setting]:
    crop, why = _SMALL_CROP, "a full-size network on a CPU: a quarter of the pixels"
    return [
        Setting("DATA.TRAIN_CROP_SIZE", crop, why),
        Setting("DATA.TRAIN_JITTER_SCALES", [round(crop * 8 / 7), round(crop * 10 / 7)]),
        Setting("MUTUALNET.SPATIAL", [], "sizes that follow from the crop"),
    ]


def _clips(cfg: CfgNode, facts: _Facts, pretrained: bool) -> list[Setting]:
    frames, target = cfg.DATA.NUM_FRAMES, max(1, min(30, round(facts.fps)))
    longest = max(cfg.DATA.SAMPLING_RATE, _LONGEST_CLIP // frames)
    if pretrained:  # what the weights have learnt to see, unless the videos are shorter
        longest, target = cfg.DATA.SAMPLING_RATE, cfg.DATA.TARGET_FPS
    rate = max(1, min(longest, math.floor(facts.short_s * target / frames)))
    span = frames * rate / target
    views = max(1, min(_MOST_VIEWS, round(facts.median_s / span)))
    return [
        Setting("DATA.TARGET_FPS", target, f"frames per second; the videos' median is {facts.fps:g}"),
        Setting(
            "DATA.SAMPLING_RATE",
            rate,
            f"{frames} frames so far apart span {span:.2g} s; the videos' lower quartile is {facts.short_s:.2g} s",
        ),
        Setting(
            "TEST.NUM_ENSEMBLE_VIEWS", views, f"clips of a test video; the videos' median is {facts.median_s:.2g} s"
        ),
    ]


def _directions(labels: Sequence[str]) -> list[Setting]:
    named = [label for label in labels if _DIRECTION.search(label)]
    if not named:
        return []
    return [Setting("DATA.RANDOM_FLIP", False, f"{named[0]}: a mirrored clip would be of another class")]


def _training(
    base: CfgNode, facts: _Facts, machine: Machine, full: bool, epochs: int | None, pretrained: bool
) -> list[Setting]:
    gpus = max(0, min(machine.gpus, facts.train // 8))
    batch = _batch(facts.train, max(1, gpus), machine, full)
    per_epoch = max(1, facts.train // batch)
    iterations, fewest, most = _LENGTHS[full, pretrained]
    if full and not machine.gpus:
        iterations, fewest, most = iterations // 10, 5, 20
    chosen = epochs or max(fewest, min(most, round(iterations / per_epoch)))
    rate = float(f"{base.SOLVER.BASE_LR * batch / base.TRAIN.BATCH_SIZE * (0.2 if pretrained else 1):.2g}")
    workers = max(1, min(8, machine.cores // gpus)) if gpus else min(2, machine.cores)
    start = "; started from weights: a fifth of it" if pretrained else ""
    return [
        Setting("NUM_GPUS", gpus, str(machine)),
        Setting("DATA_LOADER.NUM_WORKERS", workers, "processes that decode" + (", for each GPU" if gpus else "")),
        Setting("TRAIN.ENABLE", True),
        Setting("TRAIN.BATCH_SIZE", batch, f"{facts.train} training videos: {per_epoch} steps an epoch"),
        Setting("TEST.BATCH_SIZE", max(1, base.TEST.BATCH_SIZE // max(1, gpus)) * max(1, gpus)),
        Setting("TRAIN.EVAL_PERIOD", max(1, chosen // 4), "epochs"),
        Setting("TRAIN.CHECKPOINT_PERIOD", max(1, chosen // 10), "epochs; a stopped run goes on from there"),
        Setting("SOLVER.MAX_EPOCH", chosen, "as asked" if epochs else f"{chosen * per_epoch} steps"),
        Setting("SOLVER.WARMUP_EPOCHS", round(chosen / 15, 1)),
        Setting(
            "SOLVER.BASE_LR",
            rate,
            f"the recipe's {base.SOLVER.BASE_LR:g} for {base.TRAIN.BATCH_SIZE}, in proportion{start}",
        ),
        Setting("SOLVER.WARMUP_START_LR", float(f"{rate / 10:.2g}")),
    ]


def _batch(train: int, gpus: int, machine: Machine, full: bool) -> int:
    """Clips of a step: a power of two for each GPU, at most an eighth of the training videos where that leaves 2."""
    most = 16.0
    if full:
        most = min(16.0, machine.gpu_gb / _GB_PER_CLIP) if machine.gpus else 8.0
    share = max(1.0, min(most, max(2.0, train / 8) / gpus, train / gpus))
    return gpus * 2 ** int(math.log2(share))
