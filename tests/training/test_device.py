"""Where and at which precision a run computes."""

import contextlib

import pytest
import torch

from mutualnet3d.config import load_config
from mutualnet3d.errors import ConfigError
from mutualnet3d.training.device import build_autocast, build_scaler, choose_device

CPU = torch.device("cpu")
SLOW, SLOWFAST = "configs/Demo/MN_SLOW_SMALL.yaml", "configs/Demo/MN_SLOWFAST_SMALL.yaml"


def test_no_gpu_is_the_cpu_and_too_many_are_refused():
    assert choose_device(load_config(SLOW)) == CPU
    cfg = load_config(SLOW, ["NUM_GPUS", 64, "TRAIN.BATCH_SIZE", 64, "TEST.BATCH_SIZE", 64])
    with pytest.raises(ConfigError, match=r"NUM_GPUS is 64, this machine has \d+; set NUM_GPUS"):
        choose_device(cfg)


def test_float32_needs_no_context_and_no_scaler():
    cfg = load_config(SLOW)
    assert isinstance(build_autocast(cfg, CPU)(), contextlib.nullcontext)
    assert not build_scaler(cfg, CPU).is_enabled()


@pytest.mark.parametrize(
    ("name", "dtype", "scaled"), [("bfloat16", torch.bfloat16, False), ("float16", torch.float16, True)]
)
def test_mixed_precision(name, dtype, scaled):
    cfg = load_config(SLOW, ["TRAIN.MIXED_PRECISION", True, "TRAIN.MIXED_PRECISION_DTYPE", name])
    with build_autocast(cfg, CPU)():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    assert build_scaler(cfg, CPU).is_enabled() == scaled


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
@pytest.mark.parametrize("supported", [True, False])
def test_a_processor_that_only_imitates_a_precision_is_named(name, supported, monkeypatch, caplog):
    question = {"bfloat16": "_is_mkldnn_bf16_supported", "float16": "_is_mkldnn_fp16_supported"}[name]
    monkeypatch.setattr(torch.ops.mkldnn, question, lambda: supported)
    cfg = load_config(SLOW, ["TRAIN.MIXED_PRECISION", True, "TRAIN.MIXED_PRECISION_DTYPE", name])
    build_autocast(cfg, CPU)
    warned = f"no instructions for {name}" in caplog.text
    assert warned is not supported
    caplog.clear()
    build_autocast(cfg, torch.device("cuda"))
    assert not caplog.text


MUTUALNET = ("MUTUALNET.ENABLE", True, "MUTUALNET.METHOD")


@pytest.mark.parametrize(
    ("method", "trained"),
    [
        ([*MUTUALNET, "mutual"], True),
        ([*MUTUALNET, "multiscale"], True),
        ([*MUTUALNET, "independent", "MUTUALNET.FIXED", "0.63-52-2"], True),
        ([*MUTUALNET, "independent", "MUTUALNET.FIXED", "0.63-52-4"], False),
        ([*MUTUALNET, "usnet"], False),
        (["MUTUALNET.ENABLE", False], False),
    ],
)
def test_bfloat16_over_two_frames_on_the_cpu_is_refused(method, trained):
    cfg = load_config(SLOWFAST, ["TRAIN.MIXED_PRECISION", True, *method])
    with pytest.raises(ConfigError, match=r"2 frames") if trained else contextlib.nullcontext():
        build_autocast(cfg, CPU)
    build_autocast(cfg, torch.device("cuda"))


def test_unknown_precision():
    cfg = load_config(SLOW, ["TRAIN.MIXED_PRECISION", True, "TRAIN.MIXED_PRECISION_DTYPE", "float8"])
    with pytest.raises(ConfigError, match=r"float8.*bfloat16, float16"):
        build_autocast(cfg, CPU)
