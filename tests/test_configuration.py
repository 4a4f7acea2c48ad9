"""Configurations, their space, the sampler and PySlowFast's rule for keeping frames."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
import torch

from mutualnet3d.configuration import (
    Configuration,
    ConfigurationSpace,
    frame_indices,
    round_even,
)
from mutualnet3d.errors import ConfigurationError

VIDEO = ConfigurationSpace((0.63, 1.0), (142, 178, 224), (3, 5, 8))
IMAGES = ConfigurationSpace((0.25, 1.0), (128, 160, 192, 224))


class TestConfiguration:
    @pytest.mark.parametrize(
        ("text", "axes"),
        [
            ("0.63-142-3", (0.63, 142, 3)),
            ("1.0-224-8", (1.0, 224, 8)),
            ("0.63-160", (0.63, 160, None)),
            ("1-224", (1.0, 224, None)),
            ("  0.805-178-5\n", (0.805, 178, 5)),
            ("2.0-320", (2.0, 320, None)),
            (".63-142-3", (0.63, 142, 3)),
            ("1E0-224-8", (1.0, 224, 8)),
        ],
    )
    def test_parse(self, text, axes):
        assert dataclasses.astuple(Configuration.parse(text)) == axes

    @pytest.mark.parametrize("width", [0.63, 1.0, 0.1 + 0.2, 1 / 3, 2.0, 1e-5, 1e20, 5e-324])
    @pytest.mark.parametrize("temporal", [None, 3])
    def test_text_round_trip_is_exact(self, width, temporal):
        configuration = Configuration(width, 142, temporal)
        assert Configuration.parse(str(configuration)) == configuration

    def test_text(self):
        assert str(Configuration(0.63, 142, 3)) == "0.63-142-3"
        assert str(Configuration(1, 224)) == "1.0-224"

    def test_is_a_value(self):
        one, other = Configuration(1, np.int64(224), np.int32(8)), Configuration(1.0, 224, 8)
        assert one == other
        assert hash(one) == hash(other)
        assert type(one.spatial) is type(one.temporal) is int
        with pytest.raises(dataclasses.FrozenInstanceError):
            one.width = 0.5

    @pytest.mark.parametrize(
        ("axes", "reason"),
        [
            ((math.nan, 224, 8), r"width nan must be a finite number above 0"),
            ((math.inf, 224, 8), r"width inf must be a finite number above 0"),
            ((0, 224, 8), r"width 0\.0 must be .* above 0"),
            ((-0.5, 224, 8), r"width -0\.5 must be .* above 0"),
            ((10**400, 224, 8), r"too large"),
            ((None, 224, 8), r"float width, int spatial"),
            (("wide", 224, 8), r"'wide'"),
            ((0.63, 0, 8), r"spatial 0 .* at least 1"),
            ((0.63, 224, 0), r"temporal 0 must be at least 1"),
            ((0.63, 224, -3), r"temporal -3 must be at least 1"),
            ((0.63, 142.0, 3), r"142\.0.*int"),
            ((0.63, 142, 3.5), r"3\.5.*int"),
            ((0.63, "142", 3), r"'142'"),
            ((0.63, None, 3), r"None"),
            ((True, 224, 8), r"True"),
            ((0.63, True, 8), r"True"),
            ((0.63, 224, True), r"True"),
        ],
    )
    def test_refuses(self, axes, reason):
        with pytest.raises(ConfigurationError, match=reason):
            Configuration(*axes)

    @pytest.mark.parametrize(
        "text",
        ["", "0.63", "0.63-142-3-1", "nan-142-3", "inf-142", "0-142-3", "-0.63-142-3", "0.63--142", "0.63-142-",
         "0.63-142.0-3", "wide-142-3", "0.63x142x3", "0.63-1_42-3", "0.63-+142-3", "0.63- 142-3", "0.63-0-3",
         "\u0663-142-3"],
    )  # fmt: skip
    def test_refuses_texts_and_names_them(self, text):
        with pytest.raises(ConfigurationError, match=re.escape(repr(text))):
            Configuration.parse(text)


class TestSpace:
    def test_ends(self):
        assert VIDEO.full == Configuration(1.0, 224, 8)
        assert VIDEO.smallest == Configuration(0.63, 142, 3)
        assert IMAGES.full == Configuration(1.0, 224)
        assert IMAGES.smallest == Configuration(0.25, 128)

    def test_grid_runs_from_smallest_to_full(self):
        grid = VIDEO.grid()
        assert len(grid) == len(set(grid)) == 27
        assert (grid[0], grid[-1]) == (VIDEO.smallest, VIDEO.full)
        assert {c.width for c in grid} == {0.63, 0.81, 1.0} or {c.width for c in grid} == {0.63, 0.82, 1.0}
        assert {(c.spatial, c.temporal) for c in grid} == {(s, t) for s in (142, 178, 224) for t in (3, 5, 8)}
        assert len(IMAGES.grid()) == 12

    def test_grid_of_chosen_widths(self):
        grid = VIDEO.grid((1.0, 0.7, 0.7))
        assert [c.width for c in grid] == [0.7] * 9 + [1.0] * 9
        with pytest.raises(ConfigurationError, match=r"width 0\.5 .* outside the trained range \[0\.63, 1\.0\]"):
            VIDEO.grid((0.5,))

    def test_grid_of_one_width(self):
        assert ConfigurationSpace((1.0, 1.0), (112, 224), (8,)).grid() == (
            Configuration(1.0, 112, 8),
            Configuration(1.0, 224, 8),
        )
        assert {c.width for c in ConfigurationSpace((0.98, 0.99), (224,)).grid()} == {0.98, 0.99}

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"width": (1.0, 0.63)}, r"0 < lowest <= highest"),
            ({"width": (0.0, 1.0)}, r"0 < lowest <= highest"),
            ({"width": (math.nan, 1.0)}, r"0 < lowest <= highest"),
            ({"width": (0.63, math.inf)}, r"0 < lowest <= highest"),
            ({"width": (0.63,)}, r"pair \(lowest, highest\)"),
            ({"width": 0.63}, r"pair \(lowest, highest\)"),
            ({"spatial": ()}, r"spatial \[\]"),
            ({"spatial": (224, 142)}, r"spatial \[224, 142\] must be .* ascending"),
            ({"spatial": (142, 142)}, r"without repeats"),
            ({"spatial": (0, 224)}, r"positive"),
            ({"spatial": (142.5, 224)}, r"integers"),
            ({"spatial": 224}, r"sequence of integers"),
            ({"temporal": ()}, r"temporal \[\]"),
            ({"temporal": (8, 3)}, r"temporal \[8, 3\] must be .* ascending"),
            ({"divisor": 0}, r"divisor 0"),
            ({"divisor": 8.0}, r"divisor 8\.0"),
            ({"divisor": True}, r"divisor True"),
        ],
    )
    def test_refuses(self, values, reason):
        with pytest.raises(ConfigurationError, match=reason):
            ConfigurationSpace(**{"width": (0.63, 1.0), "spatial": (142, 224), "temporal": (3, 8)} | values)

    @pytest.mark.parametrize(
        ("space", "configuration", "reason"),
        [
            (VIDEO, Configuration(0.62, 142, 3), r"width 0\.62 of 0\.62-142-3 .* \[0\.63, 1\.0\]"),
            (VIDEO, Configuration(1.01, 142, 3), r"width 1\.01"),
            (VIDEO, Configuration(0.8, 160, 3), r"spatial 160 of .* \[142, 178, 224\]"),
            (VIDEO, Configuration(0.8, 178, 4), r"temporal 4 of .* \[3, 5, 8\]"),
            (VIDEO, Configuration(0.8, 178), r"temporal None .* choose one of \[3, 5, 8\]"),
            (IMAGES, Configuration(0.8, 160, 3), r"images have no temporal part"),
            (VIDEO, "0.63-142-3", r"Configuration\.parse"),
            (VIDEO, None, r"expected a Configuration, got None"),
        ],
    )
    def test_check_names_the_axis(self, space, configuration, reason):
        with pytest.raises(ConfigurationError, match=reason):
            space.check(configuration)

    def test_check_returns_members(self):
        for configuration in (*VIDEO.grid(), Configuration(0.7777, 178, 5)):
            assert VIDEO.check(configuration) is configuration

    @pytest.mark.parametrize(
        ("spatial", "size", "scaled"),
        [
            (142, 224, 142), (142, 256, 162), (178, 224, 178), (178, 256, 204), (142, 320, 202),
            (224, 225, 225), (224, 255, 255), (142, 1, 2), (142, 33, 20),
        ],
    )  # fmt: skip
    def test_scaled_size(self, spatial, size, scaled):
        assert VIDEO.scaled_size(Configuration(0.8, spatial, 8), size) == scaled

    def test_every_listed_size_is_met_exactly_at_the_training_crop(self):
        spaces = (VIDEO, IMAGES, ConfigurationSpace((0.63, 1.0), (142, 160, 192, 224), (6, 9, 12, 16)))
        for space in spaces:
            assert [space.scaled_size(c, space.spatial[-1]) for c in space.grid((1.0,))] == [
                c.spatial for c in space.grid((1.0,))
            ]

    @pytest.mark.parametrize(
        ("temporal", "frames", "scaled"), [(3, 8, 3), (5, 8, 5), (8, 8, 8), (3, 16, 6), (3, 4, 2), (3, 1, 1), (8, 7, 7)]
    )
    def test_scaled_length(self, temporal, frames, scaled):
        assert VIDEO.scaled_length(Configuration(0.8, 224, temporal), frames) == scaled

    def test_images_have_no_length(self):
        with pytest.raises(ConfigurationError, match="no temporal axis"):
            IMAGES.scaled_length(Configuration(0.8, 160), 8)

    @pytest.mark.parametrize("space", [VIDEO, IMAGES, ConfigurationSpace((1.0, 2.0), (224, 256), None, 4)])
    def test_dict_round_trip(self, space):
        assert ConfigurationSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
        with pytest.raises(ConfigurationError, match="does not describe"):
            ConfigurationSpace.from_dict({key: value for key, value in space.to_dict().items() if key != "spatial"})


class TestRoundEven:
    @pytest.mark.parametrize(
        ("value", "even"), [(0.1, 2), (2.9, 2), (3.1, 4), (161.9, 162), (162.3, 162), (203.4, 204), (163.01, 164)]
    )
    def test_known(self, value, even):
        assert round_even(value) == even

    def test_never_further_than_one(self):
        for value in np.linspace(2, 400, 1999):
            assert abs(round_even(value) - value) <= 1
            assert round_even(value) % 2 == 0


class TestFrames:
    @pytest.mark.parametrize(
        ("length", "count"), [(32, 4), (32, 8), (16, 4), (64, 4), (64, 8), (64, 16), (8, 3), (8, 5), (8, 8), (4, 2)]
    )
    def test_pyslowfasts_cases(self, length, count):
        assert frame_indices(length, count) == tuple(np.floor(np.linspace(0, length - 1, count)).astype(int))
        assert frame_indices(length, count) == tuple(torch.linspace(0, length - 1, count).long().tolist())

    @pytest.mark.parametrize("alpha", [2, 4, 8])
    def test_as_pyslowfast_for_every_clip(self, alpha):
        # up to 128 frames: from 160 on, float32 puts some of PySlowFast's frames one too low
        for length in range(alpha, 129, alpha):
            theirs = torch.linspace(0, length - 1, length // alpha).long().tolist()
            assert list(frame_indices(length, length // alpha)) == theirs, length

    def test_known(self):
        assert frame_indices(32, 4) == (0, 10, 20, 31)
        assert frame_indices(8, 3) == (0, 3, 7)
        assert frame_indices(8, 5) == (0, 1, 3, 5, 7)

    def test_exact_where_floats_are_not(self):
        assert frame_indices(31, 23)[-1] == 30
        for length in range(1, 70):
            for count in range(2, length + 1):
                for i, index in enumerate(frame_indices(length, count)):
                    assert index * (count - 1) <= i * (length - 1) < (index + 1) * (count - 1)

    def test_one_frame_and_repeats(self):
        assert frame_indices(8, 1) == (0,)
        assert frame_indices(1, 3) == (0, 0, 0)
        assert frame_indices(2, 4) == (0, 0, 0, 1)

    @pytest.mark.parametrize(("length", "count"), [(8, 0), (0, 1), (8, -1)])
    def test_refuses(self, length, count):
        with pytest.raises(ConfigurationError, match=f"keep {count} of {length} frames"):
            frame_indices(length, count)
