"""The slimmable linear layer against torch's function with weights that the test itself indexes."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mutualnet3d.configuration import Configuration
from mutualnet3d.layers import Activation, Channels, SlimmableLinear

NARROW = Activation(Configuration(0.5, 8), 0.5)
CASES = {
    "classifier": (Channels.slim(32) + Channels.fixed(4), Channels.fixed(5), [*range(16), *range(32, 36)], range(5)),
    "hidden": (Channels.slim(16), Channels.slim(48), range(8), range(24)),
    "segments out": (Channels.fixed(3), Channels.slim(16) + Channels.fixed(2), range(3), [*range(8), 16, 17]),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_outputs_and_gradients(case, bias):
    inputs, outputs, active_in, active_out = CASES[case]
    torch.manual_seed(0)
    layer = SlimmableLinear(inputs, outputs, bias).double()
    layer.activation = NARROW
    active_in, active_out = torch.tensor(list(active_in)), torch.tensor(list(active_out))
    x = torch.randn(2, 3, len(active_in), dtype=torch.float64, requires_grad=True)
    weight = layer.weight.detach()[active_out][:, active_in].clone().requires_grad_()
    shift = layer.bias.detach()[active_out].clone().requires_grad_() if bias else None
    other = x.detach().clone().requires_grad_()
    out, expected = layer(x), F.linear(other, weight, shift)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    out.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-12, atol=1e-12)
    whole = torch.zeros_like(layer.weight)
    whole[active_out[:, None], active_in] = weight.grad
    torch.testing.assert_close(layer.weight.grad, whole, rtol=1e-12, atol=1e-12)
    assert layer.weight.grad.count_nonzero() == weight.numel()
    if bias:
        whole = torch.zeros_like(layer.bias)
        whole[active_out] = shift.grad
        torch.testing.assert_close(layer.bias.grad, whole, rtol=1e-12, atol=1e-12)

    dense = layer.to_dense(NARROW)
    assert type(dense) is nn.Linear
    assert (dense.in_features, dense.out_features) == (len(active_in), len(active_out))
    assert torch.equal(dense(x), out)
    assert dense.weight.untyped_storage().data_ptr() != layer.weight.untyped_storage().data_ptr()
    skeleton = layer.to_dense(NARROW, skeleton=True)
    assert skeleton.weight.is_meta
    assert skeleton.weight.shape == dense.weight.shape


def test_full_width_is_torchs_layer():
    plain = nn.Linear(36, 5)
    layer = SlimmableLinear.from_dense(plain, Channels.slim(32) + Channels.fixed(4), Channels.fixed(5))
    assert layer.weight is plain.weight
    x = torch.randn(4, 36)
    assert torch.equal(layer(x), plain(x))
    assert layer.state_dict().keys() == plain.state_dict().keys()


def test_one_range_is_a_view():
    layer = SlimmableLinear(Channels.slim(16), Channels.slim(48))
    weight, bias = layer.active_parameters(0.5)
    assert weight.data_ptr() == layer.weight.data_ptr()
    assert bias.data_ptr() == layer.bias.data_ptr()


@pytest.mark.parametrize(
    ("inputs", "outputs"), [(Channels.slim(31), Channels.fixed(5)), (Channels.slim(32), Channels.slim(6))]
)
def test_refuses_other_sizes(inputs, outputs):
    with pytest.raises(ValueError, match=rf"channels {inputs.size} -> {outputs.size} do not match the layer's 32 -> 5"):
        SlimmableLinear.from_dense(nn.Linear(32, 5), inputs, outputs)
