"""Channel algebra: the prefix rule, rounding, segments."""

import random

import pytest
import torch

from mutualnet3d.layers import Channels, make_divisible


class TestMakeDivisible:
    @pytest.mark.parametrize(
        ("value", "divisor", "rounded"),
        [
            (64 * 0.63, 8, 40), (128 * 0.63, 8, 80), (256 * 0.63, 8, 160), (512 * 0.63, 8, 320), (2048 * 0.63, 8, 1288),
            (24 * 0.63, 8, 16), (54 * 0.63, 8, 32), (432 * 0.63, 8, 272), (32 * 0.25, 8, 8), (32 * 0.35, 8, 16),
            (11.9, 8, 16), (4, 8, 8), (0.1, 8, 8), (13.2, 8, 16), (12, 8, 16), (17.7, 8, 16), (17.8, 8, 24),
            (5.4, 1, 5), (5.5, 1, 6), (0.2, 1, 1), (54, 8, 56), (100, 32, 96), (48.1, 32, 64),
        ],
    )  # fmt: skip
    def test_known_answers(self, value, divisor, rounded):
        assert make_divisible(value, divisor) == rounded

    def test_properties(self):
        generator = random.Random(0)
        for _ in range(20_000):
            value, divisor = generator.uniform(0.01, 3000), generator.randint(1, 64)
            rounded = make_divisible(value, divisor)
            assert rounded % divisor == 0
            assert rounded >= max(divisor, 0.9 * value)
            assert rounded <= max(divisor, value + divisor)
            # the nearest multiple, unless that would be more than 10 % below
            if rounded > divisor and rounded - value > divisor / 2:
                assert rounded - divisor < 0.9 * value


class TestChannels:
    @pytest.mark.parametrize(
        ("channels", "width", "active"),
        [
            (Channels.slim(64), 0.63, (40,)),
            (Channels.slim(64), 1.0, (64,)),
            (Channels.slim(54), 0.99, (54,)),  # 56 is the multiple of 8, but there are only 54
            (Channels.slim(54), 1.0, (54,)),  # all of them at full width, multiple of 8 or not
            (Channels.slim(4), 0.5, (4,)),  # never above what there is, never below the divisor if there is more
            (Channels.slim(64, divisor=16), 0.63, (48,)),
            (Channels.slim(64, divisor=1), 0.63, (40,)),
            (Channels.fixed(16), 0.01, (16,)),
            (Channels.slim(256) + Channels.fixed(64), 0.63, (160, 64)),
            (Channels.slim(96, multiple=6), 0.63, (96,)),  # 6 x 16, not 6 x 10.08 nor 64
            (Channels.slim(192, multiple=6), 0.63, (144,)),  # 6 x 24 of 32; active(192) alone would be 120
            (Channels.slim(192), 0.63, (120,)),
        ],
    )
    def test_active(self, channels, width, active):
        assert channels.active(width) == active
        assert channels.count(width) == sum(active)

    def test_size(self):
        assert (Channels.slim(256) + Channels.fixed(64) + Channels.slim(3)).size == 323

    def test_ranges_of_segments(self):
        channels = Channels.slim(256) + Channels.fixed(64)
        assert channels.ranges(0.63) == ((0, 160), (256, 320))
        assert channels.ranges(1.0) == ((0, 320),)
        assert (Channels.fixed(64) + Channels.slim(256)).ranges(0.63) == ((0, 224),)
        assert (Channels.slim(64) + Channels.slim(64)).ranges(0.5) == ((0, 32), (64, 96))

    @pytest.mark.parametrize("width", [0.3, 0.63, 0.77, 1.0])
    @pytest.mark.parametrize("dim", [0, 1, 2])
    def test_narrow_takes_the_first_of_each_segment(self, width, dim):
        channels = Channels.slim(32) + Channels.fixed(5) + Channels.slim(24, divisor=4)
        shape = [3, 4, 2]
        shape[dim] = 61
        tensor = torch.arange(torch.Size(shape).numel()).reshape(shape)
        first = {0.3: 16, 0.63: 24, 0.77: 24, 1.0: 32}[width]  # of 9.6, 8 is more than 10 % below
        last = {0.3: 8, 0.63: 16, 0.77: 20, 1.0: 24}[width]
        indices = [*range(first), *range(32, 37), *range(37, 37 + last)]
        assert torch.equal(channels.narrow(tensor, dim, width), tensor.index_select(dim, torch.tensor(indices)))

    def test_narrow_of_one_range_is_a_view(self):
        tensor = torch.zeros(64, 3)
        part = Channels.slim(64).narrow(tensor, 0, 0.5)
        part += 1
        assert tensor[:32].eq(1).all()
        assert tensor[32:].eq(0).all()
        assert Channels.slim(64).narrow(tensor, 0, 1.0) is tensor

    def test_wider_contains_narrower(self):
        channels = Channels.slim(200) + Channels.fixed(8) + Channels.slim(48, multiple=6, divisor=2)
        tensor = torch.arange(256)
        before = set()
        for step in range(1, 101):
            kept = set(channels.narrow(tensor, 0, step / 100).tolist())
            assert kept >= before
            before = kept
        assert before == set(range(256))

    @pytest.mark.parametrize("width", [0.0, -0.5, 1.0001, float("nan")])
    def test_refuses_widths(self, width):
        with pytest.raises(ValueError, match=r"must be in \(0, 1\]: it is relative to the layer's 64 channels"):
            Channels.slim(64).active(width)

    @pytest.mark.parametrize(
        ("size", "options", "reason"),
        [
            (0, {}, "at least 1"),
            (8, {"divisor": 0}, "at least 1"),
            (8, {"multiple": 0}, "at least 1"),
            (100, {"multiple": 6}, "100 channels are not a multiple of 6"),
        ],
    )
    def test_refuses_sizes(self, size, options, reason):
        with pytest.raises(ValueError, match=reason):
            Channels.slim(size, **options)

    def test_is_a_value(self):
        assert Channels.slim(8) + Channels.fixed(2) == Channels.slim(8) + Channels.fixed(2)
        assert hash(Channels.slim(8)) == hash(Channels.slim(8))
        assert Channels.slim(8) != Channels.fixed(8)
