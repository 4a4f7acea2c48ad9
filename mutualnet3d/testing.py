"""The test stage of a run: evaluate the configurations, search among them if asked to, and write the query table."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from pathlib import Path

import simplejson
import torch

import mutualnet3d
from mutualnet3d.configuration import Configuration
from mutualnet3d.counting import complexities
from mutualnet3d.data import VideoEntry
from mutualnet3d.distributed import ALONE, Processes
from mutualnet3d.evaluation.result import GridResult
from mutualnet3d.evaluation.resumable import evaluate_list
from mutualnet3d.evaluation.search import RULE, choose_candidates, draw_videos
from mutualnet3d.files import sha256, write_text
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.visualization import plot_accuracy_gmacs

RESULTS_FILE, SCORES_FILE, SEARCH_FILE = "test_results.json", "test_scores.npz", "search_scores.npz"
CURVE_FILE = "accuracy_gmacs.png"
_logger = logging.getLogger(__name__)


def search(
    model: AdaptiveNetwork,
    cfg,
    configurations: tuple[Configuration, ...],
    entries: list[VideoEntry],
    processes: Processes = ALONE,
) -> tuple[tuple[Configuration, ...], dict]:
    """Evaluate all ``configurations`` on QUERY_TABLE.SEARCH_VIDEOS of ``entries``; same arguments on every rank.

    Returns:
        The candidates (:func:`~mutualnet3d.evaluation.search.choose_candidates`), and what a table says of the search.
    """
    drawn = draw_videos(entries, cfg.QUERY_TABLE.SEARCH_VIDEOS, cfg.RNG_SEED)
    _logger.info("searching %d configurations on %d of %d videos", len(configurations), len(drawn), len(entries))
    path = Path(cfg.OUTPUT_DIR) / SEARCH_FILE
    result = evaluate_list(model, [entries[i] for i in drawn], configurations, cfg, path, processes)
    candidates = None
    if result is not None:
        costs = complexities(model, configurations, crop=cfg.DATA.TEST_CROP_SIZE)
        gmacs = {configuration: cost.gmacs for configuration, cost in costs.items()}
        candidates = choose_candidates(result, gmacs, (model.space.full, model.space.smallest), len(entries))
        shown = ", ".join(map(str, candidates))
        _logger.info("%d of %d configurations are candidates: %s", len(candidates), len(configurations), shown)
    facts = {"videos": len(drawn), "seed": cfg.RNG_SEED, "configurations": len(configurations), "rule": RULE}
    return processes.broadcast(candidates), facts


def run_test(
    model: AdaptiveNetwork,
    cfg,
    configurations: Sequence[Configuration],
    entries: list[VideoEntry],
    processes: Processes = ALONE,
) -> GridResult | None:
    """Evaluate the test list; rank 0 writes the accuracies, the unreadable videos by name, and every video's scores."""
    views, crops = cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS
    _logger.info(
        "testing %d videos x %d x %d views at %d configurations", len(entries), views, crops, len(configurations)
    )
    output = Path(cfg.OUTPUT_DIR)
    result = evaluate_list(model, entries, configurations, cfg, output / SCORES_FILE, processes)
    if result is None:
        return None
    for path, reason in result.missing:
        _logger.warning("missing from the result: %s: %s", path, reason)
    accuracies = result.accuracies()
    if model.space.full in accuracies:
        _logger.info("full configuration %s: %s", model.space.full, accuracies[model.space.full])
    values = {
        "views": [views, crops],
        "videos": len(result.labels),
        "missing": [{"path": path, "reason": reason} for path, reason in result.missing],
        "accuracies": {str(c): {"top1": a.top1, "top5": a.top5} for c, a in accuracies.items()},
    }
    write_text(output / RESULTS_FILE, simplejson.dumps(values, indent=2) + "\n")
    return result


def tabulate(
    model: AdaptiveNetwork, cfg, result: GridResult, model_file: Path, searched: dict | None = None
) -> QueryTable:
    """Count, join with the accuracies, write the table of ``model_file`` and draw its curve."""
    output = Path(cfg.OUTPUT_DIR)
    entries, accuracies = [], result.accuracies()
    costs = complexities(model, accuracies, crop=cfg.DATA.TEST_CROP_SIZE)
    for configuration, accuracy in accuracies.items():
        cost = costs[configuration]
        entries.append(Entry(configuration, cost.gmacs, cost.mparams, accuracy.top1, accuracy.top5))
    inside = model_file.resolve().parent == output.resolve()
    calibrated = [model.statistics_provenance.get(c, {}).get("batches") for c in result.configurations]
    provenance = {
        "model": model_file.name if inside else str(model_file),
        "model_sha256": sha256(model_file),
        "architecture": cfg.MODEL.ARCH,
        "space": model.space.to_dict(),
        "data": str(cfg.DATA.PATH_TO_DATA_DIR),
        "videos": len(result.labels),
        "missing": len(result.missing),
        "views": {"temporal": cfg.TEST.NUM_ENSEMBLE_VIEWS, "spatial": cfg.TEST.NUM_SPATIAL_CROPS},
        "ensemble": cfg.DATA.ENSEMBLE_METHOD,
        "crop": cfg.DATA.TEST_CROP_SIZE,
        "frames": cfg.DATA.NUM_FRAMES,
        "calibration_batches": max((count for count in calibrated if count), default=0),
        **({"search": searched | {"candidates": len(entries)}} if searched else {}),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "mutualnet3d": mutualnet3d.__version__,
        "torch": torch.__version__,
    }
    table = QueryTable(tuple(entries), "top1", provenance)
    table.save(output / cfg.QUERY_TABLE.FILE)
    title = f"{cfg.MODEL.ARCH}: one network, {len(entries)} configurations"
    plot_accuracy_gmacs(table.entries, output / CURVE_FILE, title=title)
    return table
