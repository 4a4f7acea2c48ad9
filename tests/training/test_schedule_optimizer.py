"""Learning rates, parameter groups and clipping."""

import math

import pytest
import torch
from slowfast.utils.lr_policy import get_lr_at_epoch
from tiny import tiny_cfg
from torch import nn

import mutualnet3d as mn
from mutualnet3d.errors import ConfigError
from mutualnet3d.training.optimizer import build_optimizer, clip_gradients, set_learning_rate
from mutualnet3d.training.schedule import learning_rate

SOLVER = ["SOLVER.BASE_LR", 0.4, "SOLVER.MAX_EPOCH", 20, "SOLVER.WARMUP_START_LR", 0.1]
STEPS = ["SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", [0, 5, 12], "SOLVER.LRS", [1, 0.5, 0.1]]


def rates(epochs, *overrides):
    cfg = tiny_cfg(*SOLVER, *overrides)
    return [learning_rate(cfg, epoch) for epoch in epochs]


def test_cosine():
    found = rates([0, 5, 10, 15, 20], "SOLVER.WARMUP_EPOCHS", 0)
    half = math.sqrt(0.5)
    assert found == pytest.approx([0.4, 0.2 * (1 + half), 0.2, 0.2 * (1 - half), 0.0])


def test_warm_up_is_linear_and_ends_on_the_policy():
    """Without COSINE_AFTER_WARMUP the cosine has gone on meanwhile: at epoch 4 of 20 it is at cos(pi / 5)."""
    end = 0.2 * (1 + (1 + math.sqrt(5)) / 4)
    found = rates([0, 1, 2, 3.999999, 4], "SOLVER.WARMUP_EPOCHS", 4)
    assert found == pytest.approx([0.1, 0.1 + (end - 0.1) / 4, 0.1 + (end - 0.1) / 2, end, end], rel=1e-5)


def test_cosine_after_warmup_and_end():
    more = ["SOLVER.WARMUP_EPOCHS", 4, "SOLVER.COSINE_AFTER_WARMUP", True, "SOLVER.COSINE_END_LR", 0.2]
    assert rates([0, 2, 4, 12, 20], *more) == pytest.approx([0.1, 0.25, 0.4, 0.3, 0.2])
    found = rates([10, 20], "SOLVER.WARMUP_EPOCHS", 0, "SOLVER.COSINE_END_LR", 0.2)
    assert found == pytest.approx([0.3, 0.2])


def test_steps():
    epochs = [0, 4.99, 5, 11.5, 12, 19.9]
    assert rates(epochs, *STEPS, "SOLVER.WARMUP_EPOCHS", 0) == pytest.approx([0.4, 0.4, 0.2, 0.2, 0.04, 0.04])
    assert rates([0, 3, 6], *STEPS, "SOLVER.WARMUP_EPOCHS", 6) == pytest.approx([0.1, 0.15, 0.2])


@pytest.mark.parametrize("warmup", [0, 2.5])
@pytest.mark.parametrize("policy", [[], STEPS], ids=["cosine", "steps"])
def test_equals_pyslowfast(policy, warmup):
    cfg = tiny_cfg(*SOLVER, *policy, "SOLVER.WARMUP_EPOCHS", warmup)
    for tenth in range(200):
        assert learning_rate(cfg, tenth / 10) == pytest.approx(get_lr_at_epoch(cfg, tenth / 10), rel=1e-12)


def test_refused_schedules():
    with pytest.raises(ConfigError, match=r"WARMUP_EPOCHS 20.* below SOLVER\.MAX_EPOCH"):
        rates([0], "SOLVER.WARMUP_EPOCHS", 20, "SOLVER.COSINE_AFTER_WARMUP", True)
    cfg = tiny_cfg()
    cfg.SOLVER.LR_POLICY = "linear"
    with pytest.raises(ConfigError, match="linear"):
        learning_rate(cfg, 0)


@pytest.fixture(scope="module")
def model():
    return mn.build_model(tiny_cfg())


def decays(optimizer, model):
    """Weight decay by parameter name."""
    of = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert len(of) == sum(len(group["params"]) for group in optimizer.param_groups)
    return {name: of[id(p)] for name, p in model.named_parameters() if id(p) in of}


@pytest.mark.parametrize("zero_1d", [False, True])
@pytest.mark.parametrize("of_norms", [0.0, 0.002, 0.01])
def test_parameter_groups(model, zero_1d, of_norms):
    cfg = tiny_cfg(
        *("SOLVER.WEIGHT_DECAY", 0.01, "BN.WEIGHT_DECAY", of_norms, "SOLVER.ZERO_WD_1D_PARAM", zero_1d),
    )
    found = decays(build_optimizer(model, cfg), model)
    assert found.keys() == dict(model.named_parameters()).keys()
    for name, decay in found.items():
        if "bn." in name:  # PySlowFast's names tell the layer
            assert decay == of_norms, name
        elif name == "head.projection.bias":
            assert decay == (0.0 if zero_1d else 0.01)
        else:
            assert decay == 0.01, name


def test_frozen_parameters_are_left_out(model):
    frozen = mn.build_model(tiny_cfg())
    frozen.s1.requires_grad_(False)
    found = decays(build_optimizer(frozen, tiny_cfg()), frozen)
    assert not any(name.startswith("s1.") for name in found)
    assert "s2.pathway0_res0.branch1.weight" in found
    frozen.requires_grad_(False)
    with pytest.raises(ConfigError, match="no parameter requires a gradient"):
        build_optimizer(frozen, tiny_cfg())


def one_update(kind, plain, *overrides):
    """A linear layer after two updates by our optimizer and by ``plain`` over the same gradients."""
    results = []
    for build in (lambda layer, cfg: build_optimizer(layer, cfg), lambda layer, cfg: plain(layer.parameters())):
        torch.manual_seed(0)
        layer = nn.Linear(4, 2)
        optimizer = build(layer, tiny_cfg("SOLVER.OPTIMIZING_METHOD", kind, "SOLVER.WEIGHT_DECAY", 0.3, *overrides))
        for seed in (1, 2):
            optimizer.zero_grad()
            (layer(torch.full((3, 4), float(seed))) ** 2).sum().backward()
            optimizer.step()
        results.append(layer.weight.detach())
    return results


def test_optimizers():
    def sgd(parameters):
        return torch.optim.SGD(parameters, lr=0.02, momentum=0.7, nesterov=True, weight_decay=0.3)

    def adam(parameters):
        return torch.optim.Adam(parameters, lr=0.02, betas=(0.8, 0.9), weight_decay=0.3)

    def adamw(parameters):
        return torch.optim.AdamW(parameters, lr=0.02, betas=(0.8, 0.9), weight_decay=0.3)

    more = ["SOLVER.BASE_LR", 0.02, "SOLVER.MOMENTUM", 0.7, "SOLVER.NESTEROV", True, "SOLVER.BETAS", [0.8, 0.9]]
    updated = []
    for kind, plain in (("sgd", sgd), ("adam", adam), ("adamw", adamw)):
        ours, theirs = one_update(kind, plain, *more)
        assert torch.equal(ours, theirs), kind
        updated.append(ours)
    assert not torch.equal(updated[0], updated[1])
    assert not torch.equal(updated[1], updated[2])


@pytest.mark.parametrize(
    "override", [("OPTIMIZING_METHOD", "lamb"), ("LAYER_DECAY", 0.75), ("LARS_ON", True)], ids=lambda o: o[0]
)
def test_refused_optimizers(model, override):
    cfg = tiny_cfg()
    cfg.SOLVER[override[0]] = override[1]
    with pytest.raises(ConfigError, match=override[0]):
        build_optimizer(model, cfg)


def test_set_learning_rate_reaches_every_group(model):
    optimizer = build_optimizer(model, tiny_cfg())
    set_learning_rate(optimizer, 0.123)
    assert len(optimizer.param_groups) > 1
    assert {group["lr"] for group in optimizer.param_groups} == {0.123}


def gradient_of(*overrides, scale=1.0):
    layer = nn.Linear(2, 1)
    unused = nn.Linear(1, 1)  # has no gradient
    layer.weight.grad, layer.bias.grad = torch.tensor([[3.0, -0.5]]) * scale, torch.tensor([4.0]) * scale
    norm = clip_gradients(nn.ModuleList([layer, unused]), tiny_cfg(*overrides))
    return norm.item(), [*layer.weight.grad[0].tolist(), layer.bias.grad.item()]


def test_clipping():
    norm = math.sqrt(9 + 0.25 + 16)
    assert gradient_of() == (pytest.approx(norm), [3.0, -0.5, 4.0])
    assert gradient_of("SOLVER.CLIP_GRAD_VAL", 1.0)[1] == [1.0, -0.5, 1.0]
    found, clipped = gradient_of("SOLVER.CLIP_GRAD_L2NORM", 1.0)
    assert found == pytest.approx(norm)
    assert clipped == pytest.approx([3 / norm, -0.5 / norm, 4 / norm], rel=1e-5)
    assert gradient_of("SOLVER.CLIP_GRAD_L2NORM", 100.0)[1] == pytest.approx([3.0, -0.5, 4.0])
    both = gradient_of("SOLVER.CLIP_GRAD_L2NORM", 1.0, "SOLVER.CLIP_GRAD_VAL", 1.0)[1]
    assert both == [1.0, -0.5, 1.0], "by value comes first, as in PySlowFast"


def test_depthwise_convolutions_need_not_decay():
    """As the paper trains MobileNets: no decay of depthwise convolutions, BatchNorm and biases."""
    keys = ["SOLVER.WEIGHT_DECAY", 1e-4, "SOLVER.ZERO_WD_1D_PARAM", True, "BN.WEIGHT_DECAY", 0.0]
    image = ["MODEL.ARCH", "mobilenet_v1", "IMAGE.WIDTH_FACTOR", 0.25, "MODEL.NUM_CLASSES", 3]
    for zero in (True, False):
        cfg = mn.load_config((), [*keys, *image, "SOLVER.ZERO_WD_DEPTHWISE", zero])
        model = mn.build_model(cfg)
        decay = {id(p): g["weight_decay"] for g in build_optimizer(model, cfg).param_groups for p in g["params"]}
        found = {"depthwise": set(), "vector": set(), "other": set()}
        for parameter in model.parameters():
            one_channel = parameter.ndim == 4 and parameter.shape[1:] == (1, 3, 3)
            kind = "depthwise" if one_channel else "vector" if parameter.ndim == 1 else "other"
            found[kind].add(decay[id(parameter)])
        assert found == {"depthwise": {0.0 if zero else 1e-4}, "vector": {0.0}, "other": {1e-4}}
