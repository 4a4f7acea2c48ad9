"""People and what they do, drawn over a video."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from data.video_files import decode_all, write_video

import mutualnet3d as mn
from mutualnet3d.predictor import Detections
from mutualnet3d.predictor.people import FileBoxes
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.streaming import panels
from mutualnet3d.streaming.people import COLOURS, PeopleOverlay, detection_video

ENTRY = Entry(mn.Configuration(0.81, 64, 5), 0.1132, 1.2, 44.5)
BOX = np.array([[100.0, 90.0, 180.0, 200.0]])
LABELS = (("brush hair", 0.9), ("a very long name of an action that fits nowhere at all", 0.3))


def found(second=0.0, boxes=BOX, labels=(LABELS,)):
    return Detections(second, boxes, labels, torch.zeros(0, 0), ENTRY.configuration, ENTRY, None)


class Predictor:
    """Says which key frames it was asked for."""

    table = QueryTable((ENTRY,), "map")

    def __init__(self):
        self.asked = []

    def detect(self, video, boxes, *, at, **options):
        self.asked.append((at, options))
        return (found(at),)


def test_a_box_with_its_labels():
    image = np.full((240, 320, 3), 100, np.uint8)
    overlay = PeopleOverlay((240, 320), "map")
    drawn = overlay.draw(image, found())
    assert (image == 100).all()  # drawn on a copy
    edge = [drawn[150, 100], drawn[150, 180], drawn[200, 140]]
    np.testing.assert_array_equal(edge, [COLOURS[0]] * 3)
    inside = drawn[110:190, 110:170]
    assert (inside == 100).all()
    assert (drawn[60:88, 100:200] != 100).any()  # names above the box
    assert (drawn[225:240, :150] != 100).any()  # what runs
    assert (overlay.draw(image, None) == 100).all()
    bare = overlay.draw(image, found(labels=((),)))
    assert (bare[:200] != drawn[:200]).any()
    assert (bare[60:88, 100:200] == 100).all()


@pytest.mark.parametrize("size", [(240, 320), (1080, 1920), (480, 270), (48, 64), (8, 8)])
def test_any_size_and_place(size):
    height, width = size
    corners = [[0, 0, width - 1, height - 1], [width - 2, height - 2, width - 1, height - 1], [0, 0, 1, 1]]
    image = np.full((*size, 3), 100, np.uint8)
    drawn = PeopleOverlay(size, "map").draw(image, found(boxes=np.array(corners, float), labels=(LABELS,) * 3))
    assert (drawn.shape, drawn.dtype) == (image.shape, np.uint8)
    assert (drawn != 100).any()


def test_names_hide_nobody_who_fills_the_height():
    """Beside the box: to its right where there is room, else to its left."""
    black = np.zeros((240, 320, 3), np.uint8)
    for left, (inside, beside) in ((20, (slice(30, 90), slice(105, 140))), (210, (slice(220, 280), slice(170, 205)))):
        box = np.array([[left, 10.0, left + 80, 210]])
        drawn = PeopleOverlay((240, 320), "map").draw(black, found(boxes=box, labels=((("golf", 0.5),),)))
        assert not drawn[20:200, inside].any()
        assert drawn[10:30, beside].any()


def test_people_have_their_own_colours():
    boxes = np.array([[10.0, 90, 60, 200], [200, 90, 280, 200]])
    drawn = PeopleOverlay((240, 320), "map").draw(
        np.zeros((240, 320, 3), np.uint8), found(boxes=boxes, labels=((), ()))
    )
    np.testing.assert_array_equal([drawn[150, 10], drawn[150, 200]], COLOURS[:2])


def test_names_show_their_probabilities_and_are_shortened():
    widths = [panels.names(LABELS[:1], COLOURS[0], wide, 16).width for wide in (400, 90)]
    assert widths[0] > 90 >= widths[1]
    assert panels.names(LABELS, COLOURS[0], 400, 16).height > panels.names(LABELS[:1], COLOURS[0], 400, 16).height


def test_a_video_shows_each_key_frame_until_the_next(tmp_path):
    source, output = write_video(tmp_path / "long.mp4", 100, size=(240, 320)), tmp_path / "out.mp4"
    boxes = FileBoxes({0.5: BOX / 400, 1.0: BOX / 400, 2.5: BOX / 400})
    predictor = Predictor()
    seconds = [each.second for each in detection_video(predictor, source, output, boxes, max_gmacs=7.0, top_k=2)]
    assert seconds == [0.5, 1.0, 2.5] == [at for at, _ in predictor.asked]
    assert predictor.asked[0][1] == {"max_gmacs": 7.0, "top_k": 2, "threshold": None}
    before, after = decode_all(source), decode_all(output)
    assert after.shape == before.shape
    colour = after[:, 120:170, 100:102].astype(int) - COLOURS[0]
    drawn = np.flatnonzero(abs(colour).mean((1, 2, 3)) < 40)
    assert drawn.tolist() == [*range(15, 45), *range(75, 90)]  # at most half a second each: the shortest distance


def test_stopping_leaves_a_whole_video(tmp_path):
    source, output = write_video(tmp_path / "long.mp4", 100, size=(240, 320)), tmp_path / "out.mp4"
    video = detection_video(Predictor(), source, output, BOX, every=0.5)
    assert [next(video).second for _ in range(3)] == [0.0, 0.5, 1.0]
    video.close()
    assert len(decode_all(output)) == 30
    stop = []
    boxes = FileBoxes({0.5: BOX / 400})
    for _ in detection_video(Predictor(), source, output, boxes, stop=stop):
        stop.append("asked")  # long after the last key frame there is much left to write
    assert len(decode_all(output)) == 16
    assert len(list(detection_video(Predictor(), source, output, BOX, seconds=1.2))) == 2
    assert len(decode_all(output)) == 37


def test_what_was_drawn_is_not_laid_out_again(monkeypatch):
    overlay, calls = PeopleOverlay((240, 320), "map"), []
    lay_out = overlay._lay_out
    monkeypatch.setattr(overlay, "_lay_out", lambda each: calls.append(each) or lay_out(each))
    one, image = found(), np.zeros((240, 320, 3), np.uint8)
    for each in (one, one, replace(one), None):
        overlay.draw(image, each)
    assert len(calls) == 2
