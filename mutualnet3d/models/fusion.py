"""Adaptive Fusion: the lateral connection of SlowFast when only the Slow pathway changes its resolution.

::

    Fast (N, beta C, T, H, W) -- conv k x 1 x 1, stride alpha --> BN --> ReLU   (N, 2 beta C, T / alpha, H, W)
                                                                     |  keep its frames, resize to its size
    Slow (N, w C, t, h, w) ------------------------------------ cat -+--> (N, (w + 2 beta) C, t, h, w)

At the full configuration nothing is dropped or resized and this is PySlowFast's lateral unit. Section 3.2 of the paper.
"""

from __future__ import annotations

import torch
from torch import nn

from mutualnet3d.configuration import frame_indices
from mutualnet3d.models.network import resize_frames


class AdaptiveFusion(nn.Module):
    """Fast to Slow fusion with PySlowFast's parameter names (``conv_f2s``, ``bn``).

    Args:
        fast_channels: channels of the Fast pathway here, beta C.
        ratio: lateral channels per Fast channel.
        kernel: temporal size of the lateral convolution.
        alpha: frames of the Fast pathway per frame of the Slow one; the convolution's stride.
    """

    def __init__(self, fast_channels: int, ratio: int, kernel: int, alpha: int):
        super().__init__()
        self.alpha = alpha
        self.conv_f2s = nn.Conv3d(
            fast_channels,
            fast_channels * ratio,
            kernel_size=(kernel, 1, 1),
            stride=(alpha, 1, 1),
            padding=(kernel // 2, 0, 0),
            bias=False,
        )
        self.bn = nn.BatchNorm3d(fast_channels * ratio)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        """The fused Slow features; ``slow`` is (N, w C, t, h, w), ``fast`` (N, beta C, T, H, W)."""
        lateral = self.relu(self.bn(self.conv_f2s(fast)))
        kept = slow_frames_of(lateral.shape[2], fast.shape[2] // self.alpha, slow.shape[2])
        if len(kept) != lateral.shape[2]:
            lateral = lateral[:, :, list(kept)]
        return torch.cat([slow, resize_frames(lateral, tuple(slow.shape[3:]))], dim=1)


def slow_frames_of(lateral_length: int, slow_length: int, kept_length: int) -> tuple[int, ...]:
    """Lateral frames that belong to the ``kept_length`` frames which the Slow pathway kept of ``slow_length``.

    ``lateral_length`` exceeds ``slow_length`` only where alpha does not divide the clip's length.
    """
    full = frame_indices(lateral_length, slow_length)
    return tuple(full[i] for i in frame_indices(slow_length, kept_length))
