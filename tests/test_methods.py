"""Which configurations the methods of training draw, and what these learn from."""

import random
from collections import Counter

import numpy as np
import pytest
import torch

from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.errors import ConfigurationError
from mutualnet3d.methods import METHODS, Method

VIDEO = ConfigurationSpace((0.63, 1.0), (142, 178, 224), (3, 5, 8))
IMAGES = ConfigurationSpace((0.25, 1.0), (128, 160, 192, 224))
FIXED = Configuration(0.8, 178, 5)
OPTIONS = {"independent": {"fixed": FIXED}, "slimmable": {"widths": (0.7, 0.85, 1.0)}}


def method(name, seed=0, space=VIDEO, **options):
    return Method(space, seed, name, **OPTIONS.get(name, {}) | options)


def resolutions(drawn):
    return [(c.spatial, c.temporal) for c in drawn]


@pytest.mark.parametrize("name", METHODS)
def test_every_draw_is_of_the_space_and_repeatable(name):
    drawn = [method(name, 3, num_random=2).draw(i) for i in range(40)]
    assert [method(name, 3, num_random=2).draw(i) for i in reversed(range(40))] == drawn[::-1]
    assert all(VIDEO.check(c) for configurations in drawn for c in configurations)
    varies = name not in ("independent", "slimmable")
    assert (len(set(drawn)) > 30) == varies
    assert ([method(name, 4, num_random=2).draw(i) for i in range(40)] != drawn) == varies


def test_usnet_varies_widths_alone():
    drawn = [method("usnet", num_random=2).draw(i) for i in range(2000)]
    assert {r for configurations in drawn for r in resolutions(configurations)} == {(224, 8)}
    assert {d[0] for d in drawn} == {VIDEO.full}
    assert {d[1].width for d in drawn} == {0.63}
    widths = np.array([[c.width for c in d[2:]] for d in drawn])
    assert widths.shape == (2000, 2)
    assert widths.mean(0) == pytest.approx([0.815, 0.815], abs=0.01)


def test_multiscale_shares_a_resolution():
    drawn = [method("multiscale", num_random=2).draw(i) for i in range(4500)]
    assert all(len(set(resolutions(d))) == 1 for d in drawn)
    counts = Counter(resolutions(d)[0] for d in drawn)
    assert sorted(counts) == sorted((s, t) for s in VIDEO.spatial for t in VIDEO.temporal)
    assert list(counts.values()) == pytest.approx([500] * 9, abs=90)
    assert {(d[0].width, d[1].width) for d in drawn} == {(1.0, 0.63)}
    assert len({d[2].width for d in drawn}) > 300
    images = [method("multiscale", space=IMAGES).draw(i) for i in range(50)]
    assert all(len(set(resolutions(d))) == 1 for d in images)


def test_independent_and_slimmable_are_always_the_same():
    assert method("independent").draw(7) == (FIXED,)
    drawn = method("slimmable").draw(7)
    assert [c.width for c in drawn] == [1.0, 0.7, 0.85]  # the teacher first
    assert set(resolutions(drawn)) == {(224, 8)}


def test_where_the_smallest_runs():
    lowest, randomly = method("mutual", smallest="lowest"), method("mutual", smallest="random")
    assert {lowest.draw(i)[1] for i in range(20)} == {VIDEO.smallest}
    assert lowest.draw(5) == method("mutual").draw(5)
    drawn = [randomly.draw(i)[1] for i in range(200)]
    assert {c.width for c in drawn} == {0.63}
    assert len(set(drawn)) == 9
    images = method("mutual", space=IMAGES, smallest="lowest")
    assert {images.draw(i)[1] for i in range(20)} == {IMAGES.smallest}
    for space, at_full in ((VIDEO, Configuration(0.63, 224, 8)), (IMAGES, Configuration(0.25, 224))):
        assert {method("mutual", space=space, smallest="full").draw(i)[1] for i in range(20)} == {at_full}


def test_who_teaches_and_who_is_judged():
    assert [n for n in METHODS if method(n).learns_labels()] == ["slimmable"]
    assert not method("slimmable", teacher="full").learns_labels()
    assert method("mutual", teacher="labels").learns_labels()
    late = method("mutual", label_epochs=2.5)
    assert [late.learns_labels(epoch) for epoch in (0, 2.4, 2.5, 9)] == [True, True, False, False]
    assert not late.learns_labels()
    assert not method("mutual").learns_labels(0)
    assert {n: method(n).reference for n in METHODS} == dict.fromkeys(METHODS, VIDEO.full) | {"independent": FIXED}
    assert [n for n in METHODS if not method(n).updates_full] == ["multiscale", "independent"]
    assert method("independent", fixed=VIDEO.full).updates_full


@pytest.mark.parametrize("name", METHODS)
def test_frames_that_may_be_drawn(name):
    for space, options in ((VIDEO, {}), (IMAGES, {"fixed": Configuration(0.8, 160)} if name == "independent" else {})):
        tried = method(name, space=space, **options)
        assert tried.drawn_frames == {c.temporal for i in range(300) for c in tried.draw(i)}


def test_no_random_ones():
    for name in ("mutual", "usnet", "multiscale"):
        assert len(method(name, num_random=0).draw(0)) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "sandwich"}, "'sandwich' is not one of mutual, usnet"),
        ({"teacher": "ema"}, "'ema' is not one of auto"),
        ({"smallest": "highest"}, "'highest' is not one of auto"),
        ({"name": "independent"}, "name it with fixed"),
        ({"name": "independent", "fixed": Configuration(0.5, 142, 3)}, "outside the trained range"),
        ({"name": "slimmable"}, r"widths \[\] of slimmable must end with"),
        ({"name": "slimmable", "widths": (0.7, 0.9)}, "must end with the highest of the space, 1.0"),
        ({"name": "slimmable", "widths": (0.5, 1.0)}, "outside the trained range"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ConfigurationError, match=message):
        Method(VIDEO, **options)


def test_among_frozen_configurations():
    kept = (VIDEO.smallest, FIXED)
    drawn = [method("mutual", num_random=2).draw(i, kept) for i in range(30)]
    assert {d[:2] for d in drawn} == {(VIDEO.full, VIDEO.smallest)}
    assert {c for d in drawn for c in d[2:]} == set(kept)
    with pytest.raises(ConfigurationError, match="no frozen BatchNorm statistics"):
        method("mutual").draw(0, (FIXED,))


class TestMutual:
    def test_depends_on_seed_and_iteration_alone(self):
        first = [Method(VIDEO, 7, num_random=2).draw(i) for i in range(50)]
        np.random.seed(0)
        torch.manual_seed(1)
        assert [Method(VIDEO, 7, num_random=2).draw(i) for i in reversed(range(50))] == first[::-1]
        assert len({drawn[2] for drawn in first}) > 40
        assert [Method(VIDEO, 8, num_random=2).draw(i)[2] for i in range(50)] != [drawn[2] for drawn in first]
        # (seed, iteration) is a pair: neither their sum nor their digits alone
        assert Method(VIDEO, 1).draw(23)[2] != Method(VIDEO, 12).draw(3)[2]
        assert Method(VIDEO, 1).draw(2)[2] != Method(VIDEO, 2).draw(1)[2]

    def test_leaves_the_global_generator_alone(self):
        state = random.getstate()
        Method(VIDEO, 0).draw(0)
        assert random.getstate() == state

    def test_the_first_two(self):
        for iteration in range(20):
            drawn = Method(VIDEO, 0).draw(iteration)
            assert drawn[:2] == (VIDEO.full, VIDEO.smallest)
            assert len(drawn) == 3
        assert Method(VIDEO, 0, num_random=0).draw(0) == (VIDEO.full, VIDEO.smallest)
        assert len(Method(VIDEO, 0, num_random=3).draw(0)) == 5

    def test_distribution(self):
        drawn = [Method(VIDEO, 0).draw(i)[2] for i in range(20_000)]
        widths = np.array([c.width for c in drawn])
        for configuration in drawn[:1000]:
            VIDEO.check(configuration)
        # U(0.63, 1): E w = 0.815, E w^2 = 0.67563; 20,000 draws leave 0.0008 and 0.0013 of standard error
        assert widths.mean() == pytest.approx(0.815, abs=0.003)
        assert np.square(widths).mean() == pytest.approx((1 - 0.63**3) / 3 / 0.37, abs=0.005)
        assert np.histogram(widths, 10, (0.63, 1.0))[0] == pytest.approx(2000, abs=200)
        pairs = Counter((c.spatial, c.temporal) for c in drawn)
        assert len(pairs) == 9
        assert list(pairs.values()) == pytest.approx([20_000 / 9] * 9, abs=200)
        for spatial in VIDEO.spatial:  # width and resolution are independent
            assert widths[[c.spatial == spatial for c in drawn]].mean() == pytest.approx(0.815, abs=0.006)

    def test_images_draw_the_resolution_of_the_smallest_width_too(self):
        drawn = [Method(IMAGES, 3, num_random=2).draw(i) for i in range(4000)]
        assert {d[0] for d in drawn} == {IMAGES.full}
        assert {d[1].width for d in drawn} == {0.25}
        for position in (1, 2, 3):
            counts = Counter(d[position].spatial for d in drawn)
            assert sorted(counts) == [128, 160, 192, 224]
            assert list(counts.values()) == pytest.approx([1000] * 4, abs=140)
        assert {d[k].temporal for d in drawn for k in range(4)} == {None}
        same = np.mean([d[1].spatial == d[2].spatial for d in drawn])
        assert same == pytest.approx(0.25, abs=0.03)

    def test_rounded_widths_stay_inside(self):
        space = ConfigurationSpace((0.63049, 0.63051), (224,), (8,))
        for iteration in range(50):
            space.check(Method(space, 0).draw(iteration)[2])
