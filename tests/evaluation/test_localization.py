"""From maps to boxes, and what is counted of them."""

import numpy as np
import pytest

from mutualnet3d.evaluation.localization import Tally, best_overlap, box_of_map, centre_box


def brute_force_iou(a, b):
    """By counting the cells of a grid of tenths of pixels."""
    grid = (np.arange(0, 20, 0.1) + 0.05)[None]
    inside = [((grid > x1) & (grid < x2)) & ((grid > y1) & (grid < y2)).T for x1, y1, x2, y2 in (a, b)]
    return (inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum()


def test_the_box_holds_the_largest_region_above_the_threshold():
    activation_map = np.zeros((12, 16), np.float32)
    activation_map[2:6, 3:9] = 0.5  # the largest region, not the highest
    activation_map[9:11, 12:15] = 1.0
    activation_map[6, 9] = 0.5  # touches the first at a corner
    assert box_of_map(activation_map, 0.4).tolist() == [3, 2, 10, 7]
    assert box_of_map(activation_map, 0.6).tolist() == [12, 9, 15, 11]
    assert box_of_map(activation_map * 1e-3, 0.4).tolist() == [3, 2, 10, 7]  # only shares of the maximum count
    assert box_of_map(np.full((4, 6), 2.0), 0.2).tolist() == [0, 0, 6, 4]


@pytest.mark.parametrize("highest", [0.0, -1.0])
def test_nothing_that_speaks_for_the_class_has_no_box(highest):
    box = box_of_map(np.full((4, 6), highest))
    assert box.tolist() == [0, 0, 0, 0]
    assert best_overlap(box, np.array([[0.0, 0.0, 6.0, 4.0]])) == 0


def test_overlap():
    rng = np.random.default_rng(0)
    for _ in range(20):
        corners = np.sort(rng.integers(0, 199, (2, 2, 2)) / 10, axis=1)
        corners[:, 1] += 0.1  # no box is empty
        a, b = corners.reshape(2, 4)
        assert best_overlap(a, b[None]) == pytest.approx(brute_force_iou(a, b), abs=1e-9)
    box = np.array([0.0, 0.0, 2.0, 2.0])
    assert best_overlap(box, np.array([[5.0, 5, 6, 6], [0, 0, 2, 1], [1, 1, 3, 3]])) == 0.5


def test_centre_box():
    truths = [np.array([[0.0, 0, 2, 6]]), np.array([[1.0, 1, 5, 3]])]
    assert centre_box(truths, 10, 20).tolist() == [3.5, 8, 6.5, 12]


def test_tally():
    tally = Tally("1.0-80-8", 0.2)
    for overlap, recognised in ((0.5, True), (0.9, False), (0.4, True), (0.2, False)):
        tally.add(overlap, recognised)
    result = tally.result()
    assert (result.frames, result.localized, result.top1, result.localized_and_top1) == (4, 50, 50, 25)
    assert result.mean_iou == pytest.approx(50)
    guess = Tally("whole view")
    guess.add(0.6)
    assert (guess.result().localized, guess.result().top1, guess.result().localized_and_top1) == (100, None, None)
