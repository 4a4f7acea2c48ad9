"""Bringing entries into the shapes of a network, and deciding what may stay as it was initialised."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import torch

from mutualnet3d.errors import WeightsError

_CLASSIFIER = re.compile(r"(head\.projection|fc|classifier(\.\d+)?)\.(weight|bias)")
_FAST_PATHWAY = re.compile(r"\.pathway1_|^s\d_fuse\.")  # a 2-D network has no weights for them
_FUSED_INPUT = re.compile(r"s[2-5]\.pathway0_res0\.(branch1|branch2\.a)\.weight")  # reads the Fast channels too


def fit(
    entries: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], inflate: bool, is_caffe2: bool
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Entries in the network's shapes, and the names that cannot be brought there. A classifier goes as a whole.

    Args:
        entries: names and tensors of the source, under the network's names.
        expected: names and tensors of the network.
        inflate: repeat 2-D convolutions over time and divide them by the temporal length.
        is_caffe2: trailing dimensions of size 1 may be there or not.
    """
    fitting, other_shape = {}, []
    for key, want in expected.items():
        if key not in entries:
            continue
        value = entries[key]
        if is_caffe2 and _bare_shape(value) == _bare_shape(want):
            value = value.reshape(want.shape)  # caffe2 keeps linear layers as convolutions, and the other way round
        elif inflate and is_flat(value, want):
            length = want.shape[2]
            value = value.reshape(*value.shape[:2], 1, *value.shape[-2:]).repeat(1, 1, length, 1, 1) / length
        if value.shape == want.shape:
            fitting[key] = value
        else:
            other_shape.append(key)
    for key in [key for key in other_shape if _CLASSIFIER.fullmatch(key)]:
        for part in ("weight", "bias"):
            twin = f"{key.rpartition('.')[0]}.{part}"
            if fitting.pop(twin, None) is not None:
                other_shape.append(twin)
    return fitting, other_shape


def refuse_unfit(
    expected: Mapping[str, torch.Tensor],
    entries: Mapping[str, torch.Tensor],
    missing: list[str],
    other_shape: list[str],
    allowed: tuple[str, ...],
    inflated: bool,
    name: str,
) -> None:
    """WeightsError that lists what is missing or of another shape and neither allowed nor excused by inflation."""

    def is_allowed(key: str) -> bool:
        return any(key.startswith(pattern) or fnmatchcase(key, pattern) for pattern in allowed)

    lost = [key for key in missing if not is_allowed(key) and not (inflated and _FAST_PATHWAY.search(key))]
    wrong = [
        key
        for key in other_shape
        if not (
            _may_be_resized(key, entries, expected) or is_allowed(key) or (inflated and _FUSED_INPUT.fullmatch(key))
        )
    ]
    if not lost and not wrong:
        return
    lines = [f"{name} does not fit the network."]
    if lost:
        lines.append(f"Not in it: {listed([f'{key} {shape_of(expected[key])}' for key in lost])}.")
    if wrong:
        pairs = [f"{key} is {shape_of(entries[key])} and must be {shape_of(expected[key])}" for key in wrong]
        lines.append(f"Of another shape: {listed(pairs)}.")
    if any(is_flat(entries[key], expected[key]) for key in wrong):
        lines.append("These are 2-D weights: pass inflate='auto' to repeat them over time.")
    lines.append(
        "Build the network with the config of these weights, or name what may stay untrained in allow_missing."
    )
    raise WeightsError(" ".join(lines))


def _may_be_resized(key: str, entries: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> bool:
    """A classifier of another size; hidden layers of image classifiers must still read the same features."""
    if not _CLASSIFIER.fullmatch(key):
        return False
    return not key.startswith("classifier") or entries[key].shape[1:] == expected[key].shape[1:]


def is_flat(value: torch.Tensor, want: torch.Tensor) -> bool:
    """Whether ``value`` is the weight of a 2-D convolution (or a 3-D one of one frame) for a 3-D convolution."""
    if want.ndim != 5:
        return False
    return value.ndim == 4 or (value.ndim == 5 and value.shape[2] == 1 < want.shape[2])


def _bare_shape(tensor: torch.Tensor) -> tuple[int, ...]:
    shape = list(tensor.shape)
    while shape and shape[-1] == 1:
        shape.pop()
    return tuple(shape)


def shape_of(tensor: torch.Tensor) -> str:
    """``(64, 3, 1, 7, 7)``."""
    return str(tuple(tensor.shape))


def listed(names: Iterable[str], most: int = 6) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f", and {len(names) - most} more" if len(names) > most else "")
