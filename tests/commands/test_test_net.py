"""tools/test_net.py: a model file in, results and a table out."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import torch
from processes import torchrun
from tiny import ROOT

import mutualnet3d as mn
from mutualnet3d.commands.test import main
from mutualnet3d.config import load_config_text
from mutualnet3d.evaluation.result import load_scores, read_scores


def rows(folder):
    return [(e.configuration, e.accuracy, e.gmacs) for e in mn.QueryTable.load(folder / "query_table.json").entries]


def words(*arguments):
    return [str(word) for word in arguments]


def test_the_model_file_is_enough(trained, tmp_path):
    assert main(words("--model", trained.model, "OUTPUT_DIR", tmp_path / "new")) == 0
    found = {path.name for path in (tmp_path / "new").iterdir()}
    assert found == {
        "test_results.json",
        "test_scores.npz",
        "query_table.json",
        "accuracy_gmacs.png",
        "report.html",
        "stdout.log",
        ".in_use",
    }
    assert rows(tmp_path / "new") == rows(trained.output)
    assert torch.equal(
        load_scores(tmp_path / "new" / "test_scores.npz").scores, load_scores(trained.output / "test_scores.npz").scores
    )
    provenance = mn.QueryTable.load(tmp_path / "new" / "query_table.json").provenance
    trained_provenance = mn.QueryTable.load(trained.output / "query_table.json").provenance
    assert provenance["model"] == str(trained.model)
    assert provenance["model_sha256"] == trained_provenance["model_sha256"]
    assert provenance["calibration_batches"] == 2


def test_results_lie_beside_the_model_and_never_where_it_says(trained, tmp_path):
    entries = torch.load(trained.model, weights_only=True)
    entries["cfg"] = load_config_text(entries["cfg"], ["OUTPUT_DIR", str(tmp_path / "elsewhere")]).dump()
    (tmp_path / "here").mkdir()
    torch.save(entries, tmp_path / "here" / "model.pyth")
    assert main(words("--model", tmp_path / "here" / "model.pyth", "--configurations", "0.63-20-2")) == 0
    assert len(rows(tmp_path / "here")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_scores_on_disk_say_what_the_results_say(trained):
    results = json.loads((trained.output / "test_results.json").read_text())
    loaded = load_scores(trained.output / "test_scores.npz")
    assert {str(c): {"top1": a.top1, "top5": a.top5} for c, a in loaded.accuracies().items()} == results["accuracies"]
    assert read_scores(trained.output / "test_scores.npz")[1]["views"] == results["views"]
    assert len(loaded.paths) == results["videos"] == 4


def test_a_config_names_the_folder_of_the_model(trained, tmp_path):
    shutil.copytree(trained.output, tmp_path / "run")
    (tmp_path / "run" / "query_table.json").unlink()
    assert main(trained.words("OUTPUT_DIR", tmp_path / "run", "QUERY_TABLE.WIDTHS", [1.0])) == 0
    assert len(rows(tmp_path / "run")) == 4
    assert mn.QueryTable.load(tmp_path / "run" / "query_table.json").provenance["model"] == "model.pyth"


def test_configurations_by_name_and_views_by_key(trained, tmp_path):
    listed = tmp_path / "listed.txt"
    listed.write_text("0.63-20-2\n")
    views = ["TEST.NUM_ENSEMBLE_VIEWS", 10, "TEST.NUM_SPATIAL_CROPS", 3, "DATA.ENSEMBLE_METHOD", "max"]
    where = ["OUTPUT_DIR", tmp_path / "new", *views]
    assert main(words("--model", trained.model, "--configurations", listed, "0.63-32-2", *where)) == 0
    names = ["0.63-20-2", "0.63-32-2", "1.0-32-4"]
    assert sorted(str(row[0]) for row in rows(tmp_path / "new")) == names
    result, facts = read_scores(tmp_path / "new" / "test_scores.npz")
    assert (facts["views"], facts["ensemble_method"]) == ([10, 3], "max")
    assert result.scores.max() <= 1  # a maximum of probabilities, no sum


def test_search(trained, tmp_path, said):
    lists = tmp_path / "lists"
    lists.mkdir()
    whole = (next(iter(load_scores(trained.output / "test_scores.npz").paths)),)
    (lists / "test.csv").write_text("".join(f"{path} 0\n" for path in whole * 12))
    overrides = ["DATA.PATH_TO_DATA_DIR", lists, "OUTPUT_DIR", tmp_path / "new", "QUERY_TABLE.SEARCH_VIDEOS", 6]
    assert main(words("--model", trained.model, *overrides)) == 0
    assert "searching 8 configurations on 6 of 12 videos" in said()
    table = mn.QueryTable.load(tmp_path / "new" / "query_table.json")
    search = table.provenance["search"]
    assert (search["videos"], search["configurations"]) == (6, 8)
    assert search["candidates"] == len(table.entries) >= 2
    assert "standard errors of the paired difference" in search["rule"]
    assert table.provenance["videos"] == 12
    assert len(mn.load_model(trained.model).calibrated) == 8  # of another's model file nothing is dropped


def test_an_unreadable_video_is_named_and_counted(trained, tmp_path, said):
    lists = tmp_path / "lists"
    lists.mkdir()
    paths = load_scores(trained.output / "test_scores.npz").paths
    (lists / "test.csv").write_text(f"{paths[0]} 0\n{tmp_path / 'gone.mp4'} 1\n{paths[1]} 1\n")
    where = ["DATA.PATH_TO_DATA_DIR", lists, "OUTPUT_DIR", tmp_path / "new"]
    assert main(words("--model", trained.model, *where)) == 0
    assert re.search(r"missing from the result: .*gone\.mp4", said())
    results = json.loads((tmp_path / "new" / "test_results.json").read_text())
    assert [each["path"] for each in results["missing"]] == [str(tmp_path / "gone.mp4")]
    assert mn.QueryTable.load(tmp_path / "new" / "query_table.json").provenance["missing"] == 1


def refused(arguments, said):
    said()
    assert main(words(*arguments)) == 1
    lines = [line for line in said().splitlines() if "Error: " in line]
    assert len(lines) == 1
    return lines[0]


def test_errors_are_one_line(trained, tmp_path, said):
    here = ["OUTPUT_DIR", tmp_path / "new"]
    (tmp_path / "test.csv").write_text("gone.mp4 0\nlost.mp4 1\n")
    for arguments, message in (
        (["--model", tmp_path / "none.pyth", *here], r"CheckpointError: .*none\.pyth: no such checkpoint"),
        (["--model", trained.output / "config.yaml", *here], r"CheckpointError: .*not a checkpoint"),
        (["--model", trained.model, *here, "MUTUALNET.SPATIAL", [24, 32]], r"CheckpointError: .*was trained for"),
        (["--model", trained.model, *here, "MODEL.NUM_CLASSES", 4], r"CheckpointError: .*holds another network"),
        (
            ["--model", trained.model, "--configurations", "0.7-20-2", "0.63-20-2", *here],
            r"NotCalibratedError: .*model\.pyth has no .* of 1 of 3 .*calibrate_net.py .*--configurations 0\.7-20-2$",
        ),
        (["--model", trained.model, "--configurations", "0.5-20-2", *here], r"ConfigurationError: width 0\.5"),
        (["--model", trained.model, "--configurations", "many.txt", *here], r"ConfigurationError: 'many\.txt'"),
        (["--model", trained.model, "DATA.PATH_TO_DATA_DIR", tmp_path, *here], r"DataError: none of 2 videos"),
        (["--model", trained.model, "DATA.PATH_TO_DATA_DIR", "nowhere", *here], r"DataError: .*test\.csv: cannot"),
        (trained.words(*here), r"ConfigError: nothing to test: .*model\.pyth does not exist"),
    ):
        assert re.search(message, refused(arguments, said))


def test_wrong_usage_is_2(trained, said):
    for arguments in ([], ["--model"], ["--model", trained.model, "--fast"]):
        with pytest.raises(SystemExit) as stopped:
            main(words(*arguments))
        assert stopped.value.code == 2


def test_ctrl_c_is_130(trained, tmp_path, monkeypatch, said):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("mutualnet3d.commands.test.evaluate_and_tabulate", stop)
    assert main(words("--model", trained.model, "OUTPUT_DIR", tmp_path / "new")) == 130
    assert "goes on where it stopped" in said()


def test_help_names_the_protocols():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "test_net.py", "--help"], capture_output=True, text=True, check=True
    )
    for text in ("--model", "--configurations", "TEST.NUM_ENSEMBLE_VIEWS 10 TEST.NUM_SPATIAL_CROPS 3", "torchrun"):
        assert text in done.stdout


def test_two_processes(trained, tmp_path):
    done = torchrun(2, ROOT / "tools" / "test_net.py", "--model", trained.model, "OUTPUT_DIR", tmp_path / "new")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("testing 4 videos") == 1
    assert [row[0] for row in rows(tmp_path / "new")] == [row[0] for row in rows(trained.output)]
    together, alone = (load_scores(folder / "test_scores.npz") for folder in (tmp_path / "new", trained.output))
    torch.testing.assert_close(together.scores, alone.scores, rtol=1e-4, atol=1e-5)
    assert together.paths == alone.paths
