"""Where and at which precision a run computes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable

import torch

from mutualnet3d.architectures import is_image_network
from mutualnet3d.errors import ConfigError
from mutualnet3d.models.space import space_from_config

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(cfg) -> torch.device:
    """NUM_GPUS 0 is the CPU, 1 the current CUDA device.

    Raises:
        ConfigError: more GPUs are asked for than there are, or more than one.
    """
    found = torch.cuda.device_count()
    if cfg.NUM_GPUS > 1 or cfg.NUM_SHARDS > 1:
        raise ConfigError(
            f"NUM_GPUS {cfg.NUM_GPUS} x NUM_SHARDS {cfg.NUM_SHARDS}: this version runs on one device; set NUM_SHARDS 1 "
            f"and NUM_GPUS {min(found, 1)} (GPUs found: {found}), and lower TRAIN.BATCH_SIZE and SOLVER.BASE_LR alike"
        )
    if cfg.NUM_GPUS == 0:
        return torch.device("cpu")
    if not found:
        raise ConfigError("NUM_GPUS is 1, this machine has 0; set NUM_GPUS 0 to run on the CPU")
    return torch.device("cuda", torch.cuda.current_device())


def to_device(model: torch.nn.Module, cfg) -> torch.nn.Module:
    """``model`` on the device of ``cfg``, its convolutions stored channels last: as clips and images come."""
    layout = torch.channels_last if is_image_network(cfg) else torch.channels_last_3d
    return model.to(choose_device(cfg), memory_format=layout)


def build_autocast(cfg, device: torch.device) -> Callable[[], contextlib.AbstractContextManager]:
    """The context of forward passes: autocast to TRAIN.MIXED_PRECISION_DTYPE with TRAIN.MIXED_PRECISION."""
    if not cfg.TRAIN.MIXED_PRECISION:
        return contextlib.nullcontext
    if device.type == "cpu" and _dtype(cfg) is torch.bfloat16 and 2 in (space_from_config(cfg).temporal or ()):
        raise ConfigError(
            "bfloat16 on a CPU: torch's gradient of a temporal convolution over exactly 2 frames is wrong there, and "
            "MUTUALNET.TEMPORAL has 2; leave 2 out, or train in float32 (TRAIN.MIXED_PRECISION False)"
        )
    return functools.partial(torch.autocast, device.type, dtype=_dtype(cfg))


def build_scaler(cfg, device: torch.device) -> torch.amp.GradScaler:
    """Loss scaling, which float16 needs; disabled, and so the identity, otherwise."""
    enabled = cfg.TRAIN.MIXED_PRECISION and _dtype(cfg) is torch.float16
    return torch.amp.GradScaler(device.type, enabled=enabled)


def _dtype(cfg) -> torch.dtype:
    name = cfg.TRAIN.MIXED_PRECISION_DTYPE
    if name not in _DTYPES:
        raise ConfigError(f"TRAIN.MIXED_PRECISION_DTYPE {name!r} is not one of {', '.join(_DTYPES)}")
    return _DTYPES[name]
