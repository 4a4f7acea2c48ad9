"""Heads: global pooling, so that any size and length works, and logits, always. Parameter names are PySlowFast's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
import torch.fx
from torch import nn
from torchvision.ops import roi_align

torch.fx.wrap("roi_align")

_AUTOCAST_DEVICES = tuple(t for t in ("cpu", "cuda", "mps", "xpu") if torch.amp.is_autocast_available(t))


class BasicHead(nn.Module):
    """Mean over T, H, W of each pathway, concatenation, dropout, projection: (N, K) logits.

    Args:
        channels: channels of each pathway, Slow first.
        num_classes: K.
        dropout: probability before the projection.
    """

    def __init__(self, channels: Sequence[int], num_classes: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(sum(channels), num_classes)

    def forward(self, features: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        if boxes is not None:
            raise ValueError("boxes were given to a classification network; set DETECTION.ENABLE True to detect")
        pooled = torch.cat([feature.mean((2, 3, 4)) for feature in features], dim=1)
        return project(self.projection, self.dropout(pooled))


class RoIHead(nn.Module):
    """Mean over T, RoIAlign, spatial maximum of each pathway, concatenation, dropout, projection: (R, K) logits.

    Args:
        channels: channels of each pathway, Slow first.
        num_classes: K.
        dropout: probability before the projection.
        resolution: side of the RoIAlign grid.
        scale_factor: pixels of a view per feature cell.
        aligned: half-pixel convention of RoIAlign (``torchvision.ops.roi_align``).
    """

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        dropout: float,
        resolution: int,
        scale_factor: int,
        aligned: bool,
    ):
        super().__init__()
        self.resolution, self.scale_factor, self.aligned = resolution, scale_factor, aligned
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(sum(channels), num_classes)

    def forward(self, features: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        """``boxes`` holds one (R, 5) tensor per pathway, in the pixels of that pathway's view."""
        if boxes is None:
            raise ValueError("a detection network needs boxes: (R, 5) rows [index, x1, y1, x2, y2] in pixels")
        pooled = []
        for feature, rois in zip(features, boxes, strict=True):
            frame = feature.mean(2)
            if any(map(torch.is_autocast_enabled, _AUTOCAST_DEVICES)):  # its types would move the boxes
                frame = frame.float()
            regions = roi_align(
                frame, rois.to(frame), self.resolution, 1 / self.scale_factor, sampling_ratio=0, aligned=self.aligned
            )
            pooled.append(regions.amax((2, 3)))
        return project(self.projection, self.dropout(torch.cat(pooled, dim=1)))


class X3DHead(nn.Module):
    """X3D's head: 1x1x1 convolution, global mean, 1x1x1 convolution, dropout, projection: (N, K) logits.

    Args:
        channels: channels of the last stage.
        inner: channels of ``conv_5``.
        outer: channels of ``lin_5``, X3D.DIM_C5.
        num_classes: K.
        dropout: probability before the projection.
        norm_outer: BatchNorm after ``lin_5``, X3D.BN_LIN5.
    """

    def __init__(self, channels: int, inner: int, outer: int, num_classes: int, dropout: float, norm_outer: bool):
        super().__init__()
        self.conv_5 = nn.Conv3d(channels, inner, 1, bias=False)
        self.conv_5_bn = nn.BatchNorm3d(inner)
        self.conv_5_relu = nn.ReLU(inplace=True)
        self.lin_5 = nn.Conv3d(inner, outer, 1, bias=False)
        if norm_outer:
            self.lin_5_bn = nn.BatchNorm3d(outer)
        self.lin_5_relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(outer, num_classes)

    def forward(self, features: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        if boxes is not None:
            raise ValueError("X3D has no detection head")
        (x,) = features
        x = self.conv_5_relu(self.conv_5_bn(self.conv_5(x))).mean((2, 3, 4), keepdim=True)
        x = self.lin_5(x)
        if hasattr(self, "lin_5_bn"):
            x = self.lin_5_bn(x)
        return project(self.projection, self.dropout(self.lin_5_relu(x).flatten(1)))


def project(projection: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """The classifier outside autocast, at the precision of its weights: bfloat16 logits would quantise the losses."""
    with without_autocast():
        return projection(features.to(projection.weight.dtype))


@contextlib.contextmanager
def without_autocast() -> Iterator[None]:
    """Run the body outside any autocast."""
    with contextlib.ExitStack() as stack:
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
