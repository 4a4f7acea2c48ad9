"""What is drawn: where it changes the picture, and where it must not."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageFont

import mutualnet3d as mn
from mutualnet3d.query_table import Entry
from mutualnet3d.streaming import panels
from mutualnet3d.streaming.overlay import Overlay
from mutualnet3d.streaming.screen import Moment, Screen

ENTRY = Entry(mn.Configuration(0.81, 64, 5), 0.1132, 1.2, 44.5)
SCREEN = Screen(
    labels=(("clap", 0.6), ("a very long name of an action that fits nowhere", 0.3), ("wave", 0.1)),
    entry=ENTRY,
    metric="top1",
    position=2,
    steps=5,
    budget_ms=40.0,
    history=tuple(Moment(ms, 40.0) for ms in (30.0, 50.0, 35.0)),
    load=1.2,
    out_of_reach=False,
    notes=("budget 80 → 40 ms",),
)
SIZES = [(240, 320), (1080, 1920), (480, 270), (48, 64), (8, 8)]


def colours(image):
    return {tuple(pixel) for pixel in image.reshape(-1, image.shape[-1]).tolist()}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "screen",
    [
        SCREEN,
        replace(SCREEN, labels=(), history=(), notes=(), entry=replace(ENTRY, configuration=mn.Configuration(1.0, 64))),
    ],
)
def test_any_size(size, screen):
    image = np.full((*size, 3), 100, np.uint8)
    drawn = Overlay(size).draw(image, screen)
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert (image == 100).all()  # drawn on a copy
    assert (drawn != 100).any() == (min(size) >= 48)


def test_what_is_between_the_panels_stays():
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    drawn = Overlay((480, 640)).draw(image, SCREEN)
    np.testing.assert_array_equal(drawn[200:280, 400:], image[200:280, 400:])
    assert (drawn[400:470, 20:600] != image[400:470, 20:600]).any(axis=2).mean() > 0.9


def test_panels_let_the_picture_through():
    bright, dark = (np.full((240, 320, 3), value, np.uint8) for value in (255, 0))
    overlay = Overlay((240, 320))
    difference = overlay.draw(bright, SCREEN).astype(int) - overlay.draw(dark, SCREEN)
    panel = difference[200:230, 20:300]
    assert 0 < np.median(panel) < 128


def test_bars_say_whether_the_budget_was_kept():
    def history(*latencies):
        return colours(
            np.asarray(panels.operation(replace(SCREEN, history=tuple(Moment(ms, 40.0) for ms in latencies)), 400, 16))
        )

    assert panels.BAD not in history(30.0, 40.0)
    assert panels.BAD in history(30.0, 40.1)
    assert {panels.GOOD, panels.BUDGET} <= history(30.0)


def test_the_front_is_lit_at_the_position():
    def lit(**changes):
        image = np.asarray(panels.operation(replace(SCREEN, history=(), **changes), 400, 16))[70:, :200]
        return [np.flatnonzero((image == colour).all(-1).any(0)) for colour in (panels.GOOD, panels.BAD)]

    left, right = lit(position=0)[0], lit(position=4)[0]
    assert left.max() < right.min()
    good, bad = lit(position=0, out_of_reach=True)
    assert (len(good), len(bad)) == (0, len(left))


def test_long_names_are_shortened():
    face = panels.font(16)
    assert isinstance(face, ImageFont.FreeTypeFont)
    assert panels.fitting("wave", face, 200) == "wave"
    short = panels.fitting("a very long name of an action", face, 100)
    assert short.endswith("…")
    assert face.getlength(short) <= 100
    assert "a very long name".startswith(short[:-1])


def test_letters_grow_with_the_picture():
    heights = [Overlay(size)._unit for size in ((64, 64), (240, 320), (480, 640), (1080, 1920))]
    assert heights == [10, 10, 16, 31]


def test_the_same_screen_is_laid_out_once(monkeypatch):
    overlay, image, calls = Overlay((240, 320)), np.zeros((240, 320, 3), np.uint8), []
    lay_out = overlay._lay_out
    monkeypatch.setattr(overlay, "_lay_out", lambda screen: calls.append(screen) or lay_out(screen))
    for screen in (SCREEN, replace(SCREEN), replace(SCREEN, notes=()), replace(SCREEN, notes=())):
        overlay.draw(image, screen)
    assert len(calls) == 2
