"""Which classes a network knows: accuracy per class at a few configurations, and what full takes for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from mutualnet3d.configuration import Configuration
from mutualnet3d.visualization.drawing import new_figure, plain
from mutualnet3d.visualization.run_folder import TestScores

MOST_DRAWN = 60  # classes of a heat map
MOST_COUNTED = 15  # classes up to which the cells hold their counts


@dataclass(frozen=True)
class ClassRow:
    """One class: how many test videos, and the per cent of them that each configuration got right (None: no videos)."""

    label: int
    name: str
    videos: int
    accuracies: tuple[float | None, ...]


def class_rows(
    scores: TestScores, configurations: Sequence[Configuration], names: Sequence[str]
) -> tuple[ClassRow, ...]:
    """One row a class, in the order of the labels."""
    right = scores.predictions == scores.labels
    hits = [right[scores.configurations.index(c)] for c in configurations]
    rows = []
    for label, name in enumerate(names):
        of = scores.labels == label
        videos = int(of.sum())
        accuracies = tuple(100.0 * float(hit[of].mean()) if videos else None for hit in hits)
        rows.append(ClassRow(label, name, videos, accuracies))
    return tuple(rows)


def confusion(scores: TestScores, configuration: Configuration) -> np.ndarray:
    """int64 (K, K): videos of class i that were taken for class j."""
    classes = scores.classes
    pairs = scores.labels * classes + scores.predictions[scores.configurations.index(configuration)]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def top_confusions(counts: np.ndarray, most: int) -> list[tuple[int, int, int]]:
    """(true class, predicted class, videos) of the most frequent mistakes, most first."""
    wrong = counts * (1 - np.eye(len(counts), dtype=counts.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(index), len(counts)) for index in order]
    return [(true, predicted, int(wrong[true, predicted])) for true, predicted in pairs if wrong[true, predicted]]


def draw_confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """A heat map: rows are the true classes, each scaled to its number of videos."""
    classes = len(counts)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.0 + 0.27 * max(classes, 4) if classes <= MOST_COUNTED else 7.4
    figure = new_figure(side + 0.9, side)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    image = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
    font = {"fontsize": min(8.0, 330 / classes)}
    shown = [plain(name, 22) for name in names]
    turned = {"rotation": 45, "ha": "right"} if classes <= MOST_COUNTED else {"rotation": 90}
    axes.set_xticks(range(classes), shown, **turned, **font)
    axes.set_yticks(range(classes), shown, **font)
    axes.set_xlabel("predicted", fontsize=9)
    axes.set_ylabel("true", fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if classes <= MOST_COUNTED:
        for (i, j), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[i, j] > 0.55 else "#333333"
                axes.text(j, i, str(count), ha="center", va="center", fontsize=8, color=colour)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0)
    bar.set_label("% of the true class", fontsize=8)
    return figure
