"""The synthetic dataset: what is seen, what is written, and what becomes of folders that are not empty."""

import json
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from mutualnet3d.data import synthetic
from mutualnet3d.data.synthetic import MOTIONS, RenderSpec, ensure_dataset, render_clip, write_dataset, write_video
from mutualnet3d.data.synthetic_motion import REVERSED, _paste
from mutualnet3d.errors import ConfigError, DataError

SPEC = RenderSpec(height=48, width=64, num_frames=10, fps=20)
COUNTS = {"train": 2, "val": 1, "test": 1}


def make_cfg(directory, **synthetic_options):
    options = {"NUM_TRAIN": 2, "NUM_VAL": 1, "NUM_TEST": 1, "SEED": 3, "SIZE": [48, 64], "NUM_FRAMES": 10, "FPS": 20}
    options["DIFFICULTY"] = "easy"
    return SimpleNamespace(
        SYNTHETIC=SimpleNamespace(**{**options, **synthetic_options}),
        DATA=SimpleNamespace(PATH_TO_DATA_DIR=str(directory), PATH_PREFIX=""),
        MODEL=SimpleNamespace(NUM_CLASSES=len(MOTIONS)),
    )


def contents(directory):
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def decode(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def brightness_centre(frames):
    """Path of the object's middle on the torus, (T, 2) x, y in turns: the object is bright, the scene dark."""
    weight = np.clip(frames.astype(float).mean(axis=3) - 125.0, 0.0, None)
    _, height, width = weight.shape
    x = np.angle(np.einsum("thw,w->t", weight, np.exp(2j * np.pi * np.arange(width) / width)))
    y = np.angle(np.einsum("thw,h->t", weight, np.exp(2j * np.pi * np.arange(height) / height)))
    return np.unwrap(np.stack([x, y], axis=1), axis=0) / (2 * np.pi)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    directory = tmp_path_factory.mktemp("synthetic") / "set"
    write_dataset(directory, SPEC, COUNTS, seed=3, workers=2)
    return directory


class TestRendering:
    @pytest.mark.parametrize("motion", MOTIONS)
    def test_shape_type_and_repeatability(self, motion):
        first, second = (render_clip(motion, np.random.default_rng(5), SPEC) for _ in range(2))
        assert first.shape == (10, 48, 64, 3)
        assert first.dtype == np.uint8
        np.testing.assert_array_equal(first, second)
        assert (first != render_clip(motion, np.random.default_rng(6), SPEC)).any()

    @pytest.mark.parametrize(("backwards", "forwards"), REVERSED.items())
    def test_second_of_a_pair_is_the_first_played_backwards(self, backwards, forwards):
        one, other = (render_clip(motion, np.random.default_rng(7), SPEC) for motion in (backwards, forwards))
        np.testing.assert_array_equal(one[::-1], other)
        assert (one != other).any()

    @pytest.mark.parametrize(
        ("motion", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)]
    )
    def test_directions(self, motion, axis, sign):
        for seed in range(8):
            path = brightness_centre(render_clip(motion, np.random.default_rng(seed), RenderSpec(96, 96, 40)))
            moved = path[-1] - path[0]
            assert 0.4 < sign * moved[axis] < 1.1
            assert abs(moved[1 - axis]) < 0.2

    @pytest.mark.parametrize(("motion", "sign"), [("grow", 1), ("shrink", -1)])
    def test_growth(self, motion, sign):
        for seed in range(8):
            clip = render_clip(motion, np.random.default_rng(seed), RenderSpec(96, 96, 40))
            bright = (clip.astype(float).mean(axis=3) > 125.0).sum(axis=(1, 2))
            assert sign * np.log(bright[-1] / bright[0]) > np.log(2.0)

    def test_clockwise_is_as_seen_on_the_screen(self):
        bar = np.zeros((21, 21, 3), np.float32)
        bar[9:12, 12:] = 1.0  # a hand that points right
        frame = np.zeros((48, 48, 3), np.float32)
        _paste(frame, (255.0 * bar, bar), x=24.0, y=24.0, angle=np.pi / 2, diameter=21.0)
        rows, columns, _ = np.nonzero(frame > 100)
        assert rows.min() > 24  # a quarter later it points down
        assert abs(columns.mean() - 24) < 1.5

    def test_object_at_the_edge_continues_at_the_other(self):
        disc = np.ones((21, 21, 3), np.float32)
        shifted, centred = np.zeros((48, 64, 3), np.float32), np.zeros((48, 64, 3), np.float32)
        _paste(shifted, (disc, disc), x=-1.0, y=48.0, angle=0.3, diameter=20.0)
        _paste(centred, (disc, disc), x=31.0, y=24.0, angle=0.3, diameter=20.0)
        np.testing.assert_allclose(np.roll(shifted, (24, 32), axis=(0, 1)), centred, atol=1e-4)

    def test_unknown_motion_is_refused(self):
        with pytest.raises(DataError, match=r"sideways.*choose one of left"):
            render_clip("sideways", np.random.default_rng(0), SPEC)

    def test_hard_videos_show_smaller_and_more_objects_in_the_same_pairs(self):
        easy, hard = (RenderSpec(64, 64, 12, 20, difficulty) for difficulty in ("easy", "hard"))
        covered, pieces = {}, {}
        for spec in (easy, hard):
            bright = [render_clip("left", np.random.default_rng(seed), spec)[0].max(axis=2) > 128 for seed in range(20)]
            covered[spec] = np.mean(bright)
            parts = [cv2.connectedComponentsWithStats(np.tile(b, (2, 2)).astype(np.uint8))[2] for b in bright]
            pieces[spec] = np.mean([np.sum(stats[1:, cv2.CC_STAT_AREA] > 12) / 4 for stats in parts])
        assert covered[hard] < 0.8 * covered[easy]
        assert pieces[hard] > 1.5 * pieces[easy]
        for motion, forward in REVERSED.items():
            one, other = (render_clip(m, np.random.default_rng(5), hard) for m in (motion, forward))
            np.testing.assert_array_equal(one, other[::-1])

    def test_unknown_difficulty_is_refused(self):
        with pytest.raises(ConfigError, match=r"difficulty is 'harder'; choose one of easy, hard"):
            RenderSpec(difficulty="harder")

    def test_easy_folders_of_before_are_known_and_hard_ones_are_others(self, dataset, tmp_path):
        manifest = json.loads((dataset / "dataset.json").read_text())
        assert "difficulty" not in manifest["spec"]
        hard = RenderSpec(height=48, width=64, num_frames=10, fps=20, difficulty="hard")
        with pytest.raises(DataError, match="holds another synthetic dataset"):
            write_dataset(dataset, hard, COUNTS, seed=3)

    @pytest.mark.parametrize("change", [{"height": 47}, {"width": 16}, {"num_frames": 2}, {"fps": 0}, {"height": 48.0}])
    def test_bad_specs_are_refused(self, change):
        with pytest.raises(ConfigError, match=next(iter(change))):
            RenderSpec(**change)


class TestWriteVideo:
    def test_decodes_to_nearly_the_same_frames(self, tmp_path):
        clip = render_clip("left", np.random.default_rng(0), SPEC)
        write_video(tmp_path / "a.mp4", clip, 20)
        with av.open(str(tmp_path / "a.mp4")) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert stream.average_rate == 20
        decoded = decode(tmp_path / "a.mp4")
        assert decoded.shape == clip.shape
        assert np.abs(decoded.astype(float) - clip).mean() < 10
        assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]

    @pytest.mark.parametrize(
        "frames", [np.zeros((3, 8, 8)), np.zeros((3, 7, 8, 3), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)]
    )
    def test_bad_frames_are_refused_and_leave_nothing(self, tmp_path, frames):
        with pytest.raises(DataError, match=r"a\.mp4"):
            write_video(tmp_path / "a.mp4", frames, 20)
        assert not list(tmp_path.iterdir())


class TestWriteDataset:
    def test_lists_are_balanced_and_every_file_decodes(self, dataset):
        assert (dataset / "classes.txt").read_text().split() == list(MOTIONS)
        listed = []
        for split, count in COUNTS.items():
            lines = [line.split(" ") for line in (dataset / f"{split}.csv").read_text().splitlines()]
            labels = [int(label) for _, label in lines]
            assert np.bincount(labels).tolist() == [count] * len(MOTIONS)
            for path, label in lines:
                assert path.startswith(f"videos/{split}/{MOTIONS[int(label)]}/")
                assert decode(dataset / path).shape == (10, 48, 64, 3)
            listed += [path for path, _ in lines]
        assert sorted(listed) == sorted(p.relative_to(dataset).as_posix() for p in dataset.rglob("*.mp4"))

    def test_all_videos_differ(self, dataset):
        videos = [data for name, data in contents(dataset).items() if name.endswith(".mp4")]
        assert len(set(videos)) == len(videos) == len(MOTIONS) * sum(COUNTS.values())

    def test_bytes_depend_on_neither_workers_nor_place(self, dataset, tmp_path):
        write_dataset(tmp_path / "again", SPEC, dict(reversed(COUNTS.items())), seed=3, workers=1)
        assert contents(tmp_path / "again") == contents(dataset)

    def test_interrupted_rendering_is_completed(self, dataset, tmp_path, monkeypatch):
        directory, rendered = tmp_path / "set", []

        def fail_after_five(path, frames, fps):
            if len(rendered) == 5:
                raise KeyboardInterrupt
            rendered.append(path)
            write_video(path, frames, fps)

        monkeypatch.setattr(synthetic, "write_video", fail_after_five)
        with pytest.raises(KeyboardInterrupt):
            write_dataset(directory, SPEC, COUNTS, seed=3, workers=1)
        assert not (directory / "dataset.json").exists()
        assert not (directory / "train.csv").exists()
        assert len(list(directory.rglob("*.mp4"))) == 5

        with pytest.raises(DataError, match=r"seed is 3, wanted 4"):
            write_dataset(directory, SPEC, COUNTS, seed=4, workers=1)
        resumed = []
        monkeypatch.setattr(
            synthetic, "write_video", lambda path, *rest: (resumed.append(path), write_video(path, *rest))
        )
        write_dataset(directory, SPEC, COUNTS, seed=3, workers=1)
        assert not set(resumed) & set(rendered)
        assert contents(directory) == contents(dataset)

    @pytest.mark.parametrize(
        ("counts", "seed", "workers"),
        [({"train": 1}, 0, 1), ({**COUNTS, "val": 0}, 0, 1), (COUNTS, -1, 1), (COUNTS, 0, 0), (COUNTS, 0.5, 1)],
    )
    def test_bad_numbers_are_refused(self, tmp_path, counts, seed, workers):
        with pytest.raises(ConfigError, match="synthetic dataset"):
            write_dataset(tmp_path / "set", SPEC, counts, seed, workers)
        assert not (tmp_path / "set").exists()


class TestEnsureDataset:
    def test_renders_once_and_returns_the_prefix(self, dataset, tmp_path, monkeypatch):
        cfg = make_cfg(tmp_path / "set")
        assert ensure_dataset(cfg) == cfg.DATA.PATH_TO_DATA_DIR
        assert contents(tmp_path / "set") == contents(dataset)
        monkeypatch.setattr(synthetic, "render_clip", None)
        assert ensure_dataset(cfg) == cfg.DATA.PATH_TO_DATA_DIR

    def test_other_manifest_is_refused_naming_the_difference(self, dataset):
        with pytest.raises(DataError, match=r"seed is 3, wanted 8.*choose another folder or delete"):
            ensure_dataset(make_cfg(dataset, SEED=8))
        with pytest.raises(DataError, match=r"spec is .*'fps': 20.*'fps': 25"):
            ensure_dataset(make_cfg(dataset, FPS=25))

    @pytest.mark.parametrize("text", ["{", "[]"])
    def test_broken_manifest_is_refused(self, tmp_path, text):
        (tmp_path / "dataset.json").write_text(text)
        with pytest.raises(DataError, match=r"dataset\.json.*delete the folder"):
            ensure_dataset(make_cfg(tmp_path))

    def test_foreign_files_are_refused_and_untouched(self, tmp_path):
        (tmp_path / "thesis.txt").write_text("years of work")
        with pytest.raises(DataError, match=r"thesis\.txt.*empty or new folder"):
            ensure_dataset(make_cfg(tmp_path))
        assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]

    def test_lists_of_another_dataset_are_foreign(self, tmp_path):
        (tmp_path / "train.csv").write_text("a.mp4 0\n")
        with pytest.raises(DataError, match=r"train\.csv"):
            ensure_dataset(make_cfg(tmp_path))

    def test_file_in_place_of_the_folder_is_refused(self, tmp_path):
        (tmp_path / "set").write_text("")
        with pytest.raises(DataError, match="choose another path"):
            ensure_dataset(make_cfg(tmp_path / "set"))

    def test_contradicting_config_is_refused(self, tmp_path):
        cfg = make_cfg(tmp_path / "set")
        cfg.MODEL.NUM_CLASSES = 400
        with pytest.raises(ConfigError, match=r"NUM_CLASSES is 400.*has 10"):
            ensure_dataset(cfg)
        cfg = make_cfg(tmp_path / "set")
        cfg.DATA.PATH_PREFIX = "/elsewhere"
        with pytest.raises(ConfigError, match="PATH_PREFIX is '/elsewhere'"):
            ensure_dataset(cfg)
        with pytest.raises(ConfigError, match="PATH_TO_DATA_DIR is empty"):
            ensure_dataset(make_cfg(""))
        with pytest.raises(ConfigError, match=r"SYNTHETIC\.SIZE"):
            ensure_dataset(make_cfg(tmp_path / "set", SIZE=[96]))
        assert not (tmp_path / "set").exists()

    def test_manifest_records_what_was_asked(self, dataset):
        manifest = json.loads((dataset / "dataset.json").read_text())
        assert manifest["spec"] == {"height": 48, "width": 64, "num_frames": 10, "fps": 20}
        assert (manifest["counts"], manifest["seed"], manifest["motions"]) == (COUNTS, 3, list(MOTIONS))
