"""The scores of videos at configurations, as a value and as a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import ConfigurationError, DataError
from mutualnet3d.evaluation.accuracy import Accuracy, topk_accuracy
from mutualnet3d.files import atomic_write


@dataclass(frozen=True)
class GridResult:
    """Scores at every configuration: a row for each video, or, for detection, for each box of a key frame.

    Attributes:
        configurations: in the order that they were asked for.
        scores: float32 (configurations, rows, K), ensembled over the views of a video.
        labels: int64 (rows,), or float32 (rows, K) with several labels; (rows, 0) for boxes, whose truth is a file.
        indices: int64 (rows,), positions in the list, ascending.
        missing: (path, reason) of the videos that could not be read; they have no scores.
        paths: of the videos that have scores, one a row; of key frames ``video,second``.
        missing_indices: positions in the list of the missing ones.
        boxes: float64 (rows, 4), x1, y1, x2, y2 in fractions of the frame; None where there are none.
    """

    configurations: tuple[Configuration, ...]
    scores: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor
    missing: tuple[tuple[str, str], ...] = ()
    paths: tuple[str, ...] = ()
    missing_indices: tuple[int, ...] = ()
    boxes: torch.Tensor | None = None

    def accuracies(self) -> dict[Configuration, Accuracy]:
        """Top-1 and top-5 of each configuration, where a video has one label."""
        return {
            configuration: Accuracy(
                topk_accuracy(scores, self.labels, 1),
                topk_accuracy(scores, self.labels, 5),
                len(self.labels),
                len(self.missing),
            )
            for configuration, scores in zip(self.configurations, self.scores, strict=True)
        }

    def scores_at(self, configuration: Configuration) -> torch.Tensor:
        """Scores (videos, K) of one configuration; ConfigurationError if it was not evaluated."""
        if configuration not in self.configurations:
            raise ConfigurationError(
                f"{configuration} was not evaluated; there are {', '.join(map(str, self.configurations))}"
            )
        return self.scores[self.configurations.index(configuration)]


def join_results(results: Iterable[GridResult], configurations: Sequence[Configuration]) -> GridResult:
    """One result of ``configurations`` from pieces, each of other videos, other configurations, or both.

    A video counts as missing if it is in any of the pieces.
    """
    results = list(results)
    reasons = {i: m for r in results for i, m in zip(r.missing_indices, r.missing, strict=True)}
    missing = torch.tensor(sorted(reasons), dtype=torch.int64)
    parts = {c: [r for r in results if c in r.configurations] for c in configurations}
    orders = {c: _order([r.indices for r in parts[c]], missing) for c in configurations}
    some, order = parts[configurations[0]], orders[configurations[0]]
    paths = [path for r in some for path in r.paths]
    return GridResult(
        configurations=tuple(configurations),
        scores=torch.stack([torch.cat([r.scores_at(c) for r in parts[c]])[orders[c]] for c in configurations]),
        labels=torch.cat([r.labels for r in some])[order],
        indices=torch.cat([r.indices for r in some])[order],
        missing=tuple(reasons[i] for i in sorted(reasons)),
        paths=tuple(paths[row] for row in order.tolist()),
        missing_indices=tuple(sorted(reasons)),
        boxes=None if some[0].boxes is None else torch.cat([r.boxes for r in some])[order],
    )


def _order(indices: list[torch.Tensor], missing: torch.Tensor) -> torch.Tensor:
    """Which rows of the pieces to take: those of ``missing`` videos not, the others by position in the list."""
    joined = torch.cat(indices)
    return joined.argsort(stable=True)[~torch.isin(joined.sort().values, missing)]


def _check_arrays(result: GridResult) -> None:
    """ValueError where arrays of a file do not belong to one result."""
    rows, expected = len(result.indices), (len(result.configurations), len(result.indices))
    fit = result.scores.ndim == 3 and result.scores.shape[:2] == expected and result.scores.is_floating_point()
    fit = fit and result.indices.ndim == 1 and result.indices.dtype == torch.int64 and len(result.labels) == rows
    fit = fit and len(result.paths) == rows and len(result.missing_indices) == len(result.missing)
    if not fit or (result.boxes is not None and result.boxes.shape != (rows, 4)):
        raise ValueError("its arrays do not fit each other")
    labels, classes = result.labels, result.scores.shape[2]
    if labels.ndim == 1:
        known = labels.dtype == torch.int64 and bool(((labels >= 0) & (labels < classes)).all())
    else:  # several labels, or boxes, which have none
        known = labels.ndim == 2 and labels.is_floating_point() and labels.shape[1] in (0, classes)
    if not known:
        raise ValueError(f"its labels are not of its {classes} classes")


def save_scores(path: str | os.PathLike, result: GridResult, **facts) -> None:
    """Write a result as ``.npz``, atomically; ``facts`` are plain values kept beside it: views, ensemble, ..."""
    with atomic_write(path) as file:
        np.savez(
            file,
            configurations=np.array([str(c) for c in result.configurations], dtype=np.str_),
            scores=result.scores.numpy(),
            labels=result.labels.numpy(),
            indices=result.indices.numpy(),
            **({} if result.boxes is None else {"boxes": result.boxes.numpy()}),
            paths=np.array(result.paths, dtype=np.str_),
            missing_indices=np.array(result.missing_indices, dtype=np.int64),
            missing_paths=np.array([path for path, _ in result.missing], dtype=np.str_),
            missing_reasons=np.array([reason for _, reason in result.missing], dtype=np.str_),
            facts=np.array(json.dumps(facts)),
        )


def load_scores(path: str | os.PathLike) -> GridResult:
    """The result of a ``test_scores.npz``: its ``accuracies()`` are those of the run.

    Raises:
        DataError: the file is missing, damaged, or not of this package.
    """
    return read_scores(path)[0]


def read_scores(path: str | os.PathLike) -> tuple[GridResult, dict]:
    """As :func:`load_scores`, with the facts that were kept beside the scores."""
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
            if any(member.compress_type for member in file.zip.infolist()):  # could unpack to any size
                raise ValueError("its arrays are compressed, which no file of this package is")
            values = {name: file[name] for name in file.files}
        missing = zip(values["missing_paths"].tolist(), values["missing_reasons"].tolist(), strict=True)
        result = GridResult(
            configurations=tuple(Configuration.parse(text) for text in values["configurations"].tolist()),
            scores=torch.from_numpy(values["scores"]),
            labels=torch.from_numpy(values["labels"]),
            indices=torch.from_numpy(values["indices"]),
            missing=tuple(missing),
            paths=tuple(values["paths"].tolist()),
            missing_indices=tuple(values["missing_indices"].tolist()),
            boxes=torch.from_numpy(values["boxes"]) if "boxes" in values else None,
        )
        facts = json.loads(str(values["facts"]))
        _check_arrays(result)
        if not isinstance(facts, dict) or not all(
            isinstance(facts.get(n, {}), dict) for n in ("fingerprint", "statistics")
        ):
            raise ValueError("its facts are no object")
        return result, facts
    except Exception as error:  # a damaged archive fails in many ways: BadZipFile, ValueError, EOFError, KeyError, ...
        raise DataError(f"{path}: cannot be read as scores of mutualnet3d ({type(error).__name__}: {error})") from error
