"""Gradients added in place against those that autograd accumulates, bit by bit."""

import copy

import pytest
import torch
from torch import nn

from mutualnet3d.configuration import Configuration
from mutualnet3d.layers import (
    Activation,
    Channels,
    SlimmableConv2d,
    SlimmableConv3d,
    SlimmableLinear,
    gradients_in_place,
)
from mutualnet3d.layers.gradients import narrow_parameter

FUSED = Channels.fixed(2) + Channels.slim(16) + Channels.slim(16)
LAYERS = {
    "conv": (
        lambda: SlimmableConv3d(Channels.slim(16), Channels.slim(32), (3, 1, 1), padding=(1, 0, 0)),
        (2, 8, 4, 3, 3),
    ),
    "fused twice": (lambda: SlimmableConv3d(FUSED, Channels.slim(16) + Channels.fixed(1), 1), (2, 18, 2, 3, 3)),
    "depthwise": (lambda: SlimmableConv2d(Channels.slim(16), Channels.slim(16), 3, groups=16), (2, 8, 5, 4)),
    "linear": (lambda: SlimmableLinear(Channels.slim(16) + Channels.fixed(4), Channels.fixed(5)), (3, 12)),
}


@pytest.mark.parametrize("before", [True, False], ids=["of another pass", "none yet"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_same_bits(name, before):
    build, shape = LAYERS[name]
    torch.manual_seed(0)
    layer = build()
    layer.activation = Activation(Configuration(0.5, 8, 2), 0.5)
    other, x = copy.deepcopy(layer), torch.randn(shape)
    if before:
        for own, theirs in zip(layer.parameters(), other.parameters(), strict=True):
            own.grad = torch.randn_like(own)
            theirs.grad = own.grad.clone()
    inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    with gradients_in_place():
        found = layer(inputs[0])
    expected = other(inputs[1])
    assert torch.equal(found, expected)
    found.square().sum().backward()  # after the body
    expected.square().sum().backward()
    assert torch.equal(inputs[0].grad, inputs[1].grad)
    for own, theirs in zip(layer.parameters(), other.parameters(), strict=True):
        assert torch.equal(own.grad, theirs.grad)
        assert own.grad.stride() == theirs.grad.stride()


@pytest.mark.parametrize("register", ["register_hook", "register_post_accumulate_grad_hook"])
def test_hooks_get_the_whole_gradient(register):
    weight, seen = nn.Parameter(torch.ones(16, 4)), []
    getattr(weight, register)(lambda given: seen.append((given if given.grad is None else given.grad).clone()))
    with gradients_in_place():
        narrow_parameter(weight, (Channels.slim(16),), 0.5).sum().backward()
    expected = torch.cat([torch.ones(8, 4), torch.zeros(8, 4)])
    assert len(seen) == 1
    assert torch.equal(seen[0], expected)
    assert torch.equal(weight.grad, expected)


def test_nothing_of_the_parameters_size_is_made():
    weight, channels = nn.Parameter(torch.ones(512, 512)), Channels.slim(512)
    weight.grad = torch.zeros_like(weight)
    with gradients_in_place():
        narrow = narrow_parameter(weight, (channels, channels), 0.25)
    with torch.profiler.profile(profile_memory=True) as profiler:
        narrow.sum().backward()
    allocated = [event.cpu_memory_usage for event in profiler.key_averages()]
    assert 0 < max(allocated) < weight.numel() * 4 / 4
    assert weight.grad.sum() == 128 * 128


def test_outside_autograd_sees_the_slice():
    weight = nn.Parameter(torch.ones(16, 16))
    with gradients_in_place():
        with gradients_in_place(False):
            narrow = narrow_parameter(weight, (Channels.slim(16),), 0.5)
        assert narrow_parameter(weight, (Channels.slim(16),), 1.0) is weight
    (gradient,) = torch.autograd.grad(narrow.sum(), weight)
    assert gradient.sum() == 8 * 16
    assert weight.grad is None
