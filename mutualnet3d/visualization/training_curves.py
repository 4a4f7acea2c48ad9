"""How training went: losses, accuracy and learning rate over the epochs."""

from __future__ import annotations

import warnings

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mutualnet3d.visualization.drawing import COLOURS, new_figure, tidy
from mutualnet3d.visualization.points import metric_label
from mutualnet3d.visualization.training_log import TrainingLog

SIZE_INCHES = (8.0, 5.2)
MOST_POINTS = 300  # of a curve; more are averaged in groups of neighbours
COLOUR = {"full": COLOURS[0], "smallest": COLOURS[1], "random": COLOURS[2]}
LABEL = {"smallest": "smallest", "random": "random (mean)"}


def draw_training(log: TrainingLog) -> Figure:
    """Four panels: the loss that learns the labels (of full, with most methods), the sub-networks' losses, accuracy,
    learning rate."""
    figure = new_figure(*SIZE_INCHES)
    (full, taught), (accuracy, rate) = figure.subplots(2, 2, sharex=True)
    figure.subplots_adjust(left=0.075, right=0.985, top=0.94, bottom=0.1, wspace=0.17, hspace=0.24)
    epoch, style = _thin(log.epoch), {"linewidth": 1.5, "marker": "o" if len(log.epoch) < 2 else ""}
    full.plot(epoch, _thin(log.losses.get("full", np.full_like(log.epoch, np.nan))), color=COLOUR["full"], **style)
    full.set_title("loss against the labels", fontsize=9, loc="left")
    learners = [name for name in LABEL if name in log.losses]
    for name in learners:
        taught.plot(epoch, _thin(log.losses[name]), color=COLOUR[name], label=LABEL[name], **style)
    title = "losses of sub-networks" if learners else "no sub-networks were trained"
    taught.set_title(title, fontsize=9, loc="left")
    if not np.isnan(log.top1).all():
        accuracy.plot(epoch, _thin(log.top1), color=COLOUR["full"], alpha=0.45, label="training clips", **style)
    if len(log.evaluations):
        done, top1 = log.evaluations.T
        accuracy.plot(done, top1, "o", ms=5, color=COLOURS[4], mec="white", mew=0.6, label="validation")
    accuracy.set_title(metric_label(log.metric), fontsize=9, loc="left")
    rate.plot(epoch, _thin(log.lr), color=COLOURS[5], **style)
    rate.set_title("learning rate", fontsize=9, loc="left")
    for axes in (full, taught, accuracy, rate):
        tidy(axes)
        axes.tick_params(labelsize=8)
        axes.set_ylim(bottom=0)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7.5, frameon=False, loc="best")
    for axes in (accuracy, rate):
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.set_xlabel(f"epoch ({log.per_epoch} iterations each)", fontsize=8)
    return figure


def _thin(values: np.ndarray) -> np.ndarray:
    """At most ``MOST_POINTS`` values: means of neighbours, of those that are not nan."""
    groups = np.array_split(values, min(len(values), MOST_POINTS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a group of nan alone stays nan
        return np.array([np.nanmean(group) for group in groups])
