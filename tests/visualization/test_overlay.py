"""Several runs in one chart."""

from dataclasses import replace

import pytest
from matplotlib.colors import to_hex

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import DataError
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.visualization import plot_overlay
from mutualnet3d.visualization.drawing import COLOURS
from mutualnet3d.visualization.overlay import draw_overlay


def drawn(cost, **tables):
    runs = {name: table.entries for name, table in tables.items()}
    return draw_overlay(runs, title="x", cost=cost, metric="top1", path="x").axes[0]


def table(*points, metric="top1"):
    entries = [Entry(Configuration.parse(name), gmacs, 1.0, top1, None, ms) for name, gmacs, top1, ms in points]
    return QueryTable(tuple(entries), metric)


MUTUAL = table(("0.63-32-2", 1, 50, 4), ("1.0-32-2", 2, 49, 3), ("1.0-32-4", 4, 60, 9))
ALONE = table(("1.0-32-4", 4, 58, 9))


def test_picture_of_mutual_against_independent(tmp_path):
    plot_overlay({"mutual": MUTUAL, "alone": ALONE}, tmp_path / "runs.png", cost="latency_ms")
    assert (tmp_path / "runs.png").read_bytes()[-8:-4] == b"IEND"
    assert [path.name for path in tmp_path.iterdir()] == ["runs.png"]


def test_each_run_has_its_front_and_its_full_in_its_colour():
    axes = drawn("gmacs", mutual=MUTUAL, alone=ALONE)
    fronts = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert [list(line.get_xdata()) for line in fronts] == [[1, 4], [4]]
    rings = [line for line in axes.lines if line.get_markersize() == 14]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in rings] == [(4, 60), (4, 58)]
    assert [to_hex(line.get_markeredgecolor()) for line in rings] == [to_hex(line.get_color()) for line in fronts]
    assert [to_hex(line.get_color()) for line in fronts] == list(COLOURS[:2])
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown[:2] == ["mutual (3 configurations)", "alone (1 configuration)"]


def test_the_front_is_that_of_the_cost():
    axes = drawn("latency_ms", mutual=MUTUAL)
    (front,) = (line for line in axes.lines if line.get_linestyle() == "-")
    assert list(zip(front.get_xdata(), front.get_ydata(), strict=True)) == [(3, 49), (4, 50), (9, 60)]


def test_what_cannot_be_compared_is_refused(tmp_path):
    with pytest.raises(DataError, match="no tables"):
        plot_overlay({}, tmp_path / "x.png")
    other = table(("1.0-32-4", 4, 58, None), metric="mAP")
    with pytest.raises(DataError, match="mAP, top1; compare runs of one metric"):
        plot_overlay({"a": MUTUAL, "b": other}, tmp_path / "x.png")
    with pytest.raises(DataError, match=r"b: 1\.0-32-4 has no latency_ms"):
        plot_overlay({"b": other}, tmp_path / "x.png", cost="latency_ms")
    cpu, gpu = (
        QueryTable(tuple(replace(e, latency_ms=None, latencies=((device, 3.0),)) for e in ALONE.entries))
        for device in ("cpu", "gpu")
    )
    with pytest.raises(DataError, match="latencies of cpu, gpu; compare on one device"):
        plot_overlay({"a": cpu, "b": gpu}, tmp_path / "x.png", cost="latency_ms")
    assert not list(tmp_path.iterdir())
    plot_overlay({"a": cpu, "b": cpu}, tmp_path / "x.png", cost="latency_ms")
