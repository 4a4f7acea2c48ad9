"""Draws a screen over frames. The panels are drawn when the screen changes, and laid over every frame."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mutualnet3d.streaming import panels
from mutualnet3d.streaming.screen import Screen

_LOW, LEAST = 300, 48  # pixels of the shorter side below which there is room for three actions only, for nothing


def unit_of(size: tuple[int, int]) -> int:
    """Pixels of the letters on frames of ``size``, (height, width)."""
    return round(10 + max(0, min(size) - 240) / 40)


class Overlay:
    """Lays :class:`Screen` over frames of one size; the font grows with the shorter side, from 10 pixels on.

    Frames below 48 pixels have no room for letters: nothing is drawn on them.

    Args:
        size: (height, width) of the frames, pixels.
    """

    def __init__(self, size: tuple[int, int]):
        self._height, self._width = size
        self._unit = unit_of(size)
        self._rows = 3 if min(size) < _LOW else 5
        self._screen: Screen | None = None
        self._patches: list[Patch] = []

    def draw(self, image: np.ndarray, screen: Screen) -> np.ndarray:
        """A copy of ``image``, uint8 (H, W, 3) RGB, with the panels of ``screen`` on it."""
        if screen != self._screen and min(self._height, self._width) >= LEAST:
            self._patches, self._screen = self._lay_out(screen), screen
        drawn = image.copy()
        for patch in self._patches:
            patch.lay_over(drawn)
        return drawn

    def _lay_out(self, screen: Screen) -> list[Patch]:
        margin, unit = max(2, self._unit // 2), self._unit
        wide = self._width - 2 * margin
        names = min(round(18 * unit), wide)
        below = panels.operation(screen, min(wide, 60 * unit), unit)
        patches = [
            Patch(panels.actions(screen, names, unit, self._rows), margin, margin),
            Patch(below, margin, self._height - margin - below.height),
        ]
        latest = panels.news(screen, min(wide, 32 * unit), unit)
        if latest is not None:
            above = self._height - 2 * margin - below.height - latest.height
            patches.append(Patch(latest, margin, above))
        return patches


class Patch:
    """An RGBA image at a place, ready to be laid over many frames; what sticks out of a small frame is cut off."""

    def __init__(self, image: Image.Image, left: int, top: int):
        pixels = np.asarray(image, dtype=np.uint16)
        opacity = pixels[..., 3:]
        self._left, self._top = max(left, 0), max(top, 0)
        self._colour, self._rest = pixels[..., :3] * opacity + 127, 255 - opacity

    def lay_over(self, frame: np.ndarray) -> None:
        window = frame[self._top :, self._left :][: len(self._rest), : self._rest.shape[1]]
        height, width = window.shape[:2]
        window[...] = (window * self._rest[:height, :width] + self._colour[:height, :width]) // 255
