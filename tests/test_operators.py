"""Operators on clips: in both memory layouts what torch gives for each frame on its own."""

import pytest
import torch
from torch.nn import functional as F

from mutualnet3d.configuration import frame_indices
from mutualnet3d.operators import keep_frames, resize_frames

LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last_3d}


def clip(channels: int, layout: str) -> torch.Tensor:
    x = torch.randn(2, channels, 7, 12, 10, generator=torch.Generator().manual_seed(0))
    return x.to(memory_format=LAYOUTS[layout]).requires_grad_()


def with_gradient(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``y``, and the gradient of a sum with weights that differ in every element."""
    weights = torch.arange(y.numel(), dtype=y.dtype).view(y.shape).cos()
    return y, torch.autograd.grad((y * weights).sum(), x)[0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(6, 5), (9, 13), (12, 5)], ids=str)
@pytest.mark.parametrize("channels", [1, 3, 8])
def test_resizing(channels, size, layout):
    x = clip(channels, layout)
    y, gradient = with_gradient(x, resize_frames(x, size))
    assert y.is_contiguous(memory_format=LAYOUTS[layout])
    each = [F.interpolate(frame, size=size, mode="bilinear", align_corners=False) for frame in x.unbind(2)]
    expected, expected_gradient = with_gradient(x, torch.stack(each, 2))
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(gradient, expected_gradient)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [1, 3, 6])
def test_keeping_frames(count, layout):
    x = clip(3, layout)
    y, gradient = with_gradient(x, keep_frames(x, count))
    assert y.is_contiguous(memory_format=LAYOUTS[layout])
    expected, expected_gradient = with_gradient(x, torch.stack([x[:, :, i] for i in frame_indices(7, count)], 2))
    assert torch.equal(y, expected)
    assert torch.equal(gradient, expected_gradient)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_to_do_is_no_copy(layout):
    x = clip(3, layout)
    assert resize_frames(x, (12, 10)) is keep_frames(x, 7) is x
