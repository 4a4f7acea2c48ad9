"""Answers without a page: budgets, classes, cost, maps, refusals, several users at once."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
import torch
from tables import A, B, C, on_cpu, plain

import mutualnet3d as mn
from mutualnet3d.data import Preprocessing, open_video
from mutualnet3d.deployment.trained import TrainedNetwork
from mutualnet3d.errors import BudgetError, DataError, DeploymentError, VideoError
from mutualnet3d.page import BudgetScale, PageModel, answer
from mutualnet3d.page.answer import explain
from mutualnet3d.page.budgets import scales_of
from mutualnet3d.page.evidence import Evidence
from mutualnet3d.page.examples import example_videos
from mutualnet3d.page.rendering import answer_html, curve, film
from mutualnet3d.query_table import QueryTable
from mutualnet3d.visualization.activation_maps import activation_maps
from mutualnet3d.visualization.clips import all_clips
from tests.deployment.networks import write_run


@pytest.fixture(scope="module")
def model(tiny_run):
    return PageModel.open(tiny_run, threads=1)


@pytest.fixture(scope="module")
def video(tiny_data):
    return tiny_data / "video 8.mp4"  # 28 frames: four clips cover it


def test_every_entry_has_a_mark_and_every_budget_buys_what_it_may():
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 40):
        entries = plain().entries[0]
        costs = rng.uniform(0.01, 1, size) * 10.0 ** rng.integers(-4, 4)
        rows = [
            replace(entries, configuration=mn.Configuration(1.0, 64, i + 1), gmacs=float(cost), accuracy=50.0 + i / 8)
            for i, cost in enumerate(sorted(costs))
        ]
        table = QueryTable(tuple(rows))
        scale = BudgetScale.of(table, "gmacs")
        assert len(scale.entries) == size
        assert all(mark >= entry.gmacs for mark, entry in zip(scale.marks, scale.entries, strict=True))
        assert all(mark <= entry.gmacs + scale.step for mark, entry in zip(scale.marks, scale.entries, strict=True))
        for mark, entry in zip(scale.marks, scale.entries, strict=True):
            assert scale.snap(mark)[0] == mark
            assert scale.snap(mark)[1].accuracy >= entry.accuracy  # equal marks: the better one
        for budget in np.linspace(scale.marks[0], 1.5 * scale.marks[-1], 50).tolist():
            mark, entry = scale.snap(budget)
            assert entry == table.best(max_gmacs=mark)
            assert mark <= budget + scale.step / 2
        for wrong in (scale.marks[0] - scale.step, math.nan, None, "1", -1.0):
            with pytest.raises(BudgetError, match=r"buys nothing: the least is .* GMACs, for 1.0-64-1"):
                scale.snap(wrong)


def test_latency_is_a_budget_where_all_were_measured():
    assert [scale.cost for scale in scales_of(plain())] == ["gmacs"]
    gmacs, latency = scales_of(on_cpu())
    assert (latency.unit, latency.marks, latency.step) == ("ms", (9.0, 40.0, 80.0), 0.1)
    assert [latency.snap(b)[1].configuration for b in (9, 39.9, 40, 1000)] == [A, A, B, C]
    assert gmacs.marks == (3.4, 20.0, 54.5)


def test_classes_and_maps_are_those_of_the_switched_network(model, tiny_run, video):
    """The mean probability over the clips that cover the video, and the maps of the most probable class over them."""
    given = answer(model, video, model.scales[0].marks[0])
    trained = TrainedNetwork(tiny_run)
    preprocessing, network = Preprocessing.from_cfg(trained.cfg), trained.model
    with open_video(video) as reader:
        clips, frames, fps = all_clips(reader, preprocessing), reader.num_frames, reader.fps
    configuration = model.predictor.table.best(max_gmacs=model.scales[0].marks[0]).configuration
    batch = clips.normalised(preprocessing)
    shares = network(batch, configuration).softmax(1).mean(0)
    names = ("red", "green", "blue")
    expected = sorted(zip(shares.tolist(), names, strict=True), reverse=True)
    assert given.prediction.configuration == configuration
    assert [name for name, _ in given.prediction.labels] == [name for _, name in expected]
    np.testing.assert_allclose([p for _, p in given.prediction.labels], [p for p, _ in expected], atol=1e-5)
    assert (given.video, given.frames, given.fps) == ("video 8.mp4", frames, fps)
    assert (given.clips, given.covered, given.seconds) == (4, True, pytest.approx(28 / 30))

    maps = activation_maps(network, batch, configuration, [int(shares.argmax())] * 4)
    first = {}
    for number, values in zip(clips.frames.ravel().tolist(), maps.at_clip().flatten(0, 1), strict=True):
        first.setdefault(number, float(values.mean()))
    assert given.evidence.frames.tolist() == sorted(first)
    np.testing.assert_allclose(given.evidence.strength, [first[n] for n in sorted(first)], atol=1e-5)
    seen = {int(row[i]) for row in clips.frames for i in maps.centres[0][0]}
    assert set(given.evidence.frames[given.evidence.given].tolist()) <= seen
    assert 0 < given.evidence.given.sum() < len(given.evidence.frames)  # two of four frames of each clip


def test_pictures_are_the_frames_dark_outside_the_view(model, video):
    evidence = answer(model, video, model.scales[0].marks[-1]).evidence
    with open_video(video) as reader:
        frames = reader.frames(evidence.frames, short_side=240).astype(int)
    assert evidence.pictures.shape == frames.shape == (len(evidence.frames), 240, 300, 3)
    # 32 of 45 x 36 pixels: 7 left, 2 above
    outside = np.ones((240, 300), bool)
    outside[round(2 / 36 * 240) : round(34 / 36 * 240), round(7 / 45 * 300) : round(39 / 45 * 300)] = False
    np.testing.assert_allclose(evidence.pictures[:, outside], 0.4 * frames[:, outside], atol=1)
    assert np.abs(evidence.pictures[:, ~outside] - 0.4 * frames[:, ~outside]).mean() > 20


def test_the_film_keeps_the_pace_of_the_video(model, video, tmp_path):
    given = answer(model, video, model.scales[0].marks[-1])
    path = tmp_path / "film.mp4"
    path.write_bytes(film(given.evidence, given.fps))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        shown = [(round(frame.time * 30), frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)]
    assert [number for number, _ in shown] == given.evidence.frames.tolist()
    errors = [np.abs(got.astype(int) - p).mean() for (_, got), p in zip(shown, given.evidence.pictures, strict=True)]
    assert max(errors) < 12


def test_long_videos_are_sampled_and_every_clip_has_its_line(model, tmp_path, tiny_data):
    path = tmp_path / "long.mp4"
    with open_video(tiny_data / "video 11.mp4") as reader:
        frames = reader.frames(list(range(reader.num_frames)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 60, "yuv420p"
        for image in np.tile(frames, (4, 1, 1, 1)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    given = answer(replace(model, most_clips=3), path, model.scales[0].marks[-1])
    assert (given.clips, given.covered) == (3, False)
    chart = curve(given.evidence, given)
    assert len(chart.paths) == 3
    assert sum(path.count(" L") + 1 for path in chart.paths) == len(given.evidence.frames) == 12
    assert "spread over it" in answer_html(model, given)


def test_a_curve_of_known_values():
    frames, clip, strength = np.array([0, 10, 20, 30]), np.array([0, 1, 0, 1]), np.array([0.0, 2.0, -1.0, 1.0])
    evidence = Evidence(frames, clip, strength, np.array([True, False, True, False]), np.zeros(0))
    chart = curve(evidence, SimpleNamespace(frames=40, seconds=4.0), width=400.0, height=116.0)
    high, unit = 2.24, 116 / 3.48  # 8 per cent above and below
    assert chart.zero == pytest.approx(high * unit)
    lines = [[tuple(map(float, pair.split())) for pair in path[1:].split(" L")] for path in chart.paths]
    expected = [[(0, 2.24 * unit), (200, 3.24 * unit)], [(100, 0.24 * unit), (300, 1.24 * unit)]]
    np.testing.assert_allclose(lines, expected, atol=0.06)
    assert list(chart.dots) == lines[0]
    assert chart.x_ticks[0] == (0.0, "0")
    assert (chart.zero, "0") in [(pytest.approx(y), text) for y, text in chart.y_ticks]


def test_html_escapes_names_and_says_what_was_run(model, video):
    deployment = model.predictor.deployment.with_classes(["<b>red</b>", "green & co", '"blue"'])
    given = answer(replace(model, predictor=mn.AdaptivePredictor(deployment)), video, model.scales[0].marks[-1])
    page = answer_html(model, given)
    assert "<b>red</b>" not in page
    assert "&lt;b&gt;red&lt;/b&gt;" in page
    entry = given.prediction.entry
    for text in (
        f"{entry.configuration}",
        f"{entry.gmacs:.3g} GMACs",
        f"{entry.accuracy:.1f}&nbsp;% top-1",
        "data:video/mp4",
    ):
        assert text in page
    assert page.count("data:image/jpeg") == 6
    assert "building this sub-network" in page  # its first use


def test_exports_have_no_maps_and_say_why(tiny_export, model, video):
    exported = PageModel.open(tiny_export, threads=1)
    given = answer(exported, video, exported.scales[0].marks[-1])
    assert given.evidence is None
    assert "an export holds finished sub-networks" in answer_html(exported, given)
    torch.testing.assert_close(
        given.prediction.scores, answer(model, video, model.scales[0].marks[-1]).prediction.scores, atol=1e-5, rtol=0
    )


def test_several_users_at_once(model, video, tiny_data):
    asked = [(path, mark) for mark in model.scales[0].marks for path in (video, tiny_data / "video 10.mp4")]
    alone = [answer(model, *each) for each in asked]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda each: answer(model, *each), asked * 2))
    for got, expected in zip(together, alone * 2, strict=True):
        assert got.prediction.configuration == expected.prediction.configuration
        torch.testing.assert_close(got.prediction.scores, expected.prediction.scores)
        np.testing.assert_allclose(got.evidence.strength, expected.evidence.strength, atol=1e-6)
        np.testing.assert_array_equal(got.evidence.frames, expected.evidence.frames)


def test_what_is_no_video(model, tmp_path):
    text, image = tmp_path / "text.mp4", tmp_path / "image.mp4"
    text.write_text("no video")
    image.write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
    for path, reason in ((text, "text.mp4: "), (image, "is an image, and this network classifies videos")):
        with pytest.raises(VideoError, match=reason) as caught:
            answer(model, path, model.scales[0].marks[-1])
        assert str(tmp_path) not in explain(caught.value, path)
        assert explain(caught.value, path).startswith(path.name)


def test_refusals(model, video, networks, tmp_path, tiny_run):
    with pytest.raises(DataError, match="by 'latency_ms' are not known here; there are gmacs"):
        answer(model, video, 1.0, "latency_ms")
    with pytest.raises(DeploymentError, match=r"a detection network.*demo_net\.py"):
        PageModel.open(write_run(tmp_path, networks("slow detection")))
    with pytest.raises(DataError, match="0 clips of a video"):
        PageModel.open(tiny_run, most_clips=0)
    with pytest.raises(DeploymentError, match="neither an export"):
        PageModel.open(tmp_path / "nowhere")


def test_examples(tmp_path, tiny_data):
    found = example_videos(tiny_data)
    assert len(found) == 12
    assert found == tuple(sorted(found))
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden.mp4").write_text("")
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=f"--examples {folder}"):
            example_videos(folder)
