"""Boxes of what is to be found in the frames of videos or in images, one or more a frame, from a csv file."""

from __future__ import annotations

import csv
import math
import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePath

import numpy as np

from mutualnet3d.errors import DataError

_BOX = ("x1", "y1", "x2", "y2", "width", "height")
COLUMNS, IMAGE_COLUMNS = ("video", "frame", *_BOX), ("image", *_BOX)
Boxes = Mapping[int, np.ndarray]


class FrameBoxes:
    """Boxes by video and frame; float64 (R, 4), x1, y1, x2, y2 in fractions of the frame.

    Args:
        path: a csv file with a header and the columns video, frame, x1, y1, x2, y2, width, height, in any order; others
            are not read. A video is named by its path, with or without the suffix, or the last parts of it; frames
            count from 0; boxes are in pixels of a frame of width x height, edges, so that 0 and width are its own.
        images: the file names images: its column image takes the place of video and frame; all boxes are of frame 0.

    Raises:
        DataError: naming file and line.
    """

    def __init__(self, path: str | os.PathLike, images: bool = False):
        self.path, columns = path, IMAGE_COLUMNS if images else COLUMNS
        rows: dict[str, dict[int, list]] = defaultdict(lambda: defaultdict(list))
        try:
            with open(path, newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file, strict=True)
                missing = [name for name in columns if name not in (reader.fieldnames or ())]
                if missing:
                    raise DataError(
                        f"{path}:1: the header has no {', '.join(missing)}; it must name {','.join(columns)}"
                    )
                for row in reader:
                    video, frame, box = _parse(row, columns[0], f"{path}:{reader.line_num}")
                    rows[video][frame].append(box)
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path}: is no csv file in UTF-8: {error}") from error
        if not rows:
            raise DataError(f"{path}: holds no box; write one a line below the header")
        self._videos = {video: {n: np.array(b) for n, b in frames.items()} for video, frames in rows.items()}

    def __len__(self) -> int:
        return len(self._videos)

    def of(self, video: str | os.PathLike) -> Boxes:
        """Frame number -> boxes of the video or image file ``video``; empty where the file names no such video."""
        path = PurePath(video)
        for start in range(len(path.parts)):  # the longest name first
            for name in (path, path.with_suffix("")):
                found = self._videos.get("/".join(name.parts[start:]))
                if found is not None:
                    return found
        return {}


def _parse(row: dict, kind: str, where: str) -> tuple[str, int, list[float]]:
    try:
        frame = 0 if kind == "image" else int(row["frame"])
        x1, y1, x2, y2, width, height = (float(row[name]) for name in _BOX)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {error}; write a whole number for frame, and numbers for the box") from None
    if not row[kind] or frame < 0:
        raise DataError(f"{where}: {kind} {row[kind]!r}, frame {frame}: name one, and a frame from 0 on")
    inside = 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height and math.isfinite(width) and math.isfinite(height)
    if not inside:
        raise DataError(
            f"{where}: box {x1:g}, {y1:g}, {x2:g}, {y2:g} must have x1 < x2 and y1 < y2 within {width:g} x {height:g}"
        )
    return row[kind], frame, [x1 / width, y1 / height, x2 / width, y2 / height]
