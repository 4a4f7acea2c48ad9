"""Checkpoints of a training run: everything that makes a resumed run equal to one that never stopped."""

from __future__ import annotations

import logging
import operator
import os
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

from mutualnet3d.config import load_config_text
from mutualnet3d.distributed import ALONE, Processes
from mutualnet3d.errors import CheckpointError
from mutualnet3d.files import atomic_write
from mutualnet3d.methods import Method
from mutualnet3d.models.artefact import check_space, load_state, model_entries, read_checkpoint
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.output_files import CHECKPOINTS
from mutualnet3d.training.cost import method_name

_NAME = re.compile(r"^checkpoint_epoch_(\d{5,})(?:_iteration_(\d{6,}))?\.pyth$")
_KEYS = {
    "name": "MUTUALNET.METHOD",
    "num_random": "MUTUALNET.NUM_RANDOM",
    "smallest": "MUTUALNET.SMALLEST",
    "teacher": "MUTUALNET.TEACHER",
    "fixed": "MUTUALNET.FIXED",
    "widths": "MUTUALNET.WIDTHS_TRAINED",
    "label_epochs": "MUTUALNET.LABEL_EPOCHS",
}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Position:
    """Where a run stands: ``epoch`` epochs are complete and ``iteration`` iterations of the next one."""

    epoch: int
    iteration: int = 0


def checkpoint_path(output_dir: str | os.PathLike, position: Position) -> Path:
    """``checkpoints/checkpoint_epoch_00003.pyth``, PySlowFast's name; inside an epoch ``..._iteration_000120.pyth``."""
    inside = f"_iteration_{position.iteration:06d}" if position.iteration else ""
    return Path(output_dir) / CHECKPOINTS / f"checkpoint_epoch_{position.epoch:05d}{inside}.pyth"


def save_checkpoint(
    output_dir: str | os.PathLike,
    model: AdaptiveNetwork,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    cfg,
    position: Position,
    processes: Processes = ALONE,
    order: str = "",
) -> Path:
    """Rank 0 writes the checkpoint of ``position``, atomically; those inside earlier epochs are then removed.

    ``order`` names the order of the clips in every epoch, which a position inside one depends on.
    """
    path = checkpoint_path(output_dir, position)
    generators = processes.gather(_random_states())
    if generators is None:
        return path
    entries = model_entries(model, cfg) | {
        "epoch": position.epoch - 1,  # PySlowFast's: the last complete epoch, from 0
        "iteration": position.iteration,
        "order": order,
        "optimizer_state": optimizer.state_dict(),
        "scaler_state": scaler.state_dict(),
        "random_states": generators,  # of each rank
    }
    with atomic_write(path) as file:
        torch.save(entries, file)
    for older, at in list_checkpoints(output_dir):
        if at.iteration and older != path:
            older.unlink()
    return path


def list_checkpoints(output_dir: str | os.PathLike) -> list[tuple[Path, Position]]:
    """The checkpoints of ``output_dir``, newest first."""
    folder = Path(output_dir) / CHECKPOINTS
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _NAME.match(path.name):
            found.append((path, Position(int(match[1]), int(match[2] or 0))))
    return sorted(found, key=lambda pair: (pair[1].epoch, pair[1].iteration), reverse=True)


def newest_readable(output_dir: str | os.PathLike) -> tuple[Path, dict] | None:
    """The newest checkpoint that can be read, with its entries; damaged ones are passed over with a warning.

    Raises:
        CheckpointError: there are checkpoints and none of them can be read.
    """
    found = list_checkpoints(output_dir)
    for path, _ in found:
        try:
            return path, read_checkpoint(path)
        except CheckpointError as error:
            _logger.warning("%s; falling back to the checkpoint before it", error)
    if found:
        raise CheckpointError(
            f"none of the {len(found)} checkpoints in {found[0][0].parent} can be read; move them away to start "
            "afresh, or choose another OUTPUT_DIR"
        )
    return None


def check_method(entries: dict, method: Method, cfg, clips_per_iteration: int, path: Path, order: str = "") -> None:
    """CheckpointError unless the checkpoint, of the same space, is of a run that trains by ``method``, that of ``cfg``,
    and, within an epoch, on batches as large and in the same ``order``: its position would be another clip. Files of
    older versions say neither."""
    stored_cfg = load_config_text(entries["cfg"])
    stored = replace(Method.from_cfg(stored_cfg, method.space), seed=method.seed)
    remedy = "choose another OUTPUT_DIR, or start from its weights with TRAIN.CHECKPOINT_FILE_PATH"
    for item in fields(Method):
        was, now = getattr(stored, item.name), getattr(method, item.name)
        if was != now:
            if item.name == "name":  # plain training is ``independent`` at full
                was, now = method_name(stored_cfg), method_name(cfg)
            raise CheckpointError(f"{path} is of a run with {_KEYS[item.name]} {was}, the config says {now}; {remedy}")
    if entries.get("iteration") and order and entries.get("order", order) != order:
        raise CheckpointError(
            f"{path} was written within an epoch of another training list, or with another RNG_SEED: its position "
            f"would be other clips; go on with the same, or {remedy}"
        )
    record = entries.get("training_provenance", {})
    if not (entries.get("iteration") and {"clips", "iterations"} <= record.keys()):
        return
    if record["clips"] != clips_per_iteration * record["iterations"]:
        raise CheckpointError(
            f"{path} was written within an epoch of batches of {record['clips']} clips in {record['iterations']} "
            f"iterations, now {clips_per_iteration} are one: go on with as many, or {remedy}"
        )


def restore(
    path: Path,
    entries: dict,
    model: AdaptiveNetwork,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    processes: Processes = ALONE,
) -> Position:
    """Put model, optimizer, scaler and random numbers back to what they were; returns where the run stood.

    With another number of processes than wrote the file the random numbers (dropout) start anew, which is said.

    Raises:
        CheckpointError: the checkpoint belongs to another space or network, or holds no state of training.
    """
    check_space(entries, model, path)
    try:
        load_state(entries, model, path)
        _load_optimizer(optimizer, entries["optimizer_state"])
        scaler.load_state_dict(entries["scaler_state"] if scaler.is_enabled() else {})
        _restore_random_states(entries["random_states"], processes)
        return Position(operator.index(entries["epoch"]) + 1, operator.index(entries["iteration"]))
    except (LookupError, RuntimeError, ValueError, TypeError, AttributeError, OverflowError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise CheckpointError(
            f"{path} cannot resume this run ({type(error).__name__}: {reason}); it was written "
            "with another config. Choose another OUTPUT_DIR, or start from its weights with TRAIN.CHECKPOINT_FILE_PATH"
        ) from error


def _load_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Momenta; learning rates, decays and the like stay those of the config. ValueError for another optimizer."""
    groups = optimizer.param_groups
    options = [{key: value for key, value in group.items() if key != "params"} for group in groups]
    if [set(own) for own in options] != [set(saved) - {"params"} for saved in state["param_groups"]]:
        raise ValueError("its optimizer is of another kind or has other parameter groups")
    optimizer.load_state_dict(state)
    for group, own in zip(optimizer.param_groups, options, strict=True):
        group.update(own)


def _random_states() -> dict[str, torch.Tensor]:
    cuda = {"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_initialized() else {}
    return {"cpu": torch.get_rng_state(), **cuda}


def _restore_random_states(states: list[dict[str, torch.Tensor]], processes: Processes) -> None:
    if len(states) != processes.world_size:
        _logger.warning(
            "the checkpoint is of %d processes, this run has %d: dropout draws other random numbers than it would have",
            len(states),
            processes.world_size,
        )
        return
    own = states[processes.rank]
    torch.set_rng_state(own["cpu"])
    if torch.cuda.is_available() and "cuda" in own:
        torch.cuda.set_rng_state(own["cuda"])
