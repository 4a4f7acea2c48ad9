"""Lists of videos, frames, boxes and classes of unknown origin."""

import json
import math
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutualnet3d.config import get_cfg
from mutualnet3d.data import build_entries
from mutualnet3d.data.ava_files import read_detections, read_exclusions, read_ground_truth, read_label_map
from mutualnet3d.data.charades import ListedVideo
from mutualnet3d.data.charades_list import read_segments
from mutualnet3d.data.class_names import read_class_names
from mutualnet3d.data.frame_boxes import FrameBoxes
from mutualnet3d.data.frame_list import read_frame_lists
from mutualnet3d.data.kinetics_list import read_csv, read_list
from mutualnet3d.data.unreadable import UnreadableVideos
from mutualnet3d.errors import DataError, VideoError
from tests.fuzz.fuzzing import examples, only_our_errors, spoiled_bytes, spoiled_values

KINETICS = b"abseiling/a b.mp4 0\n./c.mp4 3\n\nd e.mp4 2\r\n"
FRAMES = (
    b"original_vido_id video_id frame_id path labels\n"
    b'a 0 0 a/a_1.jpg "0,2"\na 0 1 a/a_2.jpg "1"\n\xc3\xa9 1 5 e/\xc3\xa9.jpg ""\na 0 2 a/a_3.jpg "3"\n'
)
SEGMENTS = b'id,subject,length,actions\nAB1,me,30.5,c002 11.90 21.20;c000 0.00 12.60\nAB2,"a,b",9,\n'
TRUTH = b'm1,0902,0.077,0.151,0.283,0.811,3,1\nm1,0902,0.077,0.151,0.283,0.811,2,1\n"m,2",0904,,,,,,\nm1,0903\n'
BOXES = b"m1,0902,0.077,0.151,0.283,0.811,,0.995\nm1,0904,-0.01,0.1,1.02,0.8,2,0.4\n"
EXCLUDED = b"m1,0902\nm1,0903\n"
LABELS = b'item {\n  name: "bend/bow"\n  id: 1\n}\n# a\nlabel { name: "it\'s" label_id: 3 label_type: PERSON }\n'
DRAWN = b"video,frame,x1,y1,x2,y2,width,height\na/b,0,1,2,3,4,10,10\na/b,3,0,0,10,10,10,10\n"
READERS = {  # a whole file, and what reads it
    "kinetics.csv": (KINETICS, read_csv),
    "frames.csv": (FRAMES, lambda path: walk(read_frame_lists([path], "", 4))),
    "segments.csv": (SEGMENTS, lambda path: [v.clip_label(0, 9, 29.97) for v in read_segments(path, "", 4)]),
    "truth.csv": (TRUTH, read_ground_truth),
    "boxes.csv": (BOXES, read_detections),
    "excluded.csv": (EXCLUDED, read_exclusions),
    "labels.pbtxt": (LABELS, read_label_map),
    "drawn.csv": (DRAWN, lambda path: FrameBoxes(path).of("x/a/b.mp4")),
}


def walk(frames):
    """Every path and label of a frame list."""
    for video in range(len(frames.videos)):
        frames.labels(video)
        for frame in range(frames.num_frames(video)):
            frames.path(video, frame)


@pytest.mark.parametrize("name", READERS)
def test_the_files_are_good_before_they_are_spoiled(folder, name):
    content, read = READERS[name]
    (folder / name).write_bytes(content)
    read(folder / name)


@examples(240)
@given(st.sampled_from(sorted(READERS)).flatmap(lambda name: st.tuples(st.just(name), spoiled_bytes(READERS[name][0]))))
def test_lists_of_other_bytes(folder, case):
    name, content = case
    path = folder / name
    path.write_bytes(content)
    with only_our_errors(name):
        READERS[name][1](path)


@examples(60)
@given(spoiled_bytes(TRUTH), spoiled_bytes(BOXES), st.booleans(), st.booleans())
def test_key_frames_of_spoiled_files(folder, truth, boxes, training, keep):
    (folder / "excluded.csv").write_bytes(EXCLUDED)
    (folder / "truth.csv").write_bytes(TRUTH if keep else truth)
    (folder / "boxes.csv").write_bytes(boxes)
    cfg = get_cfg()
    cfg.TRAIN.DATASET, cfg.TEST.DATASET, cfg.DETECTION.ENABLE = "ava", "ava", True
    cfg.MODEL.NUM_CLASSES, cfg.AVA.ANNOTATION_DIR = 4, str(folder)
    cfg.AVA.VIDEO_DIR, cfg.AVA.EXCLUSION_FILE = str(folder), "excluded.csv"
    cfg.AVA.FRAME_LIST_DIR = ""
    cfg.AVA.TRAIN_GT_BOX_LISTS, cfg.AVA.TRAIN_PREDICT_BOX_LISTS = ["truth.csv"], ["boxes.csv"]
    cfg.AVA.TEST_PREDICT_BOX_LISTS = ["boxes.csv"]
    with only_our_errors(".csv"):
        table = build_entries(cfg, "train" if training else "test")
        assert [table[index].labels.shape[1] for index in range(len(table))]


@examples(40)
@given(spoiled_bytes(KINETICS))
def test_videos_of_a_spoiled_list(folder, content):
    (folder / "train.csv").write_bytes(content)
    cfg = get_cfg()
    cfg.DATA.PATH_TO_DATA_DIR, cfg.MODEL.NUM_CLASSES = str(folder), 4
    with only_our_errors():
        for entry in read_list(cfg, "train", str(folder)):
            with only_our_errors(), entry.open("pyav"):
                pass


@examples(40)
@given(spoiled_bytes(b'{"red": 0, "green": 1, "bl\xc3\xbce": 2}') | spoiled_values({"a": 0, "b": 1}).map(json.dumps))
def test_class_names(folder, content):
    path = folder / "names.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    cfg = get_cfg()
    for classes in (None, 3):
        cfg.TENSORBOARD.CLASS_NAMES_PATH = str(path)
        names, why = read_class_names(cfg, classes)
        assert why if names is None else all(isinstance(name, str) for name in names)
        cfg.TENSORBOARD.CLASS_NAMES_PATH, cfg.DATA.PATH_TO_DATA_DIR = "", str(folder)
        (folder / "classes.txt").write_bytes(path.read_bytes())
        names, why = read_class_names(cfg, classes)
        assert names is not None or why


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / "classes.txt"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    cfg = get_cfg()
    cfg.DATA.PATH_TO_DATA_DIR = str(tmp_path)
    assert read_class_names(cfg, None)[0] is None
    frames = tmp_path / "frames.csv"
    frames.write_text(f"original_vido_id video_id frame_id path labels\na 0 0 {path} 1\n")
    with pytest.raises(VideoError, match="not a regular file"):
        ListedVideo(read_frame_lists([frames], "", 4), 0, 4).open("pyav").frames([0])


@examples(30)
@given(spoiled_bytes(b'{"path": "a", "reason": "b"}\n{"path": "c", "reason": "d"}\n'))
def test_the_list_of_unreadable_videos(folder, content):
    place = folder / "run"
    place.mkdir(exist_ok=True)
    (place / "unreadable_videos.jsonl").write_bytes(content)
    record = UnreadableVideos(place)
    record.add([("new.mp4", "why")])
    assert record.counts["new.mp4"] == 1


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("filler", [b" ", b"a", b"9", b",", b'"', b"a 1\n", b"x: 1 ", b"\\", b"m1,0903\n", b";", b":"])
def test_time_grows_no_faster_than_the_file(folder, name, filler):
    """Four times the bytes, in one long line or in many, take about four times as long, not 16 times."""
    content, read = READERS[name]
    took = []
    for size in (100_000, 400_000):
        middle = len(content) // 2
        (folder / name).write_bytes(content[:middle] + filler * (size // len(filler)) + content[middle:])
        start = time.process_time()
        with only_our_errors():
            read(folder / name)
        took.append(time.process_time() - start)
    assert took[1] < max(1.0, 9 * took[0])


def test_label_maps_of_many_entries_take_no_square_of_time(folder):
    (folder / "long.pbtxt").write_text("".join(f'item {{ name: "{n}" id: {n} }}\n' for n in range(1, 30_001)))
    with only_our_errors():
        assert len(read_label_map(folder / "long.pbtxt")) == 30_000


def test_a_path_that_is_utf8_only_together_with_the_next(folder):
    """Bytes of one character split over two lines: each path is broken, the paths in a row are not."""
    path = folder / "split.csv"
    path.write_bytes(FRAMES.splitlines()[0] + b"\na 0 0 x\xc3 1\na 0 1 \xa9y 1\n")
    with pytest.raises(DataError, match=r"split\.csv:2: is not UTF-8"):
        read_frame_lists([path])


def test_seconds_beyond_all_videos(folder):
    path = folder / "late.csv"
    path.write_text("id,actions\na,c001 0 1e308\n")
    with pytest.raises(DataError, match="never"):
        read_segments(path, "", 4)
    assert math.isinf(1e308 * 30)
