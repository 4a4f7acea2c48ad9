"""Slimmable convolutions against torch's functions with weights that the test itself indexes."""

import copy
import subprocess
import sys

import pytest
import torch
from processes import ENVIRONMENT
from torch import nn
from torch.nn import functional as F

from mutualnet3d.configuration import Configuration
from mutualnet3d.layers import Activation, Channels, SlimmableConv2d, SlimmableConv3d

WIDTH = 0.5
NARROW = Activation(Configuration(WIDTH, 8, 2), WIDTH)

# name: in channels, out channels, active in, active out, options
CASES = {
    "dense": (Channels.slim(16), Channels.slim(32), range(8), range(16), {"kernel_size": 3, "padding": 1}),
    "bias": (Channels.slim(16), Channels.slim(24), range(8), range(16), {"kernel_size": 1, "bias": True}),
    "from clip": (Channels.fixed(3), Channels.slim(16), range(3), range(8), {"kernel_size": 3, "stride": 2}),
    "to logits": (Channels.slim(16), Channels.fixed(5), range(8), range(5), {"kernel_size": 1, "bias": True}),
    "fused": (
        Channels.slim(16) + Channels.fixed(6),
        Channels.slim(32),
        [*range(8), *range(16, 22)],
        range(16),
        {"kernel_size": 3, "stride": 2, "padding": 1, "bias": True},
    ),
    "fused twice": (
        Channels.fixed(2) + Channels.slim(16) + Channels.slim(16),
        Channels.slim(16) + Channels.fixed(1),
        [*range(2), *range(2, 10), *range(18, 26)],
        [*range(8), 16],
        {"kernel_size": 3},
    ),
    "dilated": (Channels.slim(16), Channels.slim(16), range(8), range(8), {"kernel_size": 3, "dilation": 2}),
    "depthwise": (
        Channels.slim(16), Channels.slim(16), range(8), range(8),
        {"kernel_size": 3, "padding": 1, "groups": 16, "bias": True},
    ),
    "grouped": (
        Channels.slim(32), Channels.slim(32), range(16), range(16),
        {"kernel_size": 3, "padding": 1, "groups": 8, "stride": 2},
    ),
    "grouped, wider": (
        Channels.slim(32), Channels.slim(64, divisor=16), range(16), range(32), {"kernel_size": 3, "groups": 16},
    ),
}  # fmt: skip
LAYERS = {2: (SlimmableConv2d, nn.Conv2d, F.conv2d), 3: (SlimmableConv3d, nn.Conv3d, F.conv3d)}


def build(dimensions, case):
    inputs, outputs, _, _, options = CASES[case]
    options = {"bias": False} | options
    torch.manual_seed(0)
    return LAYERS[dimensions][0](inputs, outputs, **options).double()


def sample(dimensions, channels):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, channels, *(5, 7, 6)[-dimensions:], dtype=torch.float64, generator=generator)


def options_of(layer, groups):
    return {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": groups}


@pytest.mark.parametrize("dimensions", LAYERS)
@pytest.mark.parametrize("case", CASES)
class TestEquality:
    def test_full_width_is_torchs_layer(self, dimensions, case):
        inputs, outputs, _, _, options = CASES[case]
        layer = build(dimensions, case)
        plain = LAYERS[dimensions][1](inputs.size, outputs.size, **{"bias": False} | options).double()
        plain.load_state_dict(layer.state_dict())
        x = sample(dimensions, inputs.size)
        ours, theirs = layer(x), plain(x)
        assert torch.equal(ours, theirs)
        ours.square().sum().backward()
        theirs.square().sum().backward()
        for mine, other in zip(layer.parameters(), plain.parameters(), strict=True):
            assert torch.equal(mine.grad, other.grad)

    def test_narrow_outputs_and_gradients(self, dimensions, case):
        _, _, active_in, active_out, options = CASES[case]
        layer = build(dimensions, case)
        layer.activation = NARROW
        active_in, active_out = torch.tensor(list(active_in)), torch.tensor(list(active_out))
        x = sample(dimensions, len(active_in)).requires_grad_()
        out = layer(x)

        groups = options.get("groups", 1)
        weight = layer.weight.detach()[active_out]
        if groups == 1:
            weight = weight[:, active_in]
        weight = weight.clone().requires_grad_()
        bias = layer.bias.detach()[active_out].clone().requires_grad_() if layer.bias is not None else None
        active_groups = 1 if groups == 1 else groups * len(active_in) // layer.in_channels
        other = x.detach().clone().requires_grad_()
        expected = LAYERS[dimensions][2](other, weight, bias, **options_of(layer, active_groups))
        torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)

        out.square().sum().backward()
        expected.square().sum().backward()
        torch.testing.assert_close(x.grad, other.grad, rtol=1e-12, atol=1e-12)
        whole = torch.zeros_like(layer.weight)
        if groups == 1:
            whole[active_out[:, None], active_in] = weight.grad
        else:
            whole[active_out] = weight.grad
        torch.testing.assert_close(layer.weight.grad, whole, rtol=1e-12, atol=1e-12)
        assert torch.equal(layer.weight.grad == 0, whole == 0)  # exactly zero outside the active part
        assert layer.weight.grad.count_nonzero() == weight.numel()
        if bias is not None:
            whole = torch.zeros_like(layer.bias)
            whole[active_out] = bias.grad
            torch.testing.assert_close(layer.bias.grad, whole, rtol=1e-12, atol=1e-12)

    def test_dense_layer(self, dimensions, case):
        layer = build(dimensions, case)
        dense = layer.to_dense(NARROW)
        assert type(dense) is LAYERS[dimensions][1]
        layer.activation = NARROW
        x = sample(dimensions, len(CASES[case][2]))
        assert (dense.in_channels, dense.out_channels) == (len(CASES[case][2]), len(CASES[case][3]))
        torch.testing.assert_close(dense(x), layer(x), rtol=0, atol=0)
        rebuilt = LAYERS[dimensions][1](
            dense.in_channels, dense.out_channels, dense.kernel_size, bias=dense.bias is not None, groups=dense.groups,
            stride=dense.stride, padding=dense.padding, dilation=dense.dilation,
        ).double()  # fmt: skip
        rebuilt.load_state_dict(dense.state_dict())
        torch.testing.assert_close(rebuilt(x), layer(x), rtol=0, atol=0)
        skeleton = layer.to_dense(NARROW, skeleton=True)
        assert {p.device.type for p in skeleton.parameters()} == {"meta"}
        assert [p.shape for p in skeleton.parameters()] == [p.shape for p in dense.parameters()]


@pytest.mark.parametrize("dimensions", LAYERS)
class TestSharing:
    def test_from_dense_shares_parameters(self, dimensions):
        plain = LAYERS[dimensions][1](16, 32, 3, padding=1)
        layer = LAYERS[dimensions][0].from_dense(plain, Channels.slim(16), Channels.slim(32))
        assert layer.weight is plain.weight
        assert layer.bias is plain.bias
        x = torch.randn(1, 16, *[4] * dimensions)
        assert torch.equal(layer(x), plain(x))

    def test_narrowed_weights_are_views(self, dimensions):
        for case in ("dense", "depthwise", "grouped", "bias"):
            layer = build(dimensions, case)
            weight, bias, _ = layer.active_parameters(WIDTH)
            assert weight.data_ptr() == layer.weight.data_ptr()
            assert weight._base is layer.weight
            assert weight.numel() < layer.weight.numel()
            assert bias is None or bias._base is layer.bias
        weight, _, _ = build(dimensions, "dense").active_parameters(1.0)
        assert weight.shape == (32, 16, *[3] * dimensions)

    def test_dense_layer_shares_nothing(self, dimensions):
        for activation in (Activation(), NARROW):
            layer = build(dimensions, "bias")
            before = copy.deepcopy(layer.state_dict())
            dense = layer.to_dense(activation)
            with torch.no_grad():
                for parameter in dense.parameters():
                    parameter.fill_(7)
            for name, tensor in layer.state_dict().items():
                assert torch.equal(tensor, before[name])
            assert dense.weight.is_contiguous()
            assert dense.weight.untyped_storage().nbytes() == dense.weight.numel() * 8

    def test_names_and_shapes_are_torchs(self, dimensions):
        plain = LAYERS[dimensions][1](16, 24, 1)
        state = build(dimensions, "bias").state_dict()
        assert {name: value.shape for name, value in state.items()} == {
            name: value.shape for name, value in plain.state_dict().items()
        }

    def test_wrong_number_of_inputs_is_an_error(self, dimensions):
        layer = build(dimensions, "dense")
        layer.activation = NARROW
        with pytest.raises(RuntimeError, match="channels"):
            layer(sample(dimensions, 16))


@pytest.mark.parametrize("dimensions", LAYERS)
@pytest.mark.parametrize(
    ("inputs", "outputs", "options", "reason"),
    [
        (Channels.slim(8), Channels.slim(32), {}, r"channels 8 -> 32 do not match the convolution's 16 -> 32"),
        (Channels.slim(16), Channels.fixed(31), {}, r"channels 16 -> 31 do not match"),
        (Channels.slim(16), Channels.slim(32), {"padding_mode": "circular"}, r"padding_mode 'circular'.*'zeros'"),
        (
            Channels.slim(16, divisor=2),
            Channels.slim(32, divisor=8),
            {"groups": 4},
            r"groups of 4 channels would be cut",
        ),
        (Channels.slim(16, divisor=4), Channels.slim(32, divisor=4), {"groups": 4}, r"groups of 8 channels .* cut"),
        (Channels.slim(16, divisor=8), Channels.slim(32, divisor=8), {"groups": 16}, r"slim differently"),
        (Channels.slim(16), Channels.fixed(32), {"groups": 4}, r"slim differently"),
        (Channels.slim(8) + Channels.fixed(8), Channels.slim(32), {"groups": 4}, r"4 groups cannot .* 2 segments"),
        (Channels.slim(16), Channels.slim(16) + Channels.fixed(16), {"groups": 4}, r"4 groups cannot .* 2 segments"),
    ],
)
def test_refusals(dimensions, inputs, outputs, options, reason):
    plain = LAYERS[dimensions][1](16, 32, 3, **options)
    with pytest.raises(ValueError, match=reason):
        LAYERS[dimensions][0].from_dense(plain, inputs, outputs)


@pytest.mark.parametrize(("in_per_group", "out_per_group", "groups"), [(1, 1, 54), (4, 4, 32), (2, 6, 16), (3, 1, 40)])
def test_groups_stay_whole_at_every_width(in_per_group, out_per_group, groups):
    """Whatever the width, torch accepts the active weight and each output still reads its own group."""
    inputs = Channels.slim(in_per_group * groups, divisor=8 * in_per_group)
    outputs = Channels.slim(out_per_group * groups, divisor=8 * out_per_group)
    layer = SlimmableConv3d(inputs, outputs, 1, groups=groups, bias=False)
    for step in range(10, 100):
        weight, _, active = layer.active_parameters(step / 100)
        assert weight.shape == (active * out_per_group, in_per_group, 1, 1, 1), step
        assert inputs.count(step / 100) == active * in_per_group


def test_printed_form_names_the_channels():
    layer = SlimmableConv3d(Channels.slim(16) + Channels.fixed(4), Channels.slim(32), 1)
    assert "slimmable=slim(16)+fixed(4)->slim(32)" in repr(layer)
    assert "20, 32" in repr(layer)


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def runs_in_onednn(compute, x):
    with torch.profiler.profile() as profiler:
        compute(x)
    return "aten::mkldnn_convolution" in {event.key for event in profiler.key_averages()}


@pytest.mark.parametrize("kernel", [(1, 1, 1), (3, 1, 1)])
@pytest.mark.parametrize("width", [0.5, 1.0])
def test_one_thread_stays_on_onednn(one_thread, kernel, width):
    """Asked to, torch's fast kernel computes it, forward and backward, with torch's results up to rounding."""
    torch.manual_seed(0)
    layer = SlimmableConv3d(Channels.slim(16), Channels.slim(32), kernel, padding=(kernel[0] // 2, 0, 0))
    layer.activation = Activation(Configuration(width, 8, 2), width)
    results = []

    def both(x):
        layer.weight.grad = None
        out = layer(x)
        out.square().mean().backward()
        results.append((out, x.grad, layer.weight.grad))

    for layer.prefers_onednn in (False, True):
        x = torch.ones(2, int(16 * width), 4, 6, 6).cumsum(4).requires_grad_()
        assert runs_in_onednn(both, x) == layer.prefers_onednn
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)
    assert layer.to_dense(layer.activation).dilation == (1, 1, 1)


@pytest.mark.parametrize(
    ("shape", "groups", "expected"),
    [
        ((1, 16, 4, 6, 6), 1, False),
        ((1, 16, 4, 320, 1), 1, False),  # 20480 elements, the last that torch computes itself
        ((1, 16, 4, 321, 1), 1, True),
        ((2, 16, 4, 6, 6), 1, True),
        ((1, 16, 4, 6, 6), 4, True),
    ],
)
def test_a_dilation_only_where_torch_answers_it_with_onednn(one_thread, shape, groups, expected):
    layer = SlimmableConv3d(Channels.slim(16), Channels.slim(16), 1, groups=groups)
    layer.prefers_onednn = True
    x = torch.zeros(shape)
    assert (layer._dilation_for(x) != layer.dilation) == expected
    assert runs_in_onednn(layer, x) == expected
    plain = nn.Conv3d(16, 16, 1, groups=groups, dilation=(1, 1, 2))
    assert runs_in_onednn(plain, x) == expected  # the bound is torch's


STRIDED = """
import torch
from mutualnet3d.layers import Channels, SlimmableConv2d

torch.set_num_threads(1)
layer = SlimmableConv2d(Channels.slim(8, divisor=8), Channels.slim(16, divisor=8), 1, stride=2, bias=False)
for _ in range(6):
    layer(torch.randn(8, 8, 52, 52).to(memory_format=torch.channels_last).requires_grad_()).square().sum().backward()
print("alive")
"""


def test_strided_pointwise_convolutions_of_8_channels_survive_their_backward_pass():
    """torch's own layer ends the process here with torch 2.14 and AVX-512: a fault of its oneDNN."""
    environment = ENVIRONMENT | {"MALLOC_CHECK_": "3"}
    done = subprocess.run([sys.executable, "-c", STRIDED], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "alive\n", (done.returncode, done.stderr[-300:])


@pytest.mark.parametrize("size", [(9, 12), (8, 7), (1, 1)])
def test_strided_pointwise_convolutions_equal_torchs(size):
    theirs = nn.Conv2d(4, 6, 1, stride=(2, 3)).double()
    ours = SlimmableConv2d.from_dense(theirs, Channels.fixed(4), Channels.fixed(6))
    found = []
    for layer in (theirs, ours):
        theirs.zero_grad()
        x = torch.randn(2, 4, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
        y = layer(x)
        y.square().sum().backward()
        found.append((y.detach(), x.grad, theirs.weight.grad.clone()))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)
