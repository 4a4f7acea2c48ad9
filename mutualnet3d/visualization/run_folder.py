"""What a run left in its OUTPUT_DIR, read back for the report; what is absent or damaged is said in words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mutualnet3d.config import load_config
from mutualnet3d.configuration import Configuration
from mutualnet3d.data.class_names import read_class_names
from mutualnet3d.data.unreadable import read_unreadable
from mutualnet3d.errors import DataError, MutualNetError
from mutualnet3d.evaluation.result import read_scores
from mutualnet3d.files import sha256
from mutualnet3d.output_files import (
    CONFIG_FILE,
    LOG_FILE,
    MODEL_FILE,
    RESULTS_FILE,
    SCORES_FILE,
    TABLE_FILE,
    UNREADABLE_FILE,
)
from mutualnet3d.query_table import QueryTable
from mutualnet3d.visualization.latencies import measured_latencies
from mutualnet3d.visualization.points import chart_points
from mutualnet3d.visualization.training_log import TrainingLog, read_training_log

Value = TypeVar("Value")
MALFORMED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)  # of a file's values


@dataclass(frozen=True)
class TestScores:
    """What every configuration took every test video for.

    Attributes:
        configurations: (C).
        predictions: int64 (C, N), the class with the highest score, of equals the lowest.
        scores: float32 (C, N), that score: a mean over the views where they were summed, so a probability; as it is in
            the file where that does not say how the views were joined.
        labels: int64 (N).
        paths: (N).
        classes: how many there are.
        ensemble: how the scores of the views were joined, ``sum`` or ``max``; "" where the file does not say.
        views: temporal and spatial views of a video; None where the file does not say.
    """

    __test__ = False  # pytest: this is no test

    configurations: tuple[Configuration, ...]
    predictions: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    paths: tuple[str, ...]
    classes: int
    ensemble: str = ""
    views: tuple[int, int] | None = None


@dataclass(frozen=True)
class RunFolder:
    """The parts of a run that could be read; the others are None or empty and ``notes`` says why.

    Attributes:
        missing: (path, reason) of the test videos that could not be read; None where that is not known.
        unreadable: (path, reason) of the training videos that could not be read.
        class_names: name of each class, where the data has a file of them.
        precisions: where accuracy is mAP: per cent by class, of each configuration; None for a class without truth.
        notes: what is absent, damaged or contradictory, a sentence each.
    """

    folder: Path
    cfg: Any = None
    config_text: str | None = None
    table: QueryTable | None = None
    scores: TestScores | None = None
    log: TrainingLog | None = None
    missing: tuple[tuple[str, str], ...] | None = None
    unreadable: tuple[tuple[str, str], ...] = ()
    class_names: tuple[str, ...] | None = None
    precisions: Mapping[Configuration, Mapping[str, float | None]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Results:
    missing: tuple[tuple[str, str], ...]
    precisions: dict[Configuration, dict[str, float | None]]


def read_run(folder: str | os.PathLike) -> RunFolder:
    """Read an OUTPUT_DIR.

    Raises:
        DataError: it is no folder, or it holds neither a query table nor test scores nor a training log.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the OUTPUT_DIR of a run")
    notes: list[str] = []

    def part(name: str, read: Callable[[Path], Value], otherwise: str) -> Value | None:
        if not (folder / name).exists():
            notes.append(f"No {name}: {otherwise}")
            return None
        try:
            return read(folder / name)
        except (MutualNetError, OSError, *MALFORMED) as error:
            notes.append(f"{name} cannot be read ({type(error).__name__}: {error}): {otherwise}")
            return None

    text = part(CONFIG_FILE, lambda path: path.read_text(encoding="utf-8"), "how the run was configured is not known.")
    cfg = None if text is None else part(CONFIG_FILE, load_config, "its text is shown as it is.")
    table = part(TABLE_FILE, _read_table, "costs of the configurations are not known.")
    results = part(RESULTS_FILE, _read_results, "unreadable test videos are not known by name.")
    scores = part(SCORES_FILE, _read_scores, "classes and videos are not shown.")
    log = part(LOG_FILE, read_training_log, "the network was evaluated here, not trained.")
    if log and log.damaged:
        notes.append(f"{log.damaged} lines of {LOG_FILE} are damaged and left out.")
    if table is scores is log is None:
        raise DataError(f"{folder}: is not the OUTPUT_DIR of a run: {' '.join(notes)}")
    notes += _check_model(folder, table)
    precisions = {} if results is None else results.precisions
    named = {name for of in precisions.values() for name in of}
    numbered = named == {str(number) for number in range(len(named))}  # by label, so a file may name them
    names, note = read_class_names(cfg, scores.classes if scores else len(named) or None)
    return RunFolder(
        folder=folder,
        cfg=cfg,
        config_text=text,
        table=table,
        scores=scores,
        log=log,
        missing=None if results is None else results.missing,
        unreadable=read_unreadable(folder / UNREADABLE_FILE),
        class_names=names,
        precisions=precisions,
        notes=(*notes, *([note] if note and (scores or (named and numbered)) else [])),
    )


def _read_table(path: Path) -> QueryTable:
    """DataError where its costs cannot be drawn and compared."""
    table = QueryTable.load(path)
    chart_points(table.entries, "gmacs", path)
    for latencies in measured_latencies(table):
        chart_points(latencies.entries, "latency_ms", path)
    return table


def _read_results(path: Path) -> _Results:
    values = json.loads(path.read_text(encoding="utf-8"))
    missing = tuple((str(item["path"]), str(item["reason"])) for item in values["missing"])
    precisions = {
        Configuration.parse(text): {str(name): None if ap is None else float(ap) for name, ap in of.items()}
        for text, of in values.get("per_class", {}).items()
    }
    return _Results(missing, precisions)


def _read_scores(path: Path) -> TestScores | None:
    """None where a row has not one label: several, or a box. There is no right class then, only a ranking."""
    result, facts = read_scores(path)
    configurations, paths = result.configurations, result.paths
    scores, labels = result.scores.numpy(), result.labels.numpy()
    if labels.ndim == 2 and len(labels) == len(paths):
        return None
    if scores.ndim != 3 or scores.shape[:2] != (len(configurations), len(labels)) or len(paths) != len(labels):
        raise DataError(f"scores {scores.shape} do not fit {len(configurations)} configurations, {len(labels)} labels")
    if labels.dtype.kind != "i" or 0 in scores.shape or labels.min() < 0 or labels.max() >= scores.shape[2]:
        raise DataError(f"scores {scores.shape} do not fit the labels, or there are none")
    predictions = scores.argmax(2)
    best = np.take_along_axis(scores, predictions[..., None], 2)[..., 0]
    if not np.isfinite(best).all():
        raise DataError("scores are not finite")
    ensemble, views = facts.get("ensemble_method") or "", facts.get("views")
    if views is not None:
        temporal, spatial = map(int, views)
        if not (1 <= temporal < 1000 and 1 <= spatial < 1000):
            raise DataError(f"views {temporal} x {spatial} of a video are not possible")
        views = temporal, spatial
    if ensemble == "sum" and views:
        best = best / np.prod(views)
    return TestScores(
        configurations,
        predictions,
        best.astype(np.float32),
        labels.astype(np.int64),
        paths,
        scores.shape[2],
        ensemble if views else "",
        views,
    )


def _check_model(folder: Path, table: QueryTable | None) -> list[str]:
    """What is wrong with the model file."""
    path = folder / MODEL_FILE
    if not path.exists():
        return [f"No {MODEL_FILE}: the network itself is not in this folder."]
    stored = None if table is None else table.provenance.get("model_sha256")
    if stored is not None and sha256(path) != stored:
        return [f"{MODEL_FILE} is not the network of the query table: its SHA-256 differs."]
    return []
