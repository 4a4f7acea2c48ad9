"""From a config to a query table: train, calibrate, test, tabulate, each as the config enables it."""

from __future__ import annotations

import datetime
import logging
from pathlib import Path

import numpy as np
import simplejson
import torch

import mutualnet3d
from mutualnet3d.calibration import calibrate
from mutualnet3d.config.supported import check_supported
from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.counting import complexity
from mutualnet3d.data import TestVideos, VideoEntry, build_entries, video_loader
from mutualnet3d.errors import CheckpointError, ConfigError
from mutualnet3d.evaluation.grid import GridResult, evaluate_grid
from mutualnet3d.files import atomic_write, sha256, write_text
from mutualnet3d.models import AdaptiveNetwork, build_model
from mutualnet3d.models.artefact import check_space, load_state, read_checkpoint, save_model
from mutualnet3d.models.weights import load_weights
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.training.checkpoint import newest_readable
from mutualnet3d.training.device import choose_device
from mutualnet3d.training.loop import Lists, train, training_batches
from mutualnet3d.visualization import plot_accuracy_gmacs

_logger = logging.getLogger(__name__)

MODEL_FILE, RESULTS_FILE, SCORES_FILE, CURVE_FILE = (
    "model.pyth",
    "test_results.json",
    "test_scores.npz",
    "accuracy_gmacs.png",
)


def run(cfg) -> QueryTable | None:
    """Everything that ``cfg`` enables; returns the query table where one was made.

    OUTPUT_DIR then holds checkpoints, ``model.pyth`` (weights and statistics), ``test_results.json``,
    ``test_scores.npz``, the query table and its curve.
    """
    check_supported(cfg)
    output = Path(cfg.OUTPUT_DIR)
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / "config.yaml", cfg.dump())
    adaptive = cfg.MUTUALNET.ENABLE
    model = build_model(cfg)
    configurations = table_configurations(cfg, model.space) if adaptive else (model.space.full,)
    to_calibrate = calibration_configurations(cfg, configurations, model.space)
    lists = Lists.from_cfg(cfg) if cfg.TRAIN.ENABLE else None
    test_entries = build_entries(cfg, "test") if cfg.TEST.ENABLE else None
    if cfg.TRAIN.ENABLE:
        _load_initial_weights(model, cfg)
        train(model, cfg, lists)
    else:
        _load_trained_weights(model, cfg)
    model.to(choose_device(cfg), memory_format=torch.channels_last_3d).eval()
    if adaptive and cfg.CALIBRATION.ENABLE:
        _calibrate(model, cfg, to_calibrate, lists)
    save_model(output / MODEL_FILE, model, cfg)
    if not cfg.TEST.ENABLE:
        return None
    result = _test(model, cfg, configurations, test_entries)
    if not (adaptive and cfg.QUERY_TABLE.ENABLE):
        return None
    return _tabulate(model, cfg, result)


def table_configurations(cfg, space: ConfigurationSpace) -> tuple[Configuration, ...]:
    """QUERY_TABLE.CONFIGURATIONS, or the grid over QUERY_TABLE.WIDTHS; full is always among them."""
    listed = tuple(space.check(Configuration.parse(text)) for text in cfg.QUERY_TABLE.CONFIGURATIONS)
    chosen = listed or space.grid(tuple(cfg.QUERY_TABLE.WIDTHS))
    return tuple(dict.fromkeys((*chosen, space.full)))


def _load_initial_weights(model: AdaptiveNetwork, cfg) -> None:
    """TRAIN.CHECKPOINT_FILE_PATH, unless OUTPUT_DIR has a checkpoint that the run goes on from."""
    path = cfg.TRAIN.CHECKPOINT_FILE_PATH
    if not path or (cfg.TRAIN.AUTO_RESUME and newest_readable(cfg.OUTPUT_DIR)):
        return
    report = load_weights(
        model, path, inflate=cfg.TRAIN.CHECKPOINT_INFLATE, clear_names=cfg.TRAIN.CHECKPOINT_CLEAR_NAME_PATTERN
    )
    _logger.info("initial weights: %s", report)


def _load_trained_weights(model: AdaptiveNetwork, cfg) -> None:
    """TEST.CHECKPOINT_FILE_PATH, else the newest checkpoint in OUTPUT_DIR, else TRAIN.CHECKPOINT_FILE_PATH."""
    newest = None if cfg.TEST.CHECKPOINT_FILE_PATH else newest_readable(cfg.OUTPUT_DIR)
    path = cfg.TEST.CHECKPOINT_FILE_PATH or (newest and newest[0]) or cfg.TRAIN.CHECKPOINT_FILE_PATH
    if not path:
        raise ConfigError(
            f"nothing to test: TRAIN.ENABLE is False, OUTPUT_DIR {cfg.OUTPUT_DIR} has no checkpoint and "
            "TEST.CHECKPOINT_FILE_PATH is empty; name a checkpoint or enable training"
        )
    try:
        entries = read_checkpoint(path)
    except CheckpointError:  # of another library, or damaged: load_weights tells them apart
        _logger.info("weights: %s", load_weights(model, path))
        return
    check_space(entries, model, path)
    load_state(entries, model, path)
    _logger.info("weights of %s: %d configurations are calibrated", path, len(model.calibrated) - 1)


def calibration_configurations(cfg, table: tuple[Configuration, ...], space: ConfigurationSpace) -> tuple:
    """CALIBRATION.CONFIGURATIONS, or those of the ``table``; ConfigError if the table needs one that is left out."""
    listed = tuple(space.check(Configuration.parse(text)) for text in cfg.CALIBRATION.CONFIGURATIONS) or table
    left_out = [str(c) for c in table if c not in listed and c != space.full]
    if left_out and cfg.TEST.ENABLE:
        raise ConfigError(
            f"CALIBRATION.CONFIGURATIONS leaves out {', '.join(left_out)}, which the query table evaluates; list them, "
            "or list fewer in QUERY_TABLE.CONFIGURATIONS"
        )
    return listed


def _calibrate(model: AdaptiveNetwork, cfg, configurations: tuple[Configuration, ...], lists: Lists | None) -> None:
    """Statistics of the configurations that lack them, from training clips."""
    wanted = [c for c in configurations if c not in model.calibrated]
    if not wanted:
        return
    _logger.info("calibrating %d configurations on %d batches", len(wanted), cfg.CALIBRATION.NUM_BATCHES)
    entries = lists.train if lists else build_entries(cfg, "train")
    batches = training_batches(cfg, entries, cfg.CALIBRATION.NUM_BATCHES, batch_size=cfg.CALIBRATION.BATCH_SIZE)
    calibrate(model, batches, wanted)


def _test(
    model: AdaptiveNetwork, cfg, configurations: tuple[Configuration, ...], entries: list[VideoEntry]
) -> GridResult:
    """Evaluate the test list; writes the accuracies, the unreadable videos by name, and every video's scores."""
    views, crops = cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS
    videos = TestVideos(entries, cfg, views, crops)
    _logger.info(
        "testing %d videos x %d x %d views at %d configurations", len(entries), views, crops, len(configurations)
    )
    result = evaluate_grid(model, video_loader(videos, cfg), configurations, cfg)
    for path, reason in result.missing:
        _logger.warning("missing from the result: %s: %s", path, reason)
    accuracies = result.accuracies()
    _logger.info("full configuration %s: %s", model.space.full, accuracies[model.space.full])
    values = {
        "views": [views, crops],
        "videos": len(result.labels),
        "missing": [{"path": path, "reason": reason} for path, reason in result.missing],
        "accuracies": {str(c): {"top1": a.top1, "top5": a.top5} for c, a in accuracies.items()},
    }
    write_text(Path(cfg.OUTPUT_DIR) / RESULTS_FILE, simplejson.dumps(values, indent=2) + "\n")
    with atomic_write(Path(cfg.OUTPUT_DIR) / SCORES_FILE) as file:
        np.savez_compressed(
            file,
            configurations=[str(c) for c in result.configurations],
            scores=result.scores.numpy(),
            labels=result.labels.numpy(),
            paths=[entries[i].path for i in result.indices.tolist()],
        )
    return result


def _tabulate(model: AdaptiveNetwork, cfg, result: GridResult) -> QueryTable:
    """Count, join with the accuracies, write the table and draw its curve."""
    output = Path(cfg.OUTPUT_DIR)
    entries = []
    for configuration, accuracy in result.accuracies().items():
        cost = complexity(model, configuration, crop=cfg.DATA.TEST_CROP_SIZE)
        entries.append(Entry(configuration, cost.gmacs, cost.mparams, accuracy.top1, accuracy.top5))
    provenance = {
        "model": MODEL_FILE,
        "model_sha256": sha256(output / MODEL_FILE),
        "architecture": cfg.MODEL.ARCH,
        "space": model.space.to_dict(),
        "data": str(cfg.DATA.PATH_TO_DATA_DIR),
        "videos": len(result.labels),
        "missing": len(result.missing),
        "views": {"temporal": cfg.TEST.NUM_ENSEMBLE_VIEWS, "spatial": cfg.TEST.NUM_SPATIAL_CROPS},
        "crop": cfg.DATA.TEST_CROP_SIZE,
        "frames": cfg.DATA.NUM_FRAMES,
        "calibration_batches": cfg.CALIBRATION.NUM_BATCHES,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "mutualnet3d": mutualnet3d.__version__,
        "torch": torch.__version__,
    }
    table = QueryTable(tuple(entries), "top1", provenance)
    table.save(output / cfg.QUERY_TABLE.FILE)
    title = f"{cfg.MODEL.ARCH}: one network, {len(entries)} configurations"
    plot_accuracy_gmacs(table.entries, output / CURVE_FILE, title=title)
    return table
