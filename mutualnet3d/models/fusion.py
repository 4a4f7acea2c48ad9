"""Adaptive Fusion: the lateral connection of SlowFast when only the Slow pathway changes its resolution.

::

    Fast (N, beta C, T, H, W) -- conv k x 1 x 1, stride alpha --> BN --> ReLU   (N, 2 beta C, T / alpha, H, W)
                                                                     |  keep its frames, resize to its size
    Slow (N, w C, t, h, w) ------------------------------------ cat -+--> (N, (w + 2 beta) C, t, h, w)

At the full configuration nothing is dropped or resized and this is PySlowFast's lateral unit. Section 3.2 of the paper.
"""

from __future__ import annotations

import torch
import torch.fx
from torch import nn

from mutualnet3d.operators import keep_frames, resize_frames

torch.fx.wrap("keep_frames")
torch.fx.wrap("resize_frames")


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

    def lateral(self, fast: torch.Tensor) -> torch.Tensor:
        """(N, beta C, T, H, W) -> (N, 2 beta C, T // alpha, H, W); the same for every configuration."""
        lateral = self.relu(self.bn(self.conv_f2s(fast)))
        return keep_frames(lateral, fast.shape[2] // self.alpha)  # one too many where alpha does not divide T

    def forward(self, slow: torch.Tensor, lateral: torch.Tensor) -> torch.Tensor:
        """The fused features: ``lateral`` at the frames and the size that the Slow pathway kept, behind ``slow``."""
        lateral = keep_frames(lateral, slow.shape[2])
        return torch.cat([slow, resize_frames(lateral, slow.shape[3:])], dim=1)
