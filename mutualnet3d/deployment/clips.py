"""Clips, or images, that a deployed network is compared with the trained one on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mutualnet3d.data.build import build_entries, has_list
from mutualnet3d.data.decode import VideoReader, resolve_backend
from mutualnet3d.data.images import open_media
from mutualnet3d.data.synthetic_motion import MIN_FRAMES, MIN_SIDE, MOTIONS, RenderSpec, render_clip
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.errors import VideoError

COUNT = 4  # where the user names no videos


@dataclass(frozen=True)
class Clips:
    """Normalised clips, float32 (M, 3, [T,] crop, crop), M at least 2, and where they come from, in words."""

    tensor: torch.Tensor
    source: str


def parity_clips(videos: Sequence[str | os.PathLike], cfg, preprocessing: Preprocessing) -> Clips:
    """One centre clip of each of ``videos``; without any, of ``COUNT`` videos of the test list; else rendered ones.

    Rendered ones stand in where there is no test list, or one of its videos cannot be read; for detection always: key
    frames have boxes and are not square. ``source`` of the result says which it was, and why.

    Of a network of images they are images.

    Raises:
        VideoError: a named video cannot be read.
        DataError: the test list is malformed.
    """
    backend, images = resolve_backend(cfg.DATA.DECODING_BACKEND), preprocessing.clip is None
    item = "image" if images else "video"
    if videos:
        opened = (open_media(video, images, backend) for video in videos)
        return _cut(opened, preprocessing, f"{len(videos)} {item}s as named")
    if cfg.DETECTION.ENABLE:
        return _rendered(preprocessing, "no video was named and key frames are not square")
    if not has_list(cfg, "test"):
        return _rendered(preprocessing, f"no {item} was named and no test list is here")
    entries = build_entries(cfg, "test")
    chosen = entries[:: max(1, len(entries) // COUNT)][:COUNT]
    try:
        opened = (entry.open(backend) for entry in chosen)
        return _cut(opened, preprocessing, f"{len(chosen)} {item}s of the test list")
    except VideoError as error:
        return _rendered(preprocessing, f"no {item} was named and one of the test list cannot be read: {error}")


def _cut(opened: Iterable[VideoReader], preprocessing: Preprocessing, source: str) -> Clips:
    clips = []
    for video in opened:
        with video:
            clips.append(next(iter(preprocessing.cut_video(video, 1, 1))))
    return _normalised(clips, preprocessing, source)


def _rendered(preprocessing: Preprocessing, why: str) -> Clips:
    side = max(MIN_SIDE, preprocessing.short_side + preprocessing.short_side % 2)
    length = 1 if preprocessing.clip is None else preprocessing.clip.num_frames
    spec = RenderSpec(side, side, num_frames=max(MIN_FRAMES, 2 * length))
    clips = []
    for number, motion in enumerate(MOTIONS[:COUNT]):
        frames = render_clip(motion, np.random.default_rng(number), spec)
        clips.append(next(iter(preprocessing.cut_frames(frames, spec.fps, 1, 1))))
    return _normalised(clips, preprocessing, f"{COUNT} rendered clips, as {why}")


def _normalised(clips: list[torch.Tensor], preprocessing: Preprocessing, source: str) -> Clips:
    if len(clips) < 2:  # batches of 2 are compared too
        clips = clips * 2
    return Clips(preprocessing.normalise(torch.stack(clips)), source)
