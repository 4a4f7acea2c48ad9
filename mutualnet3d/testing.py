"""The test stage of a run: evaluate the configurations, search among them if asked to, and write the query table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import simplejson

from mutualnet3d.architectures import items_name
from mutualnet3d.configuration import Configuration
from mutualnet3d.counting import complexities
from mutualnet3d.data import Entries
from mutualnet3d.distributed import ALONE, Processes
from mutualnet3d.evaluation.detections_file import official_detections, write_detections
from mutualnet3d.evaluation.measures import Measure, measures
from mutualnet3d.evaluation.result import GridResult
from mutualnet3d.evaluation.resumable import evaluate_list
from mutualnet3d.evaluation.search import RULE, choose_candidates, draw_videos
from mutualnet3d.files import sha256, write_text
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.output_files import CURVE_FILE, RESULTS_FILE, SCORES_FILE, SEARCH_FILE, TABLE_FILE
from mutualnet3d.provenance import now, versions
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.visualization import plot_accuracy_gmacs, write_report
from mutualnet3d.visualization.points import metric_label

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tested:
    """Scores, and what they are worth at each configuration."""

    result: GridResult
    measures: dict[Configuration, Measure]


def search(
    model: AdaptiveNetwork,
    cfg,
    configurations: tuple[Configuration, ...],
    entries: Entries,
    processes: Processes = ALONE,
) -> tuple[tuple[Configuration, ...], dict | None]:
    """Evaluate all ``configurations`` on QUERY_TABLE.SEARCH_VIDEOS of ``entries``; same arguments on every rank.

    Returns:
        The candidates (:func:`~mutualnet3d.evaluation.search.choose_candidates`), and what a table says of the search;
        all ``configurations`` and None where QUERY_TABLE asks for no search, or for as many videos as there are.
    """
    table = cfg.QUERY_TABLE
    if not (cfg.MUTUALNET.ENABLE and table.ENABLE and 0 < table.SEARCH_VIDEOS < len(entries)):
        return configurations, None
    drawn = draw_videos(entries, cfg.QUERY_TABLE.SEARCH_VIDEOS, cfg.RNG_SEED)
    sizes = len(configurations), len(drawn), len(entries)
    _logger.info("searching %d configurations on %d of %d %s", *sizes, items_name(cfg))
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


def evaluate_and_tabulate(
    model: AdaptiveNetwork,
    cfg,
    configurations: Sequence[Configuration],
    entries: Entries,
    model_file: Path,
    searched: dict | None = None,
    processes: Processes = ALONE,
) -> QueryTable | None:
    """Evaluate the test list, write what OUTPUT_DIR gets of it and, with QUERY_TABLE.ENABLE, the table of
    ``model_file``, which rank 0 returns."""
    tested = run_test(model, cfg, configurations, entries, processes)
    if tested is None:
        return None
    table = tabulate(model, cfg, tested, model_file, searched) if cfg.QUERY_TABLE.ENABLE else None
    _logger.info("report: %s", write_report(cfg.OUTPUT_DIR))
    return table


def run_test(
    model: AdaptiveNetwork,
    cfg,
    configurations: Sequence[Configuration],
    entries: Entries,
    processes: Processes = ALONE,
) -> Tested | None:
    """Evaluate the test list; rank 0 writes the accuracies, the unreadable videos by name, and every video's scores."""
    views, crops = _views(cfg)
    items = items_name(cfg) + (f" x {views} x {crops} views" if items_name(cfg) == "videos" else "")
    _logger.info("testing %d %s at %d configurations", len(entries), items, len(configurations))
    output = Path(cfg.OUTPUT_DIR)
    result = evaluate_list(model, entries, configurations, cfg, output / SCORES_FILE, processes)
    if result is None:
        return None
    missing = _missing(result)
    for path, reason in missing:
        _logger.warning("missing from the result: %s: %s", path, reason)
    found = measures(result, cfg)
    if model.space.full in found:
        _logger.info("full configuration %s: %s", model.space.full, found[model.space.full].text)
        if cfg.DETECTION.ENABLE:
            rows = official_detections(result, model.space.full, cfg)
            write_detections(output / f"detections_{model.space.full}.csv", rows)
    values = {
        "metric": next(iter(found.values())).metric,
        "views": [views, crops],
        **_counts(result),
        "missing": [{"path": path, "reason": reason} for path, reason in missing],
        "accuracies": {str(c): measure.values for c, measure in found.items()},
        "per_class": {str(c): measure.per_class for c, measure in found.items() if measure.per_class},
    }
    write_text(output / RESULTS_FILE, simplejson.dumps(values, indent=2, ignore_nan=True) + "\n")
    return Tested(result, found)


def tabulate(model: AdaptiveNetwork, cfg, tested: Tested, model_file: Path, searched: dict | None = None) -> QueryTable:
    """Count, join with the accuracies, write the table of ``model_file`` and draw its curve."""
    output = Path(cfg.OUTPUT_DIR)
    costs = complexities(model, tested.measures, crop=cfg.DATA.TEST_CROP_SIZE)
    entries = tuple(
        Entry(configuration, costs[configuration].gmacs, costs[configuration].mparams, measure.accuracy, measure.top5)
        for configuration, measure in tested.measures.items()
    )
    result, metric = tested.result, next(iter(tested.measures.values())).metric
    inside = model_file.resolve().parent == output.resolve()
    calibrated = [model.statistics_provenance.get(c, {}).get("batches") for c in result.configurations]
    provenance = {
        "model": model_file.name if inside else str(model_file),
        "model_sha256": sha256(model_file),
        "architecture": cfg.MODEL.ARCH,
        "space": model.space.to_dict(),
        "data": str(cfg.DATA.PATH_TO_DATA_DIR),
        **_counts(result),
        "missing": len(_missing(result)),
        "views": dict(zip(("temporal", "spatial"), _views(cfg), strict=True)),
        "ensemble": cfg.DATA.ENSEMBLE_METHOD,
        "crop": cfg.DATA.TEST_CROP_SIZE,
        "gmacs_of": "one view, a square of crop x crop pixels",
        "frames": model.num_frames,
        "calibration_batches": max((count for count in calibrated if count), default=0),
        **({"training": model.training_provenance} if model.training_provenance else {}),
        **({"search": searched | {"candidates": len(entries)}} if searched else {}),
        "date": now(),
        **versions(),
    }
    table = QueryTable(entries, metric, provenance)
    table.save(output / TABLE_FILE)
    title = f"{cfg.MODEL.ARCH}: one network, {len(entries)} configurations"
    plot_accuracy_gmacs(table.entries, output / CURVE_FILE, title=title, metric=metric_label(metric))
    return table


def _views(cfg) -> tuple[int, int]:
    """Temporal and spatial views of a test item; a key frame has one."""
    return (1, 1) if cfg.DETECTION.ENABLE else (cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS)


def _counts(result: GridResult) -> dict[str, int]:
    """What was scored: videos, for detection also key frames and boxes."""
    items = len(set(result.indices.tolist()))
    if result.boxes is None:
        return {"videos": items}
    videos = {path.rpartition(",")[0] for path in result.paths}
    return {"videos": len(videos), "key_frames": items, "boxes": len(result.boxes)}


def _missing(result: GridResult) -> list[tuple[str, str]]:
    """(path, reason) of what could not be read; a movie is there once, however many of its key frames are lost."""
    if result.boxes is None:
        return list(result.missing)
    reasons: dict[str, list[str]] = {}
    for path, reason in result.missing:
        reasons.setdefault(path, []).append(reason)
    return [(path, f"{len(lost)} key frames; the first: {lost[0]}") for path, lost in reasons.items()]
