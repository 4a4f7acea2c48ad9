"""The training log of a run as curves: log.jsonl, which a run that was stopped and went on appends to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_MOST = 1e15  # infinite losses end a run before they are logged


@dataclass(frozen=True)
class TrainingLog:
    """Curves over the epochs done (float64, nan where a value was not logged or not finite).

    Attributes:
        epoch: (R) of each report: 1.5 is in the middle of the second epoch.
        losses: name -> (R): ``full``; with mutual training ``smallest`` and ``random``, the mean of the random ones.
        lr, top1: (R) learning rate; per cent of the training clips that full got right.
        metric: ``top1`` or ``map``, of the evaluations.
        evaluations: (E, 2): epochs done and validation accuracy of full, per cent.
        per_epoch: iterations.
        damaged: lines that could not be read.
    """

    epoch: np.ndarray
    losses: dict[str, np.ndarray]
    lr: np.ndarray
    top1: np.ndarray
    metric: str
    evaluations: np.ndarray
    per_epoch: int
    damaged: int = 0


def read_training_log(path: Path) -> TrainingLog | None:
    """The curves of ``path``; None where nothing was trained.

    Where a later line stands earlier in training than lines before it (the run went on from a checkpoint, or began
    anew), it replaces them.
    """
    reports: list[tuple[tuple[int, int], dict]] = []  # with (epoch, iteration)
    evaluations: list[dict] = []
    damaged = 0
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
            kind, here = values["type"], (int(values["epoch"]), int(values.get("iteration", 0)))
            _check_numbers(values)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            damaged += 1
            continue
        if kind == "train":
            while reports and reports[-1][0] >= here:
                reports.pop()
            while evaluations and evaluations[-1]["epoch"] >= here[0]:
                evaluations.pop()
            reports.append((here, values))
        elif kind == "val":
            evaluations.append(values)
    if not reports:
        return None
    metric = evaluations[-1].get("metric", "top1") if evaluations else "top1"
    epochs, iterations = np.array([here for here, _ in reports]).T
    reports, per_epoch = [values for _, values in reports], max(int(iterations.max()), 1)
    randoms = sorted({name for values in reports for name in values if name.startswith("loss_random")})
    losses = {name: _column(reports, f"loss_{name}") for name in ("full", "smallest")}
    losses["random"] = (
        np.mean([_column(reports, name) for name in randoms], axis=0) if randoms else _column(reports, "")
    )
    return TrainingLog(
        epoch=epochs - 1 + iterations / per_epoch,
        losses={name: values for name, values in losses.items() if not np.isnan(values).all()},
        lr=_column(reports, "lr"),
        top1=_column(reports, "top1"),
        metric=metric,
        evaluations=np.column_stack([_column(evaluations, "epoch"), _column(evaluations, metric)]),
        per_epoch=per_epoch,
        damaged=damaged,
    )


def _check_numbers(values: dict) -> None:
    """ValueError where what is drawn is no number, or one that no run reaches."""
    metric = values.get("metric", "top1")
    if not isinstance(metric, str):
        raise ValueError("the metric is no text")
    drawn = {"epoch", "iteration", "lr", "top1", metric, *(name for name in values if name.startswith("loss_"))}
    for value in (values.get(name) for name in drawn):
        if value is not None and not (isinstance(value, int | float) and (value != value or abs(value) < _MOST)):
            raise ValueError("a value is no number, or one beyond reach")
    if not min(values["epoch"], values.get("iteration", 0)) >= 0:
        raise ValueError("the epoch is below 0")


def _column(rows: list[dict], name: str) -> np.ndarray:
    """float64 (len(rows)); null and absent values are nan."""
    values = [row.get(name) for row in rows]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
