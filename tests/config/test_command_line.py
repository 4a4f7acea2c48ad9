"""The command lines that PySlowFast's users type."""

import subprocess
import sys

import pytest

from mutualnet3d.config import load_config
from mutualnet3d.config.command_line import argument_parser, parse_arguments


@pytest.mark.parametrize(
    ("words", "files", "overrides"),
    [
        ("--cfg a.yaml", ["a.yaml"], []),
        ("--cfg=a.yaml", ["a.yaml"], []),
        ("--cfg a.yaml b.yml", ["a.yaml", "b.yml"], []),
        ("--cfg a.yaml --cfg b.yaml", ["a.yaml", "b.yaml"], []),
        ("--cfg a.yaml MODEL.NUM_CLASSES 10", ["a.yaml"], ["MODEL.NUM_CLASSES", "10"]),
        ("--cfg a.yaml --opts MODEL.NUM_CLASSES 10", ["a.yaml"], ["MODEL.NUM_CLASSES", "10"]),
        ("--cfg a.yaml NUM_GPUS 0 --opts RNG_SEED 3", ["a.yaml"], ["NUM_GPUS", "0", "RNG_SEED", "3"]),
        ("--opts RNG_SEED 3 --cfg a.yaml NUM_GPUS 0", ["a.yaml"], ["RNG_SEED", "3", "NUM_GPUS", "0"]),
        ("NUM_GPUS 0 --cfg a.yaml", ["a.yaml"], ["NUM_GPUS", "0"]),
        ("--cfg a.yaml DEMO.X -1 SOLVER.BASE_LR -1e-3", ["a.yaml"], ["DEMO.X", "-1", "SOLVER.BASE_LR", "-1e-3"]),
        ("--cfg a.yaml TASK b.yaml", ["a.yaml"], ["TASK", "b.yaml"]),
        ("--cfg a.yaml TASK --odd", ["a.yaml"], ["TASK", "--odd"]),
        ("--shard_id 1 --num_shards 2 --cfg a.yaml", ["a.yaml"], ["SHARD_ID", 1, "NUM_SHARDS", 2]),
        ("--cfg a.yaml --shard_id 1 NUM_SHARDS 2", ["a.yaml"], ["NUM_SHARDS", "2", "SHARD_ID", 1]),
    ],
)
def test_forms(words, files, overrides):
    arguments = parse_arguments(words.split())
    assert arguments.cfg_files == files
    assert arguments.overrides == overrides


def test_init_method_is_kept_and_defaults_are_none():
    assert parse_arguments(["--cfg", "a.yaml", "--init_method", "tcp://10.0.0.1:9"]).init_method == "tcp://10.0.0.1:9"
    arguments = parse_arguments(["--cfg", "a.yaml"])
    assert (arguments.init_method, arguments.shard_id, arguments.num_shards) == (None, None, None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "name at least one YAML file"),
        ("--cfg", "name at least one YAML file"),
        ("--cfg --opts NUM_GPUS 1", "name at least one YAML file"),
        ("--cfg a.yaml NUM_GPUS", "override NUM_GPUS has no value"),
        ("--cfg a.yaml NUM_GPUS --shard_id 0", "override NUM_GPUS has no value"),
        ("--cfg a.yaml --opts NUM_GPUS 1 b.yaml", "config files follow --cfg"),
        ("--cfg a.yaml --nonsense 3", "--nonsense"),
        ("--cfg a.yaml --shard_id x", "invalid int value"),
    ],
)
def test_refused(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        parse_arguments(words.split())
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_tools_own_options():
    parser = argument_parser("Test a network.")
    parser.add_argument("--output")
    parser.add_argument("--fast", action="store_true")
    arguments = parse_arguments(
        ["--output", "OUT.mp4", "--fast", "NUM_GPUS", "0", "--cfg", "a.yaml", "RNG_SEED", "1"], parser
    )
    assert (arguments.output, arguments.fast) == ("OUT.mp4", True)
    assert arguments.overrides == ["NUM_GPUS", "0", "RNG_SEED", "1"]


def test_a_tool_without_config():
    assert parse_arguments([], require_cfg=False).cfg_files == []


def test_help(capsys):
    with pytest.raises(SystemExit) as stop:
        parse_arguments(["--help"], argument_parser("Train a network."))
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("Train a network.", "--cfg", "--opts", "KEY VALUE", "--num_shards"):
        assert word in text


def test_words_reach_the_config(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("MODEL: {ARCH: slow}\n")
    arguments = parse_arguments(f"--cfg {file} MODEL.NUM_CLASSES 10 --opts MUTUALNET.SPATIAL [142,224]".split())
    cfg = load_config(arguments.cfg_files, arguments.overrides)
    assert (cfg.MODEL.ARCH, cfg.MODEL.NUM_CLASSES, cfg.MUTUALNET.SPATIAL) == ("slow", 10, [142, 224])


def test_importing_reads_no_arguments():
    command = [sys.executable, "-c", "import mutualnet3d.config.command_line", "--nonsense"]
    assert subprocess.run(command, check=False).returncode == 0
