"""The accuracy-GMACs curve: a picture is written, whole, of the right size; nonsense is refused."""

import itertools
import struct
import subprocess
import sys
from dataclasses import dataclass

import pytest
from matplotlib.text import Text

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import DataError
from mutualnet3d.visualization import curves, plot_accuracy_gmacs
from mutualnet3d.visualization.curves import pareto_front


@dataclass(frozen=True)
class Point:
    configuration: Configuration
    gmacs: float
    accuracy: float


def grid(widths=(0.63, 0.8, 1.0), spatials=(142, 178, 224), temporals=(3, 5, 8)):
    points = []
    for number, (width, spatial, temporal) in enumerate(itertools.product(widths, spatials, temporals)):
        gmacs = 54.5 * width**2 * (spatial / 224) ** 2 * (temporal or 8) / 8
        points.append(Point(Configuration(width, spatial, temporal), gmacs, 60 + 0.2 * gmacs + number % 4))
    return points


def png_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[-8:-4] == b"IEND"
    return struct.unpack(">II", data[16:24])


@pytest.mark.parametrize(
    "points",
    [
        grid(),
        grid(widths=(0.25, 0.5, 1.0), temporals=(None,)),
        grid(widths=(1.0,), spatials=(224,), temporals=(8,)),
        [Point(Configuration(1.0, 224, 8), 54.5, 70.0)] * 2,
    ],
    ids=["video", "images", "one", "twice the same"],
)
def test_picture_is_written_whole(tmp_path, points):
    plot_accuracy_gmacs(points, tmp_path / "curve.png", title="Slow 8x8")
    assert png_size(tmp_path / "curve.png") == (1200, 750)
    assert [p.name for p in tmp_path.iterdir()] == ["curve.png"]


def test_existing_picture_is_replaced(tmp_path):
    (tmp_path / "curve.png").write_text("old")
    plot_accuracy_gmacs(iter(grid()), str(tmp_path / "curve.png"), title="x", metric="mAP (%)")
    assert png_size(tmp_path / "curve.png") == (1200, 750)


def test_every_configuration_of_the_front_is_named_and_labels_do_not_overlap(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(curves, "_save", lambda figure, path: kept.append(figure))
    points = grid()
    plot_accuracy_gmacs(points, tmp_path / "curve.png", title="x")
    (figure,) = kept
    texts = figure.axes[0].texts
    sizes = sorted(points, key=lambda p: p.gmacs)
    named = {str(p.configuration) for p in [*pareto_front(points), sizes[0], sizes[-1]]}
    assert {text.get_text() for text in texts} == named
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [Text.get_window_extent(text, renderer) for text in texts]  # of the words, without the lines to the points
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert {t.get_text() for t in texts if t.get_fontweight() == "bold"} == {"1.0-224-8", "0.63-142-3"}


def test_pareto_front_drops_what_costs_more_for_no_gain():
    c = Configuration(1.0, 224, 8)
    a, b, worse, equal, d = (Point(c, *each) for each in ((1, 50), (2, 60), (2, 55), (3, 60), (4, 61)))
    assert pareto_front([d, equal, worse, b, a]) == [a, b, d]


def test_no_points_are_refused(tmp_path):
    with pytest.raises(DataError, match="no points"):
        plot_accuracy_gmacs([], tmp_path / "curve.png", title="x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("gmacs", "accuracy"), [(0.0, 50.0), (float("nan"), 50.0), (1.0, float("nan"))])
def test_undrawable_points_are_refused_by_name(tmp_path, gmacs, accuracy):
    with pytest.raises(DataError, match=r"0\.63-142-3"):
        plot_accuracy_gmacs([Point(Configuration(0.63, 142, 3), gmacs, accuracy)], tmp_path / "curve.png", title="x")


def test_pyplot_is_not_touched():
    code = "import sys, mutualnet3d.visualization; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
