"""Key frames with their boxes and actions, in a few flat arrays that worker processes share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mutualnet3d.data.ava_videos import Movies


@dataclass(frozen=True)
class KeyFrameEntry:
    """One key frame.

    Attributes:
        video, second: its name.
        boxes: float64 (R, 4), x1, y1, x2, y2 in fractions of the frame; no two are equal.
        labels: float32 (R, K), 1 for each action of a box.
        path: names the video in messages.
    """

    video: str
    second: int
    boxes: np.ndarray
    labels: np.ndarray
    path: str


@dataclass(frozen=True, eq=False)
class KeyFrameTable(Sequence):
    """Key frames that have boxes, grouped by video and ascending in time.

    Attributes:
        movies: where the frames are.
        names: of the videos.
        start_second: what the first frame of every video is called (AVA.START_SECOND).
        num_classes: K.
        video: int32 (M,), position in ``names`` of each key frame.
        second: int32 (M,).
        first_box: int64 (M + 1,): boxes first_box[i] .. first_box[i + 1] - 1 belong to key frame i.
        boxes: float64 (B, 4), fractions of the frame.
        label_boxes: int64 (L,), ascending: the box of each label.
        label_ids: int32 (L,), from 0.
    """

    movies: Movies
    names: tuple[str, ...]
    start_second: int
    num_classes: int
    video: np.ndarray
    second: np.ndarray
    first_box: np.ndarray
    boxes: np.ndarray
    label_boxes: np.ndarray
    label_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.second)

    def __getitem__(self, index: int) -> KeyFrameEntry:
        index = range(len(self))[index]
        start, stop = (int(at) for at in self.first_box[[index, index + 1]])
        low, high = np.searchsorted(self.label_boxes, [start, stop])
        labels = np.zeros((stop - start, self.num_classes), np.float32)
        labels[self.label_boxes[low:high] - start, self.label_ids[low:high]] = 1.0
        name = self.names[self.video[index]]
        return KeyFrameEntry(name, int(self.second[index]), self.boxes[start:stop], labels, self.movies.path(name))
