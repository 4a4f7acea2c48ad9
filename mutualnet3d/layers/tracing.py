"""The computation of a dense network as a graph of torch.fx: what folding, files and exporters read."""

from __future__ import annotations

import copy
import inspect

import torch.fx
from torch import nn

_ROOT = "network"


def trace_dense(dense: nn.Module) -> torch.fx.GraphModule:
    """The graph of ``dense`` in eval mode, whose layers it shares and calls by the names that they have in ``dense``.

    ``dense`` is a network of ``forward(*views)`` or, where its attribute ``detects`` is true, ``forward(*views,
    boxes=(one tensor a view))``; or a graph, which is not traced again. The inputs of the result are the views, then
    the boxes of each. It fits any sizes and any batch: nothing in it depends on an example. Layers that do nothing in
    eval mode (dropout, identity) are left out.

    Tracing changes torch for the whole process while it lasts: no other thread may run networks meanwhile.
    """
    if isinstance(dense, torch.fx.GraphModule):
        return _without_inert_layers(dense, copy.deepcopy(dense.graph))
    views = _count_views(dense)
    adapter = _ADAPTERS.get((views, bool(getattr(dense, "detects", False))))
    if adapter is None:
        raise ValueError(f"{type(dense).__name__}.forward takes {views} views; networks of 1 or 2 can be traced")
    graph = torch.fx.Tracer().trace(adapter(dense))
    for node in graph.nodes:
        if node.op in ("call_module", "get_attr"):
            node.target = node.target.removeprefix(f"{_ROOT}.")
    return _without_inert_layers(dense, graph)


def _without_inert_layers(dense: nn.Module, graph: torch.fx.Graph) -> torch.fx.GraphModule:
    for node in list(graph.nodes):
        if node.op == "call_module" and isinstance(dense.get_submodule(node.target), (nn.Dropout, nn.Identity)):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    return torch.fx.GraphModule(dense, graph, "DenseGraph")


def _count_views(dense: nn.Module) -> int:
    parameters = inspect.signature(dense.forward).parameters.values()
    return sum(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)


class _Adapter(nn.Module):
    """Fixes the number of inputs, which tracing cannot guess."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network


class _OneView(_Adapter):
    def forward(self, slow: torch.Tensor) -> torch.Tensor:
        return self.network(slow)


class _TwoViews(_Adapter):
    def forward(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        return self.network(slow, fast)


class _OneViewAndBoxes(_Adapter):
    def forward(self, slow: torch.Tensor, slow_boxes: torch.Tensor) -> torch.Tensor:
        return self.network(slow, boxes=(slow_boxes,))


class _TwoViewsAndBoxes(_Adapter):
    def forward(
        self, slow: torch.Tensor, fast: torch.Tensor, slow_boxes: torch.Tensor, fast_boxes: torch.Tensor
    ) -> torch.Tensor:
        return self.network(slow, fast, boxes=(slow_boxes, fast_boxes))


_ADAPTERS: dict[tuple[int, bool], type[_Adapter]] = {
    (1, False): _OneView,
    (2, False): _TwoViews,
    (1, True): _OneViewAndBoxes,
    (2, True): _TwoViewsAndBoxes,
}
