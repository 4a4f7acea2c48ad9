"""From AVA's files to key frames."""

from collections import defaultdict

import numpy as np
import pytest
from movies import frame_lines, write_list
from video_files import write_video

from mutualnet3d.data.ava_list import evaluation_files, read_key_frames
from mutualnet3d.data.build import build_entries
from mutualnet3d.errors import ConfigError, DataError

TRUTH = """two,3,0.1,0.2,0.5,0.9,1,0
one,2,0.25,0.2,0.5,0.9,3,7
one,2,0.25,0.2,0.5,0.9,1,7
one,2,0.25,0.2,0.5,0.9,1,7
one,2,0.0,0.0,0.5,0.9,2,8
one,0001,0.0,0.0,1.0,1.0,2,8
"""
FOUND = """one,2,0.25,0.2,0.5,0.9,,0.95
one,2,0.3,0.2,0.5,0.9,,0.9
one,2,0.4,0.2,0.5,0.9,,0.89
two,2,0.3,0.2,0.5,0.9,,0.99
"""


@pytest.fixture
def ava(cfg, tmp_path):
    """Three listed movies of 4 s at 10 frames per second, of which the last has no boxes; the first second is 0."""
    cfg.TRAIN.DATASET = cfg.TEST.DATASET = "ava"
    cfg.DETECTION.ENABLE = True
    cfg.AVA.ANNOTATION_DIR = cfg.AVA.FRAME_LIST_DIR = str(tmp_path)
    cfg.AVA.START_SECOND, cfg.AVA.FPS = 0, 10
    cfg.AVA.TRAIN_GT_BOX_LISTS, cfg.AVA.TRAIN_PREDICT_BOX_LISTS = ["truth.csv"], ["found.csv"]
    cfg.AVA.TEST_PREDICT_BOX_LISTS, cfg.AVA.EXCLUSION_FILE = ["found.csv"], ""
    (tmp_path / "truth.csv").write_text(TRUTH)
    (tmp_path / "found.csv").write_text(FOUND)
    lines = [line for n, name in enumerate(("one", "two", "three")) for line in frame_lines(name, n, 40)]
    write_list(tmp_path / "train.csv", *lines)
    write_list(tmp_path / "val.csv", *lines)
    return cfg


def keys(table):
    return [(entry.video, entry.second) for entry in table]


def test_movies_are_not_kept_in_memory(ava):
    ava.DATA_LOADER.CACHE_GB = 1.0
    assert len(build_entries(ava, "test"))
    with pytest.raises(ConfigError, match=r"CACHE_GB is 1\.0, and movies are not kept in memory; set it to 0"):
        build_entries(ava, "train")


def test_training_key_frames(ava):
    table = build_entries(ava, "train")
    assert keys(table) == [("one", 1), ("one", 2), ("two", 2), ("two", 3)]
    assert len(table) == 4
    entry = table[1]
    assert entry.boxes.tolist() == [[0.25, 0.2, 0.5, 0.9], [0.0, 0.0, 0.5, 0.9], [0.3, 0.2, 0.5, 0.9]]
    assert entry.labels.tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert entry.labels.dtype == np.float32
    assert table[2].labels.tolist() == [[0, 0, 0, 0]], "a detector's box has no action"
    assert (table[-1].video, table[-1].second) == ("two", 3)
    with pytest.raises(IndexError):
        table[4]


def test_test_key_frames_have_detected_boxes_only(ava, tmp_path):
    table = build_entries(ava, "test")
    assert keys(table) == [("one", 2), ("two", 2)]
    assert table[0].boxes.tolist() == [[0.25, 0.2, 0.5, 0.9], [0.3, 0.2, 0.5, 0.9]]
    ava.AVA.DETECTION_SCORE_THRESH = 0.97
    assert keys(build_entries(ava, "test")) == [("two", 2)]
    ava.AVA.DETECTION_SCORE_THRESH, ava.AVA.EXCLUSION_FILE = 0.0, "excluded.csv"
    (tmp_path / "excluded.csv").write_text("one,0002\n")
    assert keys(build_entries(ava, "test")) == [("two", 2)]
    assert len(build_entries(ava, "train")) == 4, "the exclusions are the evaluation's"


def test_validation_sees_every_fourth_second(ava, tmp_path):
    write_list(tmp_path / "val.csv", *frame_lines("one", 0, 130))
    (tmp_path / "found.csv").write_text("".join(f"one,{s},0,0,1,1,,1.0\n" for s in range(13)))
    assert [second for _, second in keys(build_entries(ava, "val"))] == [0, 4, 8, 12]
    ava.AVA.FULL_TEST_ON_VAL = True
    assert len(build_entries(ava, "val")) == 13


def test_ground_truth_among_the_predicted_boxes_counts_once_and_in_full(ava, tmp_path, caplog):
    """PySlowFast's recipes; person ids are no scores."""
    alone = build_entries(ava, "train")
    ava.AVA.TRAIN_PREDICT_BOX_LISTS = ["truth.csv", "found.csv"]
    both = build_entries(ava, "train")
    for name in ("video", "second", "first_box", "boxes", "label_boxes", "label_ids"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(both, name))
    ava.AVA.TRAIN_GT_BOX_LISTS = []
    with caplog.at_level("INFO"):
        assert keys(build_entries(ava, "train")) == keys(both)
    assert "truth.csv: every row has an action and a whole number" in caplog.text
    ava.AVA.TEST_PREDICT_BOX_LISTS = ["truth.csv"]
    table = build_entries(ava, "test")
    assert keys(table) == [("one", 1), ("one", 2), ("two", 3)]
    assert table[1].labels.sum() == 0


def test_against_pyslowfast(ava, shared_data):
    """Same key frames, boxes and labels from the lists of real movies, with the ground truth listed twice and once."""
    helper = pytest.importorskip("slowfast.datasets.ava_helper")
    folder = shared_data / "jhmdb_movies" / "ava"
    ava.MODEL.NUM_CLASSES, ava.AVA.DETECTION_SCORE_THRESH, ava.AVA.FULL_TEST_ON_VAL = 8, 0.7, True
    ava.AVA.ANNOTATION_DIR, ava.AVA.FRAME_LIST_DIR = str(folder / "annotations"), str(folder / "frame_lists")
    ava.AVA.START_SECOND, ava.AVA.FPS, ava.AVA.FRAME_DIR = 900, 30, "/frames"
    ava.AVA.TRAIN_GT_BOX_LISTS, ava.AVA.TEST_PREDICT_BOX_LISTS = ["jm_train_v1.csv"], ["jm_val_predicted_boxes.csv"]
    ava.AVA.TRAIN_PREDICT_BOX_LISTS = ["jm_train_predicted_boxes.csv"]
    for split in ("train", "train", "val", "test"):
        table = read_key_frames(ava, split)
        wanted = helper.load_boxes_and_labels(ava, split)
        images, names = helper.load_image_lists(ava, split == "train")
        indices, boxes = helper.get_keyframe_data([wanted[name] for name in names])
        assert keys(table) == [(names[video], second) for video, _, second, _ in indices]
        for entry, (video, number, second, center) in zip(table, indices, strict=True):
            pairs = boxes[video][number]
            assert entry.boxes.tolist() == [box for box, _ in pairs]
            if split == "train":
                assert [(np.flatnonzero(row) + 1).tolist() for row in entry.labels] == [
                    sorted({label for label in labels if label != -1}) for _, labels in pairs
                ]
            assert center == (second - 900) * 30
            assert table.movies.frames.path(video, center) == images[video][center]
        ava.AVA.TRAIN_PREDICT_BOX_LISTS = ["jm_train_v1.csv", "jm_train_predicted_boxes.csv"]


def test_against_a_dictionary(ava, tmp_path):
    """Many rows in any order, with boxes that several rows share."""
    rng = np.random.default_rng(0)
    corners = [("0.1", "0.2", "0.5", "0.6"), ("0.1", "0.2", "0.5", "0.7"), ("0.0", "0.2", "0.5", "0.6")]
    wanted: dict = defaultdict(lambda: defaultdict(set))
    rows = []
    for _ in range(300):
        video, second = ["two", "one", "three"][rng.integers(3)], int(rng.integers(4))
        box, action = corners[rng.integers(3)], int(rng.integers(1, 5))
        rows.append(",".join([video, f"{second:04d}", *box, str(action), "0"]) + "\n")
        wanted[video, second][tuple(map(float, box))].add(action - 1)
    (tmp_path / "truth.csv").write_text("".join(rows))
    ava.AVA.TRAIN_PREDICT_BOX_LISTS = []
    table = build_entries(ava, "train")
    order = {"one": 0, "two": 1, "three": 2}
    assert keys(table) == sorted(wanted, key=lambda key: (order[key[0]], key[1]))
    for entry in table:
        labels = wanted[entry.video, entry.second]
        assert [tuple(box) for box in entry.boxes.tolist()] == list(labels)
        assert [set(np.flatnonzero(row).tolist()) for row in entry.labels] == list(labels.values())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("truth.csv", "one,2,0,0,1,1,5,0\n", r"truth\.csv:2: the action is 5; with MODEL\.NUM_CLASSES 4 .* 1\.\.4"),
        ("truth.csv", "one,4,0,0,1,1,1,0\n", r"truth\.csv:2: second 4 is frame 40 of .*one, which has frames 0\.\.39"),
        ("found.csv", "four,1,0,0,1,1,,0.99\n", r"found\.csv:2: the video four is not in the frame lists"),
        ("found.csv", "one,2,0,0,1,1,,high\n", r"found\.csv:2: score 'high' is not a number"),
        ("truth.csv", "one,2,0,0,1\n", r"truth\.csv:2: 5 columns"),
    ],
)
def test_what_cannot_be_is_named(ava, tmp_path, name, text, message):
    (tmp_path / name).write_text("\n" + text)
    with pytest.raises(DataError, match=message):
        build_entries(ava, "train")


def test_seconds_before_the_start(ava):
    ava.AVA.START_SECOND = 2
    with pytest.raises(DataError, match=r"truth\.csv:6: second 1 is frame -10 .*START_SECOND"):
        build_entries(ava, "train")


def test_nothing_is_left(ava):
    ava.AVA.DETECTION_SCORE_THRESH = 1.5
    with pytest.raises(DataError, match=r"found\.csv: no box is left; .*DETECTION_SCORE_THRESH, which is 1\.5"):
        build_entries(ava, "test")
    ava.AVA.TEST_PREDICT_BOX_LISTS = []
    with pytest.raises(DataError, match="no list of boxes is named"):
        build_entries(ava, "test")


def test_movies_in_place_of_pictures(ava, tmp_path):
    ava.AVA.FRAME_LIST_DIR, ava.AVA.VIDEO_DIR = "", str(tmp_path)
    write_video(tmp_path / "one.mp4", 40, fps=10)
    write_video(tmp_path / "two.mkv", 40, fps=10)
    table = build_entries(ava, "train")
    assert keys(table) == [("two", 2), ("two", 3), ("one", 1), ("one", 2)], "in the order of the lists of boxes"
    assert [entry.path for entry in table][::2] == [str(tmp_path / "two.mkv"), str(tmp_path / "one.mp4")]
    assert set(table.movies.indexes) == {"one", "two"}
    (tmp_path / "truth.csv").write_text(TRUTH + "one,4,0,0,1,1,1,0\n")
    with pytest.raises(DataError, match=r"truth\.csv:7: second 4 is frame 40 of .*one\.mp4"):
        build_entries(ava, "train")
    (tmp_path / "one.mp4").unlink()
    assert len(build_entries(ava, "train")) == 5, "a missing movie is an unreadable one, reported when it is asked for"


def test_one_source_of_frames(ava):
    ava.AVA.VIDEO_DIR = "movies"
    with pytest.raises(ConfigError, match=r"AVA\.VIDEO_DIR is 'movies' and AVA\.FRAME_LIST_DIR .*give one of them"):
        build_entries(ava, "train")
    ava.AVA.VIDEO_DIR = ava.AVA.FRAME_LIST_DIR = ""
    with pytest.raises(ConfigError, match=r"AVA\.VIDEO_DIR is ''"):
        build_entries(ava, "train")


def test_files_of_the_evaluation(ava):
    ava.AVA.ANNOTATION_DIR = "/lists"
    assert evaluation_files(ava) == ("/lists/ava_val_v2.2.csv", f"/lists/{ava.AVA.LABEL_MAP_FILE}", None)
    ava.AVA.EXCLUSION_FILE = "excluded.csv"
    assert evaluation_files(ava).exclusions == "/lists/excluded.csv"
