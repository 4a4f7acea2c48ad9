"""What is drawn: at every size, within the frame, and what it says."""

from dataclasses import replace

import numpy as np
import pytest

import mutualnet3d as mn
from mutualnet3d.query_table import Entry
from mutualnet3d.streaming import panels
from mutualnet3d.streaming.overlay import Overlay
from mutualnet3d.streaming.screen import Moment, Screen

ENTRY = Entry(mn.Configuration(0.63, 50, 3), 0.0218, 0.454, 39.1)
SCREEN = Screen(
    labels=(("brush_hair", 0.61), ("a name that is far too long for any panel of a small frame", 0.2), ("golf", 0.1)),
    entry=ENTRY,
    metric="top1",
    position=1,
    steps=4,
    budget_ms=40.0,
    history=tuple(Moment(20.0 + number % 30, 40.0) for number in range(300)),
    load=1.2,
    out_of_reach=False,
    notes=("budget 80 → 40 ms",),
)
EMPTY = replace(SCREEN, labels=(), history=(), notes=())
SIZES = [(240, 320), (320, 240), (480, 640), (720, 1280), (1080, 1920), (64, 64), (32, 48), (8, 8), (2, 2)]


def grey(size):
    return np.full((*size, 3), 128, np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("screen", [SCREEN, EMPTY, replace(SCREEN, out_of_reach=True, steps=1, position=0)])
def test_every_size_is_drawn_upon(size, screen):
    image = grey(size)
    drawn = Overlay(size).draw(image, screen)
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert (image == 128).all()  # the frame itself is left alone
    assert (drawn != 128).any() or min(size) < 8


@pytest.mark.parametrize("size", [(240, 320), (720, 1280), (1080, 1920)])
def test_the_middle_of_the_picture_stays_free(size):
    drawn = Overlay(size).draw(grey(size), SCREEN)
    height, width = size
    assert (drawn[int(0.3 * height) : int(0.6 * height)] == 128).all()
    assert (drawn[: int(0.6 * height), int(0.65 * width) :] == 128).all()
    covered = (drawn != 128).any(2).mean()
    assert 0.03 < covered < 0.45


def bars(screen, colour):
    """How many pixels of the operating panel have a colour."""
    pixels = np.asarray(panels.operation(screen, 310, 10))
    return int((pixels == colour).all(2).sum())


def test_clips_over_their_own_budget_are_red():
    kept = replace(SCREEN, history=(Moment(30.0, 40.0),) * 5)
    assert bars(kept, panels.BAD) == 0
    late = replace(SCREEN, history=(*kept.history, Moment(50.0, 40.0)))
    assert bars(late, panels.BAD) > 0
    fallen = replace(SCREEN, budget_ms=20.0, history=(Moment(30.0, 40.0),) * 5)  # kept the budget of their time
    assert bars(fallen, panels.BAD) == 0
    assert bars(replace(kept, out_of_reach=True), panels.BAD) > 0


def test_bars_of_probabilities_are_as_long_as_they_are_probable():
    lengths = []
    for probability in (0.0, 0.25, 0.5, 1.0):
        screen = replace(SCREEN, labels=(("", probability),))
        pixels = np.asarray(panels.actions(screen, 200, 10, 1))
        lengths.append(int((pixels == panels.BAR).all(2).any(0).sum()))
    assert lengths[1] / lengths[3] == pytest.approx(0.25, abs=0.03)
    assert lengths[2] / lengths[3] == pytest.approx(0.5, abs=0.03)
    assert lengths[0] <= 1


def test_the_lit_step_is_the_running_one():
    def lit(position):
        pixels = np.asarray(panels.operation(replace(SCREEN, position=position, history=()), 310, 10))[:, :150]
        return np.flatnonzero((pixels == panels.GOOD).all(2).any(0)).mean()

    places = [lit(position) for position in range(4)]
    assert places == sorted(places)
    assert len(set(places)) == 4


def test_long_names_are_shortened():
    face = panels.font(12)
    assert panels.fitting("golf", face, 100) == "golf"
    short = panels.fitting("a very long name", face, 50)
    assert short.endswith("…")
    assert face.getlength(short) <= 50
    assert panels.fitting("anything", face, -5) == "…"


def test_the_same_screen_is_laid_out_once(monkeypatch):
    calls = []
    actual = panels.actions
    monkeypatch.setattr(panels, "actions", lambda *arguments: calls.append(1) or actual(*arguments))
    overlay = Overlay((240, 320))
    for screen in (SCREEN, replace(SCREEN), EMPTY):
        overlay.draw(grey((240, 320)), screen)
    assert len(calls) == 2
