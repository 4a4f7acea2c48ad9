"""mAP at IoU 0.5 of AVA, by the rules of the official evaluation (ActivityNet's get_ava_performance.py).

In a key frame at most 50 detections count, those of the highest scores. Within one key frame and class, detections from
the highest score down claim the ground-truth box that they overlap most, if the IoU is at least 0.5 and no earlier one
claimed it; all others are false, also those in key frames without ground truth. AP is the area under the precision
envelope, over all points; mAP the mean over the classes that have ground truth. Actions outside the label map, and
excluded key frames, count in neither file.

Equal scores keep the order of the file while boxes are claimed, and the later one ranks first in the AP. The official
result depends there on the processor (numpy's unstable sort) and on the layout of a heap. PySlowFast's copy has no
limit, and lets the detections of a key frame claim boxes in the order of its rows: ``limit=None`` gives its figure
where no two detections of a class compete for a box, or the rows come by falling score.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mutualnet3d.data.ava_files import NO_ACTION, NO_PERSON, AvaBoxes, KeyFrame
from mutualnet3d.errors import DataError

OFFICIAL_LIMIT = 50
MATCHING_IOU = 0.5


@dataclass(frozen=True)
class DetectionAccuracy:
    """AVA's mAP at IoU 0.5 and what it was computed from.

    Attributes:
        map: per cent, mean over the classes that have ground truth.
        per_class: AP in per cent by name, in the order of the label map; nan for a class without ground truth.
        truths: ground-truth boxes times actions.
        detections: detections that were ranked.
        key_frames: key frames with ground truth.
        detected_key_frames: those among them with a detection.
    """

    map: float
    per_class: Mapping[str, float]
    truths: int
    detections: int
    key_frames: int
    detected_key_frames: int

    def __str__(self) -> str:
        seen = sum(ap == ap for ap in self.per_class.values())
        return (
            f"mAP {self.map:.2f} % over {seen} of {len(self.per_class)} classes, {self.truths} boxes on "
            f"{self.key_frames} key frames ({self.detected_key_frames} with detections)"
        )


def ava_map(
    truth: AvaBoxes,
    detections: AvaBoxes,
    labels: Mapping[int, str],
    excluded: Collection[KeyFrame] = frozenset(),
    limit: int | None = OFFICIAL_LIMIT,
) -> DetectionAccuracy:
    """Evaluate ``detections`` against ``truth``.

    Args:
        truth: ground truth of every key frame that the detections are of.
        detections: with an action each; a score of nan ranks last, a box without area or with swapped corners is
            dropped after the limit was applied, as the official evaluation does it.
        labels: {action id: name} of the classes to evaluate.
        excluded: key frames to leave out.
        limit: detections that count in a key frame, of all classes together; None: all.

    Raises:
        DataError: no ground truth is left to evaluate, or a detection names no action.
    """
    if (detections.actions == NO_ACTION).any():
        raise DataError(
            f"{(detections.actions == NO_ACTION).sum()} of {len(detections)} detections name no action; these are a "
            "detector's boxes, and the evaluation needs the network's scores: one row for each box and action"
        )
    numbers: dict[KeyFrame, int] = {}
    truth_frame = _number_frames(truth, numbers)
    frame = _number_frames(detections, numbers)
    classes = np.array(sorted(labels), np.int64)
    left_out = np.array([numbers[key] for key in excluded if key in numbers], np.int64)

    kept = np.isin(truth.actions, classes) & ~np.isin(truth_frame, left_out)
    truth_frame, truth_actions, truth_boxes = truth_frame[kept], truth.actions[kept], truth.boxes[kept]
    if len(truth_frame) == 0:
        raise DataError(
            f"no ground truth is left of {len(truth)} rows: none has an action of the label map in a key frame that is "
            "not excluded; do the files belong together?"
        )

    rows = np.flatnonzero(np.isin(detections.actions, classes) & ~np.isin(frame, left_out))
    scores = np.where(np.isnan(detections.scores), -np.inf, detections.scores)
    rows = _by_key_frame_and_score(rows, frame, scores, limit)
    boxes = detections.boxes[rows]
    rows = rows[(boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])]
    frame, actions, scores, boxes = frame[rows], detections.actions[rows], scores[rows], detections.boxes[rows]

    stride = int(classes[-1]) + 1
    hits = _match(frame * stride + actions, boxes, truth_frame * stride + truth_actions, truth_boxes)
    order = np.lexsort((-np.arange(len(rows)), -scores, actions))  # of equal scores the later one first
    actions, hits = actions[order], hits[order]
    per_class = {
        name: 100.0 * _average_precision(hits[_run(actions, label)], np.count_nonzero(truth_actions == label))
        for label, name in labels.items()
    }
    return DetectionAccuracy(
        map=float(np.nanmean(list(per_class.values()))),
        per_class=per_class,
        truths=len(truth_frame),
        detections=len(rows),
        key_frames=len(np.unique(truth_frame)),
        detected_key_frames=len(np.intersect1d(truth_frame, frame)),
    )


def scored_boxes(frames: Sequence[KeyFrame], boxes: np.ndarray, scores: np.ndarray) -> AvaBoxes:
    """Detections of a network that scores every action of every box: a row for each, action k + 1 in column k.

    Args:
        frames: key frame of each of R boxes.
        boxes: (R, 4), x1, y1, x2, y2 in fractions of the frame.
        scores: (R, K).
    """
    count, actions = scores.shape
    numbers: dict[KeyFrame, int] = {}
    frame = [numbers.setdefault(KeyFrame(*key), len(numbers)) for key in frames]
    return AvaBoxes(
        tuple(numbers),
        np.repeat(np.array(frame, np.int64), actions),
        np.repeat(np.asarray(boxes, np.float64).reshape(count, 4), actions, axis=0),
        np.tile(np.arange(1, actions + 1), count),
        np.asarray(scores, np.float64).reshape(-1),
        np.full(count * actions, NO_PERSON),
    )


def counted(detections: AvaBoxes, labels: Collection[int], limit: int = OFFICIAL_LIMIT) -> AvaBoxes:
    """The rows that :func:`ava_map` ranks with these labels and this limit, in their order."""
    rows = np.flatnonzero(np.isin(detections.actions, list(labels)))
    scores = np.where(np.isnan(detections.scores), -np.inf, detections.scores)
    return detections.at(np.sort(_by_key_frame_and_score(rows, detections.frame, scores, limit)))


def _number_frames(rows: AvaBoxes, numbers: dict[KeyFrame, int]) -> np.ndarray:
    """(N,) number of each row's key frame, the same for all files that share ``numbers``, which is filled in."""
    own = np.array([numbers.setdefault(key, len(numbers)) for key in rows.frames], np.int64)
    return own[rows.frame]


def _by_key_frame_and_score(rows: np.ndarray, frame: np.ndarray, scores: np.ndarray, limit: int | None) -> np.ndarray:
    """``rows`` by key frames as they first occur, within each by falling score; the first ``limit`` of each."""
    _, first, inverse = np.unique(frame[rows], return_index=True, return_inverse=True)
    occurs = first[inverse]
    order = np.lexsort((-scores[rows], occurs))
    if limit is not None:
        occurs = occurs[order]
        order = order[np.arange(len(order)) - np.searchsorted(occurs, occurs) < limit]
    return rows[order]


def _match(groups: np.ndarray, boxes: np.ndarray, truth_groups: np.ndarray, truth_boxes: np.ndarray) -> np.ndarray:
    """bool (D,), which detections claim a box; a group is a key frame and class, of which one claims a box."""
    order = np.argsort(truth_groups, kind="stable")
    start = np.searchsorted(truth_groups[order], groups)
    counts = np.searchsorted(truth_groups[order], groups, side="right") - start
    pair_detection = np.repeat(np.arange(len(groups)), counts)
    within = np.arange(len(pair_detection)) - np.repeat(np.cumsum(counts) - counts, counts)
    pair_truth = order[start[pair_detection] + within]
    overlap = _iou(boxes[pair_detection], truth_boxes[pair_truth])

    best = np.lexsort((pair_truth, -overlap, pair_detection))  # of equal overlaps the first box in the file
    _, first = np.unique(pair_detection[best], return_index=True)
    best = best[first]
    best = best[overlap[best] >= MATCHING_IOU]
    _, first = np.unique(pair_truth[best], return_index=True)
    hits = np.zeros(len(groups), bool)
    hits[pair_detection[best[first]]] = True
    return hits


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(P,) intersection over union of boxes (P, 4) with their partners (P, 4), those of ``a`` not empty."""
    sides = np.maximum(0.0, np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]))
    shared = sides[:, 0] * sides[:, 1]
    area_a, area_b = ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (a, b))
    return shared / (area_a + area_b - shared)


def _run(sorted_values: np.ndarray, value: int) -> slice:
    return slice(np.searchsorted(sorted_values, value), np.searchsorted(sorted_values, value, side="right"))


def _average_precision(hits: np.ndarray, truths: int) -> float:
    """Area under the precision envelope of ``hits`` (D,), bool, by falling score; nan without truths."""
    if truths == 0:
        return float("nan")
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / truths)
