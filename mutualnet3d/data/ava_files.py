"""The files of AVA: boxes with actions, detections, label maps, excluded key frames.

No csv has a header. A key frame is a video and a whole second; a box is x1,y1,x2,y2 in fractions of the frame, from its
top left corner. Blank lines are skipped, names may hold commas within quotes, and rows that repeat are kept, as the
official evaluation keeps them.
"""

from __future__ import annotations

import contextlib
import csv
import math
import os
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TextIO

import numpy as np

from mutualnet3d.data.pbtxt import blocks
from mutualnet3d.errors import DataError

NO_ACTION, NO_PERSON = 0, -1
FARTHEST = 2.0  # a detector's box may leave the frame a little; one farther out is in pixels


class KeyFrame(NamedTuple):
    """One second of a video; equal to the plain pair (video, second)."""

    video: str
    second: int


@dataclass(frozen=True, eq=False)
class AvaBoxes:
    """Rows of a file, one for every box and action; a box with three actions is three rows.

    Attributes:
        frames: distinct key frames in the order that the file names them first, also those without a row here.
        frame: int64 (N,), position in ``frames``.
        boxes: float64 (N, 4), x1, y1, x2, y2 in fractions of the frame.
        actions: int64 (N,), ids of a label map, from 1; 0 where the file names none.
        scores: float64 (N,); 1 in ground truth.
        persons: int64 (N,), person ids of AVA v2.2; -1 where the file names none.
    """

    frames: tuple[KeyFrame, ...]
    frame: np.ndarray
    boxes: np.ndarray
    actions: np.ndarray
    scores: np.ndarray
    persons: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    def at(self, rows: np.ndarray) -> AvaBoxes:
        """The rows at these positions; the key frames stay."""
        columns = (self.frame, self.boxes, self.actions, self.scores, self.persons)
        return AvaBoxes(self.frames, *(column[rows] for column in columns))


def read_ground_truth(path: str | os.PathLike) -> AvaBoxes:
    """Read video,second,x1,y1,x2,y2,action (AVA v2.1) with, in v2.2, a person id after it.

    A row of video,second alone, or with all else empty, is a key frame without boxes; an empty action is a person
    without actions. Boxes without area are kept: the official evaluation counts them, and no detection matches them.

    Raises:
        DataError: naming file and line: a column too many or missing, no number, a box that leaves [0, 1] or whose
            corners are swapped, a negative or fractional second, an action below 1; or the file cannot be read.
    """
    rows = _Rows()
    for where, row in _csv_rows(path):
        if len(row) not in (2, 7, 8):
            raise DataError(
                f"{where}: {len(row)} columns; ground truth has video,second,x1,y1,x2,y2,action and, in v2.2, person"
            )
        frame = rows.frame(row, where)
        if not any(row[2:]):
            continue
        box = _box(row[2:6], where, 0.0, 1.0)
        if box[0] > box[2] or box[1] > box[3]:
            raise DataError(f"{where}: the box {','.join(row[2:6])} is not x1,y1,x2,y2 with x1 <= x2 and y1 <= y2")
        action = _action(row[6], where)
        person = _whole(row[7], "person id", where, 0) if len(row) == 8 and row[7] else NO_PERSON
        rows.add(frame, box, action, 1.0, person)
    return rows.finish()


def read_detections(path: str | os.PathLike) -> AvaBoxes:
    """Read video,second,x1,y1,x2,y2,action,score: results to be evaluated, or with an empty action a detector's boxes.

    Boxes without area or with swapped corners are kept, for the official evaluation gives them a meaning of their own
    (it drops them, but they count towards its limit per key frame).

    Raises:
        DataError: as ``read_ground_truth``; a box may leave the frame, but not by more than its size.
    """
    rows = _Rows()
    for where, row in _csv_rows(path):
        if len(row) != 8:
            raise DataError(f"{where}: {len(row)} columns; detections have video,second,x1,y1,x2,y2,action,score")
        frame = rows.frame(row, where)
        box = _box(row[2:6], where, 1.0 - FARTHEST, FARTHEST)
        action = _action(row[6], where)
        rows.add(frame, box, action, _number(row[7], "score", where), NO_PERSON)
    return rows.finish()


def _action(text: str, where: str) -> int:
    if text in ("", "-1"):  # -1: PySlowFast's own word for none
        return NO_ACTION
    return _whole(text, "action id", where, 1)


def read_exclusions(path: str | os.PathLike) -> frozenset[KeyFrame]:
    """Read video,second: key frames that the evaluation leaves out. An empty file excludes none.

    Raises:
        DataError: naming file and line, of a malformed row; or the file cannot be read.
    """
    rows = _Rows()
    for where, row in _csv_rows(path):
        if len(row) != 2:
            raise DataError(f"{where}: {len(row)} columns; a list of excluded key frames has video,second")
        rows.frame(row, where)
    return frozenset(rows.finish().frames)


def read_label_map(path: str | os.PathLike) -> dict[int, str]:
    """Read {id: name} from protocol-buffer text: blocks of ``name`` and ``id`` or ``label_id``, laid out in any way.

    Other fields of a block, such as ``label_type``, and comments are skipped.

    Raises:
        DataError: naming file and line: no such text, a block without name or id, an id below 1, an id or a name twice;
            or the file holds no block, or cannot be read.
    """
    labels: dict[int, str] = {}
    names: set[str] = set()
    with _open(path) as file:
        text = file.read()
    for where, fields in blocks(text, path):
        number = fields.get("id", fields.get("label_id"))
        name = fields.get("name")
        if number is None or name is None or name[:1] not in ("'", '"'):
            raise DataError(f'{where}: this entry needs a name in quotes and an id, for example: name: "walk" id: 12')
        label = _whole(number, "id", where, 1)
        name = re.sub(r"""\\(["'\\])""", r"\1", name[1:-1])
        if label in labels or name in names:
            raise DataError(f"{where}: id {label} or name {name!r} is there twice; each must be there once")
        labels[label] = name
        names.add(name)
    if not labels:
        raise DataError(f'{path}: no entry found; a label map has entries like item {{ name: "walk" id: 12 }}')
    return labels


class _Rows:
    """Rows while a file is read."""

    def __init__(self) -> None:
        self._frames: dict[KeyFrame, int] = {}
        self._written: dict[tuple[str, str], int] = {}  # key frames as the file writes them, each parsed once
        self._boxes, self._scores = array("d"), array("d")
        self._frame, self._actions, self._persons = array("q"), array("q"), array("q")

    def frame(self, row: list[str], where: str) -> int:
        written = (row[0], row[1])
        if written not in self._written:
            if not row[0]:
                raise DataError(f"{where}: there is no video before the first comma")
            key = KeyFrame(row[0], _whole(row[1], "second", where, 0))
            self._written[written] = self._frames.setdefault(key, len(self._frames))
        return self._written[written]

    def add(self, frame: int, box: list[float], action: int, score: float, person: int) -> None:
        self._frame.append(frame)
        self._boxes.extend(box)
        self._actions.append(action)
        self._scores.append(score)
        self._persons.append(person)

    def finish(self) -> AvaBoxes:
        return AvaBoxes(
            tuple(self._frames),
            np.array(self._frame),
            np.array(self._boxes).reshape(-1, 4),
            np.array(self._actions),
            np.array(self._scores),
            np.array(self._persons),
        )


@contextlib.contextmanager
def _open(path: str | os.PathLike) -> Iterator[TextIO]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text ({error.reason}); save it as UTF-8") from error


def _csv_rows(path: str | os.PathLike) -> Iterator[tuple[str, list[str]]]:
    """("file:line", columns without blanks around them) of every row that is not blank."""
    with _open(path) as file:
        reader = csv.reader(file, strict=True)
        try:
            for row in reader:
                row = [column.strip() for column in row]
                if row not in ([], [""]):
                    yield f"{path}:{reader.line_num}", row
        except csv.Error as error:
            raise DataError(f"{path}:{reader.line_num}: is not csv: {error}") from error


def _number(text: str, what: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {what} {text!r} is not a number")
    return value


def _whole(text: str, what: str, where: str, least: int) -> int:
    value = int(text) if text.isdecimal() and len(text) < 20 else _number(text, what, where)
    if value != int(value) or not least <= value < 2**31:
        raise DataError(f"{where}: {what} {text!r} is not a whole number of at least {least} and below 2^31")
    return int(value)


def _box(columns: list[str], where: str, low: float, high: float) -> list[float]:
    try:
        box = [float(text) for text in columns]
    except ValueError:
        box = [_number(text, "coordinate", where) for text in columns]  # raises
    x1, y1, x2, y2 = box
    if not (low <= x1 <= high and low <= y1 <= high and low <= x2 <= high and low <= y2 <= high):
        raise DataError(
            f"{where}: the box {','.join(columns)} leaves {low:g}..{high:g}; coordinates are fractions of the "
            "frame, so divide pixels by its width and height"
        )
    return box
