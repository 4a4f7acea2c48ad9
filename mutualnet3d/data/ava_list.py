"""From AVA's annotation files to the key frames of a split."""

import csv
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mutualnet3d.data.ava_files import AvaBoxes, KeyFrame, read_detections, read_exclusions, read_ground_truth
from mutualnet3d.data.ava_table import KeyFrameTable
from mutualnet3d.data.ava_videos import MovieFiles, Movies, find_movies
from mutualnet3d.data.sampling import key_frame_number
from mutualnet3d.errors import DataError, VideoError

_logger = logging.getLogger(__name__)
_VAL_SECONDS = 4  # validation between epochs sees every fourth second


class EvaluationFiles(NamedTuple):
    """Paths of what the mAP of the test list needs; ``exclusions`` is None where AVA.EXCLUSION_FILE is empty."""

    ground_truth: str
    label_map: str
    exclusions: str | None


def evaluation_files(cfg) -> EvaluationFiles:
    """AVA.GROUNDTRUTH_FILE, LABEL_MAP_FILE and EXCLUSION_FILE in AVA.ANNOTATION_DIR."""
    ava = cfg.AVA
    exclusions = _annotation(cfg, ava.EXCLUSION_FILE) if ava.EXCLUSION_FILE else None
    return EvaluationFiles(_annotation(cfg, ava.GROUNDTRUTH_FILE), _annotation(cfg, ava.LABEL_MAP_FILE), exclusions)


def seconds_apart(cfg, split: str) -> int:
    """Key frames whose second it divides are evaluated: 4 for "val" without AVA.FULL_TEST_ON_VAL, else 1."""
    return _VAL_SECONDS if split == "val" and not cfg.AVA.FULL_TEST_ON_VAL else 1


def _annotation(cfg, name: str) -> str:
    return os.path.join(cfg.AVA.ANNOTATION_DIR, name)


def box_lists(cfg, split: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files of ground truth, and of predicted boxes, that ``split`` is read from."""
    training = split == "train"
    truths = cfg.AVA.TRAIN_GT_BOX_LISTS if training else ()
    predicted = cfg.AVA.TRAIN_PREDICT_BOX_LISTS if training else cfg.AVA.TEST_PREDICT_BOX_LISTS
    return tuple(_annotation(cfg, name) for name in truths), tuple(_annotation(cfg, name) for name in predicted)


def read_key_frames(cfg, split: str) -> KeyFrameTable:
    """The key frames of ``split`` that have boxes.

    "train": the boxes of AVA.TRAIN_GT_BOX_LISTS, and those of AVA.TRAIN_PREDICT_BOX_LISTS whose score is at least
    AVA.DETECTION_SCORE_THRESH; boxes that are equal are one box with all their actions, and one without an action has
    no label. "val" and "test": the boxes of AVA.TEST_PREDICT_BOX_LISTS with such a score, without the key frames of
    AVA.EXCLUSION_FILE (empty: none); "val" takes seconds that 4 divides, or with AVA.FULL_TEST_ON_VAL all.

    PySlowFast's recipes list the ground truth also among the predicted boxes, where PySlowFast takes person ids for
    scores. Here a list that is both is read once, in full. Any other predicted list of which every row has an action
    and a whole number in the last column is ground truth too, and all its boxes count.

    Raises:
        ConfigError: see :func:`mutualnet3d.data.ava_videos.find_movies`.
        DataError: naming file and line: a malformed list, an action above MODEL.NUM_CLASSES, a video that is not in the
            frame lists, a key frame outside its video; or no box is left.
    """
    training, threshold = split == "train", cfg.AVA.DETECTION_SCORE_THRESH
    truths, predicted = box_lists(cfg, split)
    files = [_BoxFile.all_of(path, read_ground_truth(path)) for path in truths]
    files += [_read_predicted(path, threshold) for path in predicted if path not in truths]
    if training:
        for file in files:
            file.check_actions(cfg.MODEL.NUM_CLASSES)
    else:
        files = [file.without(_left_out(cfg, split, file.rows.frames)).without_actions() for file in files]
    if not any(file.kept.any() for file in files):
        raise DataError(
            f"{', '.join(truths + predicted) or 'no list of boxes is named'}: no box is left; check the lists and "
            f"AVA.DETECTION_SCORE_THRESH, which is {threshold}"
        )
    movies = find_movies(cfg, cfg.AVA.TRAIN_LISTS if training else cfg.AVA.TEST_LISTS)
    return _check_times(_tabulate(files, movies, cfg), files)


@dataclass(frozen=True)
class _BoxFile:
    """One file of boxes and, as bool (N,), which of its rows count."""

    path: str
    rows: AvaBoxes
    kept: np.ndarray

    @classmethod
    def all_of(cls, path: str, rows: AvaBoxes) -> "_BoxFile":
        return cls(path, rows, np.ones(len(rows), bool))

    def without(self, frames: Iterable[bool]) -> "_BoxFile":
        """Leave out the rows of the key frames that are marked."""
        marked = np.fromiter(frames, bool, len(self.rows.frames))
        return replace(self, kept=self.kept & ~marked[self.rows.frame])

    def without_actions(self) -> "_BoxFile":
        return replace(self, rows=replace(self.rows, actions=np.zeros_like(self.rows.actions)))

    def check_actions(self, num_classes: int) -> None:
        wrong = self.rows.actions[self.kept & (self.rows.actions > num_classes)]
        if wrong.size:
            line = self.find(lambda row: len(row) > 6 and row[6] and float(row[6]) == wrong[0])
            raise DataError(
                f"{line}: the action is {wrong[0]}; with MODEL.NUM_CLASSES {num_classes} it must be in 1..{num_classes}"
            )

    def find(self, test: Callable[[list[str]], bool]) -> str:
        """ "file:line" of the first row that passes; the file is read again, for this is on the way to an error."""
        with open(self.path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            for row in reader:
                if row and test([column.strip() for column in row]):
                    return f"{self.path}:{reader.line_num}"
        return self.path

    def find_key_frame(self, key: KeyFrame) -> str:
        return self.find(lambda row: row[0] == key.video and float(row[1]) == key.second)


def _read_predicted(path: str, threshold: float) -> _BoxFile:
    rows = read_detections(path)
    return _BoxFile(path, rows, found_surely(path, rows, threshold))


def found_surely(path: str | os.PathLike, rows: AvaBoxes, threshold: float) -> np.ndarray:
    """bool (N,): which ``rows`` of a list of detections have a score of at least ``threshold``; all of a list that is
    ground truth, with an action and a whole number in every row."""
    if len(rows) and (rows.actions > 0).all() and (rows.scores == np.floor(rows.scores)).all():
        _logger.info("%s: every row has an action and a whole number in place of a score: read as ground truth", path)
        return np.ones(len(rows), bool)
    return rows.scores >= threshold


def _left_out(cfg, split: str, frames: tuple[KeyFrame, ...]) -> Iterable[bool]:
    """Of each key frame whether the evaluation skips it."""
    path = evaluation_files(cfg).exclusions
    excluded = read_exclusions(path) if path else frozenset()
    step = seconds_apart(cfg, split)
    return (frame in excluded or frame.second % step != 0 for frame in frames)


def _tabulate(files: list[_BoxFile], movies: Movies, cfg) -> KeyFrameTable:
    """Join the rows of all files: rows with equal boxes become one box, boxes of a second one key frame."""
    keys: dict[KeyFrame, int] = {}
    numbers = [np.array([keys.setdefault(key, len(keys)) for key in file.rows.frames], np.int64) for file in files]
    frame = np.concatenate([number[file.rows.frame[file.kept]] for number, file in zip(numbers, files, strict=True)])
    coordinates = np.concatenate([file.rows.boxes[file.kept] for file in files])
    actions = np.concatenate([file.rows.actions[file.kept] for file in files])

    used = np.unique(frame)
    listed = list(keys)
    names = movies.videos or tuple(dict.fromkeys(listed[number].video for number in used))
    place = {name: number for number, name in enumerate(names)}
    for number in used:
        if listed[number].video not in place:
            file = next(file for file in files if listed[number] in file.rows.frames)
            raise DataError(
                f"{file.find_key_frame(listed[number])}: the video {listed[number].video} is not in the frame lists "
                "(AVA.TRAIN_LISTS, AVA.TEST_LISTS)"
            )
    video = np.array([place[listed[number].video] for number in used], np.int32)
    second = np.array([listed[number].second for number in used], np.int32)
    in_time = np.lexsort((second, video))
    rank = np.empty(len(keys), np.int64)  # position of each key frame in the table
    rank[used[in_time]] = np.arange(len(used))

    rows = np.column_stack([rank[frame], coordinates])
    boxes, first, box = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    order = np.lexsort((first, boxes[:, 0]))  # within a key frame as the files list them
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    labels = np.unique(np.column_stack([position[box.reshape(-1)], actions - 1])[actions > 0], axis=0)
    counts = np.bincount(boxes[:, 0].astype(np.int64), minlength=len(used))
    return KeyFrameTable(
        movies=movies,
        names=names,
        start_second=cfg.AVA.START_SECOND,
        num_classes=cfg.MODEL.NUM_CLASSES,
        video=video[in_time],
        second=second[in_time],
        first_box=np.concatenate([[0], np.cumsum(counts)]),
        boxes=boxes[order, 1:],
        label_boxes=labels[:, 0],
        label_ids=labels[:, 1].astype(np.int32),
    )


def _check_times(table: KeyFrameTable, files: list[_BoxFile]) -> KeyFrameTable:
    """DataError for a key frame outside its video. Movies are opened for that, and what was read of them is kept; one
    that cannot be read stays so, and is reported where its frames are asked for."""
    indexes = {}
    for number in np.unique(table.video):
        name = table.names[number]
        try:
            with table.movies.open(name) as video:
                count, fps, indexes[name] = video.num_frames, video.fps, video.index
        except VideoError:
            continue
        for second in table.second[table.video == number].tolist():
            frame = key_frame_number(second - table.start_second, fps)
            if not 0 <= frame < count:
                key = KeyFrame(name, second)
                file = next(file for file in files if key in file.rows.frames)
                raise DataError(
                    f"{file.find_key_frame(key)}: second {second} is frame {frame} of {table.movies.path(name)}, which "
                    f"has frames 0..{count - 1} at {fps:g} per second; its first frame is second "
                    f"{table.start_second} (AVA.START_SECOND)"
                )
    if isinstance(table.movies, MovieFiles):
        return replace(table, movies=replace(table.movies, indexes=indexes))
    return table
