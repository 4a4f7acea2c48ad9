"""Where and at which precision a run computes."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable

import torch

from mutualnet3d.architectures import is_image_network
from mutualnet3d.errors import ConfigError
from mutualnet3d.layers import SlimmableConv2d, SlimmableConv3d
from mutualnet3d.methods import Method
from mutualnet3d.models.space import space_from_config

_logger = logging.getLogger(__name__)

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(cfg) -> torch.device:
    """NUM_GPUS 0 is the CPU, otherwise this process's CUDA device.

    Raises:
        ConfigError: this machine has fewer GPUs than NUM_GPUS.
    """
    if cfg.NUM_GPUS == 0:
        return torch.device("cpu")
    found = torch.cuda.device_count()
    if found < cfg.NUM_GPUS:
        raise ConfigError(
            f"NUM_GPUS is {cfg.NUM_GPUS}, this machine has {found}; set NUM_GPUS {found}"
            + (" and lower TRAIN.BATCH_SIZE and SOLVER.BASE_LR alike" if found else " to run on the CPU")
        )
    return torch.device("cuda", torch.cuda.current_device())


def to_device(model: torch.nn.Module, cfg) -> torch.nn.Module:
    """``model`` on the device of ``cfg``, its convolutions stored channels last, as clips and images come, and kept on
    oneDNN where it computes with one thread."""
    layout = torch.channels_last if is_image_network(cfg) else torch.channels_last_3d
    for layer in model.modules():
        if isinstance(layer, (SlimmableConv2d, SlimmableConv3d)):
            layer.prefers_onednn = True
    return model.to(choose_device(cfg), memory_format=layout)


def build_autocast(cfg, device: torch.device) -> Callable[[], contextlib.AbstractContextManager]:
    """The context of forward passes: autocast to TRAIN.MIXED_PRECISION_DTYPE with TRAIN.MIXED_PRECISION.

    Where the processor only imitates it, a warning says so.

    Raises:
        ConfigError: torch would compute wrong gradients at this precision.
    """
    if not cfg.TRAIN.MIXED_PRECISION:
        return contextlib.nullcontext
    method = Method.from_cfg(cfg, space_from_config(cfg))
    if device.type == "cpu" and _dtype(cfg) is torch.bfloat16 and 2 in method.drawn_frames:
        raise ConfigError(
            "bfloat16 on a CPU: torch's gradient of a temporal convolution over exactly 2 frames is wrong there, and "
            "this run trains configurations of 2; leave 2 out of MUTUALNET.TEMPORAL, or train in float32 "
            "(TRAIN.MIXED_PRECISION False)"
        )
    if device.type == "cpu" and torch.backends.mkldnn.is_available() and not _has_instructions(_dtype(cfg)):
        _logger.warning(
            "this processor has no instructions for %s, and imitating it takes many times as long as float32: set "
            "TRAIN.MIXED_PRECISION False",
            cfg.TRAIN.MIXED_PRECISION_DTYPE,
        )
    return functools.partial(torch.autocast, device.type, dtype=_dtype(cfg))


def build_scaler(cfg, device: torch.device) -> torch.amp.GradScaler:
    """Loss scaling, which float16 needs; disabled, and so the identity, otherwise."""
    enabled = cfg.TRAIN.MIXED_PRECISION and _dtype(cfg) is torch.float16
    return torch.amp.GradScaler(device.type, enabled=enabled)


def _has_instructions(dtype: torch.dtype) -> bool:
    """Whether oneDNN computes convolutions of ``dtype`` on this CPU, as torch asks it."""
    asks = torch.ops.mkldnn
    return asks._is_mkldnn_bf16_supported() if dtype is torch.bfloat16 else asks._is_mkldnn_fp16_supported()


def _dtype(cfg) -> torch.dtype:
    name = cfg.TRAIN.MIXED_PRECISION_DTYPE
    if name not in _DTYPES:
        raise ConfigError(f"TRAIN.MIXED_PRECISION_DTYPE {name!r} is not one of {', '.join(_DTYPES)}")
    return _DTYPES[name]
