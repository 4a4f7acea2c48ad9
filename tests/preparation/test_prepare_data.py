"""tools/prepare_data.py: folders of every kind, what is left out, what is written."""

import csv
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny import tiny_cfg, write_data

import mutualnet3d as mn
from mutualnet3d.commands.prepare import main
from mutualnet3d.data import build_entries
from mutualnet3d.data.check import VideoReport, check_video
from mutualnet3d.errors import DataError
from mutualnet3d.preparation import Machine, checking, choose_settings
from mutualnet3d.preparation.folder import find_videos

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """The checking of a video has a process of its own, tested in tests/data/test_check_data.py."""
    monkeypatch.setattr(checking, "check_videos", lambda paths, backend, *_: map(check_video, paths))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """12 videos of different contents."""
    return sorted(write_data(tmp_path_factory.mktemp("files")).glob("*.mp4"))


@pytest.fixture
def videos(files, tmp_path):
    """2 classes with 6 videos each, under names that users have."""
    names = ("a, b_c1.mp4", "a, b_c2.MP4", "größer 動画.mp4", " leading.Mov", "deep/er/x.mp4", "it's $(true).mkv")
    folder = tmp_path / "my vidéos, all"
    for number, file in enumerate(files):
        path = folder / (" run 走る", "walk, slowly")[number % 2] / names[number // 2]
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, path)
    return folder


def prepare(folder, output, *words):
    return main([str(folder), "--output", str(output), *map(str, words)])


def rows(output):
    with open(output / "videos.csv", encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_names_of_every_kind_come_back(videos, tmp_path, capsys):
    output = tmp_path / "pre pared"
    assert prepare(videos, output) == 0
    cfg = mn.load_config(output / "config.yaml")
    listed = {part: [entry.path for entry in build_entries(cfg, part)] for part in ("train", "val", "test")}
    assert listed["test"] == listed["val"]
    there = {str(path.resolve()) for path in videos.rglob("*.*") if path.is_file()}
    assert {str(Path(path).resolve()) for path in listed["train"] + listed["val"]} == there
    assert not set(listed["train"]) & set(listed["val"])
    assert cfg.MODEL.NUM_CLASSES == 2
    assert cfg.MUTUALNET.ENABLE
    assert (output / "classes.txt").read_text(encoding="utf-8") == "run 走る\nwalk, slowly\n"
    table = rows(output)
    assert table["walk, slowly/a, b_c1.mp4"]["source"] == table["walk, slowly/a, b_c2.MP4"]["source"] == "a, b"
    said = capsys.readouterr().out
    assert f"python tools/run_net.py --cfg '{output}/config.yaml'" in said
    assert f"python tools/predict_net.py --model '{output}/run' VIDEO" in said
    assert "test.csv is val.csv" in said


def test_what_cannot_be_used_is_named_and_left_out(videos, tmp_path, capsys):
    walk, run = videos / "walk, slowly", videos / " run 走る"
    (walk / "bad.avi").write_bytes(b"no video")
    (walk / "notes.txt").write_text("x")
    cv2.imwrite(str(walk / "picture.png"), np.zeros((48, 64, 3), np.uint8))
    (walk / "picture.png").rename(walk / "picture.mp4")
    (walk / "line\nbreak.mp4").write_bytes((walk / "a, b_c1.mp4").read_bytes())
    shutil.copy(walk / "a, b_c1.mp4", walk / "Copy of a, b_c1.mp4")
    shutil.copy(run / "a, b_c1.mp4", walk / "zz.mp4")
    shutil.copy(run / "a, b_c1.mp4", videos / "loose.mp4")
    (videos / "empty").mkdir()
    (walk / "back").symlink_to(videos / "walk, slowly", target_is_directory=True)
    assert prepare(videos, tmp_path / "out") == 0
    said = capsys.readouterr().out
    notes = {path: row["note"] for path, row in rows(tmp_path / "out").items() if row["note"]}
    assert "not a readable video" in notes.pop("walk, slowly/bad.avi")
    assert notes.pop("walk, slowly/picture.mp4") == "left out: an image"
    assert notes.pop("walk, slowly/line\nbreak.mp4") == "left out: the name holds a line break; rename it"
    assert notes.pop("walk, slowly/Copy of a, b_c1.mp4") == "left out: the same file as walk, slowly/a, b_c1.mp4"
    both = "left out: the same file lies in the classes run 走る, walk, slowly; it is used in none"
    assert notes == {"walk, slowly/zz.mp4": both, " run 走る/a, b_c1.mp4": both}
    for text in (
        "6 videos cannot be used",
        "bad.avi",
        "loose.mp4",
        "empty",
        "1 files that are called no video (1 .txt)",
    ):
        assert text in said


def test_nothing_is_overwritten_without_force_and_runs_stay(videos, tmp_path, capsys):
    output = tmp_path / "out"
    assert prepare(videos, output) == 0
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    assert prepare(videos, output, "--val-share", 0.4) == 1
    assert "add --force" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    (output / "run").mkdir()
    assert prepare(videos, output, "--force", "--recipe", "slowfast", "--epochs", 7) == 0
    cfg = mn.load_config(output / "config.yaml")
    assert Path(cfg.OUTPUT_DIR).name == "run2"
    assert cfg.MODEL.ARCH == "slowfast"
    assert cfg.SOLVER.MAX_EPOCH == 7
    assert prepare(videos, output, "--force") == 0
    assert (output / "train.csv").read_bytes() == before["train.csv"]


def test_a_given_division_is_kept(videos, tmp_path, capsys):
    folder = tmp_path / "given"
    shutil.copytree(videos, folder / "Train")
    for number, part in enumerate(("validation", "test")):
        for label in (" run 走る", "walk, slowly"):
            source = sorted((folder / "Train" / label).glob("*.m*"))[number]
            (folder / part / label).mkdir(parents=True)
            shutil.move(source, folder / part / label)
    moved = next((folder / "test" / "walk, slowly").iterdir())
    shutil.copy(moved, folder / "Train" / "walk, slowly" / "also trained on.mp4")
    assert prepare(folder, tmp_path / "out") == 0
    lists = {name: (tmp_path / "out" / f"{name}.csv").read_text().splitlines() for name in ("train", "val", "test")}
    assert [len(lines) for lines in lists.values()] == [8, 2, 2]
    assert all(line.startswith("test/") for line in lists["test"])
    assert "also trained on.mp4: the same file as test/walk, slowly/" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "is no folder"),
        (lambda folder: [shutil.rmtree(path) for path in folder.glob("w*")], "1 sub-folders hold videos"),
        (lambda folder: [path.write_bytes(b"x") for path in folder.glob("w*/**/*.*")], "1 of 2 classes have no video"),
    ],
)
def test_folders_that_cannot_be_prepared(videos, tmp_path, capsys, make, message):
    make(videos)
    assert prepare(videos, tmp_path / "out") == 1
    assert message in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words", [["--val-share", "1"], ["--val-share", "0.6", "--test-share", "0.4"], ["--epochs", "0"]]
)
def test_wrong_usage(videos, tmp_path, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        prepare(videos, tmp_path / "out", *words)


def test_starting_from_weights(videos, tiny_run, tmp_path, capsys):
    """The network is that of the file; PySlowFast's form of a file holds its config too."""
    assert prepare(videos, tmp_path / "out", "--weights", tiny_run / "model.pyth") == 0
    cfg, theirs = mn.load_config(tmp_path / "out" / "config.yaml"), tiny_cfg()
    assert (cfg.RESNET, cfg.DATA.NUM_FRAMES, cfg.MUTUALNET.SPATIAL) == (theirs.RESNET, 4, [20, 32])
    model = mn.build_model(cfg)
    mn.load_weights(model, cfg.TRAIN.CHECKPOINT_FILE_PATH)
    weight = mn.load_model(tiny_run / "model.pyth").state_dict()["s1.pathway0_stem.conv.weight"]
    torch.testing.assert_close(model.state_dict()["s1.pathway0_stem.conv.weight"], weight)
    torch.save({"model_state": {"x": torch.zeros(1)}, "cfg": "KEY: 1"}, tmp_path / "other.pyth")
    capsys.readouterr()
    assert prepare(videos, tmp_path / "other", "--weights", tmp_path / "other.pyth") == 1
    said = capsys.readouterr().out
    assert "the network is taken from --recipe" in said
    assert "--recipe chooses another one" in said
    assert not (tmp_path / "other").exists()


MACHINES = {"cpu": Machine(2, 8.0), "gpu": Machine(16, 100.0, 1, 80.0), "gpus": Machine(64, 500.0, 8, 16.0)}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("weights", ["", "some.pyth"])
@pytest.mark.parametrize("recipe", ["slow", "slowfast", "x3d"])
def test_settings_load_whatever_the_machine_and_the_data(machine, recipe, weights):
    """Every config is a valid one, of at least one step an epoch; clips are no longer than most videos."""
    rng = np.random.default_rng(0)
    for train in (2, 3, 24, 229, 20000):
        fps, seconds = float(rng.choice([10, 25, 29.97, 60])), float(rng.choice([0.2, 1.0, 8.0, 300.0]))
        report = VideoReport("x", "ok", max(1, round(fps * seconds)), fps, 64, 48, seconds=seconds)
        plan = choose_settings(["a", "turn left"], [report] * 5, train, machine, str(CONFIGS), recipe, weights=weights)
        cfg = mn.load_config(CONFIGS / plan.recipe, plan.overrides())
        keys = [setting.key for setting in plan.settings]
        assert len(keys) == len(set(keys))
        assert 1 <= cfg.TRAIN.BATCH_SIZE <= train
        assert cfg.NUM_GPUS in range(machine.gpus + 1)
        assert cfg.DATA_LOADER.NUM_WORKERS * max(1, cfg.NUM_GPUS) <= machine.cores
        span = cfg.DATA.NUM_FRAMES * cfg.DATA.SAMPLING_RATE / cfg.DATA.TARGET_FPS
        assert cfg.DATA.SAMPLING_RATE == 1 or span <= seconds * 1.01
        assert not cfg.DATA.RANDOM_FLIP
        assert ("Kinetics" in plan.recipe) == (bool(weights) or (machine.gpus > 0 and train >= 5000))


@pytest.mark.parametrize(
    ("label", "flips"), [("turn left", False), ("Right_turn", False), ("anticlockwise", False), ("brightening", True)]
)
def test_directions_in_the_names_switch_mirroring_off(label, flips):
    report = VideoReport("x", "ok", 300, 30.0, 64, 48, seconds=10.0)
    plan = choose_settings(["a", label], [report], 24, MACHINES["cpu"], str(CONFIGS))
    assert flips == mn.load_config(CONFIGS / plan.recipe, plan.overrides()).DATA.RANDOM_FLIP


def test_a_full_size_network_on_a_cpu_is_cropped_smaller():
    network = mn.load_config(CONFIGS / "Kinetics" / "MN_SLOW_8x8.yaml", ["DATA.SAMPLING_RATE", 4])
    report = VideoReport("x", "ok", 300, 30.0, 64, 48, seconds=10.0)
    plan = choose_settings(["a"], [report], 24, MACHINES["cpu"], str(CONFIGS), "x3d", weights="w", network=network)
    cfg = mn.load_config(CONFIGS / plan.recipe, plan.overrides())
    assert (cfg.MODEL.ARCH, cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.TEST_CROP_SIZE) == ("slow", 112, 112)
    assert cfg.DATA.SAMPLING_RATE == 4
    keys = [setting.key for setting in plan.settings]
    assert len(keys) == len(set(keys))


def test_only_names_of_videos_are_looked_at(videos):
    for name in ("notes.txt", ".hidden.mp4", "._a.mp4"):
        (videos / "walk, slowly" / name).write_text("x")
    found = find_videos(videos)
    assert found.others == {".txt": 1}
    assert (found.labels, found.given, len(found.videos)) == (("run 走る", "walk, slowly"), False, 12)


def test_other_folders_beside_the_parts(files, tmp_path):
    for number, file in enumerate(files):
        path = tmp_path / "in" / ("train", "val")[number % 2] / ("run", "walk")[number // 2 % 2] / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, path)
    (tmp_path / "in" / "annotations").mkdir()
    (tmp_path / "in" / "annotations" / "classes.txt").write_text("run\nwalk\n")
    found = find_videos(tmp_path / "in")
    assert (found.given, found.labels, found.empty) == (True, ("run", "walk"), ("annotations",))
    assert len(found.videos) == len(files)


def test_why_a_class_has_no_video_is_said(files, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        shutil.copy(files[0], tmp_path / "in" / name / "same.mp4")
    assert prepare(tmp_path / "in", tmp_path / "out") == 1
    assert re.search(r"2 of 2 classes have no video .*a/same\.mp4: the same file", capsys.readouterr().out)


def test_classes_that_differ_in_blanks_only(files, tmp_path):
    for number, name in enumerate(("a b", "a  b", "c")):
        (tmp_path / "in" / name).mkdir(parents=True)
        shutil.copy(files[number], tmp_path / "in" / name)
    with pytest.raises(DataError, match=r"'.*a  b' and '.*a b' would be one class"):
        find_videos(tmp_path / "in")
