"""What the README says is what happens: its commands and its code run here, on a smaller demo."""

import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import release_logger

import mutualnet3d as mn

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SMALLER = {
    "SYNTHETIC.NUM_TRAIN": "2",
    "SYNTHETIC.NUM_VAL": "1",
    "SYNTHETIC.NUM_TEST": "1",
    "SYNTHETIC.SIZE": "[32, 32]",
    "DATA.TRAIN_JITTER_SCALES": "[32, 32]",
    "DATA.TRAIN_CROP_SIZE": "32",
    "DATA.TEST_CROP_SIZE": "32",
    "MUTUALNET.SPATIAL": "[20, 32]",
    "CALIBRATION.NUM_BATCHES": "1",
    "BN.NUM_BATCHES_PRECISE": "1",
    "QUERY_TABLE.WIDTHS": "[0.63, 1.0]",
    "SOLVER.MAX_EPOCH": "1",
    "DATA_LOADER.NUM_WORKERS": "0",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    """The folder in which the README's first command ran, after its installation."""
    folder = tmp_path_factory.mktemp("demo")
    command = blocks("bash")[0].strip()
    assert "\n" not in command
    words = shlex.split(command.rpartition("&&")[2])
    assert words[:2] == [".venv/bin/python", "tools/run_net.py"]
    words = [sys.executable, *(str(ROOT / word) if (ROOT / word).exists() else word for word in words[1:])]
    words += [word for pair in SMALLER.items() for word in pair]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "query table" in done.stdout
    assert "mn.QueryTable.load" in done.stdout
    return folder


def test_the_demo_leaves_the_files_that_are_listed(demo):
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([^|]*?)` ?\|", page, re.MULTILINE)
    named = [name for cell in listed for name in re.split(r"`, `", cell)]
    assert {"model.pyth", "query_table.json", "accuracy_gmacs.png", "checkpoints/"} <= set(named)
    sometimes = {"unreadable_videos.jsonl", "search_scores.npz", "runs-<dataset>/", "detections_<configuration>.csv"}
    for name in set(named) - sometimes:
        assert (demo / "outputs" / "demo" / name).exists(), name


def test_the_code_of_the_readme_runs(demo, monkeypatch):
    code, predicting = blocks("python")
    monkeypatch.chdir(demo)
    table = mn.QueryTable.load("outputs/demo/query_table.json")
    budget = table.entries[len(table.entries) // 2].gmacs
    code = re.sub(r"max_gmacs=[\d.]+", f"max_gmacs={budget}", code)
    names = {"clip": torch.randn(1, 3, 16, 32, 32)}
    with torch.no_grad():
        exec(code, names)
        dense = names["dense"](*names["model"].pathways(names["clip"], names["best"].configuration))
    torch.testing.assert_close(dense, names["logits"])
    some_video(demo)
    exec(re.sub(r"max_gmacs=[\d.]+", f"max_gmacs={budget}", predicting), names)
    assert len(names["prediction"].labels) == 5


def some_video(demo):
    """``video.mp4``, as the README calls the user's own."""
    shutil.copy(next((demo / "outputs" / "synthetic_motion").rglob("*.mp4")), demo / "video.mp4")


def test_the_commands_after_training(demo, monkeypatch, capsys):
    """Each line of the block with calibrate_net, in its order."""
    monkeypatch.chdir(demo)
    some_video(demo)
    (block,) = [text for text in blocks("bash") if "python tools/calibrate_net.py" in text]
    budget = mn.QueryTable.load("outputs/demo/query_table.json").entries[-1].gmacs
    for line in block.strip().splitlines():
        words = shlex.split(line, comments=True)
        if words == ["pip", "install", "-e", ".[onnx,openvino]"]:
            continue  # the tests need them too
        assert words[0] == "python"
        verb = re.fullmatch(r"tools/(\w+)_net\.py", words[1])[1]
        known = {"0.7-38-3": "0.7-20-2", "0.124": str(budget)}
        command = importlib.import_module(f"mutualnet3d.commands.{verb}")
        try:
            status = command.main([known.get(word, word) for word in words[2:]])
        finally:
            release_logger()
        assert status == 0, (line, capsys.readouterr().out)
    assert (demo / "outputs" / "more" / "report.html").exists()
    assert (demo / "out.mp4").stat().st_size > 0


def test_ci_runs_the_test_command_of_the_readme():
    assert blocks("bash")[1].strip() in (ROOT / ".ci" / "run").read_text()


def test_every_config_and_tool_that_the_readme_names_exists():
    for path in re.findall(r"(?:configs|tools|docs|mutualnet3d|benchmarks)/[\w./-]*\.(?:yaml|py|png)", README):
        assert (ROOT / path).exists(), path


def test_links_lead_somewhere():
    """Those of docs/ are followed in the built site (tests/docs/test_site.py)."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
