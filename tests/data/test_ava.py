"""Training clips with boxes, and key frames to test on."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from movies import frame_lines, rgb, write_list, write_pictures
from video_files import decode_all, write_video

from mutualnet3d.data import loader
from mutualnet3d.data.build import build_entries, test_dataset, train_dataset
from mutualnet3d.data.decode_pyav import PyAVReader
from mutualnet3d.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
TRUTH = """one,0,0.1,0.2,0.5,0.9,1,0
one,1,0.25,0.2,0.5,0.9,3,0
one,1,0.25,0.2,0.5,0.9,1,0
one,1,0.5,0.1,1.0,0.5,2,1
one,2,0.0,0.0,1.0,1.0,2,1
two,0,0.0,0.0,1.0,1.0,4,2
two,3,0.0,0.0,1.0,1.0,4,2
two,3,0.95,0.95,1.0,1.0,4,2
"""
FOUND = TRUTH.replace(",1,0\n", ",,0.95\n")


@pytest.fixture
def ava(cfg, tmp_path):
    """Two movies of 40 pictures, 10 a second, called from second 0; a clip is 4 frames at distance 2."""
    cfg.TRAIN.DATASET = cfg.TEST.DATASET = "ava"
    cfg.DETECTION.ENABLE = True
    cfg.DATA.TARGET_FPS = 10
    cfg.AVA.ANNOTATION_DIR = cfg.AVA.FRAME_LIST_DIR = cfg.AVA.FRAME_DIR = str(tmp_path)
    cfg.AVA.START_SECOND, cfg.AVA.FPS, cfg.AVA.EXCLUSION_FILE = 0, 10, ""
    cfg.AVA.TRAIN_GT_BOX_LISTS = cfg.AVA.TEST_PREDICT_BOX_LISTS = ["truth.csv"]
    (tmp_path / "truth.csv").write_text(TRUTH)
    lines = []
    for number, (name, size) in enumerate({"one": (48, 64), "two": (64, 48)}.items()):
        write_pictures(tmp_path / name, 40, size, seed=number)
        lines += frame_lines(name, number, 40)
    write_list(tmp_path / "train.csv", *lines)
    write_list(tmp_path / "val.csv", *lines)
    return cfg


@pytest.fixture
def movies(ava, tmp_path):
    """The same from files of video."""
    for name, size in {"one": (48, 64), "two": (64, 48)}.items():
        write_video(tmp_path / f"{name}.mp4", 40, size, fps=10)
    ava.AVA.FRAME_LIST_DIR, ava.AVA.VIDEO_DIR = "", str(tmp_path)
    return ava


def same(one, other):
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("clip", "boxes", "labels")) and (
        one.index == other.index
    )


def expected_frames(second):
    return [min(max(10 * second - 4 + 2 * i, 0), 39) for i in range(4)]


def test_a_training_clip_and_its_boxes(ava, tmp_path):
    """A crop as high as the pictures, without jitter: the window is found by looking, the boxes follow by hand."""
    ava.DATA.TRAIN_JITTER_SCALES, ava.DATA.TRAIN_CROP_SIZE = [48, 48], 48
    entries = build_entries(ava, "train")
    clips = train_dataset(entries, ava, seed=0)
    seen = set()
    for epoch in range(30):
        for index, second in enumerate((0, 1, 2)):
            item = clips[(epoch, index)]
            assert item.clip.dtype == torch.uint8
            assert item.boxes.dtype == item.labels.dtype == torch.float32
            assert item.clip.shape == (3, 4, 48, 48)
            pictures = [rgb(tmp_path / "one" / f"one_{f + 1:06d}.jpg") for f in expected_frames(second)]
            clip = item.clip.permute(1, 2, 3, 0).numpy()
            ((left, flip),) = [
                (left, flip)
                for left in range(17)
                for flip in (False, True)
                if all(
                    np.array_equal(picture[:, left : left + 48][:, :: -1 if flip else 1], frame)
                    for picture, frame in zip(pictures, clip, strict=True)
                )
            ]
            seen.add((left, flip))
            wanted = []
            for box, label in zip(entries[index].boxes, entries[index].labels, strict=True):
                x1, y1, x2, y2 = np.minimum(box * [64, 48, 64, 48], [63, 47, 63, 47]) - [left, 0, left, 0]
                x1, x2 = (47 - x2, 47 - x1) if flip else (x1, x2)
                x1, x2 = min(max(x1, 0), 47), min(max(x2, 0), 47)
                if x1 < x2:
                    wanted.append([x1, y1, x2, y2, *label])
            np.testing.assert_allclose(torch.cat([item.boxes, item.labels], 1).numpy(), wanted, atol=1e-5)
    assert len(seen) > 25


def test_clips_follow_from_seed_epoch_and_index_alone(ava):
    entries = build_entries(ava, "train")
    clips = train_dataset(entries, ava, seed=0)
    first = clips[(3, 1)]
    clips[(0, 2)]
    assert same(first, clips[(3, 1)])
    assert same(first, train_dataset(entries, ava, seed=0)[(3, 1)])
    assert not same(first, clips[(4, 1)])
    assert not same(first, train_dataset(entries, ava, seed=1)[(3, 1)])


def test_crops_are_drawn_until_somebody_is_seen(ava, tmp_path):
    (tmp_path / "truth.csv").write_text("one,1,0.0,0.0,0.1,0.1,1,0\n")
    ava.DATA.TRAIN_JITTER_SCALES, ava.DATA.TRAIN_CROP_SIZE = [48, 48], 40
    clips = train_dataset(build_entries(ava, "train"), ava, seed=0)
    items = [clips[(epoch, 0)] for epoch in range(60)]
    assert all(item.labels.shape == (len(item.boxes), 4) for item in items)
    assert sum(len(item.boxes) for item in items) > 50, "about a tenth of the crops shows the corner"
    (tmp_path / "truth.csv").write_text("one,1,0.5,0.5,0.5,0.9,1,0\n")
    item = train_dataset(build_entries(ava, "train"), ava, seed=0)[(0, 0)]
    assert (item.boxes.shape, item.labels.shape) == ((0, 4), (0, 4)), "a box without area is never seen"
    batch = loader.collate_detections([item, item])
    assert (batch.boxes.shape, batch.labels.shape, batch.clips.shape) == ((0, 5), (0, 4), (2, 3, 4, 40, 40))


def test_the_scale_is_drawn_by_its_inverse(ava):
    ava.DATA.TRAIN_JITTER_SCALES = [32, 320]
    clips = train_dataset(build_entries(ava, "train"), ava, seed=0)
    assert clips._transform.inverse_uniform
    assert not ava.DATA.INV_UNIFORM_SAMPLE


@pytest.mark.parametrize("workers", [0, 2])
def test_batches(ava, workers):
    ava.DATA_LOADER.NUM_WORKERS = workers
    clips = train_dataset(build_entries(ava, "train"), ava, seed=5)
    sampler = loader.EpochSampler(len(clips), seed=5, epoch=0, batch_size=2)
    train = loader.train_loader(clips, sampler, ava)
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        for batch in train:
            assert batch.clips.is_contiguous(memory_format=torch.channels_last_3d)
            assert batch.boxes.shape[1:] == (5,)
            for number, index in enumerate(batch.indices.tolist()):
                item, mine = clips[(epoch, index)], batch.boxes[:, 0] == number
                assert torch.equal(batch.clips[number], item.clip)
                assert torch.equal(batch.boxes[mine, 1:], item.boxes)
                assert torch.equal(batch.labels[mine], item.labels)
            moved = batch.to("cpu")
            assert torch.equal(moved.boxes, batch.boxes)


def test_key_frames(ava, tmp_path):
    """Whole frames, scaled: landscape and portrait."""
    frames = test_dataset(build_entries(ava, "test"), ava, 1, 1)
    assert len(frames) == 5
    shapes = {"one": (32, 42), "two": (42, 32)}
    for index, (video, second) in enumerate([("one", 0), ("one", 1), ("one", 2), ("two", 0), ("two", 3)]):
        item = frames[index]
        assert (item.video, item.second, item.index, item.error) == (video, second, index, None)
        assert item.clip.shape == (3, 4, *shapes[video])
        assert item.path == str(tmp_path / video)
    item = frames[1]
    np.testing.assert_allclose(item.normalised_boxes, [[0.25, 0.2, 0.5, 0.9], [0.5, 0.1, 1.0, 0.5]], atol=1e-7)
    wanted = [[10.5, 6.4, 21, 28.8], [21, 3.2, 41, 16]]
    np.testing.assert_allclose(item.boxes, wanted, atol=1e-5)
    ava.DATA.TEST_CROP_SIZE = 48
    item = test_dataset(build_entries(ava, "test"), ava, 1, 1)[1]
    for frame, number in zip(item.clip.permute(1, 2, 3, 0).numpy(), expected_frames(1), strict=True):
        np.testing.assert_array_equal(frame, rgb(tmp_path / "one" / f"one_{number + 1:06d}.jpg"))


@pytest.mark.parametrize("workers", [0, 2])
def test_key_frames_come_in_order_and_ranks_share_them(ava, tmp_path, workers):
    (tmp_path / "truth.csv").write_text("".join(f"{v},{s},0,0,1,1,1,0\n" for v in ("one", "two") for s in range(4)) * 3)
    ava.AVA.FPS, ava.DATA_LOADER.NUM_WORKERS = 10, workers
    frames = test_dataset(build_entries(ava, "test"), ava, 1, 1)
    together = loader.video_loader(frames, ava)
    items = list(together)
    assert len(together) == len(items) == 8
    assert [(item.video, item.second, item.index) for item in items] == [
        (video, second, 4 * number + second) for number, video in enumerate(("one", "two")) for second in range(4)
    ]
    for item in items:
        assert torch.equal(item.clip, frames[item.index].clip)
    loader.KeyFrameLoader._RUN, before = 3, loader.KeyFrameLoader._RUN
    try:
        shares = [loader.video_loader(frames, ava, range(rank, len(frames), 2)) for rank in range(2)]
        indices = [[item.index for item in share] for share in shares]
        assert [len(share) for share in shares] == [len(part) for part in indices] == [4, 4]
        assert indices == [[0, 2, 4, 6], [1, 3, 5, 7]]
    finally:
        loader.KeyFrameLoader._RUN = before


@pytest.mark.parametrize("backend", ["pyav", "decord"])
def test_movies_give_what_their_frames_are(movies, tmp_path, backend):
    if backend == "decord":
        pytest.importorskip("decord")
    movies.DATA.DECODING_BACKEND = backend
    movies.DATA.TEST_CROP_SIZE = 48
    frames = test_dataset(build_entries(movies, "test"), movies, 1, 1)
    for item in frames.read(range(5) if backend == "pyav" else range(3)):  # decord refuses a width of 48
        whole = decode_all(tmp_path / f"{item.video}.mp4")
        clip = item.clip.permute(1, 2, 3, 0).numpy()
        np.testing.assert_array_equal(clip, whole[expected_frames(item.second)])
        assert torch.equal(item.clip, frames[item.index].clip)
    item = train_dataset(build_entries(movies, "train"), movies, seed=0)[(0, 1)]
    assert item.clip.shape == (3, 4, 32, 32)


def test_neighbours_share_decoding(movies, monkeypatch):
    """One opening and one decoding for the neighbours in a movie; its packets are read once, when it is listed."""
    opened, decoded, indexed = [], [], []
    decode, reader = PyAVReader._decode, PyAVReader.__init__

    def init(self, path, index=None):
        opened.append(path)
        indexed.append(index is None)
        reader(self, path, index)

    monkeypatch.setattr(PyAVReader, "__init__", init)
    monkeypatch.setattr(PyAVReader, "_decode", lambda self, *args: decoded.append(args[0]) or decode(self, *args))
    frames = test_dataset(build_entries(movies, "test"), movies, 1, 1)
    assert indexed == [True, True]
    opened.clear()
    frames.read([0, 1, 2])
    assert len(opened) == len(decoded) == 1
    assert decoded[0] == sorted({f for second in (0, 1, 2) for f in expected_frames(second)})
    frames.read([1, 4])
    assert len(opened) == 3
    assert indexed == [True, True, False, False, False]


def test_a_movie_of_another_frame_rate(movies, tmp_path):
    """Distances are counted in frames of TARGET_FPS: at 20 frames per second a clip has every fourth frame."""
    movies.DATA.TEST_CROP_SIZE = 48
    write_video(tmp_path / "one.mp4", 80, fps=20)
    item = test_dataset(build_entries(movies, "test"), movies, 1, 1)[1]
    whole = decode_all(tmp_path / "one.mp4")
    np.testing.assert_array_equal(item.clip.permute(1, 2, 3, 0).numpy(), whole[[12, 16, 20, 24]])


def test_unreadable_movies(movies, tmp_path):
    (tmp_path / "one.mp4").write_text("this is no video\n" * 100)
    frames = test_dataset(build_entries(movies, "test"), movies, 1, 1)
    items = list(loader.video_loader(frames, movies))
    assert [item.error is None for item in items] == [False] * 3 + [True] * 2
    assert [(item.video, item.second, item.index) for item in items[:3]] == [("one", s, s) for s in range(3)]
    assert "is not a readable video" in items[0].error
    assert items[0].boxes.shape == (0, 4)
    clips = train_dataset(build_entries(movies, "train"), movies, seed=0)
    item = clips[(0, 0)]
    assert item.index in (3, 4)
    assert {path for path, _ in item.failures} == {str(tmp_path / "one.mp4")}
    (tmp_path / "two.mp4").unlink()
    with pytest.raises(DataError, match=r"100 videos in a row.*AVA\.VIDEO_DIR"):
        train_dataset(build_entries(movies, "train"), movies, seed=0)[(0, 0)]


def test_a_damaged_picture_costs_its_key_frames_only(ava, tmp_path):
    path = tmp_path / "one" / "one_000011.jpg"  # frame 10, of second 1 alone
    path.write_bytes(path.read_bytes()[:-20])
    frames = test_dataset(build_entries(ava, "test"), ava, 1, 1)
    items = frames.read(range(5))
    assert [item.error for item in items] == [None, f"{path}: the JPEG file is cut off", None, None, None]
    assert items[1].path == str(tmp_path / "one")


@pytest.fixture(scope="module")
def real_pictures(shared_data, tmp_path_factory):
    """The frames of one real movie."""
    folder = tmp_path_factory.mktemp("pictures")
    pytest.importorskip("PIL")
    script = shared_data / "jhmdb_movies" / "extract_frames.py"
    subprocess.run([sys.executable, str(script), str(folder), "jm_val_00", "jm_train_00"], check=True)
    return folder / "ava"


@pytest.fixture
def real(cfg, shared_data, real_pictures):
    folder = shared_data / "jhmdb_movies" / "ava"
    cfg.TRAIN.DATASET = cfg.TEST.DATASET = "ava"
    cfg.DETECTION.ENABLE, cfg.MODEL.NUM_CLASSES, cfg.DATA.SAMPLING_RATE = True, 8, 8
    cfg.AVA.ANNOTATION_DIR, cfg.AVA.FRAME_LIST_DIR = str(folder / "annotations"), str(folder / "frame_lists")
    cfg.AVA.FRAME_DIR, cfg.AVA.EXCLUSION_FILE = str(real_pictures), ""
    cfg.AVA.TRAIN_GT_BOX_LISTS, cfg.AVA.TRAIN_PREDICT_BOX_LISTS = ["jm_train_v1.csv"], ["jm_train_predicted_boxes.csv"]
    cfg.AVA.TEST_PREDICT_BOX_LISTS, cfg.AVA.DETECTION_SCORE_THRESH = ["jm_val_predicted_boxes.csv"], 0.5
    cfg.MODEL.ARCH = "c2d"  # PySlowFast then makes one pathway
    return cfg


@pytest.mark.parametrize(("size", "tolerance"), [(240, 1e-4), (256, 1.0), (200, 1.0)])
def test_key_frames_against_pyslowfast(real, size, tolerance):
    """The same pixels, and the same boxes where frames keep their size (240); else less than a pixel apart."""
    dataset = pytest.importorskip("slowfast.datasets.ava_dataset")
    real.DATA.TEST_CROP_SIZE = size
    frames = test_dataset(build_entries(real, "test"), real, 1, 1)
    theirs = dataset.Ava(real, "test")
    assert len(frames) == len(theirs)
    for index in range(0, 10, 3):
        item, ([clip], _, _, extra) = frames[index], theirs[index]
        assert item.video == "jm_val_00"
        assert item.second == extra["metadata"][0][1]
        mine = ((item.clip.float() / 255 - 0.45) / 0.225).numpy()
        np.testing.assert_allclose(mine, clip.numpy(), atol=1e-5)
        np.testing.assert_allclose(item.boxes, extra["boxes"], atol=tolerance)
        np.testing.assert_allclose(item.normalised_boxes, extra["ori_boxes"], atol=1e-6)


def test_training_clips_against_pyslowfast(real, monkeypatch):
    """Our window is found by looking; PySlowFast, made to draw the same one, gives the same clip, boxes and labels."""
    dataset = pytest.importorskip("slowfast.datasets.ava_dataset")
    real.DATA.TRAIN_JITTER_SCALES, real.DATA.TRAIN_CROP_SIZE = [240, 240], 240
    entries = build_entries(real, "train")
    clips, theirs = train_dataset(entries, real, seed=0), dataset.Ava(real, "train")
    for index in range(0, 12, 2):
        item = clips[(0, index)]
        with entries.movies.open("jm_train_00") as video:
            center = (entries[index].second - 900) * 30
            picture = video.frames([center])[0]
        frame = item.clip[:, 2].permute(1, 2, 0).numpy()  # of 4 frames around the key frame the third is it
        ((left, flip),) = [
            (left, flip)
            for left in range(81)
            for flip in (False, True)
            if np.array_equal(picture[:, left : left + 240][:, :: -1 if flip else 1], frame)
        ]
        with monkeypatch.context() as patch:
            patch.setattr(np.random, "randint", lambda low, high, left=left: left)
            patch.setattr(np.random, "uniform", lambda low=0.0, high=1.0, flip=flip: low if high < 1 else 1.0 - flip)
            [clip], labels, _, extra = theirs[index]
        np.testing.assert_allclose(((item.clip.float() / 255 - 0.45) / 0.225).numpy(), clip.numpy(), atol=1e-5)
        boxes = extra["boxes"]
        seen = (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])
        np.testing.assert_allclose(item.boxes, boxes[seen], atol=1e-4)
        np.testing.assert_array_equal(item.labels, labels[seen])


def test_clips_far_apart_are_decoded_apart(movies, monkeypatch):
    """What lies between them need not be decoded; the items are the same."""
    decoded, decode = [], PyAVReader._decode
    frames = test_dataset(build_entries(movies, "test"), movies, 1, 1)
    together = frames.read([0, 1, 2, 3, 4])
    monkeypatch.setattr(PyAVReader, "_decode", lambda self, *args: decoded.append(args[0]) or decode(self, *args))
    monkeypatch.setattr("mutualnet3d.data.ava._FAR", 5)  # one: 4 frames between clips; two: 24
    apart = frames.read([0, 1, 2, 3, 4])
    assert [len(part) for part in decoded] == [
        len({*expected_frames(0), *expected_frames(1), *expected_frames(2)}),
        2,
        4,
    ]
    assert all(torch.equal(one.clip, other.clip) for one, other in zip(together, apart, strict=True))
