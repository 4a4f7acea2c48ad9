"""A few test videos with what every configuration took them for, and their frames as one small JPEG each."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mutualnet3d.configuration import Configuration, frame_indices
from mutualnet3d.data.images import open_media
from mutualnet3d.errors import DataError, VideoError
from mutualnet3d.visualization.run_folder import TestScores

KINDS = ("every configuration is right", "configurations disagree", "no configuration is right")
FRAMES, SHORT_SIDE, WIDEST, QUALITY = 4, 112, 2.4, 80


@dataclass(frozen=True)
class SamplePrediction:
    """What a configuration took a video for, and its score of that class (0 .. 1)."""

    configuration: Configuration
    label: int
    score: float


@dataclass(frozen=True)
class SampleVideo:
    """One video. ``strip``: JPEG bytes of its frames side by side; None where it cannot be read: ``error`` says why."""

    path: str
    label: int
    kind: str
    predictions: tuple[SamplePrediction, ...]
    strip: bytes | None
    error: str = ""


def choose_videos(scores: TestScores, most: int = 6) -> list[tuple[int, str]]:
    """(number, kind) of up to ``most`` videos: in turn one of each kind, first those of classes not shown yet.

    Kinds: every configuration is right, they disagree, none is right. It is no random sample.
    """
    right = (scores.predictions == scores.labels).sum(0)
    all_of = len(scores.configurations)
    kinds = np.where(right == all_of, 0, np.where(right == 0, 2, 1))
    waiting = {kind: [n for n in range(len(scores.labels)) if kinds[n] == kind] for kind in range(len(KINDS))}
    waiting[1].sort(key=lambda n: abs(2 * int(right[n]) - all_of))  # the most divided first
    chosen: list[tuple[int, str]] = []
    shown: set[int] = set()
    while len(chosen) < most and any(waiting.values()):
        for kind, numbers in waiting.items():
            if numbers and len(chosen) < most:
                number = next((n for n in numbers if int(scores.labels[n]) not in shown), numbers[0])
                numbers.remove(number)
                shown.add(int(scores.labels[number]))
                chosen.append((number, KINDS[kind]))
    return chosen


def sample_videos(scores: TestScores) -> tuple[SampleVideo, ...]:
    """The chosen videos; one that is gone or damaged is there without frames and with the reason."""
    samples = []
    for number, kind in choose_videos(scores):
        found = tuple(
            SamplePrediction(c, int(scores.predictions[i, number]), float(scores.scores[i, number]))
            for i, c in enumerate(scores.configurations)
        )
        path, label = scores.paths[number], int(scores.labels[number])
        try:
            samples.append(SampleVideo(path, label, kind, found, film_strip(path)))
        except VideoError as error:
            samples.append(SampleVideo(path, label, kind, found, None, error.reason))
    return tuple(samples)


def film_strip(path: str) -> bytes:
    """``FRAMES`` frames from the first to the last, side by side, ``SHORT_SIDE`` pixels high: a JPEG; of an image one.

    Raises:
        VideoError: the video is gone or cannot be decoded.
    """
    with open_media(path) as video:
        shown = min(FRAMES, video.num_frames)
        frames = video.frames(frame_indices(video.num_frames, shown), short_side=SHORT_SIDE)
    height, width = frames.shape[1:3]
    scale = SHORT_SIDE / height
    width = max(1, min(round(width * scale), round(WIDEST * SHORT_SIDE)))
    frames = [cv2.resize(frame, (width, SHORT_SIDE), interpolation=cv2.INTER_AREA) for frame in frames]
    gap = np.full((SHORT_SIDE, 3, 3), 255, np.uint8)
    pieces = [piece for frame in frames for piece in (gap, frame)][1:]
    done, data = cv2.imencode(".jpg", np.hstack(pieces)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise DataError(f"{path}: its frames cannot be written as JPEG")
    return data.tobytes()
