"""Small networks as training leaves them, one of each architecture, and what a run leaves of them."""

from pathlib import Path

import torch

import mutualnet3d as mn
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.deployment import Description
from mutualnet3d.files import sha256
from mutualnet3d.layers import SlimmableBatchNorm3d, activation_of
from mutualnet3d.models.artefact import save_model
from mutualnet3d.query_table import Entry, QueryTable
from tests.tiny import ROOT

DEMO = ROOT / "configs" / "Demo"
NONLOCAL = ["NONLOCAL.LOCATION", [[[]], [[0]], [[]], [[]]]]
SMALL = [
    *("DATA.TRAIN_CROP_SIZE", 48, "DATA.TEST_CROP_SIZE", 48, "DATA.TRAIN_JITTER_SCALES", [48, 56]),
    *("MUTUALNET.SPATIAL", [30, 38, 48], "MODEL.NUM_CLASSES", 10),
]
CASES = {
    "slow": ("MN_SLOW_SMALL.yaml", []),
    "slowfast": ("MN_SLOWFAST_SMALL.yaml", []),
    "x3d": ("MN_X3D_SMALL.yaml", ["X3D.DEPTH_FACTOR", 0.2]),
    "non-local": ("MN_SLOW_SMALL.yaml", [*NONLOCAL, "NONLOCAL.INSTANTIATION", "softmax"]),
    "grouped non-local": (
        "MN_SLOW_SMALL.yaml",
        [*NONLOCAL, "NONLOCAL.GROUP", [[1], [2], [1], [1]], "MUTUALNET.TEMPORAL", [4, 8]],
    ),
}
DETECTION = {
    "slowfast detection": ("MN_SLOWFAST_SMALL.yaml", ["DETECTION.ENABLE", True]),
    "slow detection": ("MN_SLOW_SMALL.yaml", ["DETECTION.ENABLE", True]),
}


class Network:
    """A network with statistics, at the smallest, the full and a mixed configuration."""

    def __init__(self, case: str, *overrides):
        file, own = (CASES | DETECTION)[case]
        self.cfg = mn.load_config(DEMO / file, [*SMALL, *own, *overrides])
        self.model = mn.build_model(self.cfg).eval()
        space = self.model.space
        mixed = mn.Configuration(0.8, space.spatial[0], space.temporal[-1])
        self.configurations = (space.smallest, mixed, space.full)
        self.small = space.smallest
        randomise(self.model, self.configurations)
        self.preprocessing = Preprocessing.from_cfg(self.cfg)

    def clip(self, batch: int = 2, seed: int = 0) -> torch.Tensor:
        shape = batch, 3, self.cfg.DATA.NUM_FRAMES, 48, 48
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))

    def boxes(self, batch: int = 2) -> torch.Tensor | None:
        if not self.model.detects:
            return None
        return torch.tensor([[n, 3.0 + n, 4.0, 30.0, 40.0 + n] for n in range(batch) for _ in range(2)])

    def switched(self, clip, configuration, boxes=None) -> torch.Tensor:
        with torch.no_grad():
            return self.model(clip, configuration, boxes)

    def inputs(self, clip, configuration, boxes=None):
        views = self.model.pathways(clip, configuration)
        return views, None if boxes is None else self.model.pathway_boxes(boxes, clip, views)

    def describe(self, configuration, **more) -> Description:
        architecture = self.cfg.MODEL.ARCH
        return Description(configuration, self.model.pathway_rule, self.preprocessing, architecture, **more)


def randomise(model, configurations) -> None:
    """Weights of BatchNorms and statistics as training leaves them: different for every layer and configuration."""
    generator = torch.Generator().manual_seed(1)
    for norm in (m for m in model.modules() if isinstance(m, SlimmableBatchNorm3d)):
        norm.weight.data = torch.rand(norm.num_features, generator=generator) + 0.5
        norm.bias.data = torch.randn(norm.num_features, generator=generator) * 0.2
        for configuration in configurations:
            activation = activation_of(configuration, model.space.full)
            count = norm.slim.count(activation.width)
            mean = torch.randn(count, generator=generator) * 0.1
            norm.store_statistics(activation, mean, torch.rand(count, generator=generator) + 0.5)
    model.head.projection.weight.data = torch.randn(model.head.projection.weight.shape, generator=generator) * 0.1


def relative(got: torch.Tensor, expected: torch.Tensor) -> float:
    assert got.shape == expected.shape
    return float((got - expected).abs().max() / expected.abs().max())


def write_run(folder: Path, network: Network) -> Path:
    """What a run leaves: model.pyth and query_table.json of the network's three configurations."""
    save_model(folder / "model.pyth", network.model, network.cfg)
    entries = []
    for number, configuration in enumerate(network.configurations):
        cost = mn.complexity(network.model, configuration, crop=network.cfg.DATA.TEST_CROP_SIZE)
        entries.append(Entry(configuration, cost.gmacs, cost.mparams, 50.0 + number, 90.0))
    provenance = {
        "model_sha256": sha256(folder / "model.pyth"),
        "space": network.model.space.to_dict(),
        "crop": network.cfg.DATA.TEST_CROP_SIZE,
    }
    QueryTable(tuple(entries), "top1", provenance).save(folder / "query_table.json")
    return folder
