"""From a config to a query table: train, calibrate, test, tabulate, each as the config enables it."""

from __future__ import annotations

import logging
from pathlib import Path

from mutualnet3d.calibration import discard_statistics
from mutualnet3d.config.supported import check_supported
from mutualnet3d.configuration import Configuration
from mutualnet3d.data import Entries, build_entries
from mutualnet3d.distributed import ALONE, Processes
from mutualnet3d.errors import CheckpointError, ConfigError
from mutualnet3d.evaluation.choice import calibration_configurations, table_configurations, uncalibrated
from mutualnet3d.evaluation.measures import check_truth
from mutualnet3d.files import write_text
from mutualnet3d.lock import run_in_output_dir
from mutualnet3d.models import AdaptiveNetwork, build_model
from mutualnet3d.models.artefact import check_space, load_state, read_checkpoint, save_model
from mutualnet3d.models.weights import load_weights
from mutualnet3d.output_files import CONFIG_FILE, MODEL_FILE
from mutualnet3d.query_table import QueryTable
from mutualnet3d.testing import evaluate_and_tabulate, search
from mutualnet3d.training.board import Board, require_tensorboard
from mutualnet3d.training.checkpoint import list_checkpoints, newest_readable
from mutualnet3d.training.cost import add_training_gmacs
from mutualnet3d.training.device import to_device
from mutualnet3d.training.loop import Lists, train
from mutualnet3d.training.statistics import adopt_statistics, calibrate_on_list

_logger = logging.getLogger(__name__)


def run(cfg, processes: Processes = ALONE, trust_pickle: bool = False) -> QueryTable | None:
    """Everything that ``cfg`` enables; returns the query table where one was made, on rank 0.

    OUTPUT_DIR then holds checkpoints, ``model.pyth`` (weights and statistics), ``test_results.json``,
    ``test_scores.npz``, the query table, its curve and ``report.html``. Several processes share training, calibration
    and testing; rank 0 writes.

    Args:
        trust_pickle: read CHECKPOINT_FILE_PATH even where it holds more than tensors; it can then run any code. No key
            of the config: a config that came from elsewhere must not decide it.

    Raises:
        ConfigError: the config cannot be honoured, TensorBoard is asked for and not installed, or another run uses
            OUTPUT_DIR.
        ResourceError: memory or disk ran out, or a worker was killed.
    """
    check_supported(cfg)
    require_tensorboard(cfg)
    with run_in_output_dir(cfg, processes):
        return _run(cfg, processes, trust_pickle)


def _run(cfg, processes: Processes, trust_pickle: bool) -> QueryTable | None:
    output = Path(cfg.OUTPUT_DIR)
    if processes.first:
        write_text(output / CONFIG_FILE, cfg.dump())
    adaptive = cfg.MUTUALNET.ENABLE
    model = build_model(cfg)
    configurations = table_configurations(cfg, model.space) if adaptive else (model.space.full,)
    to_calibrate = calibration_configurations(cfg, configurations, model.space)
    lists = processes.broadcast(Lists.from_cfg(cfg) if cfg.TRAIN.ENABLE and processes.first else None)
    test_entries = processes.broadcast(build_entries(cfg, "test") if cfg.TEST.ENABLE and processes.first else None)
    if lists:
        check_truth(lists.val, cfg, "val")
    if test_entries is not None:
        check_truth(test_entries, cfg, "test")
    if cfg.TRAIN.ENABLE:
        _load_initial_weights(model, cfg, trust_pickle)
        train(model, cfg, lists, processes)
        model = _as_from_file(model, cfg)
    elif _load_trained_weights(model, cfg, trust_pickle):
        _calibrate_full(to_device(model, cfg), cfg, processes)
    add_training_gmacs(model, cfg)
    to_device(model, cfg).eval()
    if adaptive and cfg.CALIBRATION.ENABLE:
        _calibrate(model, cfg, to_calibrate, lists.train if lists else None, processes)
    _save(model, cfg, processes)
    if not cfg.TEST.ENABLE:
        return None
    candidates, searched = search(model, cfg, configurations, test_entries, processes)
    if searched:
        _forget(model, cfg, [c for c in configurations if c not in candidates], processes)
    table = evaluate_and_tabulate(model, cfg, candidates, test_entries, output / MODEL_FILE, searched, processes)
    if table is not None:
        with Board(cfg, model.training_provenance.get("iterations", 0) + 1) as board:
            board.add_table(table)
    return table


def _as_from_file(model: AdaptiveNetwork, cfg) -> AdaptiveNetwork:
    """``model`` as if it had been read from a file: a later process that reads it computes the same bits."""
    fresh = build_model(cfg)
    load_state({"model_state": model.state_dict()}, fresh, "the trained network")
    fresh.statistics_provenance = model.statistics_provenance
    fresh.training_provenance = model.training_provenance
    return fresh


def _load_initial_weights(model: AdaptiveNetwork, cfg, trust_pickle: bool) -> None:
    """TRAIN.CHECKPOINT_FILE_PATH, unless OUTPUT_DIR has a checkpoint that the run goes on from."""
    path = cfg.TRAIN.CHECKPOINT_FILE_PATH
    if not path or (cfg.TRAIN.AUTO_RESUME and list_checkpoints(cfg.OUTPUT_DIR)):
        return
    report = load_weights(
        model,
        path,
        inflate=cfg.TRAIN.CHECKPOINT_INFLATE,
        clear_names=cfg.TRAIN.CHECKPOINT_CLEAR_NAME_PATTERN,
        trust_pickle=trust_pickle,
    )
    _logger.info("initial weights: %s", report)


def _load_trained_weights(model: AdaptiveNetwork, cfg, trust_pickle: bool) -> bool:
    """TEST.CHECKPOINT_FILE_PATH, else the newest checkpoint in OUTPUT_DIR, else TRAIN.CHECKPOINT_FILE_PATH.

    True if the file lacks the BatchNorm statistics of the full network.
    """
    newest = None if cfg.TEST.CHECKPOINT_FILE_PATH else newest_readable(cfg.OUTPUT_DIR)
    path, entries = newest or (cfg.TEST.CHECKPOINT_FILE_PATH or cfg.TRAIN.CHECKPOINT_FILE_PATH, None)
    if not path:
        raise ConfigError(
            f"nothing to test: TRAIN.ENABLE is False, OUTPUT_DIR {cfg.OUTPUT_DIR} has no checkpoint and "
            "TEST.CHECKPOINT_FILE_PATH is empty; name a checkpoint or enable training"
        )
    try:
        entries = entries or read_checkpoint(path)
    except CheckpointError:  # of another library, or damaged: load_weights tells them apart
        report = load_weights(model, path, trust_pickle=trust_pickle)
        _logger.info("weights: %s", report)
        return report.lacks_statistics
    check_space(entries, model, path)
    load_state(entries, model, path)
    _logger.info("weights of %s: %d configurations are calibrated", path, len(model.calibrated) - 1)
    return False


def _calibrate_full(model: AdaptiveNetwork, cfg, processes: Processes) -> None:
    """The running statistics of weights that came without any, from training clips."""
    entries = processes.broadcast(build_entries(cfg, "train") if processes.first else None)
    calibrate_on_list(model, cfg, entries, [model.space.full], processes)


def _calibrate(
    model: AdaptiveNetwork,
    cfg,
    configurations: tuple[Configuration, ...],
    entries: Entries | None,
    processes: Processes,
) -> None:
    """Statistics of the configurations that lack them, from an interrupted run's file or from training clips."""
    if not uncalibrated(model, cfg, configurations):
        return
    if entries is None:
        entries = processes.broadcast(build_entries(cfg, "train") if processes.first else None)
    if len(model.calibrated) == 1:
        adopt_statistics(model, cfg, entries, Path(cfg.OUTPUT_DIR) / MODEL_FILE)
    lacking = {c for part in processes.all_gather(uncalibrated(model, cfg, configurations)) for c in part}
    if wanted := [c for c in configurations if c in lacking]:
        calibrate_on_list(model, cfg, entries, wanted, processes)


def _save(model: AdaptiveNetwork, cfg, processes: Processes) -> None:
    if processes.first:
        save_model(Path(cfg.OUTPUT_DIR) / MODEL_FILE, model, cfg)


def _forget(model: AdaptiveNetwork, cfg, configurations: list[Configuration], processes: Processes) -> None:
    """The statistics of ``configurations``, which the search did not keep, leave the artefact."""
    discard_statistics(model, configurations)
    _save(model, cfg, processes)
    _logger.info(
        "%s: the statistics of %d configurations that are no candidates are dropped", MODEL_FILE, len(configurations)
    )
