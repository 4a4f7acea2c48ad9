"""What scores are worth: top-1 where a video has one label, mAP where it has several or where people are in boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mutualnet3d.architectures import items_name
from mutualnet3d.configuration import Configuration
from mutualnet3d.data import Entries
from mutualnet3d.data.ava_files import AvaBoxes, KeyFrame, read_exclusions, read_ground_truth, read_label_map
from mutualnet3d.data.ava_list import evaluation_files, seconds_apart
from mutualnet3d.errors import ConfigError, DataError
from mutualnet3d.evaluation.ava_map import ava_map, scored_boxes
from mutualnet3d.evaluation.charades_map import charades_map, macro_map
from mutualnet3d.evaluation.detections_file import detections
from mutualnet3d.evaluation.result import GridResult


@dataclass(frozen=True)
class Measure:
    """One configuration's accuracy.

    Attributes:
        metric: ``top1`` or ``map``.
        accuracy: per cent, of the metric.
        values: numbers that go into files, per cent, ``metric`` among them.
        text: one line for people.
        per_class: per cent by class where the metric is a mean over classes; nan for classes without truth.
    """

    metric: str
    accuracy: float
    values: dict[str, float]
    text: str
    per_class: dict[str, float] = field(default_factory=dict)

    @property
    def top5(self) -> float | None:
        """Per cent, where the metric is top-1."""
        return self.values.get("top5")


def measures(result: GridResult, cfg, split: str = "test") -> dict[Configuration, Measure]:
    """The accuracy of every configuration of ``result``.

    DETECTION.ENABLE: AVA's official mAP at IoU 0.5, against AVA.GROUNDTRUTH_FILE. DATA.MULTI_LABEL: mAP by the
    official rule of Charades, and ``macro_map``, scikit-learn's, beside it. Else top-1 and top-5.

    Args:
        result: of the videos, or key frames, of ``split``.
        cfg: the config that they were read by.
        split: "test" or "val": between epochs AVA is evaluated on every fourth second (AVA.FULL_TEST_ON_VAL False).

    Raises:
        DataError: a file of the ground truth is missing or malformed, or no truth is left to compare with.
    """
    if cfg.DETECTION.ENABLE:
        return _detection(result, cfg, split)
    if cfg.DATA.MULTI_LABEL:
        return _several_labels(result)
    return {
        c: Measure("top1", found.top1, {"top1": found.top1, "top5": found.top5}, found.text(items_name(cfg)))
        for c, found in result.accuracies().items()
    }


def _several_labels(result: GridResult) -> dict[Configuration, Measure]:
    found = {}
    for configuration, scores in zip(result.configurations, result.scores, strict=True):
        official = charades_map(scores, result.labels, len(result.missing))
        values = {
            "map": official.map,
            "weighted_map": official.weighted_map,
            "macro_map": macro_map(scores, result.labels).map,
        }
        per_class = {str(number): value for number, value in enumerate(official.per_class)}
        found[configuration] = Measure("map", official.map, values, str(official), per_class)
    return found


def _detection(result: GridResult, cfg, split: str) -> dict[Configuration, Measure]:
    truth, found = _read_truth(cfg, split), {}
    for configuration in result.configurations:
        official = ava_map(truth.boxes, detections(result, configuration), truth.labels, truth.excluded)
        found[configuration] = Measure(
            "map", official.map, {"map": official.map}, str(official), dict(official.per_class)
        )
    return found


class _Truth(NamedTuple):
    """What detections are compared with: boxes, names of the actions that count, key frames that do not."""

    boxes: AvaBoxes
    labels: dict[int, str]
    excluded: frozenset[KeyFrame]


def _read_truth(cfg, split: str) -> _Truth:
    files = evaluation_files(cfg)
    boxes, labels = read_ground_truth(files.ground_truth), read_label_map(files.label_map)
    if max(labels) > cfg.MODEL.NUM_CLASSES:
        raise ConfigError(
            f"{files.label_map}: the action {labels[max(labels)]} has the id {max(labels)}, and MODEL.NUM_CLASSES is "
            f"{cfg.MODEL.NUM_CLASSES}: the network could never find it; set MODEL.NUM_CLASSES to at least {max(labels)}"
        )
    excluded = read_exclusions(files.exclusions) if files.exclusions else frozenset()
    return _Truth(
        boxes, labels, excluded | {frame for frame in boxes.frames if frame.second % seconds_apart(cfg, split)}
    )


def check_truth(entries: Entries, cfg, split: str) -> None:
    """Raise now what :func:`measures` of ``entries``, the list of ``split``, would raise for want of truth: before an
    hour of training, not after it.

    Raises:
        DataError: a file of the ground truth is missing or malformed, or there is no truth to compare with.
        ConfigError: the label map has an action above MODEL.NUM_CLASSES.
    """
    if cfg.DETECTION.ENABLE:
        truth = _read_truth(cfg, split)
        ava_map(truth.boxes, scored_boxes([], np.empty((0, 4)), np.empty((0, 1))), truth.labels, truth.excluded)
    elif cfg.DATA.MULTI_LABEL and not any(entry.label.any() for entry in entries):
        raise DataError(
            f"none of the {len(entries)} {items_name(cfg)} of the {split} list has a label, so mAP is undefined"
        )
