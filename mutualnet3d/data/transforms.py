"""Scaling, cropping and flipping of uint8 frames. What is drawn comes from a generator that the caller passes in."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from mutualnet3d.errors import ConfigError


@dataclass(frozen=True)
class TrainTransform:
    """What happens to the pixels of a training clip.

    Attributes:
        scales: lowest and highest length of the shorter side, pixels (DATA.TRAIN_JITTER_SCALES).
        crop: side of the square that is cut out, pixels (DATA.TRAIN_CROP_SIZE).
        flip: whether every second clip is mirrored (DATA.RANDOM_FLIP).
        inverse_uniform: 1 / scale is drawn uniformly instead of scale (DATA.INV_UNIFORM_SAMPLE).
    """

    scales: tuple[int, int]
    crop: int
    flip: bool = True
    inverse_uniform: bool = False

    def __post_init__(self):
        if len(self.scales) != 2 or self.scales[0] > self.scales[1]:
            raise ConfigError(f"DATA.TRAIN_JITTER_SCALES is {list(self.scales)}; it must be [lowest, highest]")
        if self.crop < 1:
            raise ConfigError(f"DATA.TRAIN_CROP_SIZE is {self.crop}; it must be at least 1")
        if self.scales[0] < self.crop:
            raise ConfigError(
                f"DATA.TRAIN_JITTER_SCALES starts at {self.scales[0]}, below DATA.TRAIN_CROP_SIZE {self.crop}: "
                "the crop does not fit; raise the scale or lower the crop"
            )

    @classmethod
    def from_cfg(cls, cfg) -> "TrainTransform":
        """Read DATA.TRAIN_JITTER_SCALES, TRAIN_CROP_SIZE, RANDOM_FLIP and INV_UNIFORM_SAMPLE."""
        data = cfg.DATA
        return cls(tuple(data.TRAIN_JITTER_SCALES), data.TRAIN_CROP_SIZE, data.RANDOM_FLIP, data.INV_UNIFORM_SAMPLE)


def draw_scale(transform: TrainTransform, rng: np.random.Generator) -> int:
    """Length of the shorter side in pixels, drawn from the range, both ends included."""
    low, high = transform.scales
    if transform.inverse_uniform:
        return round(1.0 / rng.uniform(1.0 / high, 1.0 / low))
    return int(rng.integers(low, high + 1))


@dataclass(frozen=True)
class Window:
    """A square of a frame: ``top`` and ``left`` in pixels, its side ``size``, and whether it is mirrored."""

    top: int
    left: int
    size: int
    mirrored: bool

    def cut(self, frames: np.ndarray) -> np.ndarray:
        """The window of every frame: uint8 (T, H, W, 3) -> (T, size, size, 3), a new contiguous array."""
        clip = frames[:, self.top : self.top + self.size, self.left : self.left + self.size]
        return np.array(clip[:, :, ::-1] if self.mirrored else clip, order="C")


def draw_window(height: int, width: int, transform: TrainTransform, rng: np.random.Generator) -> Window:
    """A square of ``transform.crop`` pixels anywhere in a frame of this size, mirrored half of the time."""
    top = int(rng.integers(0, height - transform.crop + 1))
    left = int(rng.integers(0, width - transform.crop + 1))
    return Window(top, left, transform.crop, mirrored=transform.flip and rng.random() < 0.5)


def random_crop_and_flip(frames: np.ndarray, transform: TrainTransform, rng: np.random.Generator) -> np.ndarray:
    """Cut the same random square out of every frame, and mirror the clip half of the time.

    Args:
        frames: uint8 (T, H, W, 3), H and W at least ``transform.crop``.

    Returns:
        uint8 (T, crop, crop, 3), a new contiguous array.
    """
    return draw_window(*frames.shape[1:3], transform, rng).cut(frames)


def uniform_crop_offsets(height: int, width: int, crop: int, num_crops: int) -> list[tuple[int, int]]:
    """(top, left) in pixels of the spatial views of a test frame.

    One crop: the centre. Three: left, centre, right; in a frame that is higher than wide top, centre, bottom.

    Raises:
        ConfigError: ``num_crops`` is neither 1 nor 3, or the crop does not fit into the frame.
    """
    if num_crops not in (1, 3):
        raise ConfigError(f"TEST.NUM_SPATIAL_CROPS is {num_crops}; it must be 1 or 3")
    if crop > min(height, width):
        raise ConfigError(
            f"a crop of {crop} pixels does not fit into {height} x {width}; scale the shorter side to {crop} first"
        )
    top, left = math.ceil((height - crop) / 2), math.ceil((width - crop) / 2)
    if num_crops == 1:
        return [(top, left)]
    if height > width:
        return [(0, left), (top, left), (height - crop, left)]
    return [(top, 0), (top, left), (top, width - crop)]


def normalise(clips: torch.Tensor, mean, std) -> torch.Tensor:
    """uint8 clips to what networks eat: (clips / 255 - mean) / std.

    Args:
        clips: uint8 (N, 3, T, H, W), of images (N, 3, H, W), on any device.
        mean: one number per channel (DATA.MEAN).
        std: one number per channel (DATA.STD).

    Returns:
        float32, same shape, device and memory layout.
    """
    out = clips.to(torch.float32).div_(255.0)
    mean = torch.tensor(mean, dtype=torch.float32, device=clips.device)
    std = torch.tensor(std, dtype=torch.float32, device=clips.device)
    pixels = out.movedim(1, -1)
    if pixels.is_contiguous():  # stored channels last: whole rows at once, several times faster than 3 numbers at once
        width = pixels.shape[-2]
        pixels.flatten(-2).sub_(mean.repeat(width)).div_(std.repeat(width))
        return out
    pixels.sub_(mean).div_(std)
    return out
