"""Making networks slimmable, activating sub-networks, and taking them out."""

import copy
import random

import pytest
import torch
from torch import nn

from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.errors import ConfigurationError, NotCalibratedError
from mutualnet3d.layers import (
    Activation,
    Channels,
    Slimmable,
    SlimmableBatchNorm3d,
    SlimmableConv3d,
    SlimmableLinear,
    activate,
    activation_of,
    eval_mode,
    extract_dense,
    make_slimmable,
)

SPACE = ConfigurationSpace((0.5, 1.0), (16, 32), (2, 4))
SMALL, LOW = Configuration(0.5, 16, 2), Configuration(1.0, 16, 2)


class Tiny(nn.Module):
    """Clip -> logits; ``scale`` and ``shift`` belong to the module itself, ``plain`` stays as it is."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 16, 3, bias=False)
        self.bn = nn.BatchNorm3d(16)
        self.block = nn.Sequential(nn.Conv3d(16, 32, 1), nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.head = nn.Linear(32, 5)
        self.plain = nn.Linear(5, 5)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("shift", torch.tensor(0.5))
        self.register_buffer("scratch", torch.tensor(0.25), persistent=False)
        self.register_buffer("nothing", None)
        self.space = SPACE

    def forward(self, x):
        x = self.block(torch.relu(self.bn(self.conv(x)))).mean((2, 3, 4))
        return self.plain(self.head(x)) * self.scale + self.shift + self.scratch


def rule(name, layer):
    if name == "plain":
        return None
    if isinstance(layer, nn.BatchNorm3d):
        return Channels.slim(layer.num_features)
    if isinstance(layer, nn.Linear):
        return Channels.slim(layer.in_features), Channels.fixed(layer.out_features)
    inputs = Channels.fixed(3) if name == "conv" else Channels.slim(layer.in_channels)
    return inputs, Channels.slim(layer.out_channels)


def build():
    torch.manual_seed(0)
    model = make_slimmable(Tiny(), rule)
    with torch.no_grad():
        model.bn.running_mean.normal_()
        model.bn.weight.uniform_(0.5, 1.5)
        model.bn.bias.normal_()
    return model


def calibrated(*configurations):
    model = build().eval()
    for configuration in configurations:
        activation = activation_of(configuration, SPACE.full)
        count = Channels.slim(16).count(activation.width)
        model.bn.store_statistics(activation, torch.rand(count), torch.rand(count) + 0.5)
    return model


def clip():
    return torch.randn(2, 3, 4, 6, 6, generator=torch.Generator().manual_seed(1))


def activations(model):
    return [layer.activation for layer in model.modules() if isinstance(layer, Slimmable)]


class TestMakeSlimmable:
    def test_replaces_what_the_rule_names(self):
        torch.manual_seed(0)
        plain = Tiny()
        parameters = dict(plain.named_parameters())
        before = copy.deepcopy(plain).eval()
        model = make_slimmable(plain, rule).eval()
        assert model is plain
        kinds = [type(model.get_submodule(name)) for name in ("conv", "bn", "block.0", "head", "plain")]
        assert kinds == [SlimmableConv3d, SlimmableBatchNorm3d, SlimmableConv3d, SlimmableLinear, nn.Linear]
        assert all(parameter is parameters[name] for name, parameter in model.named_parameters())
        assert model.state_dict().keys() == before.state_dict().keys()
        assert torch.equal(model(clip()), before(clip()))

    def test_asks_about_each_layer_once(self):
        asked = []
        make_slimmable(Tiny(), lambda name, layer: asked.append((name, type(layer))))
        assert asked == [
            ("conv", nn.Conv3d),
            ("bn", nn.BatchNorm3d),
            ("block.0", nn.Conv3d),
            ("head", nn.Linear),
            ("plain", nn.Linear),
        ]

    def test_two_dimensions(self):
        model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16))
        make_slimmable(
            model, lambda name, _: (Channels.fixed(3), Channels.slim(16)) if name == "0" else Channels.slim(16)
        )
        with activate(model, Configuration(0.5, 8), Configuration(1.0, 8)):
            assert model(torch.randn(2, 3, 8, 8)).shape == (2, 8, 6, 6)


class TestActivate:
    def test_switches_and_restores(self):
        model = build()
        before = activations(model)
        with activate(model, SMALL):
            assert activations(model) == [Activation(SMALL, 0.5)] * 4
            assert model.conv(clip()).shape[1] == 8
        assert activations(model) == before == [Activation()] * 4
        assert model.conv(clip()).shape[1] == 16

    def test_nested(self):
        model = build()
        with activate(model, SMALL):
            with activate(model, LOW):
                assert activations(model) == [Activation(LOW, 1.0)] * 4
                with activate(model, None):
                    assert activations(model) == [Activation()] * 4
            assert activations(model) == [Activation(SMALL, 0.5)] * 4
        assert activations(model) == [Activation()] * 4

    def test_restores_after_an_exception(self):
        model = build()
        with pytest.raises(ZeroDivisionError), activate(model, SMALL):
            raise ZeroDivisionError
        assert activations(model) == [Activation()] * 4

    def test_part_of_a_network(self):
        model = build()
        with activate(model.block, SMALL, SPACE.full):
            assert model.block[0].activation.width == 0.5
            assert model.conv.activation.width == 1.0

    def test_full_is_no_sub_network(self):
        assert activation_of(None, SPACE.full) == activation_of(SPACE.full, SPACE.full) == Activation()
        assert activation_of(LOW, SPACE.full) == Activation(LOW, 1.0)
        scaled = activation_of(Configuration(1.0, 224), Configuration(2.0, 320))
        assert scaled.width == 0.5

    def test_backward_may_follow_later(self):
        model = build()
        with activate(model, SMALL):
            loss = model(clip()).sum()
        loss.backward()
        assert model.conv.weight.grad[8:].count_nonzero() == 0
        assert model.conv.weight.grad[:8].count_nonzero() > 0


def test_eval_mode_gives_each_module_its_own_mode_back():
    model = build()
    model.bn.eval()
    before = [module.training for module in model.modules()]
    with eval_mode(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == before
    with pytest.raises(ZeroDivisionError), eval_mode(model):
        raise ZeroDivisionError
    assert [module.training for module in model.modules()] == before
    assert True in before
    assert False in before


class TestExtractDense:
    @pytest.mark.parametrize("configuration", [None, SPACE.full, LOW, SMALL, Configuration(0.7, 32, 2)])
    def test_equals_the_switched_network(self, configuration):
        model = calibrated(LOW, SMALL, Configuration(0.7, 32, 2))
        with activate(model, configuration):
            expected = model(clip())
        dense = extract_dense(model, configuration)
        assert not any(isinstance(module, Slimmable) for module in dense.modules())
        assert torch.equal(dense(clip()), expected)

    def test_layers_are_torchs_own(self):
        dense = extract_dense(calibrated(SMALL), SMALL)
        kinds = {type(module) for module in dense.modules()} - {Tiny}
        assert {kind.__module__.split(".")[0] for kind in kinds} == {"torch"}
        assert dense.state_dict().keys() == Tiny().state_dict().keys()  # no statistics of other configurations
        shapes = {name: tuple(value.shape) for name, value in dense.state_dict().items()}
        assert shapes["conv.weight"] == (8, 3, 3, 3, 3)
        assert shapes["bn.running_var"] == (8,)
        assert shapes["block.0.weight"] == (16, 8, 1, 1, 1)
        assert shapes["head.weight"] == (5, 16)
        assert shapes["plain.weight"] == (5, 5)

    @pytest.mark.parametrize("configuration", [SPACE.full, SMALL])
    def test_shares_no_memory(self, configuration):
        model = calibrated(SMALL)
        dense = extract_dense(model, configuration)
        banked = [tensor for pair in model.bn.statistics.values() for tensor in pair]
        everything = [*model.parameters(), *model.buffers(), *banked]
        pointers = {tensor.untyped_storage().data_ptr() for tensor in everything}
        for name, tensor in [*dense.named_parameters(), *dense.named_buffers()]:
            assert tensor.untyped_storage().data_ptr() not in pointers, name
        before = copy.deepcopy(model.state_dict())
        optimizer = torch.optim.SGD(dense.train().parameters(), lr=1.0)
        dense(clip()).sum().backward()
        optimizer.step()
        dense.extra = nn.Linear(1, 1)
        dense.register_forward_hook(lambda *_: None)
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, before[name]), name
        assert not hasattr(model, "extra")
        assert not model._forward_hooks

    def test_own_tensors_of_modules_come_along(self):
        model = calibrated(SMALL)
        dense = extract_dense(model, SMALL)
        assert isinstance(dense.scale, nn.Parameter)
        assert dense.nothing is None
        assert "scratch" not in dense.state_dict()
        assert dense.scratch == 0.25
        assert type(dense) is Tiny

    def test_dense_class(self):
        class Own(Tiny):
            dense_class = Tiny

        model = make_slimmable(Own(), rule)
        assert type(extract_dense(model)) is Tiny

    def test_it_is_in_eval_mode_whatever_the_mode_of_the_network(self):
        model = build()
        assert not any(module.training for module in extract_dense(model).modules())
        assert all(module.training for module in model.modules())

    def test_while_another_one_is_active(self):
        model = calibrated(SMALL)
        with activate(model, SMALL):
            assert extract_dense(model).conv.out_channels == 16
        assert extract_dense(model, SMALL).conv.out_channels == 8

    def test_refusals(self):
        model = build()
        with pytest.raises(ConfigurationError, match=r"width 0\.4"):
            extract_dense(model, Configuration(0.4, 16, 2))
        with pytest.raises(NotCalibratedError, match=r"0\.5-16-2"):
            extract_dense(model, SMALL)
        assert extract_dense(model.block, SMALL, SPACE.full)[0].out_channels == 16

    def test_random_widths(self):
        generator = random.Random(0)
        for _ in range(20):
            configuration = Configuration(generator.uniform(0.5, 1.0), 16, 4)
            model = calibrated(configuration)
            with activate(model, configuration):
                expected = model(clip())
            assert torch.equal(extract_dense(model, configuration)(clip()), expected)
