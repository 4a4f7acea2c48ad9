"""Where configurations look in a video or image: rows for :mod:`mutualnet3d.visualization.map_panel`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mutualnet3d.configuration import Configuration, frame_indices
from mutualnet3d.data import Preprocessing
from mutualnet3d.errors import DataError
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.visualization.activation_maps import activation_maps
from mutualnet3d.visualization.clips import VideoClips
from mutualnet3d.visualization.drawing import plain, save_png
from mutualnet3d.visualization.map_panel import MapRow, draw_panel


@dataclass(frozen=True, eq=False)
class VideoMaps:
    """Frames of a video in their order, or an image, and the maps of one class at each configuration.

    Attributes:
        images: uint8 (F, H, W, 3), RGB.
        frames: int64 (F,), which frames of the video they are, ascending.
        fps: of the video.
        label: the class that the maps are of.
        class_name: its name.
        rows: one for each configuration; their T is F.
    """

    images: np.ndarray
    frames: np.ndarray
    fps: float
    label: int
    class_name: str
    rows: tuple[MapRow, ...]


def video_maps(
    model: AdaptiveNetwork,
    cfg,
    clips: VideoClips,
    configurations: Sequence[Configuration],
    label: int | None = None,
    names: Sequence[str] | None = None,
    pathway: str = "slow",
) -> VideoMaps:
    """The maps of one class over the clips of a video, or over an image.

    Args:
        label: the class; None = what the first configuration takes the video for.
        names: of the classes; None = their numbers.
        pathway: see :meth:`ActivationMaps.at_clip`.

    Raises:
        ConfigError, ConfigurationError, NotCalibratedError, DataError: see :func:`activation_maps`.
    """
    names = names or tuple(f"class {number}" for number in range(cfg.MODEL.NUM_CLASSES))
    for configuration in configurations:
        model.require_statistics(model.space.check(configuration))
    if label is None:
        label = int(_run(model, cfg, clips, configurations[0], None, pathway)[1].argmax())
    numbers, order = np.unique(clips.frames.ravel(), return_index=True)  # clips that cover a short video overlap
    rows = []
    for configuration in configurations:
        maps, shares, seen = _run(model, cfg, clips, configuration, label, pathway)
        lines = [f"{names[label]}: {100 * shares[label]:.0f} %"]
        if (best := int(shares.argmax())) != label:
            lines.append(f"takes it for {names[best]}: {100 * shares[best]:.0f} %")
        kept = frozenset(i for i, position in enumerate(order.tolist()) if position % clips.frames.shape[1] in seen)
        rows.append(MapRow(_named(configuration, model), tuple(lines), maps.reshape(-1, *maps.shape[2:])[order], kept))
    images = clips.images.reshape(-1, *clips.images.shape[2:])[order]
    return VideoMaps(images, numbers, clips.fps, label, names[label], tuple(rows))


def plot_video_maps(maps: VideoMaps, path: str | os.PathLike, name: str, columns: int = 8) -> None:
    """Draw ``columns`` of the frames, evenly spread, or all where they are fewer, as a PNG; ``name``: of the file.

    Raises DataError if ``columns`` is below 1.
    """
    if columns < 1:
        raise DataError(f"{columns} columns of frames: draw at least 1")
    shown = frame_indices(len(maps.frames), min(columns, len(maps.frames)))
    is_clip = len(maps.frames) > 1  # the panel of an image is narrow, its title needs two lines
    captions = [f"{maps.frames[i] / maps.fps:.2f} s" if is_clip else "" for i in shown]
    title = f"Evidence for {plain(maps.class_name)}{' ' if is_clip else chr(10)}in {plain(name)}"
    save_png(draw_panel(maps.images, maps.rows, shown, captions, title), path)


def _named(configuration: Configuration, model: AdaptiveNetwork) -> str:
    role = {model.space.full: " (full)", model.space.smallest: " (smallest)"}.get(configuration, "")
    return f"{configuration}{role}"


def _run(
    model: AdaptiveNetwork, cfg, clips: VideoClips, configuration: Configuration, label: int | None, pathway: str
) -> tuple[np.ndarray, np.ndarray, set[int]]:
    """Maps (V, T, H, W), probabilities (K,) as the mean of the clips', and the frames of a clip that were seen."""
    preprocessing, device = Preprocessing.from_cfg(cfg), next(model.parameters()).device
    maps, shares, seen = [], [], set()
    for some in clips.split(cfg.TEST.BATCH_SIZE):
        classes = None if label is None else [label] * len(some.images)
        found = activation_maps(model, some.normalised(preprocessing).to(device), configuration, classes)
        maps.append(found.at_clip(pathway).cpu())
        shares.append(found.logits.softmax(1) if cfg.MODEL.HEAD_ACT == "softmax" else found.logits.sigmoid())
        seen = set(found.centres[0][0])
    return torch.cat(maps).numpy(), torch.cat(shares).mean(0).cpu().numpy(), seen
