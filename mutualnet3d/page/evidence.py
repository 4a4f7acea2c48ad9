"""Where and when a configuration finds its class in a video: its activation maps over the frames of the video."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np

from mutualnet3d.configuration import Configuration
from mutualnet3d.data import VideoReader
from mutualnet3d.models import AdaptiveNetwork
from mutualnet3d.visualization.activation_maps import check_pools_globally
from mutualnet3d.visualization.clips import VideoClips
from mutualnet3d.visualization.map_panel import heat
from mutualnet3d.visualization.video_maps import video_maps

SHORT_SIDE, LONG_SIDE = 240, 640  # of the pictures, pixels
UNSEEN = 0.4  # brightness that is left outside the view


@dataclass(frozen=True, eq=False)
class Evidence:
    """The maps of one class at one configuration, over the frames that clips of the video hold.

    Attributes:
        frames: int64 (F,), which frames of the video they are, ascending.
        clip: int64 (F,), which clip the map of the frame is of: clips that cover a short video overlap.
        strength: float (F,), the mean of each frame's map: how much that moment adds to the logit.
        given: bool (F,), whether the configuration was given that frame; between them maps are interpolated.
        pictures: uint8 (F, H, W, 3), RGB: the video's frames, the map as heat, what lies outside the view dark.
    """

    frames: np.ndarray
    clip: np.ndarray
    strength: np.ndarray
    given: np.ndarray
    pictures: np.ndarray


class EvidenceMaps:
    """Draws activation maps, for one thread at a time: others wait, since one network runs at one configuration.

    Raises:
        ConfigError: the network has no activation maps.
    """

    def __init__(self, model: AdaptiveNetwork, cfg):
        check_pools_globally(model)
        self._model, self._cfg, self._lock = model, cfg, threading.Lock()

    def draw(self, video: VideoReader, clips: VideoClips, configuration: Configuration, label: int) -> Evidence:
        """The maps of class ``label`` over ``clips`` of ``video``.

        Raises:
            VideoError: the video cannot be read.
        """
        with self._lock:
            found = video_maps(self._model, self._cfg, clips, [configuration], label)
        (row,) = found.rows
        _, first = np.unique(clips.frames, return_index=True)  # the frames, as video_maps takes them
        given = np.isin(np.arange(len(found.frames)), list(row.seen))
        frames = video.frames(found.frames, short_side=_short_side(video.size))
        return Evidence(
            found.frames, first // clips.frames.shape[1], row.maps.mean((1, 2)), given, _over(frames, row.maps, clips)
        )


def _over(frames: np.ndarray, maps: np.ndarray, clips: VideoClips) -> np.ndarray:
    """Frames (F, H, W, 3) under the maps (F, h, w) of the view that ``clips`` are cut to; memory of one frame more."""
    (left, top), (wide, high) = clips.offset, clips.scaled
    x0, x1 = (round(x / wide * frames.shape[2]) for x in (left, left + maps.shape[2]))
    y0, y1 = (round(y / high * frames.shape[1]) for y in (top, top + maps.shape[1]))
    highest, pictures = float(maps.max()), (UNSEEN * frames).astype(np.uint8)
    for picture, frame, values in zip(pictures, frames, maps, strict=True):
        view = frame[y0:y1, x0:x1]
        scaled = cv2.resize(values, view.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        picture[y0:y1, x0:x1] = heat(view[None], scaled[None], highest)[0]
    return pictures


def _short_side(size: tuple[int, int]) -> int:
    return max(2, min(SHORT_SIDE, LONG_SIDE * min(size) // max(size)))
