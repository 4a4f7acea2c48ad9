"""Calibration: population statistics of every BatchNorm, and nothing else is touched."""

import pytest
import torch
from tiny import tiny_cfg
from torch import nn
from torch.nn import functional as F

import mutualnet3d as mn
from mutualnet3d.errors import ConfigurationError, NotCalibratedError
from mutualnet3d.layers import Channels, activate, make_slimmable

SMALL, MIDDLE = mn.Configuration(0.63, 20, 2), mn.Configuration(0.8, 32, 4)


class Images(nn.Module):
    """Two convolutions, one of them depthwise, on images: enough to be slim."""

    space = mn.ConfigurationSpace((0.5, 1.0), (12, 16))

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.deep, self.deep_bn = nn.Conv2d(16, 16, 3, groups=16), nn.BatchNorm2d(16)
        self.drop, self.classifier = nn.Dropout(0.5), nn.Linear(16, 5)
        slim, fixed = Channels.slim(16), Channels.fixed
        channels = {
            "conv": (fixed(3), slim),
            "bn": slim,
            "deep": (slim, slim),
            "deep_bn": slim,
            "classifier": (slim, fixed(5)),
        }
        make_slimmable(self, lambda name, layer: channels[name])

    def shared_features(self, clip):
        return ()

    def whole_frame_boxes(self, clip):
        return None

    def forward(self, x, configuration=None, boxes=None, *, shared=()):
        configuration = configuration or self.space.full
        x = F.interpolate(x, size=(configuration.spatial, configuration.spatial), mode="bilinear")
        with activate(self, configuration):
            x = self.bn(self.conv(x)).relu()
            x = self.deep_bn(self.deep(x)).relu()
            return self.classifier(self.drop(x.mean((2, 3))))


def build(kind):
    torch.manual_seed(0)
    model = mn.build_model(tiny_cfg()) if kind == "video" else Images()
    for parameter in model.parameters():  # zero-initialised BatchNorms would hide mistakes behind them
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return model


def batches(kind, sizes=(2, 5, 3)):
    shape = (3, 4, 32, 32) if kind == "video" else (3, 16, 16)
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(n, *shape, generator=generator) * (1 + n) + n for n in sizes]


def configurations(kind):
    if kind == "video":
        return SMALL, MIDDLE
    return mn.Configuration(0.5, 12), mn.Configuration(0.7, 16)


def norms(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d))}


def brute_force(model, clips, configuration):
    """Inputs of every BatchNorm, gathered by hooks and concatenated: {name: (mean, variance)}."""
    seen = {name: [] for name in norms(model)}
    hooks = [
        m.register_forward_pre_hook(lambda _, inputs, name=name: seen[name].append(inputs[0].detach()))
        for name, m in norms(model).items()
    ]
    modes = {m: m.training for m in model.modules()}
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    for m in model.modules():
        if isinstance(m, nn.Dropout):
            m.eval()
    with torch.no_grad():
        for clip in clips:
            model(clip, configuration)
    for hook in hooks:
        hook.remove()
    model.load_state_dict(before)
    for m, mode in modes.items():
        m.training = mode
    result = {}
    for name, inputs in seen.items():
        flat = torch.cat([x.transpose(0, 1).flatten(1) for x in inputs], dim=1)
        result[name] = flat.mean(1), flat.var(1, unbiased=True)
    return result


@pytest.mark.parametrize("kind", ["video", "image"])
def test_statistics_are_those_of_all_inputs_together(kind):
    model, clips = build(kind).double(), [c.double() for c in batches(kind)]
    full = model.space.full
    wanted = {c: brute_force(model, clips, c) for c in (*configurations(kind), full)}
    mn.calibrate(model, clips, [*configurations(kind), full])
    for configuration, by_name in wanted.items():
        for name, (mean, var) in by_name.items():
            norm = norms(model)[name]
            found = (norm.running_mean, norm.running_var) if configuration == full else norm.statistics[configuration]
            torch.testing.assert_close(found[0], mean, rtol=1e-10, atol=1e-10)
            torch.testing.assert_close(found[1], var, rtol=1e-10, atol=1e-10)
            assert (found[0].dtype, len(found[0])) == (torch.float64, len(mean))
    widths = {len(norm.statistics[configurations(kind)[0]][0]) for norm in norms(model).values()}
    assert max(widths) < max(norm.num_features for norm in norms(model).values())


@pytest.mark.parametrize("kind", ["video", "image"])
def test_nothing_else_is_touched(kind):
    model = build(kind)
    first, second = configurations(kind)
    mn.calibrate(model, batches(kind), [first])
    model.train()
    next(m for m in model.modules() if isinstance(m, nn.Dropout)).eval()
    modes = [m.training for m in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    mn.calibrate(model, batches(kind, (4,)), [second])
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert len(after) == len(before) + 2 * len(norms(model))
    assert [m.training for m in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())


def test_full_replaces_the_running_statistics_and_leaves_the_bank():
    model = build("video")
    mn.calibrate(model, batches("video"), [SMALL])
    small = {name: [t.clone() for t in norm.statistics[SMALL]] for name, norm in norms(model).items()}
    running = {name: norm.running_mean.clone() for name, norm in norms(model).items()}
    mn.calibrate(model, batches("video", (4,)), [model.space.full])
    for name, norm in norms(model).items():
        assert list(norm.statistics) == [SMALL]
        assert all(torch.equal(a, b) for a, b in zip(norm.statistics[SMALL], small[name], strict=True))
        assert not torch.equal(norm.running_mean, running[name])


@pytest.mark.parametrize("configuration", [SMALL, MIDDLE, None])
def test_evaluation_on_the_calibration_batch_is_the_batch_normalised_forward_pass(configuration):
    """Up to the unbiased variance, n / (n - 1), which float64 and a large batch make small."""
    model = build("video").double()
    for m in model.modules():
        if isinstance(m, nn.Dropout):
            m.p = 0.0
    (clip,) = batches("video", (16,))
    clip = clip.double()
    mn.calibrate(model, [clip], [configuration or model.space.full])
    with torch.no_grad():
        expected = model.train()(clip, configuration)
        found = model.eval()(clip, configuration)
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.02 * expected.std().item())
    assert expected.std() > 0.01


def test_several_passes_over_the_batches_are_not_needed():
    """Batches may come from a generator: they are read once, whatever the number of configurations."""
    model, other = build("image"), build("image")
    given = batches("image")
    mn.calibrate(model, iter(given), configurations("image"))
    for configuration in configurations("image"):
        mn.calibrate(other, given, [configuration])
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


def test_refusals():
    model = build("video")
    with pytest.raises(ValueError, match=r"no batches to calibrate on; pass"):
        mn.calibrate(model, [], [SMALL])
    with pytest.raises(ValueError, match=r"no configurations to calibrate; pass"):
        mn.calibrate(model, batches("video"), [])
    with pytest.raises(ConfigurationError, match=r"width 0\.5 .* outside the trained range"):
        mn.calibrate(model, batches("video"), [mn.Configuration(0.5, 20, 2)])
    with pytest.raises(NotCalibratedError, match=r"0\.63-20-2 has no BatchNorm statistics"):
        model.eval()(batches("video")[0], SMALL)


def test_an_error_in_the_middle_leaves_the_model_as_it_was():
    model = build("video").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="clip must be"):
        mn.calibrate(model, [batches("video")[0], torch.zeros(1)], [SMALL])
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model(batches("video")[0])
    assert not torch.equal(model.s1.pathway0_stem.bn.running_mean, before["s1.pathway0_stem.bn.running_mean"])


@pytest.mark.parametrize("kind", ["video", "image"])
def test_what_is_not_finite_stores_nothing(kind):
    model, (small, middle) = build(kind), configurations(kind)
    mn.calibrate(model, batches(kind), [small])
    with torch.no_grad():  # behind most layers, whose statistics are finite
        [p for p in model.parameters() if p.ndim > 2][-1].fill_(torch.nan)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="are not finite"):
        mn.calibrate(model, batches(kind), [middle, small, model.space.full])
    after = model.state_dict()
    assert list(after) == list(before)
    for name, value in before.items():
        assert torch.equal(value, after[name]) or value.isnan().all(), name
    assert set(model.statistics_provenance) == {small}
