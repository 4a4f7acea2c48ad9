"""log.jsonl as curves: resumed, restarted and damaged logs; and their picture."""

import json

import numpy as np
import pytest
from run_files import train_line

from mutualnet3d.visualization.drawing import to_svg
from mutualnet3d.visualization.training_curves import MOST_POINTS, draw_training
from mutualnet3d.visualization.training_log import read_training_log


def val_line(epoch, top1):
    return json.dumps({"type": "val", "epoch": epoch, "top1": top1, "top5": 90.0})


@pytest.fixture
def write(tmp_path):
    def write(*lines):
        (tmp_path / "log.jsonl").write_text("\n".join(lines) + "\n")
        return read_training_log(tmp_path / "log.jsonl")

    return write


def test_curves_over_epochs(write):
    log = write(train_line(1, 5, 2.0), train_line(1, 10, 1.5), val_line(1, 33.0), train_line(2, 5, 1.0, lr=0.05))
    assert log.per_epoch == 10
    np.testing.assert_allclose(log.epoch, [0.5, 1.0, 1.5])
    np.testing.assert_allclose(log.losses["full"], [2.0, 1.5, 1.0])
    np.testing.assert_allclose(log.losses["random"], [0.3] * 3)  # the mean of 0.2 and 0.4
    np.testing.assert_allclose(log.lr, [0.1, 0.1, 0.05])
    np.testing.assert_allclose(log.evaluations, [[1, 33.0]])


def test_a_resumed_run_replaces_what_it_repeats(write):
    log = write(
        *(train_line(1, 5, 9.0), train_line(1, 10, 8.0), val_line(1, 20.0), train_line(2, 5, 7.0), val_line(2, 21.0)),
        *(train_line(2, 5, 1.0), train_line(2, 10, 0.5), val_line(2, 50.0)),
    )
    np.testing.assert_allclose(log.epoch, [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(log.losses["full"], [9.0, 8.0, 1.0, 0.5])
    np.testing.assert_allclose(log.evaluations, [[1, 20.0], [2, 50.0]])


def test_a_run_begun_anew_forgets_the_old_one(write):
    log = write(train_line(1, 10, 9.0), val_line(1, 20.0), train_line(2, 10, 7.0), train_line(1, 10, 1.0))
    np.testing.assert_allclose(log.losses["full"], [1.0])
    assert log.evaluations.shape == (0, 2)


def test_damaged_lines_are_counted_and_null_is_nan(write):
    log = write("{", "[]", '{"type": "train"}', train_line(1, 5, None), train_line(1, 10, 1.0))
    assert log.damaged == 3
    np.testing.assert_array_equal(log.losses["full"], [np.nan, 1.0])


def test_plain_training_has_no_sub_networks(write):
    line = json.loads(train_line(1, 5, 2.0))
    log = write(
        json.dumps({name: value for name, value in line.items() if name[:6] != "loss_s" and name[:6] != "loss_r"})
    )
    assert set(log.losses) == {"full"}
    titles = [axes.get_title(loc="left") for axes in draw_training(log).axes]
    assert "no sub-networks were trained" in titles


def test_nothing_trained(write):
    assert write(val_line(1, 3.0)) is None


def test_picture_shows_every_curve_and_thins_long_ones(write):
    log = write(*(train_line(epoch, 1, 2.0 * epoch) for epoch in range(1, 1001)), val_line(1000, 70.0))
    figure = draw_training(log)
    full, taught, accuracy, rate = figure.axes
    assert [len(axes.lines) for axes in (full, taught, accuracy, rate)] == [1, 2, 2, 1]
    assert len(full.lines[0].get_xdata()) == MOST_POINTS
    np.testing.assert_allclose(full.lines[0].get_ydata(), 2.0 * full.lines[0].get_xdata())
    svg = to_svg(figure)
    assert svg.startswith(b"<?xml")
    assert svg == to_svg(draw_training(log))
