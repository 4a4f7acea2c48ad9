"""TensorBoard's events of a run, read back by TensorBoard's own reader."""

import io
import json
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import tiny_cfg
from torchvision.transforms.functional import to_tensor

import mutualnet3d as mn
from mutualnet3d.distributed import Processes
from mutualnet3d.errors import ConfigError, DataError
from mutualnet3d.pipeline import run
from mutualnet3d.training.board import Board, board_folder, frames_grid, require_tensorboard
from mutualnet3d.training.checkpoint import newest_readable


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    events.Reload()
    return events


def scalars(events, tag):
    return {event.step: event.value for event in events.Scalars(tag)}


def lines(cfg, kind):
    with open(f"{cfg.OUTPUT_DIR}/log.jsonl") as file:
        return [line for line in map(json.loads, file) if line["type"] == kind]


@pytest.fixture(scope="module")
def finished(tiny_data, tmp_path_factory):
    """(config, table) of a run of 2 epochs of 4 iterations, whose second epoch was lost once after it was logged."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "subset.txt").write_text("1\n")
    overrides = ["DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(folder / "output"), "TRAIN.EVAL_PERIOD", 1]
    overrides += [
        "QUERY_TABLE.WIDTHS",
        [1.0],
        "TENSORBOARD.ENABLE",
        True,
        "TENSORBOARD.LOG_DIR",
        "events",
        "TENSORBOARD.HISTOGRAM.ENABLE",
        True,
    ]
    cfg = tiny_cfg(*overrides, "TENSORBOARD.HISTOGRAM.SUBSET_PATH", str(folder / "subset.txt"))
    first = cfg.clone()
    first.TEST.ENABLE = first.CALIBRATION.ENABLE = False
    run(first)
    newest_readable(cfg.OUTPUT_DIR)[0].unlink()
    (folder / "output" / "log.jsonl").unlink()
    return cfg, run(cfg)


@pytest.fixture(scope="module")
def events(finished):
    return read(board_folder(finished[0]))


def test_scalars_are_those_of_the_log_and_go_on_in_the_same_steps(finished, events):
    cfg, _ = finished
    again = {4 * (line["epoch"] - 1) + line["iteration"]: line for line in lines(cfg, "train")}
    assert sorted(again) == [5, 6, 7, 8]
    for tag, name in (
        ("loss/full", "loss_full"),
        ("loss/smallest", "loss_smallest"),
        ("loss/random1", "loss_random1"),
        ("train/top1", "top1"),
        ("train/learning_rate", "lr"),
        ("train/clips_per_second", "clips_per_second"),
    ):
        assert [event.step for event in events.Scalars(tag)] == list(range(1, 9)), tag  # the lost ones are gone
        found = scalars(events, tag)
        for step, line in again.items():
            assert found[step] == pytest.approx(line[name], rel=1e-6), (tag, step)
    (validation,) = lines(cfg, "val")
    assert scalars(events, "validation/top1")[8] == pytest.approx(validation["top1"])
    assert list(scalars(events, "validation/top1")) == [4, 8]


def test_the_table(finished, events):
    _, table = finished
    for entry in table.entries:
        assert scalars(events, f"query_table_top1/{entry.configuration}") == {9: pytest.approx(entry.accuracy)}
    text = events.Tensors("query_table/text_summary")[-1].tensor_proto.string_val[0].decode()
    assert all(str(entry.configuration) in text for entry in table.entries)


def picture(events, tag):
    return to_tensor(Image.open(io.BytesIO(events.Images(tag)[-1].encoded_image_string)))


def test_clips_and_histograms(events):
    """Two clips a batch: rows of 4 frames of 32 x 32, and of 2 of 20 x 20, with 2 pixels between them."""
    assert picture(events, "clips/full_1.0-32-4").shape == (3, 2 * 34 + 2, 4 * 34 + 2)
    assert picture(events, "clips/smallest_0.63-20-2").shape == (3, 2 * 22 + 2, 2 * 22 + 2)
    drawn = {tag for tag in events.Tags()["images"] if tag.startswith("predicted_classes/")}
    assert drawn == {"predicted_classes/1"}
    assert [event.step for event in events.Images("predicted_classes/1")] == [4, 8]


def test_a_picture_shows_what_the_network_gets():
    """Every third frame of 22 stands where it belongs, with the colours that the file had."""
    torch.manual_seed(0)
    pixels = torch.rand(2, 3, 22, 5, 6)
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.25]
    colours = (1, 3, 1, 1, 1)
    view = (pixels - torch.tensor(mean).view(colours)) / torch.tensor(std).view(colours)
    grid = frames_grid(view, mean, std)
    assert grid.shape == (3, 2 * 7 + 2, 8 * 8 + 2)
    for row in range(2):
        for column in range(8):
            cut = grid[:, 2 + 7 * row : 7 + 7 * row, 2 + 8 * column : 8 + 8 * column]
            torch.testing.assert_close(cut, pixels[row, :, 3 * column])
    images = frames_grid(view[:, :, 0], mean, std)
    torch.testing.assert_close(images[:, 2:7, 10:16], pixels[1, :, 0])


def test_both_pathways_are_shown(tmp_path):
    cfg = tiny_cfg("TENSORBOARD.ENABLE", True, "OUTPUT_DIR", str(tmp_path))
    full, smallest = mn.Configuration(1.0, 32, 4), mn.Configuration(0.63, 20, 2)
    views = (torch.zeros(1, 3, 1, 4, 4), torch.zeros(1, 3, 4, 8, 8))
    model = SimpleNamespace(space=SimpleNamespace(full=full, smallest=smallest), pathways=lambda clip, c: views)
    with Board(cfg, 1) as board:
        board.add_clips(model, torch.zeros(1, 3, 4, 8, 8))
        board.add_clips(None, torch.zeros(1, 3, 4, 8, 8))  # a later batch
    assert board_folder(cfg) == tmp_path / f"runs-{cfg.TRAIN.DATASET}"
    shown = {f"clips/{name}_{path}" for name in ("full_1.0-32-4", "smallest_0.63-20-2") for path in ("slow", "fast")}
    assert set(read(board_folder(cfg)).Tags()["images"]) == shown


def test_nothing_is_written_unless_asked_for_and_by_rank_0_alone(tmp_path):
    asked = tiny_cfg("TENSORBOARD.ENABLE", True, "OUTPUT_DIR", str(tmp_path))
    for cfg, processes in ((tiny_cfg("OUTPUT_DIR", str(tmp_path)), Processes()), (asked, Processes(1, 2))):
        with Board(cfg, 1, processes) as board:
            board.log({"type": "train", "loss_full": 1.0}, 1)
            board.add_clips(None, None)
            board.add_predictions(None, None, 1)
            board.add_table(None)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_and_a_missing_subset(tmp_path, monkeypatch):
    cfg = tiny_cfg("TENSORBOARD.ENABLE", True, "OUTPUT_DIR", str(tmp_path), "TENSORBOARD.HISTOGRAM.ENABLE", True)
    require_tensorboard(cfg)
    cfg.TENSORBOARD.HISTOGRAM.SUBSET_PATH = str(tmp_path / "none.txt")
    with pytest.raises(DataError, match=r"none\.txt"):
        Board(cfg, 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install -e "\.\[tensorboard\]"'):
        run(cfg)
    require_tensorboard(tiny_cfg())
