"""Where the people of key frames are: boxes that are given, boxes of a file, or a detector that finds them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch

from mutualnet3d.data.ava_files import read_detections
from mutualnet3d.data.ava_list import found_surely
from mutualnet3d.data.boxes import clip_boxes, have_area
from mutualnet3d.data.decode import VideoReader
from mutualnet3d.data.sampling import key_frame_number
from mutualnet3d.errors import DataError

MIN_SCORE = 0.8  # of the box of a person, where the caller names none

Detector = Callable[[np.ndarray], np.ndarray]
"""From an image, uint8 (H, W, 3), RGB, to boxes (R, 4), x1, y1, x2, y2 in its pixels."""

BoxArray = np.ndarray | torch.Tensor | Sequence[Sequence[float]]


class People(ABC):
    """Boxes by second.

    Attributes:
        seconds: the key frames that have some; None: any.
        finds: whether a detector has to look for them.
    """

    finds = False

    @property
    def seconds(self) -> tuple[float, ...] | None:
        return None

    @abstractmethod
    def at(self, second: float, size: tuple[int, int], image: Callable[[], np.ndarray]) -> np.ndarray:
        """float64 (R, 4), fractions of the frame, of the key frame at ``second``.

        Args:
            size: (height, width) of the frame, pixels.
            image: reads the key frame.
        """


@dataclass(frozen=True, eq=False)
class FileBoxes(People):
    """The boxes of one video of a file, for :meth:`AdaptivePredictor.detect`.

    Attributes:
        boxes: second since the first frame -> float64 (R, 4), x1, y1, x2, y2 in fractions of the frame.
    """

    boxes: Mapping[float, np.ndarray]

    @classmethod
    def read(
        cls, path: str | os.PathLike, video: str, start_second: int = 0, min_score: float = MIN_SCORE
    ) -> FileBoxes:
        """Read AVA's ``video,second,x1,y1,x2,y2,action,score``, a row for each box: a detector's list, the detections
        of a run, or the ground truth of AVA v2.2. Boxes that are equal are one.

        Args:
            path: of the csv.
            video: name of the video in its first column.
            start_second: what the file calls the first frame (AVA.START_SECOND).
            min_score: boxes with a lower score are left out (AVA.DETECTION_SCORE_THRESH); all of ground truth stay.

        Raises:
            DataError: the file is missing or malformed, has no box of the video with that score, or names a second
                before its start.
        """
        rows = read_detections(path)
        kept = found_surely(path, rows, min_score)
        own = {number: frame.second for number, frame in enumerate(rows.frames) if frame.video == video}
        found = {}
        for number in sorted(own, key=own.__getitem__):
            boxes = rows.boxes[kept & (rows.frame == number)]
            if len(boxes):
                found[float(own[number] - start_second)] = np.array(list(dict.fromkeys(map(tuple, boxes.tolist()))))
        if not found:
            names = sorted({frame.video for frame in rows.frames})
            known = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise DataError(
                f"{path}: no box of video {video!r} with a score of {min_score:g}; it has {known or 'none'}"
            )
        if min(found) < 0:
            raise DataError(
                f"{path}: second {min(own.values())} of {video} lies before second {start_second}, its first frame"
            )
        return cls(found)

    @property
    def seconds(self) -> tuple[float, ...]:
        """Of the key frames that have boxes, rising."""
        return tuple(sorted(self.boxes))

    def at(self, second: float, size: tuple[int, int], image: Callable[[], np.ndarray]) -> np.ndarray:
        return self.boxes[second]


@dataclass(frozen=True, eq=False)
class _GivenBoxes(People):
    """The same boxes at every key frame, fractions."""

    boxes: np.ndarray

    def at(self, second: float, size: tuple[int, int], image: Callable[[], np.ndarray]) -> np.ndarray:
        return self.boxes


@dataclass(frozen=True)
class _FoundBoxes(People):
    """What a detector finds."""

    detector: Detector
    finds = True

    def at(self, second: float, size: tuple[int, int], image: Callable[[], np.ndarray]) -> np.ndarray:
        boxes = clip_boxes(_array(self.detector(image()), f"the detector's boxes at second {second:g}"), *size)
        return boxes[have_area(boxes)] / _scale(size)


def people_of(boxes: People | Detector | Mapping[float, BoxArray] | BoxArray, size: tuple[int, int]) -> People:
    """What ``AdaptivePredictor.detect`` takes as ``boxes``, for frames of ``size``; DataError for anything else."""
    if isinstance(boxes, People):
        return boxes
    if isinstance(boxes, Mapping):
        if not boxes:
            raise DataError("boxes is an empty dict; give the boxes of at least one second")
        seconds = [checked_second(second) for second in boxes]
        given = (_fractions(each, size, f"the boxes of second {second}") for second, each in boxes.items())
        return FileBoxes(dict(zip(seconds, given, strict=True)))
    if callable(boxes) and not isinstance(boxes, (np.ndarray, torch.Tensor)):
        return _FoundBoxes(boxes)
    return _GivenBoxes(_fractions(boxes, size, "boxes"))


def key_seconds(
    people: People, at: float | Sequence[float] | None, every: float | None, video: VideoReader
) -> tuple[float, ...]:
    """The key frames that are asked for, in seconds since the first frame, rising.

    Raises:
        DataError: ``at`` and ``every`` are both given, ``every`` with boxes that have their own seconds, a value is out
            of bounds, or a key frame has no boxes or lies outside the video.
    """
    if at is not None and every is not None:
        raise DataError("at and every were given: give one of them")
    if every is not None and people.seconds is not None:
        raise DataError("every was given with boxes that have their own seconds; leave it out, or choose some with at")
    if at is not None:
        wanted: Any = [at] if isinstance(at, Real) else at
        seconds = sorted({checked_second(each) for each in wanted})
    elif people.seconds is not None:
        seconds = list(people.seconds)
    else:
        step = checked_second(1.0 if every is None else every)
        if round(step * video.fps) < 1:
            raise DataError(f"every {step:g} s is less than a frame of a video of {video.fps:g} frames a second")
        seconds = [step * i for i in range(1 + int((video.num_frames - 1) / video.fps / step))]
    for second in seconds:
        if people.seconds is not None and second not in people.seconds:
            raise DataError(f"no boxes are given for second {second:g}; there are some for {_some(people.seconds)}")
        if key_frame_number(second, video.fps) >= video.num_frames:
            raise DataError(
                f"second {second:g} is frame {key_frame_number(second, video.fps)} of {video.path}, which has frames "
                f"0..{video.num_frames - 1} at {video.fps:g} per second"
                + ("; what do the boxes call its first frame (start_second)?" if people.seconds is not None else "")
            )
    return tuple(seconds)


def checked_second(second: Any) -> float:
    """``second``; DataError unless it is a number of at least 0."""
    if isinstance(second, bool) or not isinstance(second, Real) or not 0 <= float(second) < float("inf"):
        raise DataError(f"second {second!r} must be a number of at least 0")
    return float(second)


def _fractions(boxes: BoxArray, size: tuple[int, int], what: str) -> np.ndarray:
    """From pixels of a frame of ``size`` to fractions of it; DataError for what cannot be boxes in it."""
    pixels, (height, width) = _array(boxes, what), size
    if len(pixels) and pixels.max() <= 1:
        raise DataError(
            f"{what}: no coordinate is above 1 pixel; fractions of the frame are multiplied by its width {width} and "
            f"height {height}"
        )
    wrong = pixels[~(have_area(pixels) & have_area(clip_boxes(pixels, height, width)))]
    if len(wrong):
        raise DataError(
            f"{what}: {wrong[0].tolist()} is no box x1, y1, x2, y2 with x1 < x2 and y1 < y2 in a frame of {height} x "
            f"{width} pixels"
        )
    return pixels / _scale(size)


def _array(boxes: BoxArray, what: str) -> np.ndarray:
    """float64 (R, 4), finite, or DataError."""
    try:
        pixels = np.asarray(boxes.cpu() if isinstance(boxes, torch.Tensor) else boxes, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what}: {boxes!r} is no array (R, 4) of numbers") from error
    if pixels.size == 0:
        return np.zeros((0, 4))
    if pixels.ndim != 2 or pixels.shape[1] != 4 or not np.isfinite(pixels).all():
        raise DataError(f"{what}: shape {pixels.shape}; give finite numbers (R, 4), x1, y1, x2, y2 in pixels")
    return pixels


def _scale(size: tuple[int, int]) -> np.ndarray:
    height, width = size
    return np.array([width, height, width, height], dtype=np.float64)


def _some(seconds: Sequence[float]) -> str:
    return ", ".join(f"{second:g}" for second in seconds[:5]) + (", ..." if len(seconds) > 5 else "")
