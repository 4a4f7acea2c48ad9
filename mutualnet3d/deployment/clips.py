"""Clips that a deployed network is compared with the trained one on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mutualnet3d.data.build import build_entries
from mutualnet3d.data.decode import open_video, resolve_backend
from mutualnet3d.data.synthetic_motion import MIN_FRAMES, MIN_SIDE, MOTIONS, RenderSpec, render_clip
from mutualnet3d.data.views import Preprocessing

COUNT = 4  # where the user names no videos


@dataclass(frozen=True)
class Clips:
    """Normalised clips, float32 (M, 3, T, crop, crop), M at least 2, and where they come from, in words."""

    tensor: torch.Tensor
    source: str


def parity_clips(videos: Sequence[str | os.PathLike], cfg, preprocessing: Preprocessing) -> Clips:
    """One centre clip of each of ``videos``; without any, of the test list's if its files are here; else rendered ones.

    Raises:
        VideoError: a named video, or one of the list's, cannot be read.
    """
    if videos:
        return _from_files([str(video) for video in videos], cfg, preprocessing, f"{len(videos)} videos as named")
    if listed := _listed_videos(cfg):
        return _from_files(listed, cfg, preprocessing, f"{len(listed)} videos of the test list")
    return _rendered(preprocessing)


def _listed_videos(cfg) -> list[str]:
    """``COUNT`` videos, evenly spread over the test list of ``cfg``; none where it or one of them is not here."""
    folder = cfg.DATA.PATH_TO_DATA_DIR
    if not folder or not (Path(folder) / "test.csv").is_file():
        return []
    paths = [entry.path for entry in build_entries(cfg, "test")]
    chosen = paths[:: max(1, len(paths) // COUNT)][:COUNT]
    return chosen if all(Path(path).is_file() for path in chosen) else []


def _from_files(paths: list[str], cfg, preprocessing: Preprocessing, source: str) -> Clips:
    clips = []
    for path in paths:
        with open_video(path, resolve_backend(cfg.DATA.DECODING_BACKEND)) as video:
            clips.append(next(iter(preprocessing.cut_video(video, 1, 1))))
    return _normalised(clips, preprocessing, source)


def _rendered(preprocessing: Preprocessing) -> Clips:
    side = max(MIN_SIDE, preprocessing.short_side + preprocessing.short_side % 2)
    spec = RenderSpec(side, side, num_frames=max(MIN_FRAMES, 2 * preprocessing.clip.num_frames))
    clips = []
    for number, motion in enumerate(MOTIONS[:COUNT]):
        frames = render_clip(motion, np.random.default_rng(number), spec)
        clips.append(next(iter(preprocessing.cut_frames(frames, spec.fps, 1, 1))))
    return _normalised(clips, preprocessing, f"{COUNT} rendered clips, as no video was named and no test list is here")


def _normalised(clips: list[torch.Tensor], preprocessing: Preprocessing, source: str) -> Clips:
    if len(clips) < 2:  # batches of 2 are compared too
        clips = clips * 2
    return Clips(preprocessing.normalise(torch.stack(clips)), source)
