"""Commands of README.md and docs/ that need GPUs, clusters, ImageNet or Kinetics, on what the tests have.

The words of the pages stay; what is replaced or added stands here.
"""

import importlib.metadata
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from doc_blocks import PAGES, ROOT, block, blocks_of, changed
from following import printed_by
from processes import ENVIRONMENT
from tiny import OVERRIDES

import mutualnet3d as mn
from tests.config.test_config_recipes import RECIPES
from tests.data.image_files import write_folder

SHORT = [*OVERRIDES, "SOLVER.MAX_EPOCH", 1, "SOLVER.WARMUP_EPOCHS", 0, "TRAIN.EVAL_PERIOD", 1, "TEST.ENABLE", False]


def write_small(data) -> None:
    """small.yaml, for behind the recipe of a page: the tests' tiny network on ``data``, one epoch, no GPU."""
    pairs = [*SHORT, "NUM_GPUS", 0, "DATA.PATH_TO_DATA_DIR", str(data)]
    nested: dict = {}
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        node, _, name = key.rpartition(".")
        (nested.setdefault(node, {}) if node else nested)[name] = value
    Path("small.yaml").write_text(yaml.safe_dump(nested))


def lines_of(text: str) -> list[str]:
    return [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("#")]


@pytest.fixture
def shell():
    """``shell(line, **environment)``: bash runs it beside this Python's programs."""
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"

    def run(line, **environment):
        return subprocess.Popen(
            ["bash", "-ec", line],
            env={**ENVIRONMENT, "PATH": path, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return run


def ended_well(*started) -> str:
    said = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), "".join(said)
    return "".join(said)


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def test_several_processes_and_machines(clone, shell, port, tiny_data):
    """docs/distributed.md: one machine, torchrun, and the same command on two machines, here as two processes."""
    write_small(tiny_data)
    ours = {"8x8.yaml": "8x8.yaml small.yaml", "NUM_GPUS 8": "NUM_GPUS 0", "--nproc_per_node 8": "--nproc_per_node 2"}
    text = changed(block("docs/distributed.md", "--num_shards 2"), ours | {"10.0.0.1:9999": f"127.0.0.1:{port}"})
    alone, torchrun, *machines = [line.partition(" #")[0].rstrip(" .") for line in lines_of(text)]
    assert len(machines) == 2
    printed_by([*shlex.split(alone)[1:], "OUTPUT_DIR", "alone"])
    ended_well(shell(f"{torchrun} OUTPUT_DIR torchrun"))
    ended_well(*(shell(f"{line} OUTPUT_DIR machines TRAIN.BATCH_SIZE 1") for line in machines))
    for name in ("alone", "torchrun", "machines"):
        assert (clone / name / "checkpoints/checkpoint_epoch_00001.pyth").is_file(), name


def test_a_part_of_a_job(clone, shell, port, tiny_data, tmp_path):
    """docs/distributed.md: what SLURM's programs would do is one machine, this one."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name, does in (("srun", 'exec "$@"'), ("scontrol", "echo 127.0.0.1")):
        (bin_folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (bin_folder / name).chmod(0o755)
    write_small(tiny_data)
    ours = {"8x8.yaml": "8x8.yaml small.yaml", "--nproc_per_node 8": "--nproc_per_node 2", "29500": port}
    script = changed(block("docs/distributed.md", "#SBATCH"), ours)
    path = f"{bin_folder}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    slurm = {"SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_JOB_NODELIST": "here"}
    ended_well(shell(script, **slurm, PATH=path))
    assert (clone / "outputs/slow/checkpoints/checkpoint_epoch_00001.pyth").is_file()


def test_a_file_of_pyslowfast(tmp_path, monkeypatch, tiny_data):
    """docs/from_pyslowfast.md: its own SLOW_8x8_R50.yaml, smaller, on lists; one key makes the network adaptive."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    (tmp_path / "SLOW_8x8_R50.yaml").write_text(RECIPES["Kinetics/SLOW_8x8_R50"])
    (line,) = lines_of(block("docs/from_pyslowfast.md", "MUTUALNET.ENABLE True"))
    here = {"/lists": str(tiny_data), "/path/to/SlowFast/configs/Kinetics/SLOW_8x8_R50.yaml": "SLOW_8x8_R50.yaml"}
    words = [here.get(word, word) for word in shlex.split(line)]
    assert set(here.values()) <= set(words)
    space = ("MUTUALNET.SPATIAL", "MUTUALNET.TEMPORAL")  # theirs has none: it follows from the config
    at = [i for i, word in enumerate(OVERRIDES) if word in space]
    small = [word for i, word in enumerate(OVERRIDES) if i not in at and i - 1 not in at]
    small += ["SOLVER.MAX_EPOCH", 1, "NUM_GPUS", 0, "OUTPUT_DIR", "outputs/theirs"]
    small += ["TEST.NUM_ENSEMBLE_VIEWS", 1, "TEST.NUM_SPATIAL_CROPS", 1]
    output = printed_by([*words[1:], *map(str, small)])
    assert "query table: " in output
    table = mn.QueryTable.load("outputs/theirs/query_table.json")
    assert len({entry.configuration.spatial for entry in table.entries}) == 3
    assert len({entry.configuration.width for entry in table.entries}) == 2


def test_trainings_of_the_paper_on_images(clone):
    """docs/images.md: MobileNetV1, its transfer and its scale-up, on a few rendered images of fewer pixels."""
    write_folder(clone / "imagenet", {"train": 4, "val": 2})
    write_folder(clone / "data/food101", {"train": 4, "val": 2}, ("pie", "ice cream"))
    quick = {
        **{
            "SOLVER.MAX_EPOCH": 1,
            "SOLVER.WARMUP_EPOCHS": 0,
            "TRAIN.BATCH_SIZE": 4,
            "TEST.BATCH_SIZE": 4,
            "NUM_GPUS": 0,
        },
        **{"DATA_LOADER.NUM_WORKERS": 0, "BN.NUM_BATCHES_PRECISE": 1, "CALIBRATION.NUM_BATCHES": 1},
        **{"CALIBRATION.NUM_CLIPS": 0, "DATA.TRAIN_CROP_SIZE": 64, "DATA.TEST_CROP_SIZE": 64},
        **{"MUTUALNET.SPATIAL": [32, 64], "TRAIN.EVAL_PERIOD": 1, "LOG_PERIOD": 1},
    }
    lines = lines_of(block("docs/images.md", "MN_MOBILENET_V1_TRANSFER.yaml"))
    for line, classes in zip(lines, (3, 2, 3), strict=True):
        words = shlex.split(changed(line, {"NUM_CLASSES 101": "NUM_CLASSES 2"} if classes == 2 else {}))
        widest = mn.load_config(words[words.index("--cfg") + 1]).MUTUALNET.WIDTH[1]
        table = ["QUERY_TABLE.CONFIGURATIONS", [f"{widest}-64"], "MODEL.NUM_CLASSES", classes]
        output = printed_by([*words[1:], *(str(word) for pair in quick.items() for word in pair), *map(str, table)])
        folder = words[words.index("OUTPUT_DIR") + 1]
        assert (clone / folder / "model.pyth").is_file()
    assert "initial weights: outputs/v1/model.pyth" in (clone / "outputs/food101/stdout.log").read_text()
    assert f"{widest:g}-64" in output


def test_the_fuzzers_take_a_factor():
    """docs/faults.md: CI runs all of tests/fuzz; here the command, for one of its tests and twice its examples."""
    (line,) = lines_of(block("docs/faults.md", "FUZZ_FACTOR"))
    factor, _, command = line.partition("#")[0].partition(" ")
    assert re.fullmatch(r"FUZZ_FACTOR=\d+", factor)
    found = {}
    for times in (1, 2):
        words = shlex.split(changed(command, {"tests/fuzz ": "tests/fuzz/test_fuzz_tables.py -k overrides "}))
        done = subprocess.run(
            [sys.executable, *words[1:]],
            env={**ENVIRONMENT, "FUZZ_FACTOR": str(times)},
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stdout
        found[times] = int(re.search(r"max_examples=(\d+)", done.stdout)[1])
    assert found[2] == 2 * found[1]


def test_extras_exist():
    """``pip install -e ".[name]"`` names extras of this package."""
    extras = set(importlib.metadata.metadata("mutualnet3d").get_all("Provides-Extra"))
    named = re.findall(r'-e "\.\[([\w,]+)\]"', "".join(each.text for page in PAGES for each in blocks_of(page)))
    assert named
    assert {extra for names in named for extra in names.split(",")} <= extras
