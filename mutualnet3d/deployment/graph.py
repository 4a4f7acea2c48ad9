"""A traced network as plain values, and back: nodes, and layers by class and constructor arguments. Never code.

Only what the tables below name can be written or read, so a file can ask for nothing else.
"""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Callable
from typing import Any

import torch
import torch.fx
from torch import nn
from torch.nn import functional as F

from mutualnet3d import operators
from mutualnet3d.errors import DeploymentError

_CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias")
_POOLING = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
_LAYERS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Conv2d: _CONVOLUTION,
    nn.Conv3d: _CONVOLUTION,
    nn.Linear: ("in_features", "out_features", "bias"),
    nn.BatchNorm2d: ("num_features", "eps"),
    nn.BatchNorm3d: ("num_features", "eps"),
    nn.MaxPool2d: _POOLING,
    nn.MaxPool3d: _POOLING,
    nn.AdaptiveAvgPool2d: ("output_size",),
    **dict.fromkeys((nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Hardsigmoid), ("inplace",)),
    nn.Sigmoid: (),
}
_FUNCTIONS: dict[str, Callable] = {
    "getattr": getattr,
    **{f"operator.{f.__name__}": f for f in (operator.add, operator.mul, operator.truediv, operator.floordiv)},
    **{f"operator.{f.__name__}": f for f in (operator.pow, operator.matmul, operator.getitem, operator.iadd)},
    "torch.cat": torch.cat,
    "torch.flatten": torch.flatten,
    "torch.nn.functional.adaptive_avg_pool2d": F.adaptive_avg_pool2d,
    **{
        f"mutualnet3d.operators.{f.__name__}": f
        for f in (operators.keep_frames, operators.resize_frames, operators.group_frames, operators.ungroup_frames)
    },
}
_ROI_ALIGN = "torchvision.ops.roi_align"
_METHODS = {"amax", "flatten", "mean", "softmax", "to", "transpose", "unflatten"}
_ATTRIBUTES = {"dtype", "shape"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", re.ASCII)


def graph_to_values(module: torch.fx.GraphModule) -> dict:
    """``{"nodes": [...], "layers": {...}}`` for JSON; :func:`graph_from_values` reads it back, without the weights.

    Raises:
        DeploymentError: the network has a layer or a function that the tables of this file do not know.
    """
    nodes, layers = [], {}
    for node in module.graph.nodes:
        target = node.target
        if node.op == "call_function":
            target = _function_name(target)
        elif node.op == "call_module":
            layers[target] = _layer_to_values(target, module.get_submodule(target))
        nodes.append(
            {
                "name": node.name,
                "op": node.op,
                "target": target,
                "args": [_encode(value) for value in node.args],
                "kwargs": {key: _encode(value) for key, value in node.kwargs.items()},
            }
        )
    values = {"nodes": nodes, "layers": layers}
    graph_from_values(values)  # what cannot be read back is refused when it is written
    return values


def graph_from_values(values: dict) -> torch.fx.GraphModule:
    """The network of :func:`graph_to_values`, in eval mode, its tensors on the meta device.

    Raises:
        DeploymentError: a layer, function, method or attribute is unknown, or the values are malformed.
    """
    try:
        root = {_checked(_PATH, name): _layer_from_values(layer) for name, layer in values["layers"].items()}
        graph, known = torch.fx.Graph(), {}
        for node in values["nodes"]:
            known[node["name"]] = _add_node(graph, node, known, root)
        outputs = [node.args for node in graph.nodes if node.op == "output"]
        if len(outputs) != 1 or len(outputs[0]) != 1 or not isinstance(outputs[0][0], torch.fx.Node):
            raise DeploymentError("the graph must have exactly one output, a tensor")
        for name in list(root):
            root |= {f"{name}.{key}": parameter for key, parameter in root[name].named_parameters()}
        used = {node.target for node in graph.nodes if node.op in ("call_module", "get_attr")}
        return torch.fx.GraphModule({name: root[name] for name in used}, graph, "DenseGraph").eval()
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, SyntaxError, AssertionError) as error:
        if isinstance(error, DeploymentError):
            raise
        raise DeploymentError(f"the network's graph is malformed: {error!r}") from error


def _add_node(graph: torch.fx.Graph, values: dict, known: dict, root: dict) -> torch.fx.Node:
    op, target = values["op"], values["target"]
    args = tuple(_decode(value, known) for value in values["args"])
    kwargs = {_checked(_NAME, key): _decode(value, known) for key, value in values["kwargs"].items()}
    if op == "call_function":
        function = _function(target)
        if function is getattr and (len(args) != 2 or kwargs or args[1] not in _ATTRIBUTES):
            raise DeploymentError(f"the graph reads {args[1:]} of a tensor; only {sorted(_ATTRIBUTES)} can be read")
        target = function
    elif op == "call_method":
        if target not in _METHODS:
            raise DeploymentError(f"the graph calls the method {target!r}; known are {', '.join(sorted(_METHODS))}")
    elif op in ("call_module", "get_attr"):
        layer = target if op == "call_module" else target.rpartition(".")[0]
        if layer not in root:
            raise DeploymentError(f"the graph uses a layer {layer!r} that the file does not describe")
    elif op == "placeholder":
        _checked(_NAME, target)
    elif op != "output":
        raise DeploymentError(f"the graph has a node of kind {op!r}; no network here needs one")
    return graph.create_node(op, target, args, kwargs, name=_checked(_NAME, values["name"]))


def _function_name(function: Callable) -> str:
    for name, known in _FUNCTIONS.items():
        if function is known:
            return name
    if getattr(function, "__module__", "").startswith("torchvision.") and function.__name__ == "roi_align":
        return _ROI_ALIGN
    raise DeploymentError(f"the network calls {function}; a dense file can hold only {', '.join(_FUNCTIONS)}")


def _function(name: str) -> Callable:
    if name == _ROI_ALIGN:
        from torchvision.ops import roi_align

        return roi_align
    if name not in _FUNCTIONS:
        raise DeploymentError(
            f"the graph calls {name!r}, which is none of {', '.join(_FUNCTIONS)}: the file is of a newer release, or "
            "not what it says it is"
        )
    return _FUNCTIONS[name]


def _layer_to_values(name: str, layer: nn.Module) -> dict:
    arguments = _LAYERS.get(type(layer))
    if arguments is None:
        known = ", ".join(c.__name__ for c in _LAYERS)
        raise DeploymentError(f"layer {name} is a {type(layer).__name__}; a dense file can hold only {known}")
    if getattr(layer, "padding_mode", "zeros") != "zeros":
        raise DeploymentError(f"layer {name} pads with {layer.padding_mode!r}; a dense file can hold only 'zeros'")
    values = {argument: getattr(layer, argument) for argument in arguments}
    if "bias" in values:
        values["bias"] = layer.bias is not None
    return {"class": type(layer).__name__, "arguments": {key: _plain(value) for key, value in values.items()}}


def _layer_from_values(values: dict) -> nn.Module:
    kinds = {kind.__name__: kind for kind in _LAYERS}
    kind = kinds.get(values["class"])
    if kind is None:
        raise DeploymentError(
            f"the file asks for a layer of class {values['class']!r}, which is none of {', '.join(kinds)}"
        )
    arguments = {key: tuple(v) if isinstance(v, list) else v for key, v in values["arguments"].items()}
    if set(arguments) != set(_LAYERS[kind]):
        raise DeploymentError(f"a {values['class']} has the arguments {sorted(_LAYERS[kind])}, got {sorted(arguments)}")
    with torch.device("meta"):
        return kind(**arguments)


def _plain(value: Any) -> Any:
    """numpy's integers, which pyslowfast's and pytorchvideo's layers hold, as Python's."""
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, (bool, str, float)) else operator.index(value)


def _encode(value: Any) -> Any:
    if isinstance(value, torch.fx.Node):
        return {"node": value.name}
    if isinstance(value, tuple):
        return {"tuple": [_encode(each) for each in value]}
    if isinstance(value, list):
        return [_encode(each) for each in value]
    if isinstance(value, slice):
        return {"slice": [_encode(each) for each in (value.start, value.stop, value.step)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise DeploymentError(f"the network's graph holds the constant {value!r}, which a dense file cannot hold")


def _decode(value: Any, known: dict) -> Any:
    if isinstance(value, list):
        return [_decode(each, known) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "node":
        return known[content]
    if kind in ("tuple", "slice"):
        return {"tuple": tuple, "slice": lambda each: slice(*each)}[kind]([_decode(each, known) for each in content])
    raise DeploymentError(f"the graph holds a value of kind {kind!r}; known are node, tuple and slice")


def _checked(pattern: re.Pattern, text: str) -> str:
    """``text``, which becomes part of the Python code that torch.fx writes, if it is a plain name."""
    if not pattern.fullmatch(text) or keyword.iskeyword(text):
        raise DeploymentError(f"the graph holds the name {text!r}, which is not one of a traced network")
    return text
