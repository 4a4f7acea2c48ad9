"""Counting a grid together equals counting each dense sub-network on its own, product by product."""

import random
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import mutualnet3d as mn
from mutualnet3d import counting
from mutualnet3d.counting import Complexity, complexities
from mutualnet3d.layers import activation_of, copy_dense

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
BLOCKS = ["NONLOCAL.LOCATION", [[[]], [[1]], [[0, 1]], [[]]]]
FAST_BLOCKS = ["NONLOCAL.LOCATION", [[[], []], [[1], [0]], [[0], []], [[], []]]]
POOLS = ["NONLOCAL.POOL", [[[1, 2, 2], [1, 2, 2]]] * 4]
FRAME_GROUPS = ["NONLOCAL.GROUP", [[1], [2], [1], [1]], "MUTUALNET.TEMPORAL", [4, 8]]
DETECTION = ["DETECTION.ENABLE", True, "DETECTION.ALIGNED", True]
SMALL = {
    "slow": ("SLOW", []),
    "slowfast": ("SLOWFAST", []),
    "x3d": ("X3D", ["MUTUALNET.DIVISOR", 4]),
    "softmax attention": ("SLOW", [*BLOCKS, "NONLOCAL.INSTANTIATION", "softmax"]),
    "attention over groups of frames": (
        "SLOW",
        [*BLOCKS, "NONLOCAL.GROUP", [[1], [2], [1], [1]], *("MUTUALNET.TEMPORAL", [4, 8])],
    ),
    "attention without pooling": ("SLOW", [*BLOCKS, "NONLOCAL.POOL", [[[1, 1, 1]]] * 4]),
    "attention in both pathways": ("SLOWFAST", [*FAST_BLOCKS, *POOLS]),
    "boxes": ("SLOW", [*DETECTION]),
    "boxes in both pathways": ("SLOWFAST", [*DETECTION, *FAST_BLOCKS]),
    "groups": ("SLOW", ["RESNET.NUM_GROUPS", 8, "RESNET.WIDTH_PER_GROUP", 8]),
    "groups in both pathways": ("SLOWFAST", ["RESNET.NUM_GROUPS", 8, "RESNET.WIDTH_PER_GROUP", 16]),
}


def build(name):
    recipe, overrides = SMALL[name]
    return mn.build_model(mn.load_config(CONFIGS / "Demo" / f"MN_{recipe}_SMALL.yaml", overrides))


def one_by_one(model, configuration, crop):
    """One dense sub-network, one run, everything that torch counts."""
    dense = copy_dense(model, activation_of(configuration, model.space.full), skeleton=True).eval()
    clip = torch.empty(1, model.input_channels, model.num_frames, crop, crop, device="meta")
    views = model.pathways(clip, configuration)
    boxes = None
    if model.detects:
        boxes = tuple(torch.tensor([[0.0, 0.0, 0.0, *view.shape[:2:-1]]], device="meta") for view in views)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        dense(*views, boxes=boxes)
    return Complexity(counter.get_total_flops() // 2 / 1e9, sum(p.numel() for p in dense.parameters()) / 1e6)


def some_configurations(space, count, seed=0):
    """Random widths at few resolutions, so that most are not counted by a run of their own; smallest and full."""
    rng = random.Random(seed)
    middle = (space.spatial[-2], space.temporal[0])
    drawn = [mn.Configuration(rng.uniform(*space.width), *middle) for _ in range(count)]
    return [space.smallest, *drawn, mn.Configuration(space.width[0], *middle), space.full]


@pytest.mark.parametrize("name", SMALL)
def test_small_networks(name):
    model = build(name)
    configurations = some_configurations(model.space, 1)
    counted = complexities(model, configurations, 71)
    assert list(counted) == configurations
    for configuration, cost in counted.items():
        assert cost == one_by_one(model, configuration, 71), configuration


@pytest.mark.parametrize("name", ["attention in both pathways", "x3d"])
def test_crops(name):
    model = build(name)
    configuration = some_configurations(model.space, 1, seed=5)[1]
    costs = [complexities(model, [model.space.smallest, configuration], crop)[configuration] for crop in (33, 64, 96)]
    assert costs == [one_by_one(model, configuration, crop) for crop in (33, 64, 96)]
    assert costs[1] == mn.complexity(model, configuration)


@pytest.mark.parametrize("recipe", ["MN_SLOW_8x8", "MN_SLOWFAST_4x16", "MN_X3D_M"])
def test_full_size_networks(recipe):
    model = mn.build_model(mn.load_config(CONFIGS / "Kinetics" / f"{recipe}.yaml", []))
    for configuration, cost in complexities(model, some_configurations(model.space, 1), 256).items():
        assert cost == one_by_one(model, configuration, 256), configuration


@pytest.fixture
def runs(monkeypatch):
    """How often a network was run, and how many sub-networks were built."""
    counts = {"_run": 0, "copy_dense": 0}

    def watch(name, original):
        def counted(*arguments, **options):
            counts[name] += 1
            return original(*arguments, **options)

        monkeypatch.setattr(counting, name, counted)

    for name in counts:
        watch(name, getattr(counting, name))
    return counts


@pytest.mark.parametrize("name", ["slow", "x3d", "attention in both pathways", "boxes in both pathways"])
def test_a_grid_takes_a_run_per_pair_of_resolutions(runs, name):
    model = build(name)
    grid = [c for c in model.space.grid((0.63, 0.8, 1.0)) if c.spatial > model.space.spatial[0]]
    complexities(model, grid)
    assert len(grid) == 18
    assert runs == {"_run": 6, "copy_dense": 3}


class GramHead(nn.Module):
    """Multiplies outside of every layer, by the square of the channels."""

    def forward(self, features, boxes=None):
        x = features[0].flatten(2)
        return x @ x.transpose(1, 2)


def test_products_outside_of_layers_are_counted_one_by_one(runs):
    model = build("slow")
    model.head = GramHead()
    configurations = some_configurations(model.space, 2)
    counted = complexities(model, configurations, 80)
    assert runs["_run"] >= len(configurations)
    assert {c: one_by_one(model, c, 80) for c in configurations} == counted
    layers_only = build("slow")
    assert counted[model.space.full].gmacs > mn.complexity(layers_only, crop=80).gmacs


class TwiceHead(nn.Module):
    """One layer used twice, and once as a bare weight."""

    def __init__(self, head):
        super().__init__()
        self.projection = head.projection

    def forward(self, features, boxes=None):
        x = features[0].mean((2, 3, 4))
        bare = nn.functional.linear(x, self.projection.weight)
        return self.projection(x) + self.projection(x) + bare


def test_layers_that_are_used_twice_or_as_bare_weights():
    model = build("slow")
    model.head = TwiceHead(model.head)
    configurations = some_configurations(model.space, 1)
    assert complexities(model, configurations, 80) == {c: one_by_one(model, c, 80) for c in configurations}


def test_no_configurations_and_wrong_ones(runs):
    model = build("slow")
    assert complexities(model, []) == {}
    with pytest.raises(mn.ConfigurationError, match=r"spatial 51 of 0\.63-51-3"):
        complexities(model, [model.space.full, mn.Configuration(0.63, 51, 3)])
    for crop in (0, -5, 2.5, True, "80"):
        with pytest.raises(mn.ConfigurationError, match="whole number of pixels"):
            complexities(model, [model.space.full], crop)
    assert runs["_run"] == 1
