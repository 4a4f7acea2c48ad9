"""The chart of accuracy against cost: a picture is written, whole, of the right size; nonsense is refused."""

import itertools
import random
import struct
import subprocess
import sys
from dataclasses import dataclass

import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import DataError
from mutualnet3d.query_table import pareto_front
from mutualnet3d.visualization import plot_accuracy_cost, plot_accuracy_gmacs
from mutualnet3d.visualization.curves import CHANGES, NAMED, draw_accuracy_cost
from mutualnet3d.visualization.drawing import LEAST_SPAN, plain
from mutualnet3d.visualization.points import Point, changed_axis, chart_points, front_of


@dataclass(frozen=True)
class Measured:
    configuration: Configuration
    gmacs: float
    accuracy: float
    latency_ms: float | None = None


def grid(widths=(0.63, 0.8, 1.0), spatials=(142, 178, 224), temporals=(3, 5, 8)):
    points = []
    for number, (width, spatial, temporal) in enumerate(itertools.product(widths, spatials, temporals)):
        gmacs = 54.5 * width**2 * (spatial / 224) ** 2 * (temporal or 8) / 8
        accuracy = 60 + 0.2 * gmacs + number % 4
        points.append(Measured(Configuration(width, spatial, temporal), gmacs, accuracy, 100 - gmacs))
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
        [Measured(Configuration(1.0, 224, 8), 54.5, 70.0)] * 2,
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


def labels_of(figure):
    return [text for text in figure.axes[0].texts if "-" in text.get_text()]


def overlapping(figure):
    """Pairs of labels whose words overlap, without the lines to the points."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    boxes = [(text.get_text(), Text.get_window_extent(text, renderer)) for text in labels_of(figure)]
    return [(a, b) for (a, box), (b, other) in itertools.combinations(boxes, 2) if box.overlaps(other)]


def test_every_configuration_of_the_front_is_named_and_labels_do_not_overlap():
    points = grid()
    figure = draw_accuracy_cost(chart_points(points, "gmacs", "x"), title="x")
    texts = labels_of(figure)
    sizes = sorted(points, key=lambda p: p.gmacs)
    named = {str(p.configuration) for p in [*pareto_front(points), sizes[0], sizes[-1]]}
    assert len(named) > 5
    assert {text.get_text() for text in texts} == named
    assert overlapping(figure) == []
    assert {t.get_text() for t in texts if t.get_fontweight() == "bold"} == {"1.0-224-8", "0.63-142-3"}


def test_a_crowded_front_is_named_in_part_and_always_at_its_ends():
    widths = [round(0.63 + 0.37 * i / 8, 2) for i in range(9)]
    points = [Point(c.configuration, c.gmacs, 50 + c.gmacs) for c in grid(widths, (142, 160, 192, 224), (6, 9, 12, 16))]
    assert len(front_of(points)) > 100
    figure = draw_accuracy_cost(points, title="x")
    texts = labels_of(figure)
    assert 5 < len(texts) <= NAMED
    assert {"1.0-224-16", "0.63-142-6"} <= {text.get_text() for text in texts}
    assert overlapping(figure) == []


def test_the_front_is_coloured_by_what_changes():
    names = ("0.63-142-3", "0.8-142-3", "0.8-178-3", "0.8-178-5", "1.0-224-5")
    points = [Point(Configuration.parse(name), 1.0 + i, 50.0 + i) for i, name in enumerate(names)]
    figure = draw_accuracy_cost([*points, Point(Configuration(1.0, 224, 8), 9.0, 40.0)], title="x")
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    found = [(tuple(line.get_xdata()), to_hex(line.get_color())) for line in lines]
    kinds = ["width", "spatial", "temporal", "several"]
    assert found == [((1.0 + i, 2.0 + i), CHANGES[kind]) for i, kind in enumerate(kinds)]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[-5:] == [
        "Pareto front",
        "width changes",
        "spatial changes",
        "temporal changes",
        "several change",
    ]
    bold = {text.get_text() for text in figure.legends[0].get_texts() if text.get_fontweight() == "bold"}
    assert bold == {"width", "spatial", "temporal", "Pareto front"}


def test_images_have_no_temporal_axis():
    figure = draw_accuracy_cost(chart_points(grid(temporals=(None,)), "gmacs", "x"), title="x")
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert not any("frames" in text or "temporal" in text for text in shown)
    assert changed_axis(Configuration(0.5, 128), Configuration(0.5, 160)) == "spatial"


def test_latency_has_its_own_axis_and_front():
    figure = draw_accuracy_cost(chart_points(grid(), "latency_ms", "x"), title="x", cost="latency_ms")
    assert "latency" in figure.axes[0].get_xlabel()
    assert "1.0-224-8" in {text.get_text() for text in labels_of(figure)}
    cheapest = min(grid(), key=lambda p: p.latency_ms)
    assert front_of(chart_points(grid(), "latency_ms", "x"))[0].configuration == cheapest.configuration


def test_equal_accuracies_are_not_blown_up():
    points = [Point(p.configuration, p.gmacs, 50.0) for p in grid()]
    low, high = draw_accuracy_cost(points, title="x").axes[0].get_ylim()
    assert high - low >= LEAST_SPAN
    assert low < 50 < high


def test_every_point_lies_inside_the_axes():
    points = chart_points(grid(), "gmacs", "x")
    axes = draw_accuracy_cost(points, title="x").axes[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert all(left < p.cost < right and bottom < p.accuracy < top for p in points)


def test_the_standard_error_is_that_of_a_share():
    points = [Point(Configuration(1.0, 224, 8), 1.0, 50.0), Point(Configuration(0.5, 224, 8), 0.5, 10.0)]
    texts = [text.get_text() for text in draw_accuracy_cost(points, title="x", videos=400).axes[0].texts]
    assert "400 videos: ± 2.5 points standard error" in texts  # sqrt(0.5 * 0.5 / 400)


def test_front_is_what_nothing_cheaper_reaches():
    rng = random.Random(0)
    configurations = [Configuration(round(0.01 * i, 2), 32, 4) for i in range(1, 41)]
    points = [Point(c, rng.randint(1, 12), float(rng.randint(0, 12))) for c in configurations]
    better = {
        p
        for p in points
        for q in points
        if (q.cost <= p.cost and q.accuracy >= p.accuracy) and (q.cost, q.accuracy) != (p.cost, p.accuracy)
    }
    expected = {(p.cost, p.accuracy) for p in points if p not in better}
    found = [(p.cost, p.accuracy) for p in front_of(points)]
    assert set(found) == expected
    assert found == sorted(expected)
    as_entries = [Measured(p.configuration, p.cost, p.accuracy) for p in points]
    assert [p.configuration for p in front_of(points)] == [p.configuration for p in pareto_front(as_entries)]


def test_no_points_are_refused(tmp_path):
    with pytest.raises(DataError, match="no points"):
        plot_accuracy_gmacs([], tmp_path / "curve.png", title="x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("gmacs", "accuracy"), [(0.0, 50.0), (float("nan"), 50.0), (1.0, float("nan"))])
def test_undrawable_points_are_refused_by_name(tmp_path, gmacs, accuracy):
    with pytest.raises(DataError, match=r"0\.63-142-3"):
        plot_accuracy_gmacs([Measured(Configuration(0.63, 142, 3), gmacs, accuracy)], tmp_path / "curve.png", title="x")
    assert not list(tmp_path.iterdir())


def test_a_cost_that_was_not_measured_is_refused(tmp_path):
    point = Measured(Configuration(0.63, 142, 3), 1.0, 50.0)
    with pytest.raises(DataError, match=r"0\.63-142-3 has no latency_ms; measure it"):
        plot_accuracy_cost([point], tmp_path / "curve.png", title="x", cost="latency_ms")
    with pytest.raises(DataError, match=r"cost 'watts' is not one of gmacs, latency_ms"):
        plot_accuracy_cost([point], tmp_path / "curve.png", title="x", cost="watts")


def test_texts_of_unknown_origin_are_shown_as_they_are():
    assert plain("a$b$") == r"a\$b\$"
    assert plain("bell\a\x00") == "bell??"
    assert plain("x" * 30 + "y" * 30, 20) == "x" * 9 + "…" + "y" * 10


def test_pyplot_is_not_touched():
    code = "import sys, mutualnet3d.visualization; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
