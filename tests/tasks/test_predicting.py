"""Several labels, and people in boxes, at a predictor: the scores of the evaluation, from runs and exports."""

import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from task_runs import CLASSES, FPS, SECONDS, SIZES, UNSEEN
from tiny import write_export

import mutualnet3d as mn
from mutualnet3d.commands.demo import main
from mutualnet3d.data import build_entries
from mutualnet3d.data.ava_videos import find_movies
from mutualnet3d.data.decode import open_video
from mutualnet3d.errors import DataError
from mutualnet3d.evaluation.result import load_scores
from mutualnet3d.predictor import FileBoxes, PersonDetector
from mutualnet3d.streaming.writer import VideoWriter
from tests.docs.doc_blocks import block, changed


@pytest.fixture(scope="module", params=["run", "export"])
def charades(request, charades_run, tmp_path_factory):
    return opened(charades_run, request.param, tmp_path_factory)


@pytest.fixture(scope="module", params=["run", "export"])
def detection(request, detection_run, tmp_path_factory):
    return opened(detection_run, request.param, tmp_path_factory)


def opened(run, kind, tmp_path_factory):
    """(predictor, config, scores of the evaluation)."""
    scores, directory = load_scores(run.output / "test_scores.npz"), run.output
    if kind == "export":
        directory = write_export(directory, tmp_path_factory.mktemp("export") / "export", latency=False)
    return mn.AdaptivePredictor.load(directory, threads=1), run.cfg, scores


def movie(cfg, name="one"):
    return find_movies(cfg, cfg.AVA.TEST_LISTS).open(name)


def found_boxes(cfg, name="one"):
    return FileBoxes.read(Path(cfg.AVA.ANNOTATION_DIR) / "found.csv", name)


def test_several_labels_have_the_scores_of_the_evaluation(charades):
    predictor, cfg, result = charades
    for row, entry in enumerate(build_entries(cfg, "test")):
        with entry.open("pyav") as video:
            for configuration, scores in zip(result.configurations, result.scores, strict=True):
                found = predictor.predict(video, configuration=configuration, views=(10, 3), top_k=len(CLASSES))
                torch.testing.assert_close(found.scores, scores[row], atol=1e-5, rtol=1e-5)
                assert [p for _, p in found.labels] == pytest.approx(sorted(scores[row].tolist(), reverse=True))
    assert result.paths[row] == entry.path


def test_a_threshold_cuts_independent_probabilities(charades):
    predictor, cfg, _ = charades
    with build_entries(cfg, "test")[0].open("pyav") as video:
        every = predictor.predict(video, views=(2, 3), top_k=len(CLASSES))
        least = every.labels[2][1]
        above = predictor.predict(video, views=(2, 3), threshold=least)
    assert above.labels == every.labels[:3]
    assert abs(sum(p for _, p in every.labels) - 1) > 0.05


def test_key_frames_have_the_scores_of_the_evaluation(detection):
    predictor, cfg, result = detection
    for name in ("one", "two"):
        boxes, height_width = found_boxes(cfg, name), np.array(SIZES[name])
        with movie(cfg, name) as video:
            for configuration in result.configurations:
                found = predictor.detect(video, boxes, configuration=configuration)
                assert [each.second for each in found] == [s for s in range(SECONDS) if (name, s) != UNSEEN]
                for each in found:
                    rows = [row for row, path in enumerate(result.paths) if path == f"{name},{each.second:.0f}"]
                    if (name, each.second) == ("two", 3):
                        assert not rows  # the evaluation excludes it
                        continue
                    assert each.configuration == configuration
                    expected = result.scores_at(configuration)[rows]
                    torch.testing.assert_close(each.scores, expected, atol=1e-5, rtol=1e-5)
                    scale = np.tile(height_width[::-1], 2)
                    np.testing.assert_allclose(each.boxes, np.minimum(result.boxes[rows].numpy() * scale, scale - 1))
                    for labels, scores in zip(each.labels, expected, strict=True):
                        order = scores.argsort(descending=True).tolist()
                        assert [label for label, _ in labels] == [(*CLASSES[:3], "action 4")[i] for i in order]
                        assert [p for _, p in labels] == pytest.approx(scores[order].tolist(), abs=1e-5)


def test_boxes_in_pixels_and_frames_in_memory_say_the_same(detection):
    predictor, cfg, _ = detection
    with movie(cfg) as video:
        (expected,) = predictor.detect(video, found_boxes(cfg), at=6, max_gmacs=1e6)
        frames = video.frames(range(video.num_frames))
        height, width = video.size
    pixels = found_boxes(cfg).boxes[6] * [width, height, width, height]
    for boxes in (pixels, pixels.tolist(), torch.from_numpy(pixels), {6: pixels}, lambda image: pixels):
        (found,) = predictor.detect(frames, boxes, at=6.0, fps=FPS)
        torch.testing.assert_close(found.scores, expected.scores)
        np.testing.assert_allclose(found.boxes, expected.boxes)
        assert found.times.decode_ms == 0 < found.times.latency_ms
        assert (found.times.detector_ms > 0) == callable(boxes)


def test_a_detector_sees_the_key_frame_and_may_find_nobody(detection):
    predictor, cfg, _ = detection
    seen = []

    def detector(image):
        seen.append(image)
        return np.array([[-5.0, 2, 20, 99], [3, 4, 3, 9]]) if len(seen) == 1 else np.zeros((0, 4))

    with movie(cfg) as video:
        first, second, third = predictor.detect(video, detector, every=5, threshold=0.0)
        for image, at in zip(seen, (0, 5, 10), strict=True):
            np.testing.assert_array_equal(image, video.frames([at * FPS])[0])
        assert predictor.detect(video, [[0, 2, 20, 47]], at=0)[0].labels == first.labels
    np.testing.assert_array_equal(first.boxes, [[0, 2, 20, 47]])  # cut off at the frame; the empty one is gone
    assert len(first.labels[0]) == len(CLASSES)
    assert (second.labels, len(third.boxes), second.times.network_ms) == ((), 0, 0.0)


def test_key_frames_that_are_asked_for(detection):
    predictor, cfg, _ = detection
    box = [[1, 1, 30, 30]]
    with movie(cfg) as video:
        assert [each.second for each in predictor.detect(video, box)] == [*range(SECONDS)]
        assert [each.second for each in predictor.detect(video, box, every=4.5)] == [0, 4.5, 9]
        assert [each.second for each in predictor.detect(video, box, at=[11.8, 0.2])] == [0.2, 11.8]
        assert [each.second for each in predictor.detect(video, {7: box, 2: box})] == [2, 7]
        for wrong, said in (
            ({"at": 12}, "second 12 is frame 60 of .*one, which has frames 0..59 at 5 per second"),
            ({"at": -1}, "second -1 must be a number of at least 0"),
            ({"at": 1, "every": 1}, "give one of them"),
            ({"every": 0.01}, "every 0.01 s is less than a frame"),
        ):
            with pytest.raises(DataError, match=said):
                predictor.detect(video, box, **wrong)
        with pytest.raises(DataError, match="every was given with boxes that have their own seconds"):
            predictor.detect(video, {7: box}, every=1)
        with pytest.raises(DataError, match="no boxes are given for second 3; there are some for 7"):
            predictor.detect(video, {7: box}, at=[3, 7])


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        ([[0.1, 0.1, 0.9, 0.9]], "no coordinate is above 1 pixel; .* multiplied by its width 64 and height 48"),
        ([[5, 5, 5, 9]], r"\[5.0, 5.0, 5.0, 9.0\] is no box"),
        ([[70, 5, 80, 9]], "is no box .* in a frame of 48 x 64 pixels"),
        ([1, 2, 3, 4], r"shape \(4,\); give finite numbers"),
        ([[1, 2, 3, float("nan")]], "give finite numbers"),
        ("found.csv", "'found.csv' is no array"),
        ({}, "an empty dict"),
        ({"1": [[1, 1, 2, 2]]}, "second '1' must be a number"),
        ({1: [[9, 9, 2, 2]]}, "the boxes of second 1: .* is no box"),
        (lambda image: [[1, 2, 3]], r"the detector's boxes at second 0: shape \(1, 3\)"),
    ],
)
def test_what_is_no_box_is_said(detection, boxes, said):
    predictor, cfg, _ = detection
    with movie(cfg) as video, pytest.raises(DataError, match=said):
        predictor.detect(video, boxes)


def test_files_of_boxes(ava_data, tmp_path):
    truth = FileBoxes.read(ava_data / "val_truth.csv", "one")  # person ids are no scores
    assert truth.seconds == tuple(range(SECONDS))
    rows = ["a,902,0,0,.5,.5,1,0.9", "a,902,0,0,.5,.5,2,0.85", "a,903,0,0,.5,.5,,0.7", "b,1,0,0,1,1,,0.9"]
    (tmp_path / "found.csv").write_text("\n".join(rows))
    found = FileBoxes.read(tmp_path / "found.csv", "a", start_second=900)
    assert {second: boxes.tolist() for second, boxes in found.boxes.items()} == {2.0: [[0, 0, 0.5, 0.5]]}
    assert FileBoxes.read(tmp_path / "found.csv", "a", 900, min_score=0.7).seconds == (2.0, 3.0)
    with pytest.raises(DataError, match=r"no box of video 'c' with a score of 0.8; it has a, b"):
        FileBoxes.read(tmp_path / "found.csv", "c")
    with pytest.raises(DataError, match="second 902 of a lies before second 1000, its first frame"):
        FileBoxes.read(tmp_path / "found.csv", "a", 1000)


def test_threads_share_a_detector(detection):
    predictor, cfg, result = detection
    jobs = [(c, second) for c in result.configurations for second in (0, 5, 11)] * 2

    def detect(job):
        with movie(cfg) as video:
            return predictor.detect(video, found_boxes(cfg), at=job[1], configuration=job[0])[0].scores

    alone = [detect(job) for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        for scores, expected in zip(pool.map(detect, jobs), alone, strict=True):
            assert torch.equal(scores, expected)


def demo(detection_run, *words):
    movie_file, run = detection_run
    return main([str(word) for word in (run.output, "--input", movie_file, "--output", *words)])


@pytest.fixture(scope="module")
def played(detection_run, tmp_path_factory):
    """A movie of the run as a video file."""
    path = tmp_path_factory.mktemp("movie") / "one.mp4"
    with movie(detection_run.cfg) as video, VideoWriter(path, video.size, video.fps) as writer:
        for number, image in enumerate(video.all_frames()):
            writer.write(image, number)
    return path, detection_run


def test_what_the_page_shows(played, tmp_path, monkeypatch, capsys):
    """docs/deployment.md, on a movie of the tests."""
    path, run = played
    rows = [row.split(",", 2) for row in (Path(run.cfg.AVA.ANNOTATION_DIR) / "found.csv").read_text().splitlines()]
    wanted = {900 + int(second): rest for name, second, rest in rows if name == "one"}
    monkeypatch.chdir(tmp_path)
    shutil.copy(path, "movie.mp4")
    Path("detections.csv").write_text("".join(f"movie,{second},{rest}\n" for second, rest in wanted.items()))
    names = {"predictor": mn.AdaptivePredictor.load(run.output, threads=1)}
    exec(changed(block("docs/deployment.md", "import FileBoxes"), {"max_gmacs=0.2": "max_gmacs=1"}), names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(wanted)
    assert all(re.fullmatch(r"\d+\.0 \[\[.*\]\] \(\(\('.*\) [\d.]+-\d+-\d+", line) for line in lines)


def test_the_demo_draws_people(played, tmp_path, capsys):
    path, run = played
    boxes, output = Path(run.cfg.AVA.ANNOTATION_DIR) / "found.csv", tmp_path / "out" / "out.mp4"
    cheapest = run.table.entries[0]
    assert demo(played, output, "--boxes", boxes, "--max-gmacs", cheapest.gmacs, "--threads", 1, "--top-k", 2) == 0
    assert sorted(each.name for each in output.parent.iterdir()) == ["out.jsonl", "out.mp4"]
    assert f"{SECONDS - 1} key frames, {2 * SECONDS - 2} boxes, at {cheapest.configuration}" in capsys.readouterr().out
    lines = [json.loads(line) for line in (output.parent / "out.jsonl").read_text().splitlines()]
    predictor = mn.AdaptivePredictor.load(run.output, threads=1)
    found = predictor.detect(path, FileBoxes.read(boxes, "one"), max_gmacs=cheapest.gmacs, top_k=2)
    assert [line["second"] for line in lines] == [each.second for each in found]
    for line, each in zip(lines, found, strict=True):
        assert [person["box"] for person in line["people"]] == each.boxes.tolist()
        assert [person["labels"] for person in line["people"]] == [[list(p) for p in labels] for labels in each.labels]
    with open_video(path) as source, open_video(output) as written:
        assert (written.num_frames, written.size, written.fps) == (source.num_frames, source.size, source.fps)
        assert abs(written.frames([0])[0].astype(int) - source.frames([0])[0]).max() > 100


def test_the_demo_with_a_detector(played, tmp_path, monkeypatch):
    class Everybody:
        def __call__(self, image):
            return np.array([[0.0, 0, image.shape[1], image.shape[0]]])

    asked = {}
    monkeypatch.setattr(PersonDetector, "load", lambda weights, **options: asked.update(options) or Everybody())
    output = tmp_path / "out.mp4"
    words = ["--detector", "--every", 2, "--seconds", 5, "--min-score", 0.5, "--threshold", 0.0]
    assert demo(played, output, *words) == 0
    assert asked == {"min_score": 0.5, "device": "cpu", "download": False}
    lines = [json.loads(line) for line in output.with_suffix(".jsonl").read_text().splitlines()]
    assert [line["second"] for line in lines] == [0, 2, 4]
    assert {len(person["labels"]) for line in lines for person in line["people"]} == {len(CLASSES)}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "ConfigError: .* detects: say where people are with --boxes FILE, or let --detector find them"),
        (["--boxes", "absent.csv"], r"DataError: absent\.csv: cannot be read"),
        (["--detector", "absent.pth"], r"DeploymentError: absent\.pth: cannot be read as weights"),
        (["--detector"], "DeploymentError: the weights of the person detector are not there"),
        (["--detector", "--schedule", "0:5", "--realtime"], "ConfigError: .* --schedule, --realtime is for networks"),
        (["--boxes", "a.csv", "--download"], "ConfigError: --download is for --detector, and --boxes is given"),
        (["--detector", "--name", "one"], "ConfigError: --name is for --boxes, and --detector is given"),
        (["--detector", "a.pth", "--max-gmacs", "1e-9"], "BudgetError: no configuration costs at most"),
    ],
)
def test_the_demo_says_what_is_wrong(played, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    assert demo(played, tmp_path / "out.mp4", *words) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "Error: " in line]
    assert re.search(message, line)
    assert not list(tmp_path.iterdir())
