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

    ``size`` is (height, width); what has it already is not copied. align_corners False, no antialias. What is stored
    channels last stays so.
    """
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    if _is_channels_last(x):  # frame by frame, as it is stored
        frames, parts = x.transpose(1, 2).flatten(0, 1), x.shape[:1] + x.shape[2:3]
        return _bilinear(frames, size).unflatten(0, parts).transpose(1, 2)
    return _bilinear(x.flatten(1, -3), size).unflatten(1, x.shape[1:-2])


def _bilinear(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False, antialias=False)


def keep_frames(x: torch.Tensor, count: int) -> torch.Tensor:
    """``count`` frames of (N, C, T, H, W) by the rule that the Slow pathway is cut from the clip with. What is stored
    channels last stays so."""
    length = x.shape[2]
    if count == length:
        return x
    kept = torch.tensor(frame_indices(length, count), device=x.device)
    if not _is_channels_last(x):
        return x.index_select(2, kept)
    return x.permute(0, 2, 3, 4, 1).index_select(1, kept).permute(0, 4, 1, 2, 3)


def _is_channels_last(x: torch.Tensor) -> bool:
    return x.dim() == 5 and x.is_contiguous(memory_format=torch.channels_last_3d)


def group_frames(x: torch.Tensor, groups: int) -> torch.Tensor:
    """(N, C, T, H, W) -> (N * groups, C, T / groups, H, W); ValueError where ``groups`` does not divide T."""
    if x.shape[2] % groups:
        raise ValueError(f"NONLOCAL.GROUP {groups} does not divide the {x.shape[2]} frames here; set it to 1")
    return x.unflatten(2, (groups, -1)).transpose(1, 2).flatten(0, 1)


def ungroup_frames(x: torch.Tensor, groups: int) -> torch.Tensor:
    """What :func:`group_frames` took apart."""
    return x.unflatten(0, (-1, groups)).transpose(1, 2).flatten(2, 3)
