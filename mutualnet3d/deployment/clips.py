"""Clips, or images, that a deployed network is compared with the trained one on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mutualnet3d.data.build import build_entries, has_list
from mutualnet3d.data.decode import VideoReader, resolve_backend
from mutualnet3d.data.images import ArrayEntry, open_media
from mutualnet3d.data.kinetics import Entry
from mutualnet3d.data.synthetic_motion import MIN_FRAMES, MIN_SIDE, MOTIONS, RenderSpec, render_clip
from mutualnet3d.data.views import Preprocessing

COUNT = 4  # where the user names no videos


@dataclass(frozen=True)
class Clips:
    """Normalised clips, float32 (M, 3, [T,] crop, crop), M at least 2, and where they come from, in words."""

    tensor: torch.Tensor
    source: str


def parity_clips(videos: Sequence[str | os.PathLike], cfg, preprocessing: Preprocessing) -> Clips:
    """One centre clip of each of ``videos``; without any, of the test list's if its files are here; else rendered ones.

    Of a network of images they are images.

    Raises:
        VideoError: a named video, or one of the list's, cannot be read.
    """
    backend, images = resolve_backend(cfg.DATA.DECODING_BACKEND), preprocessing.clip is None
    items = "images" if images else "videos"
    if videos:
        opened = (open_media(video, images, backend) for video in videos)
        return _cut(opened, preprocessing, f"{len(videos)} {items} as named")
    if listed := _listed(cfg):
        opened = (entry.open(backend) for entry in listed)
        return _cut(opened, preprocessing, f"{len(listed)} {items} of the test list")
    return _rendered(preprocessing)


def _listed(cfg) -> Sequence[Entry]:
    """``COUNT`` entries, evenly spread over the test list of ``cfg``; none where it or one of them is not here."""
    if cfg.DETECTION.ENABLE or not has_list(cfg, "test"):
        return []
    entries = build_entries(cfg, "test")
    chosen = entries[:: max(1, len(entries) // COUNT)][:COUNT]
    return chosen if all(isinstance(entry, ArrayEntry) or Path(entry.path).is_file() for entry in chosen) else []


def _cut(opened: Iterable[VideoReader], preprocessing: Preprocessing, source: str) -> Clips:
    clips = []
    for video in opened:
        with video:
            clips.append(next(iter(preprocessing.cut_video(video, 1, 1))))
    return _normalised(clips, preprocessing, source)


def _rendered(preprocessing: Preprocessing) -> Clips:
    side = max(MIN_SIDE, preprocessing.short_side + preprocessing.short_side % 2)
    length = 1 if preprocessing.clip is None else preprocessing.clip.num_frames
    spec = RenderSpec(side, side, num_frames=max(MIN_FRAMES, 2 * length))
    clips = []
    for number, motion in enumerate(MOTIONS[:COUNT]):
        frames = render_clip(motion, np.random.default_rng(number), spec)
        clips.append(next(iter(preprocessing.cut_frames(frames, spec.fps, 1, 1))))
    return _normalised(clips, preprocessing, f"{COUNT} rendered clips, as no video was named and no test list is here")


def _normalised(clips: list[torch.Tensor], preprocessing: Preprocessing, source: str) -> Clips:
    if len(clips) < 2:  # batches of 2 are compared too
        clips = clips * 2
    return Clips(preprocessing.normalise(torch.stack(clips)), source)
