"""Frames of a long video or of a camera, one after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from mutualnet3d.data.decode import VideoReader, open_video
from mutualnet3d.errors import VideoError

_CAMERA_FPS, _HIGHEST_FPS = 30.0, 1000.0  # of cameras that do not say; above it is no rate but a time base


@dataclass(frozen=True, eq=False)
class StreamFrame:
    """One frame.

    Attributes:
        number: ``time_s`` in frames of the source's rate. Of a file they are 0, 1, 2, ...; a camera may skip some.
        time_s: seconds since the start of the stream.
        image: uint8 (H, W, 3), RGB, upright.
    """

    number: int
    time_s: float
    image: np.ndarray


class FileSource:
    """A video file, each frame decoded once. A context manager.

    Attributes:
        fps: average frames per second.
        live: False: the frames wait for whoever reads them.
    """

    live = False

    def __init__(self, path: str):
        self._video: VideoReader = open_video(path)
        self.fps = self._video.fps
        self.size = self._video.size

    def __iter__(self) -> Iterator[StreamFrame]:
        for number, image in enumerate(self._video.all_frames()):
            yield StreamFrame(number, number / self.fps, image)

    def __enter__(self) -> FileSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self._video.close()


class CameraSource:
    """A camera by its number; frames come when they come. A context manager.

    Attributes:
        fps: what the camera says, 30 where it says nothing that can be.
        live: True: what nobody reads in time is lost.
    """

    live = True

    def __init__(self, index: int, clock: Callable[[], float] = time.monotonic):
        self._name, self._clock = f"camera {index}", clock
        self._capture = cv2.VideoCapture(index)
        if not self._capture.isOpened():
            self._capture.release()
            raise VideoError(self._name, "cannot be opened; is it there, and does no other program use it?")
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 1 <= fps <= _HIGHEST_FPS else _CAMERA_FPS
        self._first = self._read()
        if self._first is None:
            self._capture.release()
            raise VideoError(self._name, "gives no picture")
        self.size = self._first.shape[:2]

    def __iter__(self) -> Iterator[StreamFrame]:
        start, last, image = self._clock(), -1, self._first
        while image is not None:
            number = max(round((self._clock() - start) * self.fps), last + 1)
            yield StreamFrame(number, number / self.fps, image)
            last, image = number, self._read()

    def __enter__(self) -> CameraSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self._capture.release()

    def _read(self) -> np.ndarray | None:
        there, image = self._capture.read()
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if there else None


def open_source(text: str) -> FileSource | CameraSource:
    """``0``, ``1``, ...: a camera; anything else: a video file. Raises VideoError where it cannot be opened."""
    return CameraSource(int(text)) if text.isascii() and text.isdigit() else FileSource(text)
