"""Training in two real processes: the same as in one, stopped and gone on with, started in PySlowFast's way."""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from processes import ENVIRONMENT, torchrun, torchrun_command
from tiny import OVERRIDES, RECIPE, ROOT

from mutualnet3d.evaluation.result import load_scores

RUN = ROOT / "tools" / "run_net.py"
SLOWFAST = [
    *("MODEL.ARCH", "slowfast", "DATA.INPUT_CHANNEL_NUM", [3, 3], "DATA.NUM_FRAMES", 8, "SLOWFAST.ALPHA", 2),
    *("SLOWFAST.BETA_INV", 2, "SLOWFAST.FUSION_KERNEL_SZ", 5, "RESNET.SPATIAL_STRIDES", [[1, 1], *[[2, 2]] * 3]),
    *("RESNET.SPATIAL_DILATIONS", [[1, 1]] * 4, "RESNET.NUM_BLOCK_TEMP_KERNEL", [[2, 2]] * 4),
    *("NONLOCAL.LOCATION", [[[], []]] * 4, "NONLOCAL.GROUP", [[1, 1]] * 4, "NONLOCAL.POOL", [[[1, 2, 2]] * 2] * 4),
]
SHORT = [
    *("BN.NORM_TYPE", "sync_batchnorm", "MODEL.DROPOUT_RATE", 0.0, "TRAIN.BATCH_SIZE", 4, "TEST.BATCH_SIZE", 4),
    *("QUERY_TABLE.CONFIGURATIONS", ["0.63-20-2", "1.0-32-4"], "BN.USE_PRECISE_STATS", True),
    *("BN.NUM_BATCHES_PRECISE", 2, "TRAIN.EVAL_PERIOD", 1),
]


def words(data: Path, output: Path, *overrides) -> list[str]:
    places = ["DATA.PATH_TO_DATA_DIR", data, "OUTPUT_DIR", output]
    return [str(word) for word in ("--cfg", RECIPE, *OVERRIDES, *SHORT, *places, *overrides)]


def alone(*command) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def checkpoint(output: Path, epoch: int = 2) -> dict:
    return torch.load(output / "checkpoints" / f"checkpoint_epoch_{epoch:05d}.pyth", weights_only=True)


def assert_equal_weights(one: Path, other: Path, **tolerance):
    first, second = (checkpoint(output)["model_state"] for output in (one, other))
    assert first.keys() == second.keys()
    for name, value in second.items():
        torch.testing.assert_close(first[name], value, **tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("network", [[], SLOWFAST], ids=["slow", "slowfast"])
def test_two_processes_train_what_one_trains(tiny_data, tmp_path, network):
    """Equal global batch, synchronised BatchNorm: weights, losses, statistics and scores are those of one process."""
    done = torchrun(2, RUN, *words(tiny_data, tmp_path / "two", *network))
    assert done.returncode == 0, done.stdout + done.stderr
    alone(RUN, *words(tiny_data, tmp_path / "one", *network))
    assert_equal_weights(tmp_path / "two", tmp_path / "one", rtol=2e-3, atol=2e-4)
    lines = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("two", "one")
    ]
    assert len(lines[0]) == len(lines[1]) == 2 * (2 + 1)
    for two, one in zip(*lines, strict=True):
        assert two.keys() == one.keys()
        for key in set(one) & {"loss_full", "loss_smallest", "loss_random1", "grad_norm", "top1"}:
            assert two[key] == pytest.approx(one[key], rel=1e-2, abs=1e-3), key
    two, one = (load_scores(tmp_path / name / "test_scores.npz") for name in ("two", "one"))
    torch.testing.assert_close(two.scores, one.scores, rtol=1e-2, atol=1e-3)
    assert two.paths == one.paths
    names = [sorted(path.name for path in (tmp_path / name).rglob("*")) for name in ("two", "one")]
    assert names[0] == names[1]
    assert done.stdout.count("epoch 2/2 2/2") == 1


def test_stopped_and_gone_on_with(tiny_data, tmp_path):
    """With dropout and each process's own statistics: everything that a checkpoint must bring back.

    torchrun sends SIGTERM to the group of each process, which needs its worker to end the iteration.
    """
    own = ["MODEL.DROPOUT_RATE", 0.5, "BN.NORM_TYPE", "batchnorm", "BN.USE_PRECISE_STATS", False, "TEST.ENABLE", False]
    own += ["SOLVER.MAX_EPOCH", 8, "TRAIN.EVAL_PERIOD", 8]
    with subprocess.Popen(
        [*torchrun_command(2), str(RUN), *words(tiny_data, tmp_path / "cut", *own, "DATA_LOADER.NUM_WORKERS", 1)],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        for line in process.stdout:
            if "epoch 2/8 1/2" in line:
                process.send_signal(signal.SIGTERM)
                break
        process.stdout.read()
    assert process.returncode != 0
    assert "stopped; saved" in (tmp_path / "cut" / "stdout.log").read_text()
    assert not (tmp_path / "cut" / "checkpoints" / "checkpoint_epoch_00008.pyth").exists()
    for output in ("cut", "whole"):
        done = torchrun(2, RUN, *words(tiny_data, tmp_path / output, *own))
        assert done.returncode == 0, done.stdout + done.stderr
    assert "going on from" in (tmp_path / "cut" / "stdout.log").read_text()
    cut, whole = (checkpoint(tmp_path / name, 8) for name in ("cut", "whole"))
    assert all(torch.equal(cut["model_state"][name], value) for name, value in whole["model_state"].items())
    for one, other in zip(cut["random_states"], whole["random_states"], strict=True):
        assert torch.equal(one["cpu"], other["cpu"])


def test_machines_in_the_way_of_pyslowfast(tiny_data, tmp_path):
    """NUM_SHARDS 2: the same command on two machines with --shard_id 0 and 1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = ["TEST.ENABLE", False, "BN.USE_PRECISE_STATS", False]
    command = words(tiny_data, tmp_path / "two", *own, "TRAIN.BATCH_SIZE", 2)
    command += ["--num_shards", "2", "--init_method", f"tcp://127.0.0.1:{port}"]
    machines = [
        subprocess.Popen(
            [sys.executable, str(RUN), *command, "--shard_id", str(shard)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=ENVIRONMENT,
        )
        for shard in range(2)
    ]
    said = [machine.communicate(timeout=300)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    alone(RUN, *words(tiny_data, tmp_path / "one", *own))
    assert_equal_weights(tmp_path / "two", tmp_path / "one", rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["NUM_SHARDS", 2],
            "several machines need the address of machine 0, such as --init_method tcp://10.0.0.1:9999",
        ),
        (["NUM_GPUS", 64, "TRAIN.BATCH_SIZE", 64, "TEST.BATCH_SIZE", 64], "NUM_GPUS is 64, this machine has"),
    ],
)
def test_what_cannot_be_started(tiny_data, tmp_path, overrides, message):
    done = subprocess.run(
        [sys.executable, str(RUN), *words(tiny_data, tmp_path / "none", *overrides)],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 1
    assert message in done.stdout
    assert not (tmp_path / "none").exists()


def test_a_batch_that_cannot_be_shared(tiny_data, tmp_path):
    done = torchrun(2, RUN, *words(tiny_data, tmp_path / "odd", "TRAIN.BATCH_SIZE", 3))
    assert done.returncode != 0
    assert "TRAIN.BATCH_SIZE is 3, which 2 processes cannot share evenly" in done.stdout
