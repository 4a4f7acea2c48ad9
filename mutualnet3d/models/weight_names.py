"""How the same parameters are called elsewhere. Ours are PySlowFast's names; every function here maps names only.

Layouts: caffe2 (``res2_0_branch2a_w``), pytorchvideo (``blocks.1.res_blocks.0.branch2.conv_a.weight``), torchvision's
2-D ResNets (``layer1.0.conv1.weight``), timm's MobileNetV1 (``blocks.0.0.conv_dw.weight``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

import torch

from mutualnet3d.errors import WeightsError

STATISTICS = re.compile(r"\.statistics\.[^/]+\.(mean|var)$")  # our BatchNorm statistics per configuration

# name of a part in ours -> in pytorchvideo's residual blocks
_BLOCK_PARTS = {"branch1": "branch1_conv", "branch1_bn": "branch1_norm"} | {
    f"branch2.{own}": other
    for letter in "abc"
    for own, other in ((letter, f"branch2.conv_{letter}"), (f"{letter}_bn", f"branch2.norm_{letter}"))
}
# X3D wraps the middle norm together with its squeeze-and-excitation
_X3D_PARTS = {
    "branch2.b_bn": "branch2.norm_b.0",
    "branch2.se.fc1": "branch2.norm_b.1.block.0",
    "branch2.se.fc2": "branch2.norm_b.1.block.2",
}
_X3D_HEAD = {
    "conv_5": "pool.pre_conv",
    "conv_5_bn": "pool.pre_norm",
    "lin_5": "pool.post_conv",
    "lin_5_bn": "pool.post_norm",
}
_FROM_PARTS = {other: own for own, other in (_BLOCK_PARTS | _X3D_PARTS).items()} | {"branch2.norm_b": "branch2.b_bn"}
_FROM_HEAD = {other: own for own, other in _X3D_HEAD.items()} | {"proj": "projection"}

_BLOCK = re.compile(r"s([2-5])\.pathway(\d)_res(\d+)\.(.+)")
_TORCHVISION_PARTS = {
    "conv1": "branch2.a",
    "bn1": "branch2.a_bn",
    "conv2": "branch2.b",
    "bn2": "branch2.b_bn",
    "conv3": "branch2.c",
    "bn3": "branch2.c_bn",
    "downsample.0": "branch1",
    "downsample.1": "branch1_bn",
}
_TIMM_OUTSIDE = {"conv_stem": "features.0.0", "bn1": "features.0.1", "classifier": "classifier.1"}
_TIMM_PARTS = {"conv_dw": 0, "bn1": 1, "conv_pw": 3, "bn2": 4}
_TIMM_STAGES = (1, 2, 4, 6, 12)  # number of the first block of each, blocks being numbered through


def from_caffe2(name: str) -> str | None:
    """Our name of a caffe2 blob, or None for the optimizer's blobs (``..._momentum``, ``lr``, ``model_iter``)."""
    if "momentum" in name or name == "lr" or name.endswith("/lr") or "model_iter" in name:
        return None
    name = re.sub(r"^conv1_xy_", "s1.pathway0_stem.conv_xy_", name)
    name = re.sub(r"^(conv_5|lin_5)_", r"head.\1_", name)
    return _pyslowfast_converter()(name).replace("branch2.b_bn_fc", "branch2.se.fc")


@cache
def _pyslowfast_converter() -> Callable[[str], str]:
    """pyslowfast 1.0's own rules; they know the ResNets, X3D's names came later."""
    from slowfast.utils.c2_model_loading import get_name_convert_func

    return get_name_convert_func()


def from_pytorchvideo(name: str) -> str | None:
    """Our name of an entry of pytorchvideo's Slow, SlowFast, X3D or their detection networks; None if it is neither."""
    layer, _, kind = name.rpartition(".")
    if layer == "detection_head.proj":
        return f"head.projection.{kind}"
    match = re.fullmatch(r"blocks\.(\d)\.(.+)", layer)
    if match is None:
        return None
    block, part = int(match[1]), match[2]
    pathway = re.match(r"multipathway_blocks\.(\d)\.", part)
    number, part = (pathway[1], part[pathway.end() :]) if pathway else ("0", part)
    if part.startswith("multipathway_fusion."):
        own = {"conv_fast_to_slow": "conv_f2s", "norm": "bn"}.get(part.partition(".")[2])
        return f"s{block + 1}_fuse.{own}.{kind}" if own else None
    if block == 0:
        # pytorchvideo's conv_t is the spatial convolution of X3D's stem, its conv_xy the temporal one
        own = {"conv": "conv", "norm": "bn", "conv.conv_t": "conv_xy", "conv.conv_xy": "conv"}.get(part)
        return f"s1.pathway{number}_stem.{own}.{kind}" if own else None
    if block >= 5:
        return f"head.{_FROM_HEAD[part]}.{kind}" if part in _FROM_HEAD else None
    inside = re.fullmatch(r"res_blocks\.(\d+)\.(.+)", part)
    if inside is None or inside[2] not in _FROM_PARTS:
        return None
    return f"s{block + 1}.pathway{number}_res{inside[1]}.{_FROM_PARTS[inside[2]]}.{kind}"


def from_torchvision(name: str) -> str | None:
    """Our name of an entry of torchvision's bottleneck ResNets; None if it is none. The weights are still 2-D."""
    layer, _, kind = name.rpartition(".")
    outside = {"conv1": "s1.pathway0_stem.conv", "bn1": "s1.pathway0_stem.bn", "fc": "head.projection"}
    if layer in outside:
        return f"{outside[layer]}.{kind}"
    match = re.fullmatch(r"layer([1-4])\.(\d+)\.(.+)", layer)
    if match is None or match[3] not in _TORCHVISION_PARTS:
        return None
    return f"s{int(match[1]) + 1}.pathway0_res{match[2]}.{_TORCHVISION_PARTS[match[3]]}.{kind}"


def from_timm(name: str) -> str | None:
    """Our name of an entry of timm's ``mobilenetv1_100``; None if it is none."""
    layer, _, kind = name.rpartition(".")
    if layer in _TIMM_OUTSIDE:
        return f"{_TIMM_OUTSIDE[layer]}.{kind}"
    match = re.fullmatch(r"blocks\.([0-4])\.(\d)\.(\w+)", layer)
    if match is None or match[3] not in _TIMM_PARTS:
        return None
    return f"features.{_TIMM_STAGES[int(match[1])] + int(match[2])}.{_TIMM_PARTS[match[3]]}.{kind}"


def to_pytorchvideo(state: Mapping[str, torch.Tensor], arch: str, eps: float = 1e-5) -> dict[str, torch.Tensor]:
    """A state dict of ours under pytorchvideo's names, for ``create_resnet``, ``create_slowfast`` or ``create_x3d``.

    pytorchvideo's X3D has no BatchNorm on a shortcut that keeps the number of channels. There its scale is multiplied
    into the shortcut's convolution and its shift added to the bias of the block's last BatchNorm: the same outputs in
    eval mode, but another network to train further.

    Args:
        state: names of ours -> tensors; statistics per configuration are left out.
        arch: ``slow``, ``slowfast`` or ``x3d``.
        eps: of the BatchNorms.

    Raises:
        WeightsError: ``arch`` is unknown, or an entry has no partner in pytorchvideo.
    """
    if arch not in ("slow", "slowfast", "x3d"):
        raise WeightsError(f"arch is {arch!r}; pytorchvideo's names are known for slow, slowfast and x3d")
    state = {name: tensor for name, tensor in state.items() if not STATISTICS.search(name)}
    if arch == "x3d":
        state = _fold_shortcut_norms(state, eps)
    converted, alone = {}, []
    for name, tensor in state.items():
        other = _pytorchvideo_name(name, arch)
        if other is None:
            alone.append(name)
        else:
            converted[other] = tensor
    if alone:
        raise WeightsError(f"pytorchvideo's {arch} has no partner for {', '.join(alone[:5])} ({len(alone)} entries)")
    return converted


def _pytorchvideo_name(name: str, arch: str) -> str | None:
    layer, _, kind = name.rpartition(".")
    match = _BLOCK.fullmatch(layer)
    if match:
        parts = _BLOCK_PARTS | _X3D_PARTS if arch == "x3d" else _BLOCK_PARTS
        if match[4] not in parts:
            return None
        pathway = f"multipathway_blocks.{match[2]}." if arch == "slowfast" else ""
        return f"blocks.{int(match[1]) - 1}.{pathway}res_blocks.{match[3]}.{parts[match[4]]}.{kind}"
    stem = re.fullmatch(r"s1\.pathway(\d)_stem\.(conv|conv_xy|bn)", layer)
    if stem:
        names = {"conv": "conv", "bn": "norm"}
        if arch == "x3d":
            names = {"conv_xy": "conv.conv_t", "conv": "conv.conv_xy", "bn": "norm"}
        pathway = f"multipathway_blocks.{stem[1]}." if arch == "slowfast" else ""
        return f"blocks.0.{pathway}{names[stem[2]]}.{kind}" if stem[2] in names else None
    fusion = re.fullmatch(r"s([1-4])_fuse\.(conv_f2s|bn)", layer)
    if fusion and arch == "slowfast":
        part = {"conv_f2s": "conv_fast_to_slow", "bn": "norm"}[fusion[2]]
        return f"blocks.{int(fusion[1]) - 1}.multipathway_fusion.{part}.{kind}"
    if layer == "head.projection":
        return f"blocks.{6 if arch == 'slowfast' else 5}.proj.{kind}"
    part = _X3D_HEAD.get(layer.removeprefix("head."))
    return f"blocks.5.{part}.{kind}" if part and arch == "x3d" else None


def _fold_shortcut_norms(state: dict[str, torch.Tensor], eps: float) -> dict[str, torch.Tensor]:
    state = dict(state)
    for name in [name for name in state if name.endswith(".branch1_bn.weight")]:
        block = name.removesuffix(".branch1_bn.weight")
        convolution = state[f"{block}.branch1.weight"]
        if convolution.shape[0] != convolution.shape[1]:
            continue
        norm = {
            part: state.pop(f"{block}.branch1_bn.{part}") for part in ("weight", "bias", "running_mean", "running_var")
        }
        state.pop(f"{block}.branch1_bn.num_batches_tracked", None)
        scale = norm["weight"] / torch.sqrt(norm["running_var"] + eps)
        shift = norm["bias"] - scale * norm["running_mean"]
        state[f"{block}.branch1.weight"] = convolution * scale.view(-1, 1, 1, 1, 1)
        state[f"{block}.branch2.c_bn.bias"] = state[f"{block}.branch2.c_bn.bias"] + shift
    return state
