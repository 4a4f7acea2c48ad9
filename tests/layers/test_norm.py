"""Slimmable BatchNorm: which statistics it reads and writes, and how they travel."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.errors import NotCalibratedError
from mutualnet3d.layers import (
    Activation,
    Channels,
    PopulationStatistics,
    SlimmableBatchNorm2d,
    SlimmableBatchNorm3d,
    use_statistics_of_full,
)

SMALL = Configuration(0.5, 16, 2)
LOW = Configuration(1.0, 16, 2)  # all channels, fewer pixels: statistics of its own
NARROW = Activation(SMALL, 0.5)
FULL_WIDTH = Activation(LOW, 1.0)
LAYERS = {2: (SlimmableBatchNorm2d, nn.BatchNorm2d), 3: (SlimmableBatchNorm3d, nn.BatchNorm3d)}
CHANNELS = Channels.slim(16) + Channels.fixed(3)
ACTIVE = torch.tensor([*range(8), *range(16, 19)])


def shake(norm, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.normal_(generator=generator)
        norm.running_var.uniform_(0.5, 2.0, generator=generator)
    return norm


def build(dimensions=3, seed=0, **options):
    return shake(LAYERS[dimensions][0](CHANNELS, **options).double(), seed)


def sample(dimensions, channels, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(2, channels, *(3, 5, 4)[-dimensions:], dtype=torch.float64, generator=generator) + 1


def buffers(norm):
    return {name: buffer.clone() for name, buffer in norm.named_buffers()}


def store(norm, activation=NARROW, seed=5):
    count = CHANNELS.count(activation.width)
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(count, generator=generator, dtype=torch.float64)
    var = torch.rand(count, generator=generator, dtype=torch.float64) + 0.5
    norm.store_statistics(activation, mean, var)
    return mean, var


@pytest.mark.parametrize("dimensions", LAYERS)
class TestModes:
    @pytest.mark.parametrize("options", [{}, {"momentum": 0.3, "eps": 0.1}, {"momentum": None}])
    def test_full_is_torchs_layer(self, dimensions, options):
        norm = build(dimensions, **options)
        plain = LAYERS[dimensions][1](19, **options).double()
        plain.load_state_dict(norm.state_dict())
        for step in range(3):
            x = sample(dimensions, 19, step)
            assert torch.equal(norm(x), plain(x))
        for name, buffer in plain.named_buffers():
            assert torch.equal(buffer, norm.get_buffer(name))
        assert norm.num_batches_tracked == 3
        norm.eval(), plain.eval()
        assert torch.equal(norm(x), plain(x))

    @pytest.mark.parametrize("activation", [NARROW, FULL_WIDTH])
    def test_training_of_a_sub_network_uses_the_batch_and_leaves_the_buffers(self, dimensions, activation):
        norm = build(dimensions, eps=0.01)
        norm.activation = activation
        active = ACTIVE if activation is NARROW else torch.arange(19)
        before = buffers(norm)
        x = sample(dimensions, len(active)).requires_grad_()
        out = norm(x)
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1, *[1] * dimensions]
        weight = norm.weight.detach()[active].clone().requires_grad_()
        bias = norm.bias.detach()[active].clone().requires_grad_()
        other = x.detach().clone().requires_grad_()
        var, mean = torch.var_mean(other, axes, unbiased=False, keepdim=True)
        expected = (other - mean) / (var + 0.01).sqrt() * weight.view(shape) + bias.view(shape)
        torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
        for name, buffer in norm.named_buffers():
            assert torch.equal(buffer, before[name]), name
        assert not norm.statistics
        (out * out.detach().cos()).sum().backward()
        (expected * expected.detach().cos()).sum().backward()
        torch.testing.assert_close(x.grad, other.grad, rtol=1e-9, atol=1e-9)
        for mine, theirs in ((norm.weight, weight), (norm.bias, bias)):
            whole = torch.zeros(19, dtype=torch.float64)
            whole[active] = theirs.grad
            torch.testing.assert_close(mine.grad, whole, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("activation", [NARROW, FULL_WIDTH])
    def test_evaluation_reads_the_statistics_of_exactly_this_configuration(self, dimensions, activation):
        norm = build(dimensions).eval()
        active = ACTIVE if activation is NARROW else torch.arange(19)
        mean, var = store(norm, activation)
        store(norm, Activation(Configuration(activation.width, 16, 1), activation.width), seed=9)
        before = buffers(norm)
        norm.activation = activation
        x = sample(dimensions, len(active))
        expected = F.batch_norm(x, mean, var, norm.weight[active], norm.bias[active], False, 0.1, 1e-5)
        assert torch.equal(norm(x), expected)
        for name, buffer in norm.named_buffers():
            assert torch.equal(buffer, before[name]), name
        dense = norm.to_dense(activation)
        assert type(dense) is LAYERS[dimensions][1]
        assert dense.num_features == len(active)
        assert torch.equal(dense(x), expected)
        skeleton = norm.to_dense(Activation(Configuration(0.7, 9, 2), activation.width), skeleton=True)
        assert {tensor.device.type for tensor in skeleton.state_dict().values()} == {"meta"}
        assert skeleton.weight.shape == dense.weight.shape

    def test_evaluation_without_statistics(self, dimensions):
        norm = build(dimensions).eval()
        norm.activation = NARROW
        with pytest.raises(NotCalibratedError, match=r"0\.5-16-2 has no .*\(calibrated: none\).*calibrate\("):
            norm(sample(dimensions, 11))
        with pytest.raises(NotCalibratedError, match=r"0\.5-16-2"):
            norm.to_dense(NARROW)
        store(norm, FULL_WIDTH)
        with pytest.raises(NotCalibratedError, match=r"0\.5-16-2 has no .*\(calibrated: 1\.0-16-2\)"):
            norm(sample(dimensions, 11))

    def test_observed(self, dimensions):
        norm = build(dimensions).eval()
        before = buffers(norm)
        norm.activation, norm.observed = NARROW, PopulationStatistics()
        batches = [sample(dimensions, 11, seed) for seed in range(3)]
        for batch in batches:
            out = norm(batch)
            expected = F.batch_norm(batch, None, None, norm.weight[ACTIVE], norm.bias[ACTIVE], True)
            torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
        values = torch.cat(batches).transpose(0, 1).flatten(1)
        torch.testing.assert_close(norm.observed.mean, values.mean(1), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(norm.observed.var, values.var(1), rtol=1e-10, atol=1e-10)
        for name, buffer in norm.named_buffers():
            assert torch.equal(buffer, before[name]), name

    def test_other_dimensions_are_refused(self, dimensions):
        with pytest.raises(ValueError, match=r"expected \dD input"):
            build(dimensions)(torch.zeros(2, 19, 4))

    def test_from_dense_shares(self, dimensions):
        plain = shake(LAYERS[dimensions][1](19))
        norm = LAYERS[dimensions][0].from_dense(plain, CHANNELS)
        assert norm.weight is plain.weight
        assert norm.running_mean is plain.running_mean
        assert norm.state_dict().keys() == plain.state_dict().keys()

    @pytest.mark.parametrize(
        ("options", "channels", "reason"),
        [
            ({}, Channels.slim(18), "channels 18 do not match the BatchNorm's 19"),
            ({"affine": False}, CHANNELS, "affine=True and track_running_stats=True"),
            ({"track_running_stats": False}, CHANNELS, "affine=True and track_running_stats=True"),
        ],
    )
    def test_refusals(self, dimensions, options, channels, reason):
        with pytest.raises(ValueError, match=reason):
            LAYERS[dimensions][0].from_dense(LAYERS[dimensions][1](19, **options), channels)


class TestStore:
    def test_full_goes_into_the_running_buffers(self):
        norm = build()
        mean, var = torch.randn(19).double(), torch.rand(19).double()
        norm.store_statistics(Activation(), mean, var)
        assert torch.equal(norm.running_mean, mean)
        assert torch.equal(norm.running_var, var)
        assert not norm.statistics

    def test_sub_network_leaves_the_running_buffers_and_keeps_copies(self):
        norm = build()
        before = buffers(norm)
        mean, var = store(norm)
        expected = mean.clone(), var.clone()
        mean.zero_(), var.zero_()
        assert all(torch.equal(a, b) for a, b in zip(norm.statistics_of(NARROW), expected, strict=True))
        for name, buffer in norm.named_buffers():
            assert torch.equal(buffer, before[name])
        store(norm, FULL_WIDTH)
        assert all(torch.equal(a, b) for a, b in zip(norm.statistics_of(NARROW), expected, strict=True))

    @pytest.mark.parametrize("counts", [(19, 19), (11, 10), (1, 1)])
    def test_other_shapes_are_refused(self, counts):
        with pytest.raises(ValueError, match="do not fit the 11 channels active"):
            build().store_statistics(NARROW, *(torch.ones(count) for count in counts))


class TestTravel:
    def test_deepcopy(self):
        norm = build()
        mean, _ = store(norm)
        twin = copy.deepcopy(norm)
        norm.statistics[SMALL][0].zero_()
        assert torch.equal(twin.statistics_of(NARROW)[0], mean)

    def test_dtype(self):
        norm = build()
        mean, var = store(norm)
        norm.to(torch.float32)
        assert [tensor.dtype for tensor in norm.statistics_of(NARROW)] == [torch.float32] * 2
        assert torch.equal(norm.statistics_of(NARROW)[0], mean.float())
        assert torch.equal(norm.statistics_of(NARROW)[1], var.float())
        norm.eval().activation = NARROW
        assert norm(sample(3, 11).float()).dtype == torch.float32

    def test_device(self):
        norm = build()
        store(norm)
        assert {t.device.type for t in norm.to("meta").statistics_of(NARROW)} == {"meta"}

    def test_state_dict_round_trip_through_a_file(self):
        source = nn.Sequential(build(), nn.ReLU())
        odd = Activation(Configuration(0.1 + 0.2 + 1e-7, 16, 2), 0.1 + 0.2 + 1e-7)
        for activation in (NARROW, FULL_WIDTH, odd):
            store(source[0], activation)
        keys = [key for key in source.state_dict() if "statistics" in key]
        assert "0.statistics.0.5-16-2.mean" in keys
        assert len(keys) == 6
        file = io.BytesIO()
        torch.save(source.state_dict(), file)
        file.seek(0)
        target = nn.Sequential(build(seed=3), nn.ReLU())
        state = torch.load(file, weights_only=True)
        before = dict(state)
        assert target.load_state_dict(state) == ([], [])
        assert state.keys() == before.keys()  # the caller's dict is not eaten
        assert set(target[0].statistics) == set(source[0].statistics)
        for activation in (NARROW, FULL_WIDTH, odd):
            for mine, theirs in zip(
                target[0].statistics_of(activation), source[0].statistics_of(activation), strict=True
            ):
                assert torch.equal(mine, theirs)
                assert mine.data_ptr() != theirs.data_ptr()
        state["0.statistics.0.5-16-2.mean"].zero_()
        assert target[0].statistics_of(NARROW)[0].count_nonzero() == 11

    def test_loading_weights_without_statistics_drops_them(self):
        norm, plain = build(), shake(nn.BatchNorm3d(19).double(), 4)
        store(norm)
        norm.load_state_dict(plain.state_dict())
        assert not norm.statistics
        norm.eval().activation = NARROW
        with pytest.raises(NotCalibratedError):
            norm(sample(3, 11))

    def test_loading_replaces_all(self):
        source, target = build(), build(seed=2)
        store(source, NARROW, seed=1)
        store(target, FULL_WIDTH, seed=2)
        target.load_state_dict(source.state_dict())
        assert list(target.statistics) == [SMALL]

    def test_two_norms_do_not_share(self):
        model = nn.ModuleDict({"a": build(seed=1), "ab": build(seed=2)})
        store(model["a"], NARROW, seed=1)
        store(model["ab"], NARROW, seed=2)
        twin = nn.ModuleDict({"a": build(seed=3), "ab": build(seed=4)})
        twin.load_state_dict(model.state_dict())
        for name in model:
            assert torch.equal(twin[name].statistics_of(NARROW)[0], model[name].statistics_of(NARROW)[0])


class TestPopulation:
    @pytest.mark.parametrize("sizes", [(100,), (7, 7, 7), (1, 200, 3, 50), (2, 1, 1, 1, 1)])
    @pytest.mark.parametrize("offset", [0.0, 1e4])
    def test_equals_the_statistics_of_everything_at_once(self, sizes, offset):
        generator = torch.Generator().manual_seed(0)
        scale = torch.tensor([1.0, 5.0, 0.01], dtype=torch.float64)
        batches = [
            torch.randn(size, 3, generator=generator, dtype=torch.float64) * scale + offset + 3 * i
            for i, size in enumerate(sizes)
        ]
        population = PopulationStatistics()
        for batch in batches:
            var = batch.var(0) if len(batch) > 1 else torch.zeros(3, dtype=torch.float64)
            population.add(batch.mean(0), var, len(batch))
        everything = torch.cat(batches)
        assert population.count == len(everything)
        torch.testing.assert_close(population.mean, everything.mean(0), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(population.var, everything.var(0), rtol=1e-8, atol=1e-10)
        backwards = PopulationStatistics()
        for batch in reversed(batches):
            var = batch.var(0) if len(batch) > 1 else torch.zeros(3, dtype=torch.float64)
            backwards.add(batch.mean(0), var, len(batch))
        torch.testing.assert_close(backwards.var, population.var, rtol=1e-8, atol=1e-10)

    def test_is_more_than_a_mean_of_variances(self):
        population = PopulationStatistics()
        for mean in (-1.0, 1.0):
            population.add(torch.tensor([mean]), torch.tensor([0.0]), 1000)
        assert population.var.item() == pytest.approx(2000 / 1999)

    def test_accumulates_in_double(self):
        population = PopulationStatistics()
        for _ in range(1000):
            population.add(torch.tensor([0.1]), torch.tensor([1.0]), 10)
        assert population.mean.dtype == torch.float64
        assert population.mean.item() == pytest.approx(torch.tensor(0.1).item(), abs=1e-14)

    def test_too_few_samples(self):
        population = PopulationStatistics()
        for count in (0, 1):
            with pytest.raises(ValueError, match=f"at least 2 samples per channel, got {count}"):
                _ = population.var
            population.add(torch.zeros(2), torch.zeros(2), 1)


def test_malformed_statistics_in_a_state_dict_are_refused():
    norm = SlimmableBatchNorm3d(Channels.slim(16))
    whole = norm.state_dict()
    for entries in (
        {"statistics.0.7-30-3.mean": torch.zeros(8)},
        {"statistics.0.7-30-3.mean": torch.zeros(8), "statistics.0.7-30-3.var": torch.zeros(4)},
        {"statistics.0.7-30-3.mean": torch.zeros(17), "statistics.0.7-30-3.var": torch.zeros(17)},
        {"statistics.wide.mean": torch.zeros(8), "statistics.wide.var": torch.zeros(8)},
    ):
        with pytest.raises(RuntimeError, match=r"statistics\."):
            norm.load_state_dict(whole | entries)


def test_statistics_of_full_for_every_configuration():
    """Those of the active channels, by brute force; full's own stay, whether it is named or not."""
    model = nn.Sequential(build(3, seed=1), build(2, seed=2))
    model.space = ConfigurationSpace(width=(0.5, 1.0), spatial=(16, 32), temporal=(2, 4))
    before = [buffers(norm) for norm in model]
    use_statistics_of_full(model, [model.space.full, SMALL, LOW])
    for norm, old in zip(model, before, strict=True):
        assert all(torch.equal(value, old[name]) for name, value in buffers(norm).items())
        assert set(norm.statistics) == {SMALL, LOW}
        for activation, channels in ((NARROW, ACTIVE), (FULL_WIDTH, torch.arange(19))):
            mean, var = norm.statistics_of(activation)
            assert torch.equal(mean, old["running_mean"][channels])
            assert torch.equal(var, old["running_var"][channels])
