"""What scores depend on, as short texts that can be compared: two evaluations with equal ones give equal scores."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable

import torch

import mutualnet3d
from mutualnet3d.configuration import Configuration
from mutualnet3d.data import Entries, KeyFrameTable
from mutualnet3d.layers import slimmable_norms
from mutualnet3d.models.network import AdaptiveNetwork

_KEYS = {
    "DATA": (
        *("NUM_FRAMES", "SAMPLING_RATE", "TARGET_FPS", "USE_OFFSET_SAMPLING", "TEST_CROP_SIZE", "TRAIN_JITTER_SCALES"),
        *("IN_VAL_CROP_RATIO", "MEAN", "STD", "DECODING_BACKEND", "ENSEMBLE_METHOD"),
    ),
    "MODEL": ("HEAD_ACT",),
    "TEST": ("DATASET", "BATCH_SIZE", "NUM_ENSEMBLE_VIEWS", "NUM_SPATIAL_CROPS"),
    "CHARADES": ("LISTS",),
    "AVA": ("START_SECOND", "FPS"),
    "DETECTION": ("ROI_XFORM_RESOLUTION", "SPATIAL_SCALE_FACTOR", "ALIGNED"),
}


def fingerprint(model: AdaptiveNetwork, entries: Entries, cfg, world_size: int = 1) -> dict[str, str]:
    """Everything but the statistics of configurations, by topic; a video counts by path, label and size in bytes.

    The number of processes is in it because it decides which views share a batch, and so the last bits of a score.
    """
    state = model.state_dict()
    network = [str(model), str(model.space), *(name for name in state if ".statistics." not in name)]
    weights = (value for name, value in state.items() if ".statistics." not in name)
    views = [f"{node}.{key} {cfg[node][key]}" for node, keys in _KEYS.items() for key in keys]
    return {
        "the weights": _digest(network, weights),
        "the videos": _digest(_facts_of(entries)),
        "the views": _digest(views),
        "the number of processes": str(world_size),
        "the version": mutualnet3d.__version__,
    }


def _facts_of(entries: Entries) -> Iterable[str]:
    """What names an item and its truth: path, label and size of a video; of key frames the boxes too."""
    if isinstance(entries, KeyFrameTable):
        return (f"{e.path}\n{e.video}\n{e.second}\n{e.boxes.tobytes().hex()}\n{_size(e.path)}" for e in entries)
    return (f"{entry.path}\n{_plain(entry.label)}\n{_size(entry.path)}" for entry in entries)


def _plain(label: int | torch.Tensor) -> int | list[int]:
    return label.nonzero()[:, 0].tolist() if isinstance(label, torch.Tensor) else label


def statistics_digest(model: AdaptiveNetwork, configuration: Configuration) -> str:
    """Of the BatchNorm statistics of one configuration; full's running ones are among the weights."""
    return _digest(
        [str(configuration)],
        (value for norm in slimmable_norms(model) for value in norm.statistics.get(configuration, ())),
    )


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return -1


def _digest(texts: Iterable[str], tensors: Iterable[torch.Tensor] = ()) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode(errors="surrogateescape") + b"\0")
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
