"""What happens to the pixels of images: random views for training, the centre for tests.

Whatever scales pixels is torchvision's. Views that are only cut and mirrored are cut as those of videos are: an image
of 32 x 32 pixels would spend ten times as long in torchvision's transforms.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from mutualnet3d.data.transforms import TrainTransform, random_crop_and_flip
from mutualnet3d.errors import ConfigError

PRESETS = ("none", "cifar", "resnet", "mobile")
_PADDING = {"none": 0, "cifar": 4}  # black pixels on every side of the centre view, of which a window is then cut
# From the side of the crop in pixels to the random transforms of the other presets, mirroring aside.
_TRANSFORMS: dict[str, Callable[[int], list[v2.Transform]]] = {
    "resnet": lambda crop: [v2.RandomResizedCrop(crop, scale=(0.08, 1.0), antialias=True)],
    "mobile": lambda crop: [
        v2.RandomResizedCrop(crop, scale=(0.25, 1.0), antialias=True),
        v2.ColorJitter(brightness=0.1, contrast=0.1, saturation=0.1),
    ],
}
_LONGEST_SIDE = 8  # times the shorter one, of which more than the centre square is left


class Augmentation:
    """Random views of images for training (IMAGE.AUGMENTATION).

    Args:
        preset: ``none``: the centre view. ``cifar``: that view padded by 4 black pixels, cut anywhere. ``resnet``: 8 to
            100 % of the image's area at an aspect of 3/4 to 4/3. ``mobile``, for small networks: 25 to 100 % of the
            area, then brightness, contrast and saturation changed by up to 10 %.
        crop: side of a view in pixels (DATA.TRAIN_CROP_SIZE).
        short_side: what the shorter side is scaled to before a centre view is cut, pixels.
        flip: mirror every second view (DATA.RANDOM_FLIP).
    """

    def __init__(self, preset: str, crop: int, short_side: int, flip: bool):
        if preset not in PRESETS:
            raise ConfigError(f"IMAGE.AUGMENTATION is {preset!r}; it must be one of {', '.join(PRESETS)}")
        self._short_side, self._window = short_side, TrainTransform((crop, crop), crop, flip)
        self._border = _PADDING.get(preset)
        if self._border is None:
            self._transform = v2.Compose(_TRANSFORMS[preset](crop) + ([v2.RandomHorizontalFlip()] if flip else []))

    @classmethod
    def from_cfg(cls, cfg) -> Augmentation:
        """Read IMAGE.AUGMENTATION, DATA.TRAIN_CROP_SIZE, IN_VAL_CROP_RATIO and RANDOM_FLIP."""
        crop = cfg.DATA.TRAIN_CROP_SIZE
        return cls(cfg.IMAGE.AUGMENTATION, crop, scaled_side(crop, cfg), cfg.DATA.RANDOM_FLIP)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A view of ``image``, uint8 (H, W, 3): uint8 (crop, crop, 3). Draws come from ``rng`` alone; torch's global
        random numbers, which its transforms take, are left as they were."""
        if self._border is not None:
            view = centre_view(image, self._short_side, self._window.crop)
            padded = cv2.copyMakeBorder(view, *4 * (self._border,), cv2.BORDER_CONSTANT)
            return random_crop_and_flip(padded[None], self._window, rng)[0]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(rng.integers(2**63)))
            view = self._transform(_planes(image))
        return _pixels(view)


def scaled_side(crop: int, cfg) -> int:
    """Length that the shorter side gets before the centre ``crop`` is cut: crop / DATA.IN_VAL_CROP_RATIO, rounded."""
    return max(crop, round(crop / cfg.DATA.IN_VAL_CROP_RATIO))


def centre_view(image: np.ndarray, short_side: int, crop: int) -> np.ndarray:
    """The centre of ``image``, uint8 (H, W, 3), after its shorter side became ``short_side``: uint8 (crop, crop, 3).

    torchvision's Resize (bilinear, antialiased) and CenterCrop: the test transform of its networks.
    """
    if image.shape[:2] == (crop, crop) and short_side == crop:
        return image
    planes, longest = _planes(image), _LONGEST_SIDE * min(image.shape[:2])
    if max(image.shape[:2]) > longest:  # a line of pixels, scaled up whole, would fill the memory
        planes = functional.center_crop(planes, [min(side, longest) for side in image.shape[:2]])
    resized = functional.resize(planes, [short_side], antialias=True)
    return _pixels(functional.center_crop(resized, [crop, crop]))


def centre_place(size: tuple[int, int], short_side: int, crop: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where :func:`centre_view` cuts an image of ``size`` (height, width): (left, top) in the scaled image, and the
    (width, height) that it is scaled to, pixels; to within a pixel where one side is over 8 times the other."""
    height, width = (int(short_side * side / min(size)) for side in size)
    return (round((width - crop) / 2), round((height - crop) / 2)), (width, height)


def _planes(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


def _pixels(image: torch.Tensor) -> np.ndarray:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())
