"""A run that was stopped and goes on ends where an uninterrupted one does, bit by bit; and what may go wrong."""

import contextlib
import json
import logging
import os
import random
import shutil
import signal

import pytest
import torch
from tiny import tiny_cfg

import mutualnet3d as mn
from mutualnet3d.errors import CheckpointError, ConfigurationError, TrainingError
from mutualnet3d.models.artefact import model_entries, read_checkpoint, save_model
from mutualnet3d.training import checkpoint, interrupt
from mutualnet3d.training.checkpoint import Position, checkpoint_path, list_checkpoints, save_checkpoint
from mutualnet3d.training.loop import train
from mutualnet3d.training.step import mutual_backward

FORWARDS = 3  # per iteration: full, smallest, one random
ITERATIONS = 4  # per epoch


@pytest.fixture
def cfg(tiny_data, tmp_path):
    return tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(tmp_path / "output"))


@pytest.fixture(scope="module")
def uninterrupted(tiny_data, tmp_path_factory):
    """Output folder of a run of two epochs."""
    output = tmp_path_factory.mktemp("uninterrupted")
    run(tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(output)))
    return output


def run(cfg, stop_after=None, number=signal.SIGINT, how_often=1):
    """Train; in the middle of iteration ``stop_after`` (counted from 1 over the epochs of this run) send a signal."""
    model, count = mn.build_model(cfg), 0

    def count_and_stop(*_):
        nonlocal count
        if not model.training:
            return
        count += 1
        if stop_after and count == FORWARDS * (stop_after - 1) + 2:
            for _ in range(how_often):
                os.kill(os.getpid(), number)

    model.register_forward_pre_hook(count_and_stop)
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    try:
        with pytest.raises(KeyboardInterrupt) if stop_after else contextlib.nullcontext():
            train(model, cfg)
    finally:
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    return count // FORWARDS


def checkpoints(output):
    return sorted(path.name for path in (output / "checkpoints").iterdir())


def assert_same_end(one, other):
    """Weights, running statistics, momenta and random numbers of two finished runs are the same bits."""
    found, expected = (torch.load(checkpoint_path(folder, Position(2)), weights_only=True) for folder in (one, other))
    assert found["model_state"].keys() == expected["model_state"].keys()
    for name, value in expected["model_state"].items():
        assert torch.equal(found["model_state"][name], value), name
    momenta, others = (entries["optimizer_state"]["state"] for entries in (found, expected))
    assert momenta.keys() == others.keys()
    assert len(momenta) > 40
    assert all(torch.equal(momenta[i]["momentum_buffer"], others[i]["momentum_buffer"]) for i in others)
    assert found["optimizer_state"]["param_groups"] == expected["optimizer_state"]["param_groups"]
    (random,), (others,) = found["random_states"], expected["random_states"]
    assert torch.equal(random["cpu"], others["cpu"])
    assert (found["epoch"], found["iteration"]) == (1, 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_stopped_in_the_middle_of_an_epoch(cfg, uninterrupted, workers, tmp_path):
    cfg.DATA_LOADER.NUM_WORKERS = workers
    assert cfg.MODEL.DROPOUT_RATE > 0
    assert run(cfg, stop_after=2) == 2
    assert checkpoints(tmp_path / "output") == ["checkpoint_epoch_00000_iteration_000002.pyth"]
    assert run(cfg, stop_after=5, number=signal.SIGTERM) == 5  # iteration 3 of the second epoch
    assert checkpoints(tmp_path / "output") == [
        "checkpoint_epoch_00001.pyth",
        "checkpoint_epoch_00001_iteration_000003.pyth",
    ]
    assert run(cfg) == 1
    assert_same_end(cfg.OUTPUT_DIR, uninterrupted)
    assert checkpoints(tmp_path / "output") == ["checkpoint_epoch_00001.pyth", "checkpoint_epoch_00002.pyth"]


def test_stopped_in_the_last_iteration_of_an_epoch(cfg, uninterrupted, tmp_path):
    run(cfg, stop_after=ITERATIONS)
    assert checkpoints(tmp_path / "output") == ["checkpoint_epoch_00000_iteration_000004.pyth"]
    assert run(cfg) == ITERATIONS
    assert_same_end(cfg.OUTPUT_DIR, uninterrupted)


def test_resumed_at_an_epoch_boundary(cfg, uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "output")
    checkpoint_path(cfg.OUTPUT_DIR, Position(2)).unlink()
    assert run(cfg) == ITERATIONS
    assert_same_end(cfg.OUTPUT_DIR, uninterrupted)


def test_a_finished_run_does_not_train_again(cfg, uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "output")
    assert run(cfg) == 0
    cfg.TRAIN.AUTO_RESUME = False
    assert run(cfg) == 2 * ITERATIONS


def test_a_second_signal_stops_at_once(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(interrupt, "_PASSED_ON", -1.0)
    run(cfg, stop_after=1, how_often=2)
    assert not (tmp_path / "output" / "checkpoints").exists()


def test_a_signal_that_comes_twice_is_one(cfg, tmp_path):
    """SLURM signals every process of a job, and torchrun passes on to its own what it gets."""
    run(cfg, stop_after=1, number=signal.SIGTERM, how_often=3)
    assert checkpoints(tmp_path / "output") == ["checkpoint_epoch_00000_iteration_000001.pyth"]


def test_a_stop_during_the_evaluation_is_not_lost(cfg, monkeypatch, tmp_path):
    """The signal comes after the last iteration of the first epoch, and that epoch is not due for a checkpoint."""
    cfg.TRAIN.EVAL_PERIOD, cfg.TRAIN.CHECKPOINT_PERIOD = 1, 2
    model = mn.build_model(cfg)
    model.register_forward_pre_hook(lambda *_: None if model.training else os.kill(os.getpid(), signal.SIGINT))
    cfg.TEST.BATCH_SIZE = 4  # one forward pass, one signal
    with pytest.raises(KeyboardInterrupt):
        train(model, cfg)
    assert checkpoints(tmp_path / "output") == ["checkpoint_epoch_00001.pyth"]


def test_truncated_newest_checkpoint(cfg, uninterrupted, tmp_path, caplog):
    shutil.copytree(uninterrupted, tmp_path / "output")
    newest = checkpoint_path(cfg.OUTPUT_DIR, Position(2))
    newest.write_bytes(newest.read_bytes()[:100_000])
    with caplog.at_level(logging.WARNING):
        assert run(cfg) == ITERATIONS
    assert [r.levelname for r in caplog.records if "falling back" in r.message and str(newest) in r.message]
    assert_same_end(cfg.OUTPUT_DIR, uninterrupted)


def test_only_damaged_checkpoints(cfg, uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "output")
    paths = [path for path, _ in list_checkpoints(cfg.OUTPUT_DIR)]
    for path, damage in zip(paths, (b"", b"no checkpoint"), strict=True):
        path.write_bytes(damage)
    with pytest.raises(CheckpointError, match=r"none of the 2 checkpoints .* move them away to start afresh"):
        run(cfg)
    assert [path.read_bytes() for path in paths] == [b"", b"no checkpoint"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["MUTUALNET.SPATIAL", [24, 32]], r"trained for .*\(20, 32\).*asks for .*\(24, 32\)"),
        (["MUTUALNET.WIDTH", [0.5, 1.0]], r"0\.63.*0\.5"),
        (["RESNET.WIDTH_PER_GROUP", 16], "written with another config"),
        (["MODEL.NUM_CLASSES", 4], "written with another config"),
        (["SOLVER.OPTIMIZING_METHOD", "adam"], "written with another config"),
    ],
    ids=["sizes", "widths", "channels", "classes", "optimizer"],
)
def test_checkpoint_of_another_config(tiny_data, uninterrupted, tmp_path, overrides, message):
    shutil.copytree(uninterrupted, tmp_path / "output")
    checkpoint_path(tmp_path / "output", Position(2)).unlink()
    places = ["DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(tmp_path / "output")]
    with pytest.raises(CheckpointError, match=message) as raised:
        run(tiny_cfg(*places, *overrides))
    assert "checkpoint_epoch_00001.pyth" in str(raised.value)


@pytest.mark.parametrize("change", ["list", "seed", "nothing but the folder"])
def test_within_an_epoch_the_order_of_the_clips_stays(cfg, tiny_data, change, tmp_path):
    run(cfg, stop_after=2)
    moved = tmp_path / "lists"
    shutil.copytree(tiny_data, moved)
    lines = (moved / "train.csv").read_text().replace(f"{tiny_data}/", f"{moved}/").splitlines()
    cfg.DATA.PATH_TO_DATA_DIR = str(moved)
    (moved / "train.csv").write_text("\n".join(lines[:-1] if change == "list" else lines) + "\n")
    if change == "nothing but the folder":
        assert run(cfg) == 2 * ITERATIONS - 2
        return
    cfg.RNG_SEED += change == "seed"
    with pytest.raises(CheckpointError, match=r"iteration_000002.*another training list, or with another RNG_SEED"):
        run(cfg)


def test_the_config_has_the_say_over_learning_rate_and_decay(cfg, uninterrupted, tmp_path):
    shutil.copytree(uninterrupted, tmp_path / "output")
    checkpoint_path(cfg.OUTPUT_DIR, Position(2)).unlink()
    cfg.SOLVER.WEIGHT_DECAY, cfg.SOLVER.MOMENTUM = 0.125, 0.5
    run(cfg)
    groups = torch.load(checkpoint_path(cfg.OUTPUT_DIR, Position(2)), weights_only=True)["optimizer_state"][
        "param_groups"
    ]
    assert 0.125 in {group["weight_decay"] for group in groups}
    assert {group["momentum"] for group in groups} == {0.5}


class Code:
    """Unpickling this makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_checkpoint_that_wants_to_run_code(cfg, tmp_path):
    path = checkpoint_path(cfg.OUTPUT_DIR, Position(1))
    path.parent.mkdir(parents=True)
    torch.save({"format": "mutualnet3d network", "model_state": Code(tmp_path / "ran")}, path)
    with pytest.raises(CheckpointError, match="none of the 1 checkpoints"):
        run(cfg)
    with pytest.raises(CheckpointError, match="truncated or not a checkpoint"):
        mn.load_model(path)
    assert not (tmp_path / "ran").exists()


def test_damaged_files_are_refused(cfg, tmp_path):
    """Cut off anywhere, or with wrong bytes in the pickle: refused, or (a changed weight) read; never another error."""
    model, path, rng = mn.build_model(cfg), tmp_path / "model.pyth", random.Random(0)
    save_model(path, model, cfg)
    whole, refused = path.read_bytes(), 0
    for number in range(80):
        damaged = bytearray(whole)
        if number % 2:
            del damaged[rng.randrange(len(whole)) :]
        else:
            for _ in range(5):
                damaged[rng.randrange(3000)] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except CheckpointError:
            refused += 1
    assert refused > 60


@pytest.mark.parametrize("name", ["model_state", "cfg", "space", "format"])
def test_files_that_lack_an_entry_are_refused(cfg, tmp_path, name):
    entries = model_entries(mn.build_model(cfg), cfg)
    del entries[name]
    torch.save(entries, tmp_path / "model.pyth")
    with pytest.raises(
        CheckpointError, match=f"lacks {name}" if name != "format" else "not a checkpoint of mutualnet3d"
    ):
        mn.load_model(tmp_path / "model.pyth")


def test_a_failed_save_leaves_the_old_checkpoint(cfg, monkeypatch, tmp_path):
    model = mn.build_model(cfg)
    optimizer, scaler = torch.optim.SGD(model.parameters(), lr=0.1), torch.amp.GradScaler("cpu", enabled=False)
    path = save_checkpoint(cfg.OUTPUT_DIR, model, optimizer, scaler, cfg, Position(1))
    before, original = path.read_bytes(), torch.save

    def fill_the_disk(entries, file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(cfg.OUTPUT_DIR, model, optimizer, scaler, cfg, Position(1))
    assert os.listdir(path.parent) == [path.name]
    assert path.read_bytes() == before
    monkeypatch.setattr(checkpoint.torch, "save", original)
    inside = save_checkpoint(cfg.OUTPUT_DIR, model, optimizer, scaler, cfg, Position(1, 3))
    assert [p for p, _ in list_checkpoints(cfg.OUTPUT_DIR)] == [inside, path]


def test_a_loss_that_is_not_finite(cfg, tiny_data, tmp_path):
    model = mn.build_model(cfg)
    with torch.no_grad():
        model.head.projection.bias[0] = float("nan")
    with pytest.raises(TrainingError, match=r"not finite at epoch 1, iteration 1 .*Lower SOLVER\.BASE_LR") as raised:
        train(model, cfg)
    listed = [line.rpartition(" ")[0] for line in (tiny_data / "train.csv").read_text().splitlines()]
    assert sum(path in str(raised.value) for path in listed) == cfg.TRAIN.BATCH_SIZE
    assert "1.0-32-4: nan" in str(raised.value)
    assert not (tmp_path / "output" / "checkpoints").exists()


def test_a_gradient_that_is_not_finite(cfg, tmp_path):
    """The loss is finite; without a refusal the weights would be lost, and the blame laid on the next batch."""
    model = mn.build_model(cfg)
    model.head.projection.weight.register_hook(lambda grad: grad * float("inf"))
    before = model.head.projection.weight.detach().clone()
    with pytest.raises(TrainingError, match="not finite at epoch 1, iteration 1 "):
        train(model, cfg)
    assert torch.equal(model.head.projection.weight, before)


def test_an_unreadable_training_video(cfg, tiny_data, tmp_path):
    lists = tmp_path / "lists"
    shutil.copytree(tiny_data, lists, ignore=shutil.ignore_patterns("*.mp4"))
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    lines = (lists / "train.csv").read_text().splitlines()
    lines[3] = f"{text} 0"
    (lists / "train.csv").write_text("\n".join(lines))
    cfg.DATA.PATH_TO_DATA_DIR = str(lists)
    assert run(cfg) == 2 * ITERATIONS
    (line,) = (tmp_path / "output" / "unreadable_videos.jsonl").read_text().splitlines()
    assert json.loads(line)["path"] == str(text)
    assert "not a readable video" in json.loads(line)["reason"]


def test_log_lines(uninterrupted):
    lines = [json.loads(line) for line in (uninterrupted / "log.jsonl").read_text().splitlines()]
    train_lines = [line for line in lines if line["type"] == "train"]
    assert [(line["epoch"], line["iteration"]) for line in train_lines] == [
        (e, i) for e in (1, 2) for i in (1, 2, 3, 4)
    ]
    for line in train_lines:
        assert {"loss_full", "loss_smallest", "loss_random1", "lr", "grad_norm", "top1", "eta_seconds"} <= line.keys()
        (random,) = line["random"]
        configuration = mn.Configuration.parse(random["configuration"])
        assert 0.63 <= configuration.width <= 1
        assert random["loss"] == line["loss_random1"] > 0
    assert len({line["random"][0]["configuration"] for line in train_lines}) > 4
    assert train_lines[-1]["eta_seconds"] == 0
    (val,) = [line for line in lines if line["type"] == "val"]
    assert val["epoch"] == 2
    assert val["top1"] in (0, 25, 50, 75, 100)


def test_plain_training_updates_full_only(cfg, tmp_path):
    cfg.MUTUALNET.ENABLE, cfg.SOLVER.MAX_EPOCH = False, 1
    model = mn.build_model(cfg)
    seen = []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1]) if module.training else None)
    train(model, cfg)
    assert seen == [model.space.full] * ITERATIONS
    line = json.loads((tmp_path / "output" / "log.jsonl").read_text().splitlines()[0])
    assert "loss_full" in line
    assert not any(key.startswith(("loss_smallest", "loss_random")) for key in line)


def test_statistics_of_other_weights_are_forgotten(cfg):
    cfg.SOLVER.MAX_EPOCH = 1
    model = mn.build_model(cfg)
    mn.calibrate(model, [torch.randn(4, 3, 4, 32, 32)], [model.space.smallest])
    train(model, cfg)
    assert model.calibrated == (model.space.full,)


def test_frozen_batch_norm_keeps_the_statistics_of_every_configuration(cfg):
    """MODEL.FROZEN_BN fine-tunes with stored statistics: they must be there during and after training."""
    cfg.MODEL.FROZEN_BN, cfg.SOLVER.MAX_EPOCH, cfg.MUTUALNET.NUM_RANDOM = True, 1, 0
    model = mn.build_model(cfg)
    mn.calibrate(model, [torch.randn(4, 3, 4, 32, 32)], [model.space.smallest])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    train(model, cfg)
    after = model.state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    buffers = {name for name in before if "running_" in name or "statistics" in name or "num_batches" in name}
    assert buffers <= same
    assert "head.projection.weight" not in same


def test_frozen_batch_norm_trains_the_configurations_that_have_statistics(cfg, monkeypatch):
    cfg.MODEL.FROZEN_BN, cfg.SOLVER.MAX_EPOCH, cfg.MUTUALNET.NUM_RANDOM = True, 1, 2
    model = mn.build_model(cfg)
    with pytest.raises(ConfigurationError, match=r"smallest .*0.63-20-2 has no frozen .*there are: none.*calibrate"):
        train(model, cfg)
    middle = mn.Configuration(0.8, 20, 4)
    mn.calibrate(model, [torch.randn(4, 3, 4, 32, 32)], [model.space.smallest, middle])
    seen = []
    monkeypatch.setattr(
        "mutualnet3d.training.loop.mutual_backward",
        lambda model, clip, labels, configurations, *a, **k: (
            seen.append(configurations) or mutual_backward(model, clip, labels, configurations, *a, **k)
        ),
    )
    cfg.OUTPUT_DIR += "_other"
    train(model, cfg)
    assert {drawn[:2] for drawn in seen} == {(model.space.full, model.space.smallest)}
    assert {c for drawn in seen for c in drawn[2:]} == {model.space.smallest, middle}


def test_precise_statistics_replace_the_running_ones(cfg):
    cfg.BN.USE_PRECISE_STATS, cfg.BN.NUM_BATCHES_PRECISE, cfg.SOLVER.MAX_EPOCH = True, 2, 1
    model = mn.build_model(cfg)
    train(model, cfg)
    precise = model.s1.pathway0_stem.bn.running_mean.clone()
    cfg.BN.USE_PRECISE_STATS, cfg.TRAIN.AUTO_RESUME = False, False
    other = mn.build_model(cfg)
    train(other, cfg)
    assert torch.equal(model.head.projection.weight, other.head.projection.weight)
    assert not torch.equal(precise, other.s1.pathway0_stem.bn.running_mean)
