"""How the authors' 2-D code (taoyang1122/MutualNet) calls the parameters of its MobileNets, ResNets and wide ResNets.

Their blocks are numbered through, ``features.<block>.body.<layer>``, with ``shortcut.<layer>`` beside it in ResNets;
the classifier is ``classifier.0``. Ours are torchvision's names. Wide ResNets have ``block<stage>.layer.<block>``.
Their loader leaves all running statistics out: a file holds those of the sub-network that was evaluated last. So do we.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_BODY = re.compile(r"features\.(\d+)\.(body|shortcut)\.(\d+)\.(weight|bias)")
_OUTER = re.compile(r"features\.(\d+)\.([01])\.(weight|bias)")  # stem and last convolution: a convolution, a BatchNorm
_WIDE = re.compile(r"block([123])\.layer\.(\d+)\.(bn1|conv1|bn2|conv2|convShortcut)\.(weight|bias)")
_WIDE_OUTER = re.compile(r"(conv1|bn1|fc)\.(weight|bias)")
_CLASSIFIER = re.compile(r"classifier\.0\.(weight|bias)")

# layer of a body -> layer of torchvision's block
_EXPANDED = {0: "conv.0.0", 1: "conv.0.1", 3: "conv.1.0", 4: "conv.1.1", 6: "conv.2", 7: "conv.3"}
_NOT_EXPANDED = {0: "conv.0.0", 1: "conv.0.1", 3: "conv.1", 4: "conv.2"}
_BOTTLENECK = {0: "conv1", 1: "bn1", 3: "conv2", 4: "bn2", 6: "conv3", 7: "bn3"}


def is_mutualnet(names: Iterable[str]) -> bool:
    """Whether these are the names of the authors' code."""
    return any(_BODY.fullmatch(name) or _WIDE.fullmatch(name) for name in names)


def is_running_statistic(name: str) -> bool:
    """Whether ``name`` is a BatchNorm's running statistic, of one width or of all."""
    return name.endswith((".running_mean", ".running_var", ".num_batches_tracked"))


def mutualnet_converter(expected: Iterable[str]) -> Callable[[str], str | None]:
    """Our name of an entry of theirs, or None, in the network that has the names ``expected``."""
    expected = set(expected)
    if "bn.weight" in expected:  # the last BatchNorm of a wide ResNet
        return _wide_name
    blocks = sorted(
        {match[0] for name in expected if (match := re.match(r"layer(\d)\.(\d+)", name))},
        key=lambda block: [int(number) for number in re.findall(r"\d+", block)],
    )

    def convert(name: str) -> str | None:
        if match := _CLASSIFIER.fullmatch(name):
            return f"fc.{match[1]}" if blocks else f"classifier.1.{match[1]}"
        if match := _OUTER.fullmatch(name):
            return f"{('conv1', 'bn1')[int(match[2])]}.{match[3]}" if blocks else name
        if not (match := _BODY.fullmatch(name)):
            return None
        block, kind, layer, part = int(match[1]), match[2], int(match[3]), match[4]
        if blocks:
            if not 1 <= block <= len(blocks):
                return None
            own = f"downsample.{layer}" if kind == "shortcut" else _BOTTLENECK.get(layer)
            return own and f"{blocks[block - 1]}.{own}.{part}"
        if f"features.{block}.conv.0.0.weight" in expected:
            layers = _EXPANDED if f"features.{block}.conv.1.0.weight" in expected else _NOT_EXPANDED
            return layers.get(layer) and f"features.{block}.{layers[layer]}.{part}"
        return f"features.{block}.{layer}.{part}"  # MobileNetV1

    return convert


def _wide_name(name: str) -> str | None:
    """Our name of an entry of their wide ResNet, or None."""
    if match := _WIDE.fullmatch(name):
        layer = "shortcut" if match[3] == "convShortcut" else match[3]
        return f"layer{match[1]}.{match[2]}.{layer}.{match[4]}"
    if match := _WIDE_OUTER.fullmatch(name):
        return f"{'bn' if match[1] == 'bn1' else match[1]}.{match[2]}"
    return None
