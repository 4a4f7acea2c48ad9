"""Pictures of activation maps: a row for each configuration, a column for each frame, the map as heat over it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from mutualnet3d.visualization.drawing import FAINT, INK, new_figure, plain

COLOURS = "turbo"
STRENGTH, PALE = 0.65, 0.5  # opacity of the highest value; how much of their colours the frames below lose
CELL, ALONE, LABEL, GAP, TOP, BOTTOM, LEGEND = 1.15, 1.8, 2.3, 0.05, 0.62, 0.62, 5.3  # inches; ALONE: of one column


@dataclass(frozen=True, eq=False)
class MapRow:
    """One configuration.

    Attributes:
        name: of the configuration, in bold.
        lines: what else stands beside it.
        maps: float (T, H, W), over the clip; what is below 0 speaks against the class and is drawn as 0.
        seen: the frames of the clip that the configuration was given.
    """

    name: str
    lines: tuple[str, ...]
    maps: np.ndarray
    seen: frozenset[int]


def heat(images: np.ndarray, maps: np.ndarray, highest: float | None = None) -> np.ndarray:
    """The maps as colours over the frames: the higher, the redder and the less transparent.

    Args:
        images: uint8 (T, H, W, 3), RGB.
        maps: float (T, H, W); 0 and below leaves the frame.
        highest: the value that is the reddest; default: the highest of all T.

    Returns:
        uint8 (T, H, W, 3).
    """
    values = np.clip(maps, 0.0, None) / max(float(maps.max()) if highest is None else highest, 1e-12)
    grey = images.mean(3, keepdims=True)
    below = images + PALE * (grey - images)
    colours = 255 * matplotlib.colormaps[COLOURS](values)[..., :3]
    opacity = STRENGTH * (values**0.7)[..., None]  # weak evidence shows, the frame below too
    return (below * (1 - opacity) + colours * opacity).round().astype(np.uint8)


def draw_panel(
    images: np.ndarray, rows: Sequence[MapRow], columns: Sequence[int], captions: Sequence[str], title: str
) -> Figure:
    """Frames above, a row of heat for each configuration below, and what the colours mean. An image is a clip of T = 1.

    Args:
        images: uint8 (T, H, W, 3), RGB, the clip.
        rows: one for each configuration.
        columns: which of the T frames are shown.
        captions: above each column.
        title: above all.
    """
    aspect, side = images.shape[1] / images.shape[2], CELL if len(columns) > 1 else ALONE
    width = LABEL + len(columns) * (side + GAP) + GAP
    height = TOP + (1 + len(rows)) * (side * aspect + GAP) + BOTTOM
    figure = new_figure(max(width, LABEL + (LEGEND if len(images) > 1 else LEGEND / 2)), height)
    figure.text(0.1 / figure.get_figwidth(), 1 - 0.14 / height, title, va="top", fontsize=10, color=INK)

    def cell(row: int, column: int) -> Axes:
        left, top = LABEL + column * (side + GAP), TOP + row * (side * aspect + GAP)
        place = (left, height - top - side * aspect, side, side * aspect)
        axes = figure.add_axes([v / s for v, s in zip(place, figure.get_size_inches().tolist() * 2, strict=True)])
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        return axes

    for column, (frame, caption) in enumerate(zip(columns, captions, strict=True)):
        axes = cell(0, column)
        axes.imshow(images[frame])
        axes.set_title(caption, fontsize=7, color=FAINT, pad=3)
    bold = {"x": 0.1 / figure.get_figwidth(), "fontsize": 9, "fontweight": "bold", "color": INK}
    name = "the clip" if len(images) > 1 else "the image"
    figure.text(y=1 - (TOP + side * aspect / 2) / height, s=name, va="center", **bold)
    for number, row in enumerate(rows, start=1):
        pictures = heat(images, row.maps)
        for column, frame in enumerate(columns):
            axes = cell(number, column)
            axes.imshow(pictures[frame])
            if frame in row.seen and len(row.seen) < len(images):
                axes.spines[:].set_visible(True)
                axes.spines[:].set(color=INK, linewidth=1.6)
        middle = 1 - (TOP + number * (side * aspect + GAP) + side * aspect / 2) / height
        text = "\n".join(plain(line, 36) for line in row.lines)
        figure.text(y=middle, s=row.name, va="bottom", **bold)
        figure.text(bold["x"], middle, text, va="top", fontsize=7.5, linespacing=1.3, color=INK)
    _legend(figure, any(len(row.seen) < len(images) for row in rows))
    return figure


def draw_moment(
    images: np.ndarray, rows: Sequence[MapRow], heats: Sequence[np.ndarray], frame: int, title: str
) -> Figure:
    """One frame of the clip, alone and then with the heat of each configuration: a frame of a video.

    Args:
        images, rows: see :func:`draw_panel`.
        heats: :func:`heat` of each row.
        frame: which of the T frames.
        title: above all.
    """
    cell, count = 1.8, 1 + len(rows)
    aspect = images.shape[1] / images.shape[2]
    wide, high = count * (cell + GAP) + GAP, 1.0 + cell * aspect + GAP
    figure = new_figure(wide, high)
    figure.text(0.1 / wide, 1 - 0.12 / high, title, va="top", fontsize=9, color=INK)
    pictures = [images[frame], *(each[frame] for each in heats)]
    names = [("the frame", ()), *((row.name, row.lines) for row in rows)]
    for column, (picture, (name, lines)) in enumerate(zip(pictures, names, strict=True)):
        left = GAP + column * (cell + GAP)
        axes = figure.add_axes((left / wide, GAP / high, cell / wide, cell * aspect / high))
        axes.imshow(picture)
        axes.set_axis_off()
        top = (cell * aspect + GAP) / high
        text = "\n".join(plain(line, 30) for line in lines)
        figure.text(left / wide, top + 0.42 / high, name, fontsize=8, fontweight="bold", color=INK)
        figure.text(left / wide, top + 0.37 / high, text, va="top", fontsize=7, color=INK)
    return figure


def to_pixels(figure: Figure) -> np.ndarray:
    """The figure as a frame of a video: uint8 (H, W, 3), RGB."""
    with io.BytesIO() as file:
        figure.savefig(file, format="png")
        return np.asarray(Image.open(file).convert("RGB"))


def _legend(figure: Figure, framed: bool) -> None:
    wide, high = figure.get_size_inches()
    axes = figure.add_axes((LABEL / wide, 0.34 / high, 1.6 / wide, 0.1 / high))
    ramp = np.linspace(0, 1, 256)[None, None]
    axes.imshow(heat(np.full((1, 1, 256, 3), 150, np.uint8), ramp)[0], aspect="auto")
    axes.set_yticks([])
    axes.set_xticks([0, 255], labels=["none", "most in the row"])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=7, colors=INK)
    axes.set_title("evidence for the class (against it: not drawn)", fontsize=7, color=INK, pad=3, loc="left")
    if framed:
        text = "framed: frames that the configuration is given;\nbetween them the maps are interpolated"
        figure.text((LABEL + 2.6) / wide, 0.36 / high, text, va="center", fontsize=7, color=INK)
