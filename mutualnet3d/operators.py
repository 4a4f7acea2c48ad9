"""Operators on clips and images that torch does not have. A traced network calls them whole.

Shapes: N clips, C channels, T frames, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from mutualnet3d.configuration import frame_indices


def resize_frames(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Bilinear resizing of clips (N, C, T, H, W), each frame on its own, or of images (N, C, H, W).

    ``size`` is (height, width); what has it already is not copied. align_corners False, no antialias.
    """
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    frames = F.interpolate(x.flatten(1, -3), size=tuple(size), mode="bilinear", align_corners=False, antialias=False)
    return frames.unflatten(1, x.shape[1:-2])


def keep_frames(x: torch.Tensor, count: int) -> torch.Tensor:
    """``count`` frames of (N, C, T, H, W) by the rule that the Slow pathway is cut from the clip with."""
    length = x.shape[2]
    return x if count == length else x[:, :, list(frame_indices(length, count))]


def group_frames(x: torch.Tensor, groups: int) -> torch.Tensor:
    """(N, C, T, H, W) -> (N * groups, C, T / groups, H, W); ValueError where ``groups`` does not divide T."""
    if x.shape[2] % groups:
        raise ValueError(f"NONLOCAL.GROUP {groups} does not divide the {x.shape[2]} frames here; set it to 1")
    return x.unflatten(2, (groups, -1)).transpose(1, 2).flatten(0, 1)


def ungroup_frames(x: torch.Tensor, groups: int) -> torch.Tensor:
    """What :func:`group_frames` took apart."""
    return x.unflatten(0, (-1, groups)).transpose(1, 2).flatten(2, 3)
