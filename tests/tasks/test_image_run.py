"""Images the whole way: train, stop, resume, calibrate, test, tabulate, export, predict; by the loop of videos."""

import contextlib
import itertools
import json
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from image_files import write_folder
from image_runs import CROP, NAMES, RECIPE, image_cfg, plain_scores, words
from PIL import Image

import mutualnet3d as mn
from mutualnet3d.commands import calibrate, demo, export, query, report, run, test
from mutualnet3d.errors import ConfigError, DataError, VideoError
from mutualnet3d.evaluation.result import load_scores
from mutualnet3d.methods import Method
from mutualnet3d.models.artefact import read_checkpoint
from mutualnet3d.pipeline import run as run_pipeline
from mutualnet3d.training.checkpoint import Position, checkpoint_path
from mutualnet3d.training.loop import train

FULL, SMALLEST = mn.Configuration(1.0, CROP), mn.Configuration(0.5, 12)
FORWARDS = 3  # per iteration: full, smallest, one random


def damage(path: Path) -> str:
    os.truncate(path, path.stat().st_size - 40)
    return str(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """8 training and 3 test images of each class; one of each is cut off."""
    root = write_folder(tmp_path_factory.mktemp("images") / "data", {"train": 8, "test": 3}, NAMES, side=CROP)
    cut = [damage(root / split / "bee" / "000.jpg") for split in ("train", "test")]
    return SimpleNamespace(root=root, train=cut[0], test=cut[1])


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run by ``tools/run_net.py``."""
    output = tmp_path_factory.mktemp("run") / "output"
    assert run.main([str(word) for word in ("--cfg", RECIPE, *words(data.root, output))]) == 0
    return SimpleNamespace(output=output, cfg=image_cfg(data.root, output), model=mn.load_model(output / "model.pyth"))


@pytest.fixture(scope="module")
def exported(finished, data, tmp_path_factory):
    """An export by ``tools/export_net.py``."""
    output = tmp_path_factory.mktemp("export") / "export"
    options = ["--configurations", str(SMALLEST), str(FULL)]
    assert export.main(["--model", str(finished.output), "--output", str(output), *options]) == 0
    return output


def test_the_table_is_what_the_saved_network_reaches(finished, data):
    table = mn.QueryTable.load(finished.output / "query_table.json")
    result = load_scores(finished.output / "test_scores.npz")
    assert {entry.configuration for entry in table.entries} == set(finished.model.space.grid((0.5, 1.0)))
    assert finished.model.space.temporal is None
    assert (result.missing, len(result.paths)) == (((data.test, "the JPEG file is cut off"),), 8)
    for entry in table.entries:
        found = torch.stack([plain_scores(finished.model, finished.cfg, p, entry.configuration) for p in result.paths])
        torch.testing.assert_close(result.scores_at(entry.configuration), found, atol=1e-5, rtol=1e-4)
        assert entry.accuracy == pytest.approx(100 * (found.argmax(1) == result.labels).double().mean().item())
    assert [NAMES[label] for label in result.labels.tolist()] == [Path(path).parent.name for path in result.paths]
    known = table.provenance
    assert (known["frames"], known["views"]) == (None, {"temporal": 1, "spatial": 1})
    assert (known["videos"], known["missing"], known["crop"]) == (8, 1, CROP)


def test_logs_and_report(finished, data):
    unreadable = [json.loads(line) for line in (finished.output / "unreadable_videos.jsonl").read_text().splitlines()]
    assert unreadable == [{"path": data.train, "reason": "the JPEG file is cut off"}]
    assert "of 8 images, 1 images missing" in (finished.output / "stdout.log").read_text()
    page = (finished.output / "report.html").read_text()
    assert all(name in page for name in NAMES)
    assert "one centre view, 16 x 16 pixels" in page
    assert "data:image/jpeg;base64" in page  # sample images
    log = [json.loads(line) for line in (finished.output / "log.jsonl").read_text().splitlines()]
    assert sum(line["type"] == "train" for line in log) == 12


def test_tools_go_on_with_what_the_run_left(finished, data, tmp_path, capsys):
    output = shutil.copytree(finished.output, tmp_path / "output")
    model, other = str(output / "model.pyth"), mn.Configuration(0.75, 12)
    assert calibrate.main(["--model", model, "--configurations", str(other)]) == 0
    assert other in mn.load_model(model).calibrated
    again = tmp_path / "again"
    options = ["--configurations", str(other), str(FULL), "OUTPUT_DIR", str(again)]
    assert test.main(["--model", model, *options]) == 0
    tested = mn.QueryTable.load(again / "query_table.json")
    assert {entry.configuration for entry in tested.entries} == {other, FULL}
    assert tested[FULL].accuracy == mn.QueryTable.load(output / "query_table.json")[FULL].accuracy
    assert report.main([str(again)]) == 0
    capsys.readouterr()
    assert query.main([str(again / "query_table.json"), "--max-gmacs", "1"]) == 0
    assert "GMACs" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["run", "export"])
def test_predictions_are_the_evaluations(where, finished, exported, data):
    predictor = mn.AdaptivePredictor.load(finished.output if where == "run" else exported, threads=1)
    result = load_scores(finished.output / "test_scores.npz")
    for configuration in (FULL, SMALLEST):
        for path, expected in zip(result.paths, result.scores_at(configuration), strict=True):
            with Image.open(path) as image:
                pixels = np.array(image)
            for source in (path, Path(path), pixels, torch.from_numpy(pixels)):
                prediction = predictor.predict(source, configuration=configuration, top_k=2)
                torch.testing.assert_close(prediction.scores, expected, atol=1e-5, rtol=1e-4)
            assert prediction.labels[0][0] == NAMES[int(expected.argmax())]
    cheapest = predictor.table.entries[0]
    assert predictor.predict(result.paths[0], max_gmacs=cheapest.gmacs).entry == cheapest
    photo = np.random.default_rng(0).integers(0, 256, (90, 61, 3)).astype(np.uint8)  # of another size
    assert len(predictor.predict(photo).labels) == 3


def test_onnx_runs(finished):
    predictor = mn.AdaptivePredictor.load(finished.output, backend="onnxruntime", threads=1)
    result = load_scores(finished.output / "test_scores.npz")
    prediction = predictor.predict(result.paths[0], configuration=SMALLEST)
    torch.testing.assert_close(prediction.scores, result.scores_at(SMALLEST)[0], atol=1e-4, rtol=1e-3)


def test_videos_and_images_are_told_apart(exported, tiny_run, tiny_data, data, finished):
    images, videos = mn.AdaptivePredictor.load(exported), mn.AdaptivePredictor.load(tiny_run)
    picture, video = load_scores(finished.output / "test_scores.npz").paths[0], str(tiny_data / "video 9.mp4")
    with pytest.raises(VideoError, match=r"video 9\.mp4: is no image .*this network classifies images; .*one frame"):
        images.predict(video)
    with pytest.raises(VideoError, match=r"000\.jpg: is an image, and this network classifies videos; give a video"):
        videos.predict(picture)
    for path, reason in ((data.test, "cut off"), (str(data.root / "no.jpg"), "cannot be opened")):
        with pytest.raises(VideoError, match=reason):
            images.predict(path)
    frames = np.zeros((4, 20, 20, 3), np.uint8)
    with pytest.raises(DataError, match=r"shape \(4, 20, 20, 3\) was given, and this network classifies images"):
        images.predict(frames)
    with pytest.raises(DataError, match=r"give uint8"):
        images.predict(frames[0].astype(np.float32))
    with pytest.raises(DataError, match=r"views \(10, 3\) of an image"):
        images.predict(picture, views=(10, 3))
    with pytest.raises(DataError, match=r"call predict\(image\)"):
        images.predict_clip(frames)
    with pytest.raises(DataError, match=r"give uint8 \(T, H, W, 3\)"):
        videos.predict(frames[0])


def test_the_stream_needs_a_network_of_videos(exported, tiny_data, tmp_path, capsys):
    files = ["--input", str(tiny_data / "video 9.mp4"), "--output", str(tmp_path / "out.mp4")]
    assert demo.main([str(exported), *files]) == 1
    assert "a network of images; the stream's clips need one of videos" in capsys.readouterr().out


def train_until(cfg, stop_after=None):
    """Train; in the middle of iteration ``stop_after`` the user presses Ctrl-C."""
    model, count = mn.build_model(cfg), itertools.count(1)

    def press(*_):
        if model.training and next(count) == FORWARDS * ((stop_after or 0) - 1) + 2:
            os.kill(os.getpid(), signal.SIGINT)

    model.register_forward_pre_hook(press)
    with pytest.raises(KeyboardInterrupt) if stop_after else contextlib.nullcontext():
        train(model, cfg)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stopped_run_ends_where_an_uninterrupted_one_does(workers, finished, data, tmp_path):
    cfg = image_cfg(data.root, tmp_path / "output", "DATA_LOADER.NUM_WORKERS", workers)
    train_until(cfg, stop_after=3)
    train_until(cfg)
    found, expected = (
        read_checkpoint(checkpoint_path(folder, Position(2))) for folder in (cfg.OUTPUT_DIR, finished.output)
    )
    assert found["model_state"].keys() == expected["model_state"].keys()
    assert all(torch.equal(found["model_state"][name], value) for name, value in expected["model_state"].items())
    momenta = found["optimizer_state"]["state"]
    others = expected["optimizer_state"]["state"]
    assert all(torch.equal(momenta[i]["momentum_buffer"], others[i]["momentum_buffer"]) for i in others)


def test_transfer_to_other_classes(finished, tmp_path):
    root = write_folder(tmp_path / "data", {"train": 2, "val": 1}, ("a", "b", "c", "d"), side=CROP)
    start = ["TRAIN.CHECKPOINT_FILE_PATH", str(finished.output / "model.pyth"), "MODEL.NUM_CLASSES", 4]
    still = ["SOLVER.MAX_EPOCH", 1, "SOLVER.BASE_LR", 0.0, "SOLVER.WARMUP_EPOCHS", 0]
    table = run_pipeline(image_cfg(root, tmp_path / "output", *start, *still))
    assert table.provenance["videos"] == 4
    model = mn.load_model(tmp_path / "output" / "model.pyth")
    assert model.fc.weight.shape == (4, 64)
    assert torch.equal(model.conv1.weight, finished.model.conv1.weight)


def test_the_papers_sampler_of_images(finished):
    """Table III: full, the smallest width at a random resolution, two random ones."""
    space = finished.model.space
    drawn = [Method(space, num_random=2).draw(iteration) for iteration in range(60)]
    assert {each[0] for each in drawn} == {space.full}
    assert {(each[1].width, each[1].spatial) for each in drawn} == {(0.5, 12), (0.5, 16)}
    assert all(len(each) == 4 and each[2].temporal is None for each in drawn)


def test_several_views_are_refused_before_training(data, tmp_path):
    with pytest.raises(
        ConfigError, match=r"NUM_ENSEMBLE_VIEWS is 10 .*images of MODEL\.ARCH wide_resnet have one view"
    ):
        run_pipeline(image_cfg(data.root, tmp_path / "output", "TEST.NUM_ENSEMBLE_VIEWS", 10))
    assert not (tmp_path / "output").exists()
