"""Weights from elsewhere into a network of ours, by name, with a report. Nothing is dropped in silence.

Read: checkpoints of PySlowFast and of this package (``.pyth``), caffe2 (``.pkl``), pytorchvideo, 2-D ResNets of
torchvision or PySlowFast, which are inflated; into image networks torchvision's (``.pth``), whose names they have, as
timm's ResNets do, timm's MobileNetV1 and those of the authors' 2-D code.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import CheckpointError, MutualNetError, WeightsError
from mutualnet3d.models.artefact import read_provenance
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.models.weight_files import read_weight_file
from mutualnet3d.models.weight_fitting import fit, is_flat, listed, refuse_unfit, shape_of
from mutualnet3d.models.weight_mutualnet import is_mutualnet, is_running_statistic, mutualnet_converter
from mutualnet3d.models.weight_names import STATISTICS, from_caffe2, from_pytorchvideo, from_timm, from_torchvision

_logger = logging.getLogger(__name__)

MUTUALNET = "MutualNet 2-D"


@dataclass(frozen=True)
class LoadReport:
    """What ``load_weights`` did. ``str(report)`` is a summary of a few lines.

    Attributes:
        source: the file, or ``state dict``.
        layout: ``own names`` (torchvision's for image networks), ``pytorchvideo``, ``caffe2``, ``torchvision 2-D``,
            ``timm`` or ``MutualNet 2-D``; ``, inflated`` where that happened.
        matched: names in the network that were loaded.
        created: names in the network that got the values of a layer which does nothing, because the source has no such
            layer (the shortcut BatchNorm of X3D that pytorchvideo leaves out).
        reinitialised: names left as the network was initialised because the source has another shape; each with both.
        missing: names in the network that the source lacks, and that were allowed to.
        unexpected: names in the source that the network lacks.
        ignored: names in the source that are no weights of a network (momentum, learning rate, iteration, running
            statistics of no known sub-network).
    """

    source: str
    layout: str
    matched: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    reinitialised: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def lacks_statistics(self) -> bool:
        """Whether BatchNorms were loaded without running statistics: calibrate full too before it is evaluated."""
        layers = {name.rpartition(".")[0] for name in self.missing if is_running_statistic(name)}
        return any(f"{layer}.weight" in self.matched for layer in layers)

    def __str__(self) -> str:
        lines = [f"{self.source} ({self.layout}): {len(self.matched)} entries loaded"]
        for label, names in (
            ("created as layers without effect", self.created),
            ("left as initialised, other shape in the source", self.reinitialised),
            ("left as initialised, not in the source", self.missing),
            ("in the source only, not used", self.unexpected),
            ("in the source, not weights", self.ignored),
        ):
            if names:
                lines.append(f"  {label}: {listed(names)}")
        return "\n".join(lines)


def load_weights(
    model: nn.Module,
    source: str | os.PathLike | Mapping[str, Any],
    *,
    allow_missing: str | Iterable[str] = (),
    inflate: bool | str = False,
    clear_names: Iterable[str] = (),
    trust_pickle: bool = False,
) -> LoadReport:
    """Copy weights into ``model``, in place; its dtypes and devices stay.

    A classifier (``head.projection``, of image networks ``fc`` and ``classifier``) of another size is left as
    initialised, and the report says so. Everything else has to be there and fit. Statistics per configuration that a
    checkpoint of ours holds are loaded as well, with where they come from; those of other weights leave the network.

    Args:
        model: a network with PySlowFast's names (Slow, SlowFast, X3D) or torchvision's (image networks).
        source: a file, a state dict, or a dict that holds one under ``model_state``, ``state_dict``, ``model``
            or ``blobs``.
        allow_missing: prefixes or patterns (``head.*``, ``s?_fuse.``) of names that may be absent or of another shape.
        inflate: True or "auto": 2-D convolutions are repeated over the temporal kernel of the network's and divided by
            its length. For SlowFast this fills the Slow pathway; the Fast pathway, the fusions and the convolutions
            that read fused channels may then be absent. Has no effect on 3-D weights.
        clear_names: texts of which the first occurrence is removed from every name in the source
            (PySlowFast's TRAIN.CHECKPOINT_CLEAR_NAME_PATTERN).
        trust_pickle: read files that hold more than tensors. They can run any code.

    Raises:
        WeightsError: the file is unreadable or unsafe, nothing in it fits, or entries are missing or of another shape.
    """
    if inflate not in (False, True, "auto"):
        raise WeightsError(f"inflate is {inflate!r}; use False, True or 'auto'")
    if isinstance(model, nn.parallel.DistributedDataParallel):
        model = model.module
    found: Any
    if isinstance(source, str | os.PathLike):
        name, found = os.fspath(source), read_weight_file(source, trust_pickle)
    else:
        name, found = "state dict", source
    raw, is_caffe2 = _state_dict(found, name)
    provenance = _provenance(found, name)
    for text in clear_names:
        raw = {key.replace(text, "", 1): value for key, value in raw.items()}
    allowed = (allow_missing,) if isinstance(allow_missing, str) else tuple(allow_missing)
    expected = {key: value for key, value in model.state_dict().items() if not STATISTICS.search(key)}
    entries, report = _rename(raw, is_caffe2, expected, LoadReport(name, "own names"))
    if report.layout == MUTUALNET:
        allowed += ("*.running_mean", "*.running_var")
    if report.layout == "pytorchvideo":
        created = _neutral_shortcut_norms(model, expected, entries)
        entries, report = entries | created, replace(report, created=tuple(created))
    fitting, other_shape = fit(entries, expected, bool(inflate), is_caffe2)
    inflated = bool(inflate) and any(is_flat(entries[key], expected[key]) for key in fitting)
    if inflated:
        report = replace(report, layout=f"{report.layout}, inflated")
    missing = [key for key in expected if key not in entries and not key.endswith("num_batches_tracked")]
    refuse_unfit(expected, entries, missing, other_shape, allowed, inflated, name)
    statistics = {key: value for key, value in entries.items() if STATISTICS.search(key)}
    try:
        outcome = model.load_state_dict(fitting | statistics, strict=False)
    except (MutualNetError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{name}: its BatchNorm statistics do not fit the network: {error}") from error
    if isinstance(model, AdaptiveNetwork):
        model.statistics_provenance = {c: p for c, p in provenance.items() if c in model.calibrated}
    report = replace(
        report,
        matched=tuple(key for key in fitting if key not in report.created),
        reinitialised=tuple(f"{key} {shape_of(entries[key])} -> {shape_of(expected[key])}" for key in other_shape),
        missing=tuple(missing),
        unexpected=(*report.unexpected, *outcome.unexpected_keys),
    )
    if report.lacks_statistics:
        _logger.warning("%s: no BatchNorm statistics of the full network; calibrate it too before evaluating it", name)
    if report.unexpected:
        _logger.warning("%s: %d entries are not in the network and were not used", name, len(report.unexpected))
    return report


def _state_dict(found: Any, name: str) -> tuple[dict[str, torch.Tensor], bool]:
    """The names and tensors inside ``found``, and whether they are caffe2's."""
    is_caffe2 = False
    for key in ("model_state", "state_dict", "model", "blobs"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found, is_caffe2 = found[key], key == "blobs"
            break
    if isinstance(found, nn.Module):
        found = found.state_dict()
    if not isinstance(found, Mapping):
        raise WeightsError(f"{name} holds a {type(found).__name__}; weights are a dict of names and tensors")
    state = {}
    for key, value in found.items():
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fiub":
            value = torch.from_numpy(np.array(value))
        if isinstance(value, torch.Tensor):
            state[str(key)] = value
    if not state:
        raise WeightsError(
            f"{name} holds no tensors (keys: {listed([str(key) for key in found]) or 'none'}); weights are expected at "
            "the top, or under model_state, state_dict, model or blobs"
        )
    return state, is_caffe2


def _provenance(found: Any, name: str) -> dict[Configuration, dict]:
    """Where the statistics in a checkpoint of this package come from; of others nothing is known."""
    try:
        return read_provenance(found, name) if isinstance(found, Mapping) else {}
    except CheckpointError as error:
        raise WeightsError(str(error)) from error


def _rename(
    raw: dict[str, torch.Tensor], is_caffe2: bool, expected: Mapping[str, torch.Tensor], report: LoadReport
) -> tuple[dict[str, torch.Tensor], LoadReport]:
    """The entries under the network's names; the report takes the names that nobody knows and the optimizer's."""
    if is_caffe2:
        named = {key: from_caffe2(key) for key in raw}
        ignored = tuple(key for key, own in named.items() if own is None)
        entries = {own: raw[key] for key, own in named.items() if own is not None}
        report = replace(report, layout="caffe2", ignored=ignored)
    else:
        entries, report = _rename_pytorch(raw, expected, report)
    unexpected = tuple(key for key in entries if key not in expected and not STATISTICS.search(key))
    entries = {key: value for key, value in entries.items() if key not in unexpected}
    if not any(key in expected for key in entries):
        raise WeightsError(
            f"{report.source}: none of its names fits the network. Found: {listed(tuple(raw))}. The network has: "
            f"{listed(tuple(expected))}. Known layouts: PySlowFast and this package (.pyth), caffe2 (.pkl), "
            "pytorchvideo (blocks.*), torchvision's bottleneck ResNets (layer1.*), timm's MobileNetV1 (conv_stem, "
            "blocks.*), the authors' 2-D code (features.*.body.*, block1.layer.*)"
        )
    return entries, replace(report, unexpected=(*report.unexpected, *unexpected))


def _rename_pytorch(
    raw: dict[str, torch.Tensor], expected: Mapping[str, torch.Tensor], report: LoadReport
) -> tuple[dict[str, torch.Tensor], LoadReport]:
    bare = {re.sub(r"^((module|model)\.)+", "", key): value for key, value in raw.items()}  # DDP; PySlowFast's PTV zoo
    if is_mutualnet(bare):
        convert = mutualnet_converter(expected)
        ignored = tuple(key for key in bare if is_running_statistic(key))
        named = {key: convert(key) for key in bare if key not in ignored}
        unknown = tuple(key for key, own in named.items() if own is None)
        entries = {own: bare[key] for key, own in named.items() if own is not None}
        return entries, replace(report, layout=MUTUALNET, ignored=ignored, unexpected=unknown)
    if any(key in expected for key in raw):
        return raw, report
    if any(key in expected for key in bare):
        return bare, report
    layouts: tuple[tuple[str, str, Callable[[str], str | None]], ...] = (
        ("timm", "conv_stem.", from_timm),  # before pytorchvideo's: it has blocks too
        ("pytorchvideo", "blocks.", from_pytorchvideo),
        ("torchvision 2-D", "layer1.", from_torchvision),
    )
    for layout, start, convert in layouts:
        if any(key.startswith(start) for key in bare):
            named = {key: convert(key) for key in bare}
            unknown = tuple(key for key, own in named.items() if own is None)
            entries = {own: bare[key] for key, own in named.items() if own is not None}
            return entries, replace(report, layout=layout, unexpected=unknown)
    return bare, report


def _neutral_shortcut_norms(
    model: nn.Module, expected: Mapping[str, torch.Tensor], entries: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """BatchNorms that change nothing, for shortcuts on which pytorchvideo's X3D has none (equal widths)."""
    created: dict[str, torch.Tensor] = {}
    for key in [key for key in expected if key.endswith(".branch1_bn.weight") and key not in entries]:
        layer = key.removesuffix(".weight")
        if f"{layer.removesuffix('_bn')}.weight" not in entries:
            continue
        norm: Any = model.get_submodule(layer)
        values = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0 - norm.eps}
        created |= {
            f"{layer}.{part}": torch.full(expected[key].shape, value, dtype=torch.float64)
            for part, value in values.items()
        }
    return created
