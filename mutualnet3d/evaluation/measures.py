"""What scores are worth: top-1 where a video has one label, mAP where it has several or where people are in boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mutualnet3d.configuration import Configuration
from mutualnet3d.data.ava_files import KeyFrame, read_exclusions, read_ground_truth, read_label_map
from mutualnet3d.data.ava_list import evaluation_files, seconds_apart
from mutualnet3d.evaluation.ava_map import ava_map, scored_boxes
from mutualnet3d.evaluation.charades_map import charades_map, macro_map
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
        c: Measure("top1", found.top1, {"top1": found.top1, "top5": found.top5}, str(found))
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
    files = evaluation_files(cfg)
    truth, labels = read_ground_truth(files.ground_truth), read_label_map(files.label_map)
    excluded = read_exclusions(files.exclusions) if files.exclusions else frozenset()
    excluded |= {frame for frame in truth.frames if frame.second % seconds_apart(cfg, split)}
    frames, found = key_frames(result), {}
    for configuration, scores in zip(result.configurations, result.scores.numpy(), strict=True):
        official = ava_map(truth, scored_boxes(frames, result.boxes.numpy(), scores), labels, excluded)
        found[configuration] = Measure(
            "map", official.map, {"map": official.map}, str(official), dict(official.per_class)
        )
    return found


def key_frames(result: GridResult) -> list[KeyFrame]:
    """The key frame of every row of a detection result."""
    split: list[Any] = [path.rpartition(",") for path in result.paths]
    return [KeyFrame(video, int(second)) for video, _, second in split]
