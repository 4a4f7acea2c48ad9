"""Detections of a run as rows, and as a csv in the format of AVA's official evaluation."""

from __future__ import annotations

import csv
import io
import os

from mutualnet3d.configuration import Configuration
from mutualnet3d.data.ava_files import NO_ACTION, AvaBoxes, KeyFrame, read_label_map
from mutualnet3d.data.ava_list import evaluation_files
from mutualnet3d.evaluation.ava_map import counted, scored_boxes
from mutualnet3d.evaluation.result import GridResult
from mutualnet3d.files import atomic_write


def detections(result: GridResult, configuration: Configuration) -> AvaBoxes:
    """A row for each box and action of a detection result."""
    parts = (path.rpartition(",") for path in result.paths)
    frames = [KeyFrame(video, int(second)) for video, _, second in parts]
    return scored_boxes(frames, result.boxes.numpy(), result.scores_at(configuration).numpy())


def official_detections(result: GridResult, configuration: Configuration, cfg) -> AvaBoxes:
    """Those of :func:`detections` that AVA's evaluation counts: actions of AVA.LABEL_MAP_FILE, and of a key frame the
    50 with the highest scores."""
    return counted(detections(result, configuration), read_label_map(evaluation_files(cfg).label_map))


def write_detections(path: str | os.PathLike, rows: AvaBoxes) -> None:
    """Write ``video,second,x1,y1,x2,y2,action,score``, atomically; read back, every number is the same.

    Boxes are fractions of the frame; the second has at least four digits, as the official files write it.
    """
    columns = (rows.frame, rows.boxes, rows.actions, rows.scores)
    with atomic_write(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        for frame, box, action, score in zip(*(column.tolist() for column in columns), strict=True):
            video, second = rows.frames[frame]
            writer.writerow([video, f"{second:04d}", *box, "" if action == NO_ACTION else action, score])
        text.detach()
