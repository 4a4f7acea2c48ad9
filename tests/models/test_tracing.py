"""Every dense network can be traced: deployment folds, serialises and exports what tracing sees."""

import pytest
import torch
import torch.fx
from torch import nn

import mutualnet3d as mn
from tests.tiny import ROOT

DEMO = ROOT / "configs" / "Demo"
NONLOCAL = ["NONLOCAL.LOCATION", [[[]], [[0]], [[]], [[]]]]
CASES = {
    "slow": ("MN_SLOW_SMALL.yaml", []),
    "slowfast": ("MN_SLOWFAST_SMALL.yaml", []),
    "x3d": ("MN_X3D_SMALL.yaml", []),
    "non-local": ("MN_SLOW_SMALL.yaml", NONLOCAL),
    "grouped non-local": ("MN_SLOW_SMALL.yaml", [*NONLOCAL, "NONLOCAL.GROUP", [[1], [2], [1], [1]]]),
    "detection": ("MN_SLOWFAST_SMALL.yaml", ["DETECTION.ENABLE", True]),
}


class OneView(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, slow):
        return self.network(slow)


class TwoViews(OneView):
    def forward(self, slow, fast):
        return self.network(slow, fast)


class TwoViewsAndBoxes(OneView):
    def forward(self, slow, fast, slow_boxes, fast_boxes):
        return self.network(slow, fast, boxes=(slow_boxes, fast_boxes))


@pytest.mark.parametrize("case", CASES)
def test_a_dense_network_is_traced(case):
    file, overrides = CASES[case]
    cfg = mn.load_config(DEMO / file, overrides)
    model = mn.build_model(cfg).eval()
    dense = mn.extract_dense(model)
    wrap = TwoViewsAndBoxes if case == "detection" else TwoViews if model.has_fast_pathway else OneView
    traced = torch.fx.symbolic_trace(wrap(dense))
    for side in (48, 64):  # what was traced fits any size
        clip = torch.randn(2, 3, cfg.DATA.NUM_FRAMES, side, side, generator=torch.Generator().manual_seed(side))
        views = model.pathways(clip)
        if case == "detection":
            boxes = torch.tensor([[0, 3.0, 4.0, 30.0, 40.0], [1, 5.0, 5.0, 40.0, 44.0]])
            views = (*views, *model.pathway_boxes(boxes, clip, views))
        with torch.no_grad():
            assert torch.equal(traced(*views), wrap(dense)(*views))
