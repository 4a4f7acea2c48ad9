"""BatchNorm folded into convolutions: the same outputs with fewer layers."""

import pytest
import torch
from torch import nn

import mutualnet3d as mn
from mutualnet3d.layers import fold_batchnorm, trace_dense
from tests.deployment.networks import CASES, DETECTION, relative


@pytest.mark.parametrize("case", [*CASES, *DETECTION])
def test_a_folded_network_equals_the_switched_one(case, networks):
    network = networks(case)
    for configuration in network.configurations:
        folded = mn.extract_dense(network.model, configuration, fold_bn=True)
        clip, boxes = network.clip(), network.boxes()
        views, scaled = network.inputs(clip, configuration, boxes)
        with torch.no_grad():
            got = folded(*views) if scaled is None else folded(*views, boxes=scaled)
        assert relative(got, network.switched(clip, configuration, boxes)) < 1e-5
        assert not any(isinstance(m, nn.BatchNorm3d) for m in folded.modules())  # all follow a convolution here
        assert not folded.training


def test_without_folding_nothing_changes(networks):
    network = networks("slowfast")
    plain = mn.extract_dense(network.model, network.small)
    norms = [m for m in plain.modules() if isinstance(m, nn.BatchNorm3d)]
    assert len(norms) == len([m for m in network.model.modules() if isinstance(m, nn.BatchNorm3d)])
    folded = mn.extract_dense(network.model, network.small, fold_bn=True)
    assert type(folded) is type(plain)
    assert len(trace_dense(folded).graph.nodes) == len(trace_dense(plain).graph.nodes) - len(norms)


def test_the_weight_shared_network_is_left_alone(networks):
    network = networks("slow")
    before = {name: tensor.clone() for name, tensor in network.model.state_dict().items()}
    mn.extract_dense(network.model, fold_bn=True)
    after = network.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


class Awkward(nn.Module):
    """A BatchNorm that cannot be folded in each of three ways, and one that can, in two dimensions."""

    def __init__(self):
        super().__init__()
        self.first = nn.BatchNorm2d(3)
        self.twice_read = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.twice_run = nn.Conv2d(4, 4, 1)
        self.shared = nn.BatchNorm2d(4)
        self.last = nn.Conv2d(4, 2, 1, bias=False)
        self.foldable = nn.BatchNorm2d(2)

    def forward(self, view):
        x = self.twice_read(self.first(view))
        x = self.norm(x) + x
        x = self.shared(self.twice_run(self.shared(self.twice_run(x))))
        return self.foldable(self.last(x))


def test_only_what_follows_one_convolution_alone_is_folded():
    torch.manual_seed(0)
    network = Awkward()
    for _ in range(3):
        network(torch.randn(4, 3, 5, 5))
    network.eval()
    view = torch.randn(2, 3, 6, 7)
    with torch.no_grad():
        expected = network(view)
        got = fold_batchnorm(network)(view)
    assert relative(got, expected) < 1e-5
    left = [name for name, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert left == ["first", "norm", "shared"]


def test_a_graph_is_not_traced_again_and_fits_any_size(networks):
    network = networks("slowfast")
    graph = trace_dense(mn.extract_dense(network.model, network.small))
    again = trace_dense(fold_batchnorm(torch.fx.GraphModule(graph, graph.graph)))
    for side in (48, 40):
        clip = network.clip()[..., :side, :side]
        views = network.model.pathways(clip, network.small)
        with torch.no_grad():
            assert relative(again(*views), network.switched(clip, network.small)) < 1e-5


class Three(nn.Module):
    def forward(self, a, b, c):
        return a


def test_three_views_are_refused():
    with pytest.raises(ValueError, match=r"Three\.forward takes 3 views; networks of 1 or 2"):
        trace_dense(Three())
