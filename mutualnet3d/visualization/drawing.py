"""What all charts share: colours, figures that touch no global state, axes of costs, and files of pictures."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from typing import BinaryIO

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mutualnet3d.files import atomic_write

DPI = 150
INK, GRID, FAINT = "#222222", "#e4e4e4", "#777777"
COLOURS = ("#0b6e99", "#d9730d", "#7a4fa3", "#2f8f4e", "#c2453d", "#5c6b73", "#b0579b", "#8a7a22")
LEAST_SPAN, LEAST_RATIO = 2.0, 1.25  # of an axis of accuracies in points, of an axis of costs


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches; its canvas is set, so that texts can be measured."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes) -> None:
    """A light grid behind the data; no frame above and on the right."""
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def cost_and_accuracy_axes(axes: Axes, costs: Sequence[float], accuracies: Sequence[float]) -> None:
    """A logarithmic axis of costs and a linear one of accuracies that show all values, and differences in proportion.

    Equal values, or one alone, get an axis of ``LEAST_RATIO`` and ``LEAST_SPAN`` around them.
    """
    axes.set_xscale("log")
    low, high = np.log(min(costs)), np.log(max(costs))
    middle, half = (low + high) / 2, max(high - low, np.log(LEAST_RATIO)) / 2
    axes.set_xlim(np.exp(middle - 1.22 * half), np.exp(middle + 1.22 * half))
    middle, half = (min(accuracies) + max(accuracies)) / 2, max(max(accuracies) - min(accuracies), LEAST_SPAN) / 2
    axes.set_ylim(middle - 1.24 * half, middle + 1.24 * half)
    cost_ticks(axes, costs)
    tidy(axes)


def cost_ticks(axes: Axes, costs: Sequence[float]) -> None:
    """Plain numbers on a logarithmic axis of ``costs``, as many as there is room for."""
    ratio = max(costs) / min(costs)
    subs = (1, 2, 5) if ratio > 12 else (1, 1.5, 2, 3, 4, 5, 7) if ratio > 3 else range(1, 10)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def plain(text: str, most: int = 50) -> str:
    """A text of unknown origin as a chart can show it: no formulas, no control characters, shortened in the middle."""
    text = "".join(character if character.isprintable() else "?" for character in text)
    half = most // 2
    text = text if len(text) <= most else f"{text[: half - 1]}…{text[-half:]}"
    return text.replace("$", r"\$")


def save_png(figure: Figure, path: str | os.PathLike) -> None:
    """PNG at ``DPI``; ``path`` appears, or is replaced, when it is complete."""
    with atomic_write(path) as file:
        _write(figure, file, format="png", dpi=DPI)


def to_svg(figure: Figure) -> bytes:
    """The figure as SVG on no background, texts as outlines; the same bytes for the same figure."""
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "mutualnet3d"}), io.BytesIO() as file:
        _write(figure, file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return file.getvalue()


def _write(figure: Figure, file: BinaryIO, **options) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # names in scripts the font does not have
        figure.savefig(file, **options)
