"""Sub-networks in torch itself: on a CPU kept on oneDNN, on CUDA in half precision where asked."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator

import torch
import torch.fx
from torch import nn

from mutualnet3d.deployment.dense import DenseNetwork
from mutualnet3d.deployment.onednn import keep_on_onednn
from mutualnet3d.deployment.runner import Runner
from mutualnet3d.deployment.target import Target
from mutualnet3d.errors import DeploymentError

_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


class TorchRunner(Runner):
    """``network`` is left as it is: the runner holds a copy in its own precision and layout."""

    def __init__(self, network: DenseNetwork, target: Target):
        super().__init__(network.description, target)
        if network.description.detects and target.precision != "float32":
            raise DeploymentError(
                f"precision {target.precision!r}: detection runs in float32, as its boxes must stay exact"
            )
        self._dtype = getattr(torch, target.precision)
        graph = copy.deepcopy(network.graph).eval().to(target.device, self._dtype)
        if classifier := _classifier(graph):
            unrounded = copy.deepcopy(network.graph.get_submodule(classifier))
            graph.set_submodule(classifier, Float32Linear.from_linear(unrounded).to(target.device))
        for layer in graph.modules():
            weight = getattr(layer, "weight", None)
            if isinstance(weight, torch.Tensor) and weight.ndim in _LAYOUTS:
                layer.to(memory_format=_LAYOUTS[weight.ndim])
        self._graph = keep_on_onednn(graph)

    def _run(self, views: tuple[torch.Tensor, ...], boxes: tuple[torch.Tensor, ...] | None) -> torch.Tensor:
        device = self.target.device
        inputs = [v.to(device, self._dtype, memory_format=_LAYOUTS[v.ndim], non_blocking=True) for v in views]
        if self.description.detects != (boxes is not None):
            raise DeploymentError("boxes are given to detection networks, and to them alone: one (R, 5) tensor a view")
        with _threads(self.target.threads):
            return self._graph(*inputs, *(box.to(device) for box in boxes or ())).float()


class Float32Linear(nn.Linear):
    """``torch.nn.Linear`` in float32, whatever it reads."""

    @classmethod
    def from_linear(cls, linear: nn.Linear) -> Float32Linear:
        """A layer that shares the parameters of ``linear``, which become float32."""
        layer = cls.__new__(cls)
        layer.__dict__.update(linear.__dict__)
        return layer.float()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.float())


def _classifier(graph: torch.fx.GraphModule) -> str | None:
    """Name of the linear layer that computes the logits: it stays float32, as in training."""
    (last,) = (node.args[0] for node in graph.graph.nodes if node.op == "output")
    is_linear = last.op == "call_module" and isinstance(graph.get_submodule(last.target), nn.Linear)
    return last.target if is_linear else None


@contextlib.contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Run the body with torch on ``count`` threads, which torch keeps per calling thread."""
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
