"""Charades: lists, labels of clips and of videos, clips of frames."""

import csv

import numpy as np
import pytest
import torch
from movies import frame_lines, rgb, write_list, write_pictures
from video_files import decode_all, write_video

from mutualnet3d.data import loader
from mutualnet3d.data.build import build_entries, test_dataset, train_dataset
from mutualnet3d.data.charades import SegmentedVideo, multi_hot
from mutualnet3d.data.charades_list import read_segments
from mutualnet3d.errors import ConfigError, DataError, VideoError

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
LENGTHS = {"long": 30, "short": 4, "one": 1}  # frames; a clip of 4 at rate 2 spans 7


def label_text(frame: int) -> str:
    return {0: "", 1: "1", 2: "0,2"}[frame % 3]


@pytest.fixture
def folder(tmp_path):
    lines = []
    for number, (name, count) in enumerate(LENGTHS.items()):
        write_pictures(tmp_path / name, count, seed=number)
        lines += frame_lines(name, number, count, label_text)
    write_list(tmp_path / "train.csv", *lines)
    write_list(tmp_path / "val.csv", *lines[:-1])
    return tmp_path


@pytest.fixture
def charades(cfg, folder):
    """Frame lists of three videos, without jitter: the crop is a window of the pictures themselves."""
    cfg.TRAIN.DATASET = cfg.TEST.DATASET = "charades"
    cfg.DATA.MULTI_LABEL, cfg.DATA.RANDOM_FLIP = True, False
    cfg.DATA.PATH_TO_DATA_DIR = cfg.DATA.PATH_PREFIX = str(folder)
    cfg.DATA.TRAIN_JITTER_SCALES, cfg.DATA.TRAIN_CROP_SIZE = [48, 48], 48
    return cfg


def union(first: int, last: int) -> list[float]:
    """Labels of the frames first..last, the plainest way."""
    seen = {int(word) for frame in range(first, last + 1) for word in label_text(frame).split(",") if word}
    return [float(label in seen) for label in range(4)]


def clip_frames(clip: torch.Tensor, pictures: list[np.ndarray]) -> list[int]:
    """Which picture each frame of a clip is cut from."""
    found = []
    for frame in clip.permute(1, 2, 3, 0).numpy():
        matches = [
            number
            for number, picture in enumerate(pictures)
            if any(np.array_equal(picture[:, left : left + 48], frame) for left in range(17))
        ]
        assert len(matches) == 1
        found += matches
    return found


def test_training_clips_and_their_labels(charades, folder):
    entries = build_entries(charades, "train")
    clips = train_dataset(entries, charades, seed=0)
    starts = {name: set() for name in LENGTHS}
    for index, (name, count) in enumerate(LENGTHS.items()):
        pictures = [rgb(path) for path in sorted((folder / name).iterdir())]
        for epoch in range(40):
            item = clips[(epoch, index)]
            assert item.label.dtype == torch.float32
            frames = clip_frames(item.clip, pictures)
            allowed = range(min(count - 7, 0), max(count - 7, 0) + 1)
            fitting = [s for s in allowed if frames == [min(max(s + 2 * i, 0), count - 1) for i in range(4)]]
            assert fitting, (name, frames)
            assert item.label.tolist() == union(frames[0], frames[-1])
            starts[name].add(frames[0])
    assert len(starts["long"]) > 12, "every start may be drawn"
    assert starts["short"] == starts["one"] == {0}, "starts -3..0 and -6..0 are clamped"


def test_a_short_video_is_repeated_at_either_end(charades):
    clips = train_dataset(build_entries(charades, "train"), charades, seed=0)
    ends = {
        tuple(torch.unique_consecutive(clips[(e, 1)].clip, dim=1, return_counts=True)[1].tolist()) for e in range(40)
    }
    assert len(ends) > 1


def test_views_of_a_test_video(charades, folder):
    """Three views of the long video start at 0, round(11.5) = 12 and 23; labels are those of the whole video."""
    item = test_dataset(build_entries(charades, "test"), charades, 3, 3)[0]
    assert item.label.tolist() == union(0, 29)
    assert item.cut.clip_index.shape == (3, 4)
    charades.DATA.TEST_CROP_SIZE = 48
    item = test_dataset(build_entries(charades, "test"), charades, 3, 3)[0]
    pictures = [rgb(path) for path in sorted((folder / "long").iterdir())]
    views = list(item.views())
    for view, start in enumerate((0, 12, 23)):
        for spatial, left in enumerate((0, 8, 16)):
            wanted = np.stack([pictures[start + 2 * i][:, left : left + 48] for i in range(4)])
            np.testing.assert_array_equal(views[3 * view + spatial].permute(1, 2, 3, 0).numpy(), wanted)
    single = test_dataset(build_entries(charades, "val"), charades, 1, 1)[0]
    wanted = np.stack([pictures[11 + 2 * i][:, 8:56] for i in range(4)])
    np.testing.assert_array_equal(next(iter(single.views())).permute(1, 2, 3, 0).numpy(), wanted)


def test_one_crop_is_cut_at_the_test_size(charades):
    charades.DATA.TRAIN_JITTER_SCALES = [64, 80]
    charades.DATA.TEST_CROP_SIZE = 40
    item = test_dataset(build_entries(charades, "test"), charades, 1, 1)[0]
    assert tuple(item.cut.frames.shape[1:3]) == (40, 53)


def test_a_damaged_picture_is_reported_with_its_video(charades, folder):
    path = folder / "long" / "long_000001.jpg"
    path.write_bytes(path.read_bytes()[:-20])
    item = test_dataset(build_entries(charades, "test"), charades, 2, 3)[0]
    assert item.path == str(folder / "long")
    assert item.error == f"{path}: the JPEG file is cut off"
    with pytest.raises(VideoError):
        item.views()
    for picture in (folder / "long").iterdir():
        picture.unlink()
    item = train_dataset(build_entries(charades, "train"), charades, seed=0)[(0, 0)]
    assert item.index != 0
    assert {failed for failed, _ in item.failures} == {str(folder / "long")}
    assert "No such file" in item.failures[0][1]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches(charades, workers):
    charades.DATA_LOADER.NUM_WORKERS = workers
    clips = train_dataset(build_entries(charades, "train"), charades, seed=3)
    sampler = loader.EpochSampler(len(clips), seed=3, epoch=2, batch_size=3)
    (batch,) = loader.train_loader(clips, sampler, charades)
    assert batch.clips.shape == (3, 3, 4, 48, 48)
    assert (batch.labels.shape, batch.labels.dtype) == ((3, 4), torch.float32)
    for index, clip, label in zip(batch.indices.tolist(), batch.clips, batch.labels, strict=True):
        item = clips[(2, index)]
        assert torch.equal(item.clip, clip)
        assert torch.equal(item.label, label)
    videos = test_dataset(build_entries(charades, "test"), charades, 2, 3)
    items = list(loader.video_loader(videos, charades))
    assert [item.label.tolist() for item in items] == [union(0, 29), union(0, 3)]


SEGMENTS = """id,subject,actions,length
one,X1,c002 0.20 0.40;c000 0.95 9.00,1.33
two,X2,,2.00

"three",X3," c001 0.00 0.00;c003 0.50 0.50 ",0.66
"""


@pytest.fixture
def segments(charades, tmp_path):
    charades.CHARADES.LISTS = "segments"
    (tmp_path / "Charades_v1_train.csv").write_text(SEGMENTS)
    (tmp_path / "Charades_v1_test.csv").write_text(SEGMENTS.replace("three", "four"))
    for name, fps in (("one", 30), ("two", 30), ("three", 10)):
        write_video(tmp_path / f"{name}.mp4", 40, fps=fps)
    return charades


def test_segments(segments, tmp_path):
    entries = build_entries(segments, "train")
    assert [entry.path for entry in entries] == [str(tmp_path / f"{n}.mp4") for n in ("one", "two", "three")]
    assert entries[0].segments == ((2, 0.2, 0.4), (0, 0.95, 9.0))
    assert [entry.label.tolist() for entry in entries] == [[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 1]]
    assert [entry.path for entry in build_entries(segments, "test")][2].endswith("four.mp4")
    assert build_entries(segments, "val") == build_entries(segments, "test")


@pytest.mark.parametrize("fps", [30.0, 24.0, 29.97, 10.0])
def test_labels_of_a_clip_against_looking_at_every_frame(fps):
    rng = np.random.default_rng(0)
    for _ in range(300):
        times = np.sort(np.round(rng.uniform(0, 4, (3, 2)), 2), axis=1)
        video = SegmentedVideo("a.mp4", tuple((k, *map(float, t)) for k, t in enumerate(times)), 3)
        first, last = np.sort(rng.integers(0, 100, 2)).tolist()
        wanted = [
            float(any(start - 1e-9 <= frame / fps <= end + 1e-9 for frame in range(first, last + 1)))
            for start, end in times.tolist()
        ]
        assert video.clip_label(first, last, fps).tolist() == wanted


def test_clips_of_videos_take_whole_frames_of_the_file(segments, tmp_path):
    """At 10 frames per second too: a clip's frames are SAMPLING_RATE frames of the file apart."""
    clips = train_dataset(build_entries(segments, "train"), segments, seed=0)
    frames = list(decode_all(tmp_path / "three.mp4"))
    for epoch in range(5):
        item = clips[(epoch, 2)]
        numbers = clip_frames(item.clip, frames)
        assert np.diff(numbers).tolist() == [2, 2, 2]
        assert item.label.tolist() == [0, float(numbers[0] == 0), 0, float(numbers[0] <= 5 <= numbers[-1])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,length\none,3\n", r"list\.csv:1: the header has no column actions"),
        ("", r"list\.csv:1: the header has no column actions and no column id"),
        ("id,actions\n", "holds no video"),
        ("id,actions\none\n", r"list\.csv:2: does not have the columns"),
        ("id,actions\none,c001 0 1,7\n", r"list\.csv:2: does not have the columns"),
        ("id,actions\n\n,c001 0 1\n", r"list\.csv:3: does not have the columns"),
        ("id,actions\none,\none,\n", r"list\.csv:3: one is listed twice"),
        ("id,actions\none,c001 0\n", r"list\.csv:2: the action 'c001 0' is not a class"),
        ("id,actions\none,walk 0 1\n", r"list\.csv:2: the action 'walk 0 1' is not a class"),
        ("id,actions\none,c001 zero 1\n", r"list\.csv:2: the action .* is not a class"),
        ("id,actions\none,c001 2 1\n", r"list\.csv:2: the action 'c001 2 1' ends before it starts"),
        ("id,actions\none,c001 0 inf\n", r"list\.csv:2: .*or never"),
        ("id,actions\none,c001 nan 1\n", r"list\.csv:2: .*or never"),
        ("id,actions\none,c001 0 1;c004 0 1\n", r"list\.csv:2: .* is class 4; with MODEL\.NUM_CLASSES 4"),
        ('id,actions\none,"c001 0 1"x\n', r"list\.csv:2: is not csv"),
    ],
)
def test_malformed_segments_are_named(tmp_path, text, message):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_segments(path, "", 4)


def test_refusals(charades, tmp_path):
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read: No such file"):
        read_segments(tmp_path / "gone.csv", "", 4)
    (tmp_path / "latin.csv").write_bytes(b"id,actions\n\xff,\n")
    with pytest.raises(DataError, match="not UTF-8"):
        read_segments(tmp_path / "latin.csv", "", 4)
    charades.CHARADES.LISTS = "csv"
    with pytest.raises(ConfigError, match=r"CHARADES\.LISTS is 'csv'; it must be one of frames, segments"):
        build_entries(charades, "train")
    charades.DATA.MULTI_LABEL = False
    with pytest.raises(ConfigError, match=r"DATA\.MULTI_LABEL False; it must be True"):
        build_entries(charades, "train")


def test_multi_hot():
    assert multi_hot([2, 0, 2], 4).tolist() == [1, 0, 1, 0]
    assert multi_hot([], 2).tolist() == [0, 0]


def test_real_movies_from_pictures_and_from_segments_agree(shared_data, charades):
    """Labels per frame and segments in seconds were made from the same clips of 25 s movies."""
    folder = shared_data / "jhmdb_movies"
    charades.MODEL.NUM_CLASSES = 8
    charades.DATA.PATH_TO_DATA_DIR = str(folder / "charades" / "frame_lists")
    pictures = build_entries(charades, "train")
    with open(folder / "charades" / "segments.csv", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)][:19] == list(pictures[0].frames.videos)
    videos = read_segments(folder / "charades" / "segments.csv", str(folder / "videos"), 8)
    same = 0
    rng = np.random.default_rng(0)
    for one, other in zip(pictures, videos, strict=False):
        assert torch.equal(one.label, other.label)
        for first in rng.integers(0, 690, 20).tolist():
            same += torch.equal(one.clip_label(first, first + 60, 30), other.clip_label(first, first + 60, 30))
    assert same > 0.9 * 19 * 20, "seconds are rounded to hundredths, so a label may end a frame earlier or later"
    with other.open("pyav") as video:
        assert video.num_frames == 750
