"""What people do, drawn over a video: their boxes and labels at each key frame, and until the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from mutualnet3d.data.decode import open_video
from mutualnet3d.data.sampling import key_frame_number
from mutualnet3d.predictor import AdaptivePredictor, Detections
from mutualnet3d.predictor.people import BoxArray, Detector, People, key_seconds, people_of
from mutualnet3d.streaming import panels
from mutualnet3d.streaming.overlay import LEAST, Patch, unit_of
from mutualnet3d.streaming.writer import VideoWriter

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mutualnet3d.predictor.choice import Budget

COLOURS = ((255, 200, 87), (72, 207, 143), (120, 180, 255), (255, 140, 170), (190, 150, 255), (255, 150, 80))


def detection_video(
    predictor: AdaptivePredictor,
    source: str,
    output: str,
    boxes: People | Detector | BoxArray,
    *,
    every: float | None = None,
    seconds: float | None = None,
    top_k: int = 3,
    threshold: float | None = None,
    stop: Sequence = (),
    **budget: Unpack[Budget],
) -> Iterator[Detections]:
    """Write the video ``source`` to ``output`` with its people and what they do drawn on it.

    What a key frame shows is drawn until the next one, but no longer than the shortest time between two: where a file
    has no boxes for a while nothing is drawn.

    Args:
        source: a video file.
        output: the mp4 file; it is playable wherever the iteration stops.
        boxes, every, top_k, threshold, budget: see :meth:`AdaptivePredictor.detect`.
        seconds: of the video that are written; None: all of it.
        stop: writing ends with the frame at which this is no longer empty.

    Yields:
        The detections of each key frame, once they are known.

    Raises:
        DataError, VideoError, DeploymentError, BudgetError, ...: as :meth:`AdaptivePredictor.detect`.
    """
    with open_video(source) as played, open_video(source, index=played.index) as clips:
        people = people_of(boxes, clips.size)
        key_frames = key_seconds(people, None, every, clips)
        hold = min((after - before for before, after in pairwise(key_frames)), default=every or 1.0)
        waiting, shown, until = deque(key_frames), None, 0
        overlay = PeopleOverlay(clips.size, predictor.table.metric)
        with VideoWriter(output, clips.size, clips.fps) as writer:
            for number, image in enumerate(played.all_frames()):
                if stop or (seconds is not None and number > seconds * clips.fps):
                    return
                while waiting and key_frame_number(waiting[0], clips.fps) <= number:
                    (shown,) = predictor.detect(
                        clips, people, at=waiting.popleft(), top_k=top_k, threshold=threshold, **budget
                    )
                    until = number + hold * clips.fps
                    yield shown
                writer.write(overlay.draw(image, shown if number < until else None), number)


class PeopleOverlay:
    """Draws :class:`Detections` over frames of one size; below 48 pixels boxes alone.

    Args:
        size: (height, width) of the frames, pixels.
        metric: what the query table's accuracies are.
    """

    def __init__(self, size: tuple[int, int], metric: str):
        self._size, self._metric, self._unit = size, metric, unit_of(size)
        self._drawn: Detections | None = None
        self._patches: list[Patch] = []

    def draw(self, image: np.ndarray, found: Detections | None) -> np.ndarray:
        """A copy of ``image``, uint8 (H, W, 3) RGB, with ``found`` on it; None: nothing is known."""
        if found is None:
            return image.copy()
        if found is not self._drawn:
            self._patches, self._drawn = self._lay_out(found), found
        picture = Image.fromarray(image)
        pen = ImageDraw.Draw(picture)
        for number, box in enumerate(found.boxes.round().astype(int).tolist()):
            pen.rectangle(tuple(box), outline=COLOURS[number % len(COLOURS)], width=max(2, self._unit // 5))
        drawn = np.array(picture)
        for patch in self._patches:
            patch.lay_over(drawn)
        return drawn

    def _lay_out(self, found: Detections) -> list[Patch]:
        if min(self._size) < LEAST:
            return []
        (height, width), unit = self._size, self._unit
        caption = panels.caption(found.entry, self._metric, width, unit)
        patches = [Patch(caption, 0, height - caption.height)]
        for number, (box, labels) in enumerate(
            zip(found.boxes.round().astype(int).tolist(), found.labels, strict=True)
        ):
            if labels:
                chip = panels.names(labels, COLOURS[number % len(COLOURS)], width, unit)
                patches.append(Patch(chip, *_place(chip.size, box, (width, height - caption.height))))
        return patches


def _place(chip: tuple[int, int], box: list[int], room: tuple[int, int]) -> tuple[int, int]:
    """Left and top of a chip of (width, height) that hides nobody if it can: above its box, beside it, else in it."""
    (wide, high), (left, top, right, _) = chip, box
    if top >= high:
        return min(left, room[0] - wide), top - high
    lower = min(top, room[1] - high)
    if right + wide < room[0]:
        return right + 1, lower
    return (left - wide if left >= wide else min(left, room[0] - wide)), lower
