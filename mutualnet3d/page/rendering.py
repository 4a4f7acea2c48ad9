"""Answers and budgets as HTML that needs nothing but itself: pictures and films lie within it."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import jinja2
import numpy as np
from matplotlib.ticker import MaxNLocator

from mutualnet3d.page.answer import Answer
from mutualnet3d.page.budgets import BudgetScale
from mutualnet3d.page.evidence import Evidence
from mutualnet3d.page.model import PageModel
from mutualnet3d.query_table import Entry
from mutualnet3d.streaming.writer import VideoWriter
from mutualnet3d.visualization.html import data_uri, templates_of

STRIP = 6  # pictures above the curve
STRIP_SIDE = 160  # of their shorter side, pixels


@dataclass(frozen=True)
class Chart:
    """A curve in a box of ``width`` x ``height``, y downward.

    Attributes:
        paths: as SVG writes them.
        dots: (x, y).
        zero: y of the value 0.
        x_ticks, y_ticks: (place, text).
    """

    width: float
    height: float
    paths: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    zero: float
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def answer_html(model: PageModel, answer: Answer) -> str:
    """Classes, cost, latency; the film, the strip and the curve of the maps, or why there are none."""
    evidence = answer.evidence
    most = max(entry.gmacs for entry in model.predictor.table.entries)
    return (
        _templates()
        .get_template("answer.html")
        .render(
            answer=answer,
            labels=[
                (name if isinstance(name, str) else f"class {name}", 100 * p) for name, p in answer.prediction.labels
            ],
            share=100 * answer.prediction.entry.gmacs / most if most else None,
            metric=model.predictor.table.metric_name,
            why_no_maps=model.why_no_maps,
            film=evidence and data_uri("video/mp4", film(evidence, answer.fps)),
            strip=evidence and _strip(evidence, answer),
            chart=evidence and curve(evidence, answer),
        )
    )


def bought_html(scale: BudgetScale, entry: Entry, metric: str) -> str:
    """The Pareto front as a table, the entry that the budget buys marked."""
    return _templates().get_template("bought.html").render(scale=scale, chosen=entry, metric=metric)


def message_html(kind: str, text: str) -> str:
    """One paragraph; ``kind``: ``error`` or ``hint``."""
    return _templates().get_template("message.html").render(kind=kind, text=text)


def film(evidence: Evidence, fps: float) -> bytes:
    """The pictures as an H.264 mp4 at the pace of the video."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "maps.mp4"
        with VideoWriter(path, evidence.pictures.shape[1:3], fps) as writer:
            for picture, number in zip(evidence.pictures, evidence.frames.tolist(), strict=True):
                writer.write(picture, number)
        return path.read_bytes()


def curve(evidence: Evidence, answer: Answer, width: float = 600.0, height: float = 110.0) -> Chart:
    """Strength over the seconds of the video, a line for each clip; dots where the configuration saw a frame."""
    x = evidence.frames / answer.frames * width
    low, high = min(0.0, float(evidence.strength.min())), max(0.0, float(evidence.strength.max()), 1e-6)
    low, high = low - 0.08 * (high - low), high + 0.08 * (high - low)
    y = (high - evidence.strength) / (high - low) * height
    points = list(zip(x.round(1).tolist(), y.round(1).tolist(), strict=True))
    parts = [np.flatnonzero(evidence.clip == clip) for clip in np.unique(evidence.clip)]
    paths = tuple("M" + " L".join(f"{points[i][0]} {points[i][1]}" for i in part) for part in parts)
    seconds = [t for t in MaxNLocator(6).tick_values(0, answer.seconds) if 0 <= t <= answer.seconds]
    values = [v for v in MaxNLocator(4).tick_values(low, high) if low <= v <= high]
    return Chart(
        width,
        height,
        paths,
        tuple(point for point, given in zip(points, evidence.given.tolist(), strict=True) if given),
        high / (high - low) * height,
        tuple((t / answer.seconds * width, f"{t:g}") for t in seconds),
        tuple(((high - v) / (high - low) * height, f"{v:g}") for v in values),
    )


def _strip(evidence: Evidence, answer: Answer) -> list[tuple[str, str]]:
    """(picture, its second) of the frames nearest to the middles of equal parts of the video."""
    middles = (np.arange(STRIP) + 0.5) / STRIP * answer.frames
    chosen = np.abs(evidence.frames[None] - middles[:, None]).argmin(1)
    return [(_jpeg(evidence.pictures[i]), f"{evidence.frames[i] / answer.fps:.2f} s") for i in chosen]


def _jpeg(picture: np.ndarray) -> str:
    scale = STRIP_SIDE / min(picture.shape[:2])
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return data_uri("image/jpeg", data.tobytes())


@functools.cache
def _templates() -> jinja2.Environment:
    environment = templates_of("mutualnet3d.page")
    environment.filters["duration"] = lambda ms: f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"
    return environment
