"""Clips of a video for pictures and for measuring where networks look: the pixels, and where in the video they lie.

An image is a video of one frame, its one clip the centre view, until :meth:`VideoClips.normalised` makes it a batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from mutualnet3d.data.augmentation import centre_place
from mutualnet3d.data.decode import VideoReader
from mutualnet3d.data.sampling import clip_span, view_clips
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.errors import DataError

MOST_CLIPS = 64  # of one video: bounds the memory


@dataclass(frozen=True, eq=False)
class VideoClips:
    """Centre views of a video, or of an image.

    Attributes:
        images: uint8 (V, T, H, W, 3), RGB; of an image V and T are 1.
        frames: int64 (V, T), which frames of the video they are.
        fps: of the video, frames per second.
        offset: (left, top) of the view in the scaled frame, pixels.
        scaled: (width, height) of the scaled frame, pixels.
    """

    images: np.ndarray
    frames: np.ndarray
    fps: float
    offset: tuple[int, int]
    scaled: tuple[int, int]

    def to_view(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (R, 4), edges in fractions of the frame, in pixels of the view; those outside it are left out."""
        corners = boxes.reshape(-1, 2, 2) * np.array(self.scaled) - np.array(self.offset)
        height, width = self.images.shape[2:4]
        moved = np.clip(corners, 0.0, np.array([width, height], dtype=np.float64)).reshape(-1, 4)
        return moved[(moved[:, 0] < moved[:, 2]) & (moved[:, 1] < moved[:, 3])]

    def split(self, size: int) -> Iterator[VideoClips]:
        """Groups of at most ``size`` clips."""
        for start in range(0, len(self.images), size):
            part = slice(start, start + size)
            yield replace(self, images=self.images[part], frames=self.frames[part])

    def normalised(self, preprocessing: Preprocessing) -> torch.Tensor:
        """What networks eat: float32 (V, 3, T, H, W), for networks of images (V, 3, H, W)."""
        clips = torch.from_numpy(self.images).permute(0, 4, 1, 2, 3)
        return preprocessing.normalise(clips[:, :, 0] if preprocessing.clip is None else clips)


def middle_clip(video: VideoReader, preprocessing: Preprocessing) -> VideoClips:
    """One clip from the middle of the video."""
    return spread_clips(video, preprocessing, 1)


def all_clips(video: VideoReader, preprocessing: Preprocessing) -> VideoClips:
    """So many clips that, evenly spread from the first frame to the last, they cover the video.

    DataError where they were more than ``MOST_CLIPS``.
    """
    count = covering(video, preprocessing)
    if count > MOST_CLIPS:
        raise DataError(f"{video.path}: {count} clips cover it, at most {MOST_CLIPS} are drawn; cut the video shorter")
    return spread_clips(video, preprocessing, count)


def covering(video: VideoReader, preprocessing: Preprocessing) -> int:
    """How many clips cover the video, at least 1."""
    return max(1, math.ceil(video.num_frames / clip_span(video.fps, preprocessing.clip)))


def spread_clips(video: VideoReader, preprocessing: Preprocessing, count: int) -> VideoClips:
    """``count`` clips, evenly spread from the first frame to the last."""
    return _cut(video, spread(preprocessing), count)


def test_clip(video: VideoReader, preprocessing: Preprocessing) -> VideoClips:
    """The clip that a test with one view takes; of an image its centre view."""
    return _cut(video, preprocessing, 1)


test_clip.__test__ = False  # pytest: this is no test


def spread(preprocessing: Preprocessing) -> Preprocessing:
    """The same whose clips are spread over the whole video, ends included (DATA.USE_OFFSET_SAMPLING); not of images."""
    if preprocessing.clip is None:
        return preprocessing
    return replace(preprocessing, clip=replace(preprocessing.clip, offset_sampling=True))


def _cut(video: VideoReader, preprocessing: Preprocessing, count: int) -> VideoClips:
    if preprocessing.clip is None:
        picture = video.frames([0])
        (view,) = preprocessing.cut_frames(picture, 1.0, 1, 1).stored()
        place = centre_place(picture.shape[1:3], preprocessing.short_side, preprocessing.crop)
        return VideoClips(view.numpy()[None, None], np.zeros((1, 1), np.int64), 1.0, *place)
    views = preprocessing.cut_video(video, count, 1)
    ((top, left),) = views.crops.tolist()
    height, width = views.frames.shape[1:3]
    numbers = view_clips(video.num_frames, video.fps, preprocessing.clip, count)
    images = np.stack([view.numpy() for view in views.stored()])
    return VideoClips(images, numbers, video.fps, (left, top), (width, height))
