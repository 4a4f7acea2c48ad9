"""The whole way on tiny videos: train, calibrate, test, tabulate, by tools/run_net.py."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import ROOT, cut_views, release_logger, tiny_cfg, words

import mutualnet3d as mn
from mutualnet3d.commands.query import main as query
from mutualnet3d.commands.run import main
from mutualnet3d.data import build_entries
from mutualnet3d.evaluation.grid import VideoScorer
from mutualnet3d.evaluation.result import load_scores
from mutualnet3d.summary import print_usage

LEFT = {
    *("checkpoints", "config.yaml", "log.jsonl", "stdout.log", "model.pyth", "test_results.json"),
    *("test_scores.npz", "query_table.json", "accuracy_gmacs.png", "report.html", ".in_use"),
}


def run_net(*arguments):
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", ROOT / "tools" / "run_net.py", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"},
    )


@pytest.fixture(scope="module")
def finished(tiny_data, tmp_path_factory):
    """(output folder, finished process) of a run from the videos to the table."""
    output = tmp_path_factory.mktemp("a run") / "output"
    return output, run_net(*words(tiny_data, output))


@pytest.fixture
def output(finished, tmp_path):
    """A copy of the finished run's folder."""
    return shutil.copytree(finished[0], tmp_path / "output")


def table_rows(table):
    return [(entry.configuration, entry.accuracy, entry.top5) for entry in table.entries]


def test_files_and_summary(finished):
    output, done = finished
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert {path.name for path in output.iterdir()} == LEFT
    assert (output / "accuracy_gmacs.png").read_bytes()[-8:-4] == b"IEND"
    assert sorted(p.name for p in (output / "checkpoints").iterdir()) == [
        "checkpoint_epoch_00001.pyth",
        "checkpoint_epoch_00002.pyth",
    ]
    assert "calibrating 7 configurations on 2 batches" in done.stdout
    assert "query table: 8 configurations" in done.stdout
    assert "epoch 2/2 4/4 | loss " in (output / "stdout.log").read_text()
    stored = mn.load_config(output / "config.yaml")
    assert (stored.DATA.NUM_FRAMES, stored.MUTUALNET.SPATIAL) == (4, [20, 32])


def test_the_printed_example_works(finished, tiny_data):
    """The budget that is shown is rounded, and must still afford the configuration that is shown."""
    output, done = finished
    shown = re.search(r"max_gmacs=([\d.e-]+)\)\s+# (\S+)", done.stdout)
    assert (
        str(mn.QueryTable.load(output / "query_table.json").best(max_gmacs=float(shown[1])).configuration) == shown[2]
    )
    loaded = re.search(r"mn\.load_model\(\"(.*)\"\)", done.stdout)
    assert mn.load_model(loaded[1]).space.full == mn.Configuration(1.0, 32, 4)
    predicting = re.search(r"^ +(mn\.AdaptivePredictor\..*)$", done.stdout, re.MULTILINE)[1]
    prediction = eval(predicting.replace("video.mp4", str(next(tiny_data.glob("*.mp4")))))
    assert str(prediction.configuration) == shown[2]


def test_the_summary_names_the_files_and_commands_that_there_are(finished, capfd):
    output, done = finished
    said = done.stdout[done.stdout.index(f"{output} holds:") :]
    named = set(re.findall(r"^  ([\w.]+) {2,}", said, re.MULTILINE))
    assert named == LEFT - {".in_use"}
    commands = [shlex.split(line, comments=True) for line in re.findall(r"^  (python .*)$", said, re.MULTILINE)]
    assert [Path(command[1]).name for command in commands] == [
        f"{name}_net.py" for name in ("query", "predict", "export", "report", "demo")
    ]
    for command in commands:
        assert (ROOT / command[1]).is_file()
        module = ROOT / "mutualnet3d" / "commands" / Path(command[1]).name.replace("_net.py", ".py")
        assert 'if __name__ == "__main__":' in module.read_text()  # how it is called where there is no clone
        assert str(output) in command
    assert query(commands[0][2:]) == 0
    print_usage(None, output)
    assert f"test_net.py --model '{output}/model.pyth' OUTPUT_DIR '{output}'" in capfd.readouterr().out


def test_the_table_is_what_the_saved_network_reaches(finished, tiny_data):
    """Every view cut by hand, through the reloaded network."""
    output, _ = finished
    table, model = mn.QueryTable.load(output / "query_table.json"), mn.load_model(output / "model.pyth")
    assert not model.training
    assert {e.configuration for e in table.entries} == set(model.space.grid((0.63, 1.0)))
    cfg = tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data))
    entries = build_entries(cfg, "test")
    stored = np.load(output / "test_scores.npz")
    results = json.loads((output / "test_results.json").read_text())
    assert stored["paths"].tolist() == [entry.path for entry in entries]
    assert stored["labels"].tolist() == [entry.label for entry in entries]
    for entry in table.entries:
        scores = torch.cat([_scores(model, cut_views(e.path, 1, 1, cfg), entry.configuration) for e in entries])
        number = stored["configurations"].tolist().index(str(entry.configuration))
        np.testing.assert_allclose(stored["scores"][number], scores.numpy(), rtol=1e-4, atol=1e-5)
        hits = sum(int(row.argmax()) == e.label for row, e in zip(scores, entries, strict=True))
        assert entry.accuracy == 100 * hits / 4
        assert results["accuracies"][str(entry.configuration)] == {"top1": entry.accuracy, "top5": 100.0}
    assert (results["videos"], results["missing"], results["views"]) == (4, [], [1, 1])


def _scores(model, views, configuration):
    with torch.no_grad():
        return sum(model(view, configuration).softmax(1) for view in views)


def test_costs_and_provenance(finished):
    output, _ = finished
    table, model = mn.QueryTable.load(output / "query_table.json"), mn.load_model(output / "model.pyth")
    full = table[model.space.full]
    assert full.mparams * 1e6 == pytest.approx(sum(p.numel() for p in model.parameters()))
    macs = 0

    def count(conv, inputs, out):
        nonlocal macs
        macs += out.numel() * conv.weight[0].numel()

    for module in model.modules():
        if isinstance(module, (torch.nn.Conv3d, torch.nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, 4, 32, 32))
    assert full.gmacs * 1e9 == pytest.approx(macs)
    assert max(table.entries, key=lambda e: e.gmacs) == full
    assert table.provenance["architecture"] == "slow"
    assert table.provenance["space"] == model.space.to_dict()
    sha = subprocess.run(["sha256sum", output / "model.pyth"], capture_output=True, text=True, check=True).stdout
    assert table.provenance["model_sha256"] == sha.split()[0].lstrip("\\")


def test_a_finished_run_is_tested_again_but_not_trained(output, tiny_data):
    before = mn.QueryTable.load(output / "query_table.json")
    stamps = {path: path.stat().st_mtime_ns for path in (output / "checkpoints").iterdir()}
    lines = (output / "log.jsonl").read_text()
    assert main(words(tiny_data, output)) == 0
    assert {path: path.stat().st_mtime_ns for path in (output / "checkpoints").iterdir()} == stamps
    assert (output / "log.jsonl").read_text() == lines
    assert table_rows(mn.QueryTable.load(output / "query_table.json")) == table_rows(before)


def test_testing_alone_reuses_the_statistics(finished, tiny_data, tmp_path):
    """Neither the training list nor its videos are needed."""
    lists = tmp_path / "lists"
    lists.mkdir()
    shutil.copy(tiny_data / "test.csv", lists)
    model = finished[0] / "model.pyth"
    overrides = ["TRAIN.ENABLE", False, "TEST.CHECKPOINT_FILE_PATH", model]
    assert main(words(lists, tmp_path / "test", *overrides)) == 0
    log = (tmp_path / "test" / "stdout.log").read_text()
    assert "7 configurations are calibrated" in log
    assert "calibrating" not in log
    table = mn.QueryTable.load(tmp_path / "test" / "query_table.json")
    assert table_rows(table) == table_rows(mn.QueryTable.load(finished[0] / "query_table.json"))
    one, other = (mn.load_model(path).state_dict() for path in (model, tmp_path / "test" / "model.pyth"))
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_newest_checkpoint_is_tested_where_none_is_named(output, tiny_data):
    """It holds no statistics: they are computed, and are the same as before."""
    before = mn.load_model(output / "model.pyth").state_dict()
    (output / "model.pyth").unlink()
    assert main(words(tiny_data, output, "TRAIN.ENABLE", False)) == 0
    after = mn.load_model(output / "model.pyth").state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():  # memory lies otherwise in a network that was just trained
        torch.testing.assert_close(after[name], value, rtol=1e-4, atol=1e-5)


def test_plain_training(tiny_data, tmp_path):
    assert main(words(tiny_data, tmp_path / "plain", "MUTUALNET.ENABLE", False, "SOLVER.MAX_EPOCH", 1)) == 0
    found = {path.name for path in (tmp_path / "plain").iterdir()}
    assert found == LEFT
    assert len(mn.QueryTable.load(tmp_path / "plain" / "query_table.json").entries) == 1
    assert mn.load_model(tmp_path / "plain" / "model.pyth").calibrated == (mn.Configuration(1.0, 32, 4),)
    results = json.loads((tmp_path / "plain" / "test_results.json").read_text())
    assert list(results["accuracies"]) == ["1.0-32-4"]


def test_weights_of_pyslowfast_to_start_from(tiny_data, tmp_path):
    """Its checkpoints hold model_state, epoch, optimizer and the config; with a learning rate of 0 they stay."""
    torch.manual_seed(5)
    source = mn.build_model(tiny_cfg("RNG_SEED", 5)).state_dict()
    torch.save({"epoch": 3, "model_state": source, "optimizer_state": {}, "cfg": "A: 1"}, tmp_path / "zoo.pyth")
    still = ["SOLVER.BASE_LR", 0, "SOLVER.WARMUP_EPOCHS", 0, "SOLVER.MAX_EPOCH", 1, "TEST.ENABLE", False]
    overrides = ["TRAIN.CHECKPOINT_FILE_PATH", tmp_path / "zoo.pyth", *still]
    assert main(words(tiny_data, tmp_path / "tuned", *overrides)) == 0
    found = mn.load_model(tmp_path / "tuned" / "model.pyth").state_dict()
    for name, value in source.items():
        if "running_" not in name and "num_batches" not in name:
            assert torch.equal(found[name], value), name
    assert "initial weights" in (tmp_path / "tuned" / "stdout.log").read_text()


def refused(capfd, caplog, arguments, message):
    """Exit code 1 and a single line that says it; before OUTPUT_DIR is known it goes to the root logger."""
    release_logger()
    caplog.clear()
    assert main(arguments) == 1
    said = "".join(capfd.readouterr()) + "\n".join(caplog.messages)
    lines = [line for line in said.splitlines() if "Error: " in line]
    assert len(lines) == 1, said
    assert re.search(message, lines[0]), lines[0]
    assert "Traceback" not in said


def test_errors_are_one_line(capfd, caplog, finished, tiny_data, tmp_path):
    model = finished[0] / "model.pyth"
    alone = ["TRAIN.ENABLE", False]
    of = ["TEST.CHECKPOINT_FILE_PATH", model, *alone]
    text = tmp_path / "text.pyth"
    text.write_text("no weights")
    new = tmp_path / "new"
    for overrides, message in (
        (["SOLVER.BASE_LRR", 1], r"ConfigError: .*unknown key SOLVER\.BASE_LRR; did you mean SOLVER\.BASE_LR"),
        (["DATA.PATH_TO_DATA_DIR", tmp_path / "nowhere"], r"DataError: .*train\.csv: cannot be read"),
        (["MODEL.NUM_CLASSES", 2], r"DataError: .*train\.csv:3: the label is 2"),
        (["TRAIN.BATCH_SIZE", 9], r"ConfigError: the list has 8 items, fewer than one batch of 9"),
        (["QUERY_TABLE.CONFIGURATIONS", ["0.7-24-2"]], r"ConfigurationError: spatial 24"),
        (alone, r"ConfigError: nothing to test: TRAIN\.ENABLE is False"),
        ([*alone, "TEST.CHECKPOINT_FILE_PATH", tmp_path / "none.pyth"], r"none\.pyth.* does not exist"),
        ([*alone, "TEST.CHECKPOINT_FILE_PATH", text], r"WeightsError: .*text\.pyth"),
        ([*of, "MUTUALNET.SPATIAL", [24, 32]], r"CheckpointError: .*was trained for"),
        ([*of, "MODEL.NUM_CLASSES", 4], r"CheckpointError: .*holds another network .*head\.projection"),
        ([*of, "MODEL.ARCH", "x3d"], r"CheckpointError: .*holds another network"),
        (["OUTPUT_DIR", text], r"FileExistsError: .*text\.pyth"),
        (
            ["NUM_GPUS", 64, "TRAIN.BATCH_SIZE", 64, "TEST.BATCH_SIZE", 64],
            r"ConfigError: NUM_GPUS is 64, this machine has \d+; set NUM_GPUS",
        ),
    ):
        refused(capfd, caplog, words(tiny_data, new, *overrides), message)


def test_a_process_that_fails(tiny_data, tmp_path):
    done = run_net(*words(tiny_data, tmp_path / "new", "TRAIN.ENABLE", False))
    assert done.returncode == 1
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "ConfigError: nothing to test" in line


@pytest.fixture
def many(tiny_data, tmp_path):
    """The lists of the tiny data, with 12 test videos."""
    lists = tmp_path / "lists"
    lists.mkdir()
    for name in ("train", "val", "test"):
        (lists / f"{name}.csv").write_text((tiny_data / f"{name}.csv").read_text() * (3 if name == "test" else 1))
    return lists


def test_search_leaves_a_small_artefact(finished, many, tmp_path, monkeypatch):
    """The whole grid on 6 videos, the candidates on all 12; the rest leaves table and model file."""
    small = mn.Configuration(0.63, 32, 4)
    full, smallest = mn.Configuration(1.0, 32, 4), mn.Configuration(0.63, 20, 2)
    monkeypatch.setattr("mutualnet3d.testing.choose_candidates", lambda result, gmacs, always, total: (*always, small))
    overrides = ["TRAIN.ENABLE", False, "TEST.CHECKPOINT_FILE_PATH", finished[0] / "model.pyth"]
    assert main(words(many, tmp_path / "new", *overrides, "QUERY_TABLE.SEARCH_VIDEOS", 6)) == 0
    table, model = mn.QueryTable.load(tmp_path / "new" / "query_table.json"), mn.load_model(tmp_path / "new/model.pyth")
    assert {e.configuration for e in table.entries} == {full, smallest, small}
    assert set(model.calibrated) == {full, smallest, small}
    assert set(model.statistics_provenance) == {smallest, small}
    assert table.provenance["videos"] == 12
    facts = table.provenance["search"]
    assert (facts["videos"], facts["configurations"], facts["candidates"]) == (6, 8, 3)
    searched, tested = (load_scores(tmp_path / "new" / f"{name}_scores.npz") for name in ("search", "test"))
    assert (len(searched.configurations), len(searched.labels)) == (8, 6)
    assert (len(tested.configurations), len(tested.labels)) == (3, 12)
    sha = subprocess.run(["sha256sum", tmp_path / "new/model.pyth"], capture_output=True, text=True, check=True).stdout
    assert table.provenance["model_sha256"] == sha.split()[0]
    assert "statistics of 5 configurations that are no candidates are dropped" in (
        (tmp_path / "new" / "stdout.log").read_text()
    )


def test_a_run_that_stopped_while_testing_goes_on_there(finished, many, tmp_path, monkeypatch):
    """From the checkpoint: the same bits as the run that went through; statistics are not computed again."""
    whole = tmp_path / "whole"
    assert main(words(many, whole, "SOLVER.MAX_EPOCH", 1)) == 0
    original, left = VideoScorer.__call__, [1]  # groups before Ctrl-C; validation, at full alone, does not count

    def stopping(self, items):
        if not left[0] and len(self.configurations) > 1:
            raise KeyboardInterrupt
        left[0] -= len(self.configurations) > 1
        return original(self, items)

    monkeypatch.setattr(VideoScorer, "__call__", stopping)
    assert main(words(many, tmp_path / "cut", "SOLVER.MAX_EPOCH", 1)) == 130
    assert (tmp_path / "cut" / "test_scores").is_dir()
    monkeypatch.undo()
    assert main(words(many, tmp_path / "cut", "SOLVER.MAX_EPOCH", 1)) == 0
    log = (tmp_path / "cut" / "stdout.log").read_text()
    assert log.count("calibrating 7 configurations") == 1
    assert "statistics of 7 configurations are taken from" in log
    assert "going on from" in log
    one, other = (load_scores(folder / "test_scores.npz") for folder in (whole, tmp_path / "cut"))
    assert torch.equal(one.scores, other.scores)


def test_other_calibration_is_not_taken_from_the_file(output, tiny_data):
    assert main(words(tiny_data, output, "CALIBRATION.NUM_BATCHES", 3)) == 0
    assert "calibrating 7 configurations on 3 batches" in (output / "stdout.log").read_text()
    model = mn.load_model(output / "model.pyth")
    assert model.statistics_provenance[mn.Configuration(0.63, 20, 2)]["batches"] == 3


def test_ctrl_c_is_130(tiny_data, tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("mutualnet3d.commands.run.run", stop)
    assert main(words(tiny_data, tmp_path / "new")) == 130
