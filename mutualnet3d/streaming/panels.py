"""The panels of pictures: actions, operating point and latency, news; names of boxes. Each is a small RGBA image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from mutualnet3d.query_table import Entry, metric_name
from mutualnet3d.streaming.screen import Screen

PAPER, INK, DIM = (13, 16, 24, 190), (245, 247, 250, 255), (165, 173, 188, 255)
GOOD, BAD, BUDGET = (72, 207, 143, 255), (255, 99, 99, 255), (255, 200, 87, 255)
BAR, SLOT = (64, 132, 214, 230), (58, 65, 82, 205)


@cache
def font(pixels: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings along."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")), pixels)


def fitting(text: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """``text``, shortened with an ellipsis where it is wider than ``width`` pixels."""
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def actions(screen: Screen, width: int, unit: int, rows: int) -> Image.Image:
    """A row per label: its name and probability on a bar of that length."""
    step, gap = round(1.7 * unit), max(2, unit // 4)
    labels = screen.labels[:rows]
    image, pen = _panel(width, step * max(len(labels), 1) + gap, unit)
    if not labels:
        pen.text((unit // 2, gap + step // 2), "watching …", INK, font(unit), anchor="lm")
    for row, (name, probability) in enumerate(labels):
        top, face = gap + row * step, font(unit, bold=row == 0)
        right, bottom = width - gap, top + step - gap
        pen.rectangle((gap, top, right, bottom), SLOT)
        pen.rectangle((gap, top, gap + (right - gap) * probability, bottom), BAR)
        share = f"{100 * probability:.0f} %"
        room = right - gap - font(unit).getlength(share) - 1.5 * unit
        middle = (top + bottom) // 2
        pen.text((gap + unit // 2, middle), fitting(name, face, room), INK, face, anchor="lm")
        pen.text((right - unit // 2, middle), share, INK, font(unit), anchor="rm")
    return image


def operation(screen: Screen, width: int, unit: int) -> Image.Image:
    """What runs, on which step of the front, and the latency of the last clips against the budget."""
    height = round(6.2 * unit)
    image, pen = _panel(width, height, unit)
    left = round(min(16.5 * unit, 0.5 * width))
    what, cost = _words(screen.entry, screen.metric)
    lines = (what, font(round(1.15 * unit), bold=True), INK), (cost, font(unit), DIM)
    pad, at = round(0.6 * unit), round(1.15 * unit)
    for text, face, colour in lines:
        pen.text((pad, at), fitting(text, face, left - 1.5 * pad), colour, face, anchor="lm")
        at += round(1.55 * unit)
    _front(pen, (pad, round(3.7 * unit), left - pad, height - pad), screen, unit)
    _history(pen, (left + pad, 0, width - pad, height), screen, unit)
    return image


def caption(entry: Entry, metric: str, width: int, unit: int) -> Image.Image:
    """One line: what runs, what it costs and reaches."""
    what, cost = _words(entry, metric)
    bold, face, gap = font(unit, bold=True), font(unit), unit
    room = width - 2 * gap
    what = fitting(what, bold, room)
    left = bold.getlength(what) + gap
    cost = fitting(cost, face, room - left) if room > left + 3 * unit else ""
    image, pen = _panel(round(2 * gap + left + face.getlength(cost)), round(1.8 * unit), unit)
    pen.text((gap, image.height // 2), what, INK, bold, anchor="lm")
    pen.text((gap + left, image.height // 2), cost, DIM, face, anchor="lm")
    return image


def names(
    labels: Sequence[tuple[str | int, float]], colour: tuple[int, int, int], width: int, unit: int
) -> Image.Image:
    """The labels of a box, a line each with the probability first, on a panel with a margin in its colour."""
    lines = [(f"{100 * p:.0f} %", str(name), font(unit, bold=row == 0)) for row, (name, p) in enumerate(labels)]
    step, pad = round(1.4 * unit), max(2, unit // 3)
    column = max(face.getlength(share) for share, _, face in lines)
    room = min(width, 24 * unit) - column - 5 * pad
    lines = [(share, fitting(name, face, room), face) for share, name, face in lines]
    wide = round(column + max(face.getlength(name) for _, name, face in lines) + 5 * pad)
    image, pen = _panel(min(wide, width), step * len(lines) + pad, unit)
    pen.rectangle((0, 0, pad, image.height), (*colour, 255))
    for row, (share, name, face) in enumerate(lines):
        middle = pad // 2 + row * step + step // 2
        pen.text((2 * pad + column, middle), share, INK, face, anchor="rm")
        pen.text((4 * pad + column, middle), name, INK if row == 0 else DIM, face, anchor="lm")
    return image


def _words(entry: Entry, metric: str) -> tuple[str, str]:
    """What runs, and what it costs and reaches."""
    c = entry.configuration
    length = "" if c.temporal is None else f" · {c.temporal} fr"
    accuracy = f"{metric_name(metric)} {entry.accuracy:.1f} %"
    return f"×{c.width:g} · {c.spatial} px{length}", f"{entry.gmacs:.3g} GMACs · {accuracy}"


def news(screen: Screen, width: int, unit: int) -> Image.Image | None:
    """What just happened, a line each; None where nothing did."""
    if not screen.notes:
        return None
    step, pad, face = round(1.5 * unit), round(0.5 * unit), font(unit, bold=True)
    lines = [fitting(note, face, width - 3 * pad) for note in screen.notes]
    wide = min(width, round(max(face.getlength(line) for line in lines)) + 3 * pad)
    image, pen = _panel(wide, step * len(lines) + pad, unit)
    pen.rectangle((0, 0, max(2, pad // 2), image.height), BUDGET)
    for row, line in enumerate(lines):
        pen.text((round(1.5 * pad), pad // 2 + row * step + step // 2), line, INK, face, anchor="lm")
    return image


def _front(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], screen: Screen, unit: int) -> None:
    """Steps from the cheapest to the most accurate configuration, the current one lit."""
    left, top, right, bottom = box
    gap = max(1, unit // 5)
    wide = (right - left + gap) / screen.steps - gap
    for step in range(screen.steps):
        x = left + step * (wide + gap)
        high = (bottom - top) * (0.35 + 0.65 * (step + 1) / screen.steps)
        colour = GOOD if step == screen.position else SLOT
        if step == screen.position and screen.out_of_reach:
            colour = BAD
        pen.rectangle((round(x), round(bottom - high), round(x + wide), bottom), colour)


def _history(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], screen: Screen, unit: int) -> None:
    """A bar per clip, green within the budget of its time and red above; the budget is a line across."""
    left, _, right, height = box
    face, middle = font(unit), round(1.15 * unit)
    newest = screen.history[-1] if screen.history else None
    text = f"of {screen.budget_ms if newest is None else newest.budget_ms:.3g} ms"
    if newest is not None:
        colour = GOOD if newest.latency_ms <= newest.budget_ms else BAD
        number, bold = f"{newest.latency_ms:.3g} ", font(round(1.15 * unit), bold=True)
        pen.text((left, middle), number, colour, bold, anchor="lm")
        pen.text((left + bold.getlength(number), middle), text, BUDGET, face, anchor="lm")
    else:
        pen.text((left, middle), text, BUDGET, face, anchor="lm")
    load = "out of reach" if screen.out_of_reach else f"load {screen.load:.1f}×"
    pen.text((right, middle), load, BAD if screen.out_of_reach else DIM, face, anchor="rm")

    top, bottom = round(2.2 * unit), round(height - 0.6 * unit)
    step = max(3, round(0.55 * unit))
    shown = screen.history[-max(1, (right - left) // step) :]
    highest = 1.15 * max([screen.budget_ms, *(m.budget_ms for m in shown)])

    def level(milliseconds: float) -> int:
        return round(bottom - (bottom - top) * min(milliseconds / highest, 1.0))

    thick, last = max(1, unit // 8), None
    x = right - step * len(shown)
    for moment in shown:
        colour = GOOD if moment.latency_ms <= moment.budget_ms else BAD
        pen.rectangle((x, level(moment.latency_ms), x + step - max(1, step // 4) - 1, bottom), colour)
        x += step
    x = right - step * len(shown)
    for budget in [*(m.budget_ms for m in shown[1:]), screen.budget_ms]:
        y = level(budget)
        if last is not None and last != y:
            pen.line((x, last, x, y), BUDGET, thick)
        pen.line((x, y, x + step, y), BUDGET, thick)
        x, last = x + step, y


def _panel(width: int, height: int, unit: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """An empty panel with rounded corners; drawing replaces what is under it, so colours are blended here."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.rounded_rectangle((0, 0, width - 1, height - 1), max(2, unit // 3), PAPER)
    return image, pen
