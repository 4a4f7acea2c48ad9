"""What is read back from an OUTPUT_DIR: classes, confusions and videos by brute force; damage said in words."""

import json

import numpy as np
import pytest
from run_files import CONFIGURATIONS, make_scores, write_run, write_scores

from mutualnet3d.data.decode import open_video
from mutualnet3d.errors import DataError, VideoError
from mutualnet3d.query_table import QueryTable
from mutualnet3d.visualization.classes import class_rows, confusion, draw_confusion, top_confusions
from mutualnet3d.visualization.drawing import to_svg
from mutualnet3d.visualization.run_folder import TestScores, read_run
from mutualnet3d.visualization.sample_videos import KINDS, choose_videos, film_strip, sample_videos


@pytest.fixture
def folder(tiny_data, tmp_path):
    return write_run(tmp_path / "run", tiny_data)


def random_scores(classes=5, videos=40, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes - 1, videos)  # the last class has no video
    predictions = np.where(rng.random((8, videos)) < 0.6, labels, rng.integers(0, classes, (8, videos)))
    scores = rng.random((8, videos), dtype=np.float32)
    return TestScores(CONFIGURATIONS, predictions, scores, labels, tuple(map(str, range(videos))), classes)


def test_all_is_read(folder):
    run = read_run(folder)
    assert run.notes == ()
    assert run.class_names == ("red", "green", "blue")
    assert run.missing == (("gone.mp4", "the file is empty"),)
    assert run.cfg.MODEL.NUM_CLASSES == 3
    assert run.scores.scores.max() <= 1  # means over the 6 views
    stored = np.load(folder / "test_scores.npz")["scores"]
    np.testing.assert_allclose(run.scores.scores, stored.max(2) / 6, rtol=1e-6)
    top1 = {str(e.configuration): e.accuracy for e in QueryTable.load(folder / "query_table.json").entries}
    for i, c in enumerate(CONFIGURATIONS):
        assert 100 * np.mean(run.scores.predictions[i] == run.scores.labels) == top1[str(c)]


@pytest.mark.parametrize(
    ("facts", "views", "divisor"),
    [
        ({"ensemble_method": "max"}, (2, 3), 1),
        ({"views": (1, 2)}, (1, 2), 2),
        ({"ensemble_method": ""}, (2, 3), 1),
        ({"views": None}, None, 1),
    ],
)
def test_how_views_were_joined_is_what_the_scores_say(facts, views, divisor, folder):
    """Not what the config or test_results.json say, which a later run may have written."""
    stored = np.load(folder / "test_scores.npz")
    write_scores(folder, stored["scores"], stored["labels"], stored["paths"].tolist(), **facts)
    scores = read_run(folder).scores
    np.testing.assert_allclose(scores.scores, stored["scores"].max(2) / divisor, rtol=1e-6)
    assert scores.views == views
    assert scores.ensemble == ("" if views is None else facts.get("ensemble_method", "sum"))


def test_classes_and_confusions_by_hand():
    scores = random_scores()
    rows = class_rows(scores, CONFIGURATIONS[2:4], ["a", "b", "c", "d", "e"])
    counts = confusion(scores, CONFIGURATIONS[2])
    for label, row in enumerate(rows):
        own = [n for n in range(40) if scores.labels[n] == label]
        assert (row.label, row.name, row.videos) == (label, "abcde"[label], len(own))
        for i, value in zip((2, 3), row.accuracies, strict=True):
            hits = sum(scores.predictions[i, n] == label for n in own)
            assert value == (pytest.approx(100 * hits / len(own)) if own else None)
        for predicted in range(5):
            assert counts[label, predicted] == sum(scores.predictions[2, n] == predicted for n in own)
    mistakes = sorted(((counts[i, j], -i, -j) for i in range(5) for j in range(5) if i != j), reverse=True)
    assert top_confusions(counts, 3) == [(-i, -j, count) for count, i, j in mistakes[:3]]


@pytest.mark.parametrize("classes", [1, 3, 16, 60])
def test_confusions_are_drawn_with_awkward_names(classes):
    counts = np.eye(classes, dtype=np.int64)
    names = ["<script>", "a$b", "\x00\x1b", "摔跤"] + ["x" * 100] * classes
    figure = draw_confusion(counts, names[:classes])
    assert b"\x00" not in to_svg(figure)
    assert len(figure.axes[0].texts) == (classes if classes <= 15 else 0)


def test_videos_of_every_kind_are_shown_and_none_twice():
    scores = random_scores()
    scores.predictions[:, :3] = scores.labels[:3]
    scores.predictions[:, 3:5] = (scores.labels[3:5] + 1) % scores.classes
    chosen = choose_videos(scores, 6)
    assert [kind for _, kind in chosen] == [*KINDS, *KINDS]
    assert len({number for number, _ in chosen}) == 6
    for number, kind in chosen:
        right = [scores.predictions[i, number] == scores.labels[number] for i in range(8)]
        assert kind == (KINDS[0] if all(right) else KINDS[1] if any(right) else KINDS[2])
    assert len(choose_videos(scores, 100)) == 40


def test_gone_videos_are_said_so_by_name(folder):
    scores = read_run(folder).scores
    scores = TestScores(**{**scores.__dict__, "paths": (*scores.paths[:3], "/no/such.mp4")})
    samples = sample_videos(scores)
    assert len(samples) == 4
    (gone,) = (s for s in samples if s.strip is None)
    assert (gone.path, gone.error) == ("/no/such.mp4", "cannot be opened: No such file or directory")
    for sample in samples:
        number = scores.paths.index(sample.path)
        assert [p.label for p in sample.predictions] == scores.predictions[:, number].tolist()


def test_frames_are_small_and_from_the_video(folder):
    import cv2

    path = read_run(folder).scores.paths[0]
    strip = film_strip(path)
    assert len(strip) < 30_000
    image = cv2.imdecode(np.frombuffer(strip, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert image.shape == (112, 4 * 140 + 3 * 3, 3)
    with open_video(path) as video:
        first, last = video.frames([0, video.num_frames - 1], short_side=112)
    assert abs(image[:, :140].astype(int) - first).mean() < 12
    assert abs(image[:, -140:].astype(int) - last).mean() < 12
    with pytest.raises(VideoError, match="No such file"):
        film_strip("/no/such.mp4")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("config.yaml", "No config.yaml: how the run was configured"),
        ("query_table.json", "No query_table.json: costs"),
        ("test_results.json", "No test_results.json: unreadable test videos"),
        ("test_scores.npz", "No test_scores.npz: classes and videos"),
        ("log.jsonl", "No log.jsonl: the network was evaluated here, not trained"),
        ("model.pyth", "No model.pyth: the network itself"),
        ("data/classes.txt", "Classes are numbers: "),
    ],
)
def test_what_is_absent_is_said(folder, name, said):
    (folder / name).unlink()
    assert any(note.startswith(said) for note in read_run(folder).notes)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.yaml", "MODEL: {NO_SUCH_KEY: 1}"),
        ("config.yaml", b"\xff\xfe"),
        ("query_table.json", "{}"),
        ("test_results.json", '{"missing": 3, "views": [1, 1]}'),
        ("test_results.json", "[]"),
        ("test_scores.npz", "PK"),
        ("test_scores.npz", b"PK\x03\x04" + bytes(60)),
        ("test_scores.npz", ""),
    ],
)
def test_what_is_damaged_is_said(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (note,) = (note for note in read_run(folder).notes if name in note)
    assert f"{name} cannot be read" in note


@pytest.mark.parametrize("fault", ["a class too many", "not finite", "other configurations"])
def test_scores_that_contradict_themselves_are_said(folder, fault):
    labels = np.array([0, 1, 2, 0])
    scores = make_scores(labels)
    if fault == "a class too many":
        labels = labels + 1
    elif fault == "not finite":
        scores[0, 0] = np.nan
    else:
        scores = scores[:3]
    write_scores(folder, scores, labels, list("abcd"))
    run = read_run(folder)
    assert run.scores is None
    assert any("test_scores.npz cannot be read (DataError" in note for note in run.notes)


@pytest.mark.parametrize("columns", [3, 0])
def test_scores_without_one_label_each_are_no_fault(folder, columns):
    """Several labels a video, or boxes: there is no class that would be right, and nothing to complain of."""
    labels = np.array([0, 1, 2, 0])
    write_scores(folder, make_scores(labels), np.eye(3)[labels][:, :columns], list("abcd"))
    run = read_run(folder)
    assert run.scores is None
    assert run.notes == ()


def test_another_model_is_noticed(folder):
    (folder / "model.pyth").write_bytes(b"other weights")
    assert any("is not the network of the query table" in note for note in read_run(folder).notes)


def test_class_names_of_pyslowfast(folder, tmp_path):
    path = tmp_path / "names.json"
    path.write_text(json.dumps({"blue": 2, "red": 0, "green": 1}))
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("CLASS_NAMES_PATH: ''", f"CLASS_NAMES_PATH: {path}"))
    (folder / "data" / "classes.txt").unlink()
    assert read_run(folder).class_names == ("red", "green", "blue")
    path.write_text(json.dumps({"blue": 2, "red": 0}))
    assert "the labels are not 0, 1, 2" in read_run(folder).notes[-1]
    path.write_text(json.dumps({"blue": 1, "red": 0}))
    assert "names 2 classes, the scores have 3" in read_run(folder).notes[-1]


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_run(tmp_path / "none")
    with pytest.raises(DataError, match=r"not the OUTPUT_DIR of a run: No config\.yaml"):
        read_run(tmp_path)
