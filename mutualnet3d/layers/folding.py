"""BatchNorm folded into the convolution before it: fewer layers, the same outputs, for inference."""

from __future__ import annotations

from typing import Any

import torch.fx
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mutualnet3d.layers.tracing import trace_dense

_PAIRS = ((nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d))


def fold_batchnorm(dense: nn.Module) -> nn.Module:
    """Fold every BatchNorm of ``dense``, in place, that reads one convolution's output alone. Returns ``dense``.

    The convolution gets the BatchNorm's scale and shift (and so a bias), the BatchNorm's place an ``nn.Identity``.
    ``dense`` is a network of ordinary layers in eval mode, with the signature that :func:`trace_dense` needs, or its
    graph.
    """
    traced = dense if isinstance(dense, torch.fx.GraphModule) else trace_dense(dense)
    uses: dict[str, int] = {}
    for node in traced.graph.nodes:
        if node.op == "call_module":
            uses[str(node.target)] = uses.get(str(node.target), 0) + 1
    for node in list(traced.graph.nodes):
        if node.op != "call_module" or not isinstance(node.args[0], torch.fx.Node):
            continue
        source, target = node.args[0], str(node.target)
        if source.op != "call_module" or len(source.users) > 1 or uses[str(source.target)] > 1 or uses[target] > 1:
            continue
        convolution, norm = dense.get_submodule(str(source.target)), dense.get_submodule(target)
        if (type(convolution), type(norm)) in _PAIRS and norm.track_running_stats:
            pair: Any = (convolution, norm)
            _replace(dense, str(source.target), fuse_conv_bn_eval(*pair))
            _replace(dense, target, nn.Identity())
    return dense


def _replace(module: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, layer.eval())
