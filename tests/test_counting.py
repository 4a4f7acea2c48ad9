"""Counted multiply-adds and parameters, against published numbers and the paper's arithmetic."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.counting import complexities

RECIPES = Path(__file__).resolve().parents[1] / "configs" / "Kinetics"


@pytest.fixture(scope="module")
def networks():
    """Only shapes matter here, and one network at a time is built."""
    built = {}

    def get(name):
        if name not in built:
            built.clear()
            built[name] = mn.build_model(mn.load_config(RECIPES / f"{name}.yaml", []))
        return built[name]

    return get


@pytest.mark.parametrize(
    ("recipe", "gmacs", "mparams", "entries"),
    [
        ("MN_SLOW_8x8", 54.5, 32.454096, 320),
        ("MN_SLOWFAST_4x16", 36.1, 34.480216, 662),
        ("MN_X3D_M", 6.2, 3.794322, 568),
    ],
)
def test_published_networks(networks, recipe, gmacs, mparams, entries):
    model = networks(recipe)
    counted = mn.complexity(model, crop=256)
    assert counted.gmacs == pytest.approx(gmacs, rel=0.005)
    assert counted.mparams == pytest.approx(mparams, abs=1e-9)
    assert counted == mn.complexity(model, model.space.full, crop=256)
    assert sum(p.numel() for p in model.parameters()) == round(mparams * 1e6)
    assert len(model.state_dict()) == entries
    assert mn.complexity(model) == mn.complexity(model, crop=224)
    smallest = mn.complexity(model, model.space.smallest, crop=256)
    assert smallest.gmacs < counted.gmacs
    assert smallest.mparams < counted.mparams


def test_smallest_slow_by_hand(networks):
    """Slow 8x8 at 0.63-142-3: 3 frames of 162 x 162, layer by layer with paper and pencil."""
    sides = [81, 41, 21, 11, 6]  # after the stem, its pool and each stage with stride 2: ceil(side / 2)
    macs = 3 * 81 * 81 * 40 * 3 * 49
    parameters = 40 * 3 * 49 + 2 * 40
    read, block_counts = 40, (3, 4, 6, 3)
    inner, outer = (40, 80, 160, 320), (160, 320, 648, 1288)  # multiples of 8 nearest to 0.63 n
    for stage, blocks in enumerate(block_counts):
        side, before = sides[stage + 1], sides[max(stage, 1)]
        n, m, taps = inner[stage], outer[stage], 1 if stage < 2 else 3
        for block in range(blocks):
            first = before if block == 0 else side  # the 1x1x1 convolution before the strided one
            weights = {"a": read * n * taps, "b": 9 * n * n, "c": n * m}
            macs += 3 * (weights["a"] * first**2 + (weights["b"] + weights["c"]) * side**2)
            parameters += sum(weights.values()) + 4 * n + 2 * m
            if block == 0:
                macs += 3 * read * m * side**2
                parameters += read * m + 2 * m
            read = m
    macs += read * 400
    parameters += read * 400 + 400
    model = networks("MN_SLOW_8x8")
    counted = mn.complexity(model, mn.Configuration.parse("0.63-142-3"), crop=256)
    assert counted.gmacs == pytest.approx(macs / 1e9, rel=1e-12)
    assert counted.mparams == pytest.approx(parameters / 1e6, rel=1e-12)
    assert counted.gmacs == pytest.approx(3.80, abs=0.005)


def test_expected_training_cost_of_slow(networks):
    """Full + smallest + one random configuration, over full alone: the paper's table IV says 74.8 of 54.5 GFLOPs."""
    space = networks("MN_SLOW_8x8").space
    low, high = space.width
    w2 = (high**3 - low**3) / 3 / (high - low)
    s2 = np.mean([(s / 224) ** 2 for s in space.spatial])
    t = np.mean([0.4, 0.63, 1.0])  # the factors that 3, 5 and 8 frames stand for
    formula = 1 + low**2 * (142 / 224) ** 2 * 0.4 + w2 * s2 * t
    assert formula == pytest.approx(74.8 / 54.5, abs=0.003)

    model = networks("MN_SLOW_8x8")
    points, weights = np.polynomial.legendre.leggauss(3)
    widths = (low + high) / 2 + points * (high - low) / 2
    counted = complexities(model, space.grid((*widths, low, high)), crop=256)
    expectation = 0.0
    for width, weight in zip(widths, weights / 2, strict=True):
        expectation += weight * np.mean([cost.gmacs for c, cost in counted.items() if c.width == width])
    counted = 1 + (counted[space.smallest].gmacs + expectation) / counted[space.full].gmacs
    # 76.0 GMACs: odd feature sizes are rounded up, and the stem's input does not shrink with the width
    assert counted == pytest.approx(1.394, abs=0.001)
    assert counted == pytest.approx(formula, rel=0.03)


def test_the_network_is_not_touched(networks):
    model = networks("MN_X3D_M")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    mn.complexity(model, model.space.smallest)
    assert model.training
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in model.state_dict().items():
        assert value.device.type == "cpu"
        assert torch.equal(value, before[name])


def test_outside_the_space(networks):
    with pytest.raises(mn.ConfigurationError, match=r"spatial 150 of 0\.63-150-6"):
        mn.complexity(networks("MN_X3D_M"), mn.Configuration(0.63, 150, 6))


def test_more_is_never_cheaper(networks):
    model = networks("MN_X3D_M")
    space = model.space
    ladder = [mn.Configuration(width, 160, 9) for width in (0.63, 0.7, 0.8, 0.9, 1.0)]
    ladder += [mn.Configuration(1.0, spatial, 9) for spatial in space.spatial[2:]]
    ladder += [mn.Configuration(1.0, 224, temporal) for temporal in space.temporal[2:]]
    gmacs = [cost.gmacs for cost in complexities(model, dict.fromkeys(ladder), 256).values()]
    assert all(a < b for a, b in itertools.pairwise(gmacs))
