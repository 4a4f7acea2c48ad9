"""Multiply-adds of image networks and the expected cost of a mutual step, against the authors' published tables."""

import dataclasses
from pathlib import Path

import pytest

import mutualnet3d as mn
from mutualnet3d.counting import complexities
from mutualnet3d.methods import Method
from mutualnet3d.training.cost import expected_step_gmacs, paper_factor

RECIPES = Path(__file__).resolve().parents[1] / "configs"
# million multiply-adds: width-resolution, from the tables beside the authors' code, integers; the second and third of
# MobileNetV1 stand there as 1.0-0.95 and 1.0-0.9
MOBILENET_V1 = (
    "569: 1.0-224, 518: 0.95-224, 466: 0.9-224, "
    "418: 1.0-192, 380: 0.95-192, 342: 0.9-192, 309: 0.85-192, 269: 0.8-192, 239: 0.75-192, "
    "215: 0.85-160, 187: 0.8-160, 166: 0.75-160, 146: 0.7-160, 127: 0.65-160, 111: 0.6-160, 76: 0.5-160, 63: 0.45-160, "
    "41: 0.35-160, 30: 0.25-192, 21: 0.25-160, 13: 0.25-128"
)
MOBILENET_V2 = (
    "300: 1.0-224, 284: 0.95-224, 269: 0.9-224, 254: 0.85-224, 221: 1.0-192, 209: 0.95-192, 198: 0.9-192, "
    "187: 0.85-192, 164: 0.8-192, 154: 0.75-192, 128: 0.7-192, 107: 0.75-160, 89: 0.7-160, 84: 0.85-128, 57: 0.7-128"
)


@pytest.fixture(scope="module")
def networks():
    """Networks of recipes, with the sizes that tests ask for; only shapes matter here."""
    built = {}

    def get(name):
        if name not in built:
            built[name] = mn.build_model(mn.load_config(RECIPES / f"{name}.yaml", []))
        return built[name]

    return get


@pytest.mark.parametrize(
    ("recipe", "table", "count"),
    [("ImageNet/MN_MOBILENET_V1", MOBILENET_V1, 21), ("ImageNet/MN_MOBILENET_V2", MOBILENET_V2, 15)],
)
def test_published_query_tables(networks, recipe, table, count):
    published = {mn.Configuration.parse(c): int(mmacs) for mmacs, c in (row.split(": ") for row in table.split(", "))}
    assert len(published) == count
    counted = complexities(networks(recipe), published)
    for configuration, mmacs in published.items():
        own = counted[configuration].gmacs * 1e3
        # an integer below 100 is no closer than 1 % to what it was cut or rounded from
        assert own == pytest.approx(mmacs, rel=0.01) or mmacs in (int(own), round(own)), str(configuration)
    assert mn.complexity(networks(recipe)) == counted[networks(recipe).space.full]


def test_resnet50(networks):
    model = networks("ImageNet/MN_RESNET50")
    full, smallest = mn.complexity(model), mn.complexity(model, model.space.smallest)
    assert full.gmacs == pytest.approx(4.1, rel=0.01)
    assert full.mparams == pytest.approx(25.557032, abs=1e-9)
    assert smallest.gmacs == pytest.approx(0.660, rel=0.01)
    for width in (0.7, 0.73, 0.85, 0.9, 0.97):
        for name, block in model.named_modules():
            if hasattr(block, "conv3"):
                inner, outer = block.conv2.out_slim.count(width), block.conv3.out_slim.count(width)
                assert (4 * inner, outer % 8) == (outer, 0), name
                assert block.conv3.in_slim.count(width) == inner


def test_scaled_up_mobilenet_v1(networks):
    model = networks("ImageNet/MN_MOBILENET_V1_SCALE_UP")
    assert mn.complexity(model).gmacs == pytest.approx(4.5, rel=0.01)
    one = mn.complexity(model, mn.Configuration(1.0, 224))
    assert one == mn.complexity(networks("ImageNet/MN_MOBILENET_V1"))
    assert one.gmacs == pytest.approx(0.57, rel=0.01)


@pytest.mark.parametrize(
    ("recipe", "gmacs", "mparams"),
    [
        ("ImageNet/MN_MOBILENET_V3", 0.219, 5.4),
        ("ImageNet/MN_RESNET50_BOOST", 4.1, 25.56),
        ("ImageNet/MN_MOBILENET_V1_TRANSFER", 0.568, 3.31),
        ("ImageNet/MN_MOBILENET_V1_INDOOR67", 0.568, 3.28),
        ("CIFAR/MN_WRN28_10", 5.2, 36.5),
        ("CIFAR/MN_MOBILENET_V1_TRANSFER", 0.568, 3.3),
    ],
)
def test_other_recipes(networks, recipe, gmacs, mparams):
    counted = mn.complexity(networks(recipe))
    assert counted.gmacs == pytest.approx(gmacs, rel=0.015)
    assert counted.mparams == pytest.approx(mparams, rel=0.02)


def test_crop(networks):
    """A view of another size is scaled as the clip of a video is, and pooled globally."""
    model = networks("CIFAR/MN_WRN28_10")
    half = mn.complexity(model, mn.Configuration(1.0, 32), crop=16).gmacs
    assert half == pytest.approx(mn.complexity(model, mn.Configuration(1.0, 32)).gmacs / 4, rel=1e-4)


class TestTrainingCost:
    @pytest.mark.parametrize(
        ("recipe", "num_random", "crop", "published"),
        [("ImageNet/MN_MOBILENET_V1", 2, None, 0.910), ("Kinetics/MN_SLOW_8x8", 1, 256, 74.8)],
    )
    def test_published(self, networks, recipe, num_random, crop, published):
        model = networks(recipe)
        method, full = Method(model.space, num_random=num_random), mn.complexity(model, crop=crop).gmacs
        formula, counted = full * paper_factor(method), expected_step_gmacs(model, method, crop=crop)
        assert formula == pytest.approx(published, rel=0.01)
        assert counted == pytest.approx(formula, rel=0.03)  # rounded channels and the last layer's inputs

    @pytest.mark.parametrize("temporal", [None, (3, 5, 8)])
    def test_formula_is_the_samplers_expectation(self, temporal):
        space = mn.ConfigurationSpace((0.25, 1.0), (128, 160, 192, 224), temporal)
        method, total, steps = Method(space, num_random=2), 0.0, 20_000
        for iteration in range(steps):
            for c in method.draw(iteration):
                total += c.width**2 * (c.spatial / 224) ** 2 * ((c.temporal or 1) / (temporal or (1,))[-1])
        assert paper_factor(method) == pytest.approx(total / steps, rel=0.01)

    def test_relative_to_the_highest_width(self):
        one = mn.ConfigurationSpace((0.5, 1.0), (112, 224))
        two = dataclasses.replace(one, width=(1.0, 2.0))
        assert paper_factor(Method(one)) == paper_factor(Method(two))
