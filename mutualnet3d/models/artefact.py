"""A network as one file: weights, statistics, config and space. The file says what it is; nothing else is needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from fvcore.common.config import CfgNode

from mutualnet3d.config import load_config_text
from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.errors import CheckpointError
from mutualnet3d.files import atomic_write
from mutualnet3d.models.build import build_model
from mutualnet3d.models.network import AdaptiveNetwork

FORMAT = "mutualnet3d network"


def model_entries(model: AdaptiveNetwork, cfg: CfgNode) -> dict:
    """What describes ``model`` in a file; checkpoints add the state of training. PySlowFast reads the same names."""
    return {
        "format": FORMAT,
        "model_state": model.state_dict(),
        "cfg": cfg.dump(),
        "space": model.space.to_dict(),
        "statistics_provenance": {
            str(c): source for c, source in model.statistics_provenance.items() if c in model.calibrated
        },
        "training_provenance": model.training_provenance,
    }


def save_model(path: str | os.PathLike, model: AdaptiveNetwork, cfg: CfgNode) -> None:
    """Write ``model`` with the statistics of its calibrated configurations, atomically."""
    with atomic_write(path) as file:
        torch.save(model_entries(model, cfg), file)


def load_model(path: str | os.PathLike) -> AdaptiveNetwork:
    """The network of a file that training wrote (``model.pyth`` or a checkpoint), in eval mode on the CPU.

    Its ``statistics_provenance`` says for every calibrated configuration where the statistics come from: list,
    batches, clips, seed, date, version. Its ``training_provenance`` says how it was trained: method, teacher,
    iterations, clips, seconds, multiply-adds. Files of older versions say nothing.

    Raises:
        CheckpointError: the file is missing, truncated, or not of this package.
    """
    entries = read_checkpoint(path)
    model = build_model(load_config_text(entries["cfg"]))
    check_space(entries, model, path)
    load_state(entries, model, path)
    return model.eval()


def read_checkpoint(path: str | os.PathLike) -> dict:
    """The entries of a file of this package, on the CPU. Only tensors and plain values are read, never code."""
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        entries = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged stream fails in many ways: EOFError, RuntimeError, KeyError, ...
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(f"{path}: truncated or not a checkpoint ({reason[0]})") from error
    if not isinstance(entries, dict) or entries.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: not a checkpoint of mutualnet3d. Weights of PySlowFast and pytorchvideo are loaded into a built "
            "network by mutualnet3d.load_weights, or by TRAIN.CHECKPOINT_FILE_PATH"
        )
    if absent := {"model_state", "cfg", "space"} - entries.keys():
        raise CheckpointError(f"{path}: lacks {', '.join(sorted(absent))}; it is no whole checkpoint of this package")
    for name, kind in (("model_state", dict), ("cfg", str), ("space", dict)):
        if not isinstance(entries[name], kind):
            raise CheckpointError(f"{path}: {name} is a {type(entries[name]).__name__}; the file is damaged or made up")
    return entries


def check_space(entries: dict, model: AdaptiveNetwork, path: str | os.PathLike) -> None:
    """CheckpointError if the file was trained for another space than ``model`` has."""
    trained = ConfigurationSpace.from_dict(entries["space"])
    if trained != model.space:
        raise CheckpointError(
            f"{path} was trained for {trained}, the config asks for {model.space}; use the config it was trained with"
        )


def load_state(entries: dict, model: AdaptiveNetwork, path: str | os.PathLike) -> None:
    """Weights, statistics and their provenance into ``model``; CheckpointError if they are another network's."""
    provenance = read_provenance(entries, path)
    try:
        model.load_state_dict(entries["model_state"])
        model.statistics_provenance = provenance
        model.training_provenance = dict(entries.get("training_provenance", {}))
    except (KeyError, RuntimeError, TypeError, AttributeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise CheckpointError(
            f"{path} holds another network than the config describes ({lines[1] if len(lines) > 1 else lines[0]}); "
            "use the config it was trained with"
        ) from error


def read_provenance(entries: Mapping[str, Any], path: str | os.PathLike) -> dict[Configuration, dict]:
    """Where the statistics in a file come from, by configuration; CheckpointError if that is malformed."""
    try:
        return {Configuration.parse(c): dict(source) for c, source in entries.get("statistics_provenance", {}).items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its statistics_provenance is malformed ({error})") from error
