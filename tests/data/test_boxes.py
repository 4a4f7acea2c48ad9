"""Boxes follow the pixels."""

import numpy as np
import pytest

from mutualnet3d.data.boxes import clip_boxes, have_area, move_to_window, to_pixels
from mutualnet3d.data.transforms import TrainTransform, Window, draw_window, random_crop_and_flip

BOXES = np.array([[0.0, 0.1, 0.5, 1.0], [0.25, 0.25, 0.75, 0.5], [-0.1, -0.2, 1.2, 1.3]])


def test_to_pixels():
    pixels = to_pixels(BOXES, height=101, width=201)
    np.testing.assert_allclose(pixels, [[0, 10.1, 100.5, 100], [50.25, 25.25, 150.75, 50.5], [0, 0, 200, 100]])
    assert to_pixels(np.empty((0, 4)), 10, 10).shape == (0, 4)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_box_stays_around_its_pixels(mirrored):
    """A marked rectangle of the frame is found in the window by looking, and by its box."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        x1, x2 = np.sort(rng.choice(64, 2, replace=False))
        y1, y2 = np.sort(rng.choice(48, 2, replace=False))
        frame = np.zeros((1, 48, 64, 3), np.uint8)
        frame[:, y1 : y2 + 1, x1 : x2 + 1] = 255
        window = Window(int(rng.integers(0, 17)), int(rng.integers(0, 33)), 32, mirrored)
        box = np.array([[x1, y1, x2, y2]], np.float64)
        seen = np.argwhere(window.cut(frame)[0, :, :, 0])
        moved = move_to_window(box, window)
        assert box.tolist() == [[x1, y1, x2, y2]], "the argument is left alone"
        if len(seen):
            (top, left), (bottom, right) = seen.min(0), seen.max(0)
            assert moved.tolist() == [[left, top, right, bottom]]
        else:
            assert not have_area(moved).any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_windows_against_pyslowfast(mirrored):
    transform = pytest.importorskip("slowfast.datasets.cv2_transform")
    boxes = to_pixels(np.random.default_rng(0).random((20, 4)), 240, 320)
    wanted = transform.crop_boxes(boxes.copy(), 37, 11)
    wanted = transform.flip_boxes(wanted, 224) if mirrored else wanted
    wanted = transform.clip_boxes_to_image(wanted, 224, 224)
    np.testing.assert_array_equal(move_to_window(boxes, Window(11, 37, 224, mirrored)), wanted)


def test_boxes_without_area():
    boxes = np.array([[0, 0, 5, 5], [5, 0, 5, 5], [0, 5, 5, 5], [6, 0, 5, 5.0]])
    assert have_area(boxes).tolist() == [True, False, False, False]
    outside = clip_boxes(np.array([[-9.0, 2, -3, 8], [12, 2, 20, 8]]), 10, 10)
    assert outside.tolist() == [[0, 2, 0, 8], [9, 2, 9, 8]]
    assert not have_area(outside).any()


def test_windows_are_drawn_everywhere():
    transform, rng = TrainTransform((32, 32), 32), np.random.default_rng(0)
    windows = [draw_window(34, 36, transform, rng) for _ in range(400)]
    assert {(w.top, w.left) for w in windows} == {(top, left) for top in range(3) for left in range(5)}
    assert 150 < sum(w.mirrored for w in windows) < 250
    assert not any(draw_window(34, 36, TrainTransform((32, 32), 32, flip=False), rng).mirrored for _ in range(50))
    frames = np.random.default_rng(1).integers(0, 255, (2, 34, 36, 3), dtype=np.uint8)
    one = random_crop_and_flip(frames, transform, np.random.default_rng(5))
    np.testing.assert_array_equal(one, draw_window(34, 36, transform, np.random.default_rng(5)).cut(frames))
