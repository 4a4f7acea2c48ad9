"""The one table of benchmarks/: all of it in small shapes, what it keeps, and what a comparison says."""

import contextlib
import importlib.metadata
import io
import json
import runpy
import statistics
import sys

import pytest
import torch
from tiny import ROOT

from tests.docs.doc_blocks import commands_of

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries that they are compared with


def run(*words):
    """Exit status and what was printed."""
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        patch.setattr(sys, "argv", ["table.py", *map(str, words)])
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        patch.chdir(ROOT)
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / "benchmarks" / "table.py"), run_name="__main__")
    assert torch.get_num_threads() == threads
    return end.value.code, said.getvalue()


def shown(number, files):
    """The words of that command of docs/performance.md, with the ``files`` of this test."""
    commands = [each for each in commands_of(ROOT / "docs/performance.md") if each.program == "benchmarks/table.py"]
    assert len(commands) == 2
    return [files.get(word, word) for word in commands[number].words]


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """What --json wrote of all sections, and what was printed."""
    path = tmp_path_factory.mktemp("table") / "ratios.json"
    code, text = run("--quick", *shown(0, {"new.json": path}))
    assert code == 0
    return path.read_text(), text


def test_all_ratios(everything):
    record, text = json.loads(everything[0]), everything[1]
    assert record["setting"]["versions"]["torch"] == importlib.metadata.version("torch")
    assert record["setting"]["threads"] == torch.get_num_threads()
    names = [ratio["name"] for ratio in record["ratios"]]
    assert len(set(names)) == len(names)
    for part in ("mutual step", "training clip", "30 views", "switched", "calibrating", "eager", "counting", "evaluat"):
        assert any(part in name for name in names), part
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    assert [row[0].removeprefix("| ") for row in rows] == names
    for ratio, row in zip(record["ratios"], rows, strict=True):
        assert float(row[1]) == pytest.approx(ratio["value"], abs=6e-4)
        assert 0 < ratio["low"] <= ratio["value"] <= ratio["high"]
        assert len({len(times) for clocks in ratio["rounds"].values() for times in clocks.values()}) == 1
        assert all(seconds > 0 for clocks in ratio["rounds"].values() for seconds in clocks["clock"])
    step = record["ratios"][0]
    pairs = zip(*(step["rounds"][kind]["clock"] for kind in ("mutual", "plain")), strict=True)
    assert step["value"] == pytest.approx(statistics.median(a / b for a, b in pairs))


def test_a_comparison_marks_what_left_the_old_range(everything, tmp_path):
    record, old = json.loads(everything[0]), tmp_path / "old.json"
    switched, complexity = (
        next(r for r in record["ratios"] if word in r["name"]) for word in ("switched in place", "counting")
    )
    switched |= {"low": 1e3, "value": 2e3, "high": 3e3}
    complexity |= {"low": 1e-9, "high": 1e9}
    record["setting"]["cpu"] = "another"
    del record["setting"]["cores"]
    record["ratios"] = [switched, complexity]
    old.write_text(json.dumps(record))
    newer = tmp_path / "newer.json"
    code, text = run("--quick", "--only", "switching", "complexity", *shown(1, {"new.json": old, "newer.json": newer}))
    assert code == 0
    assert len(json.loads(newer.read_text())["ratios"]) > 1
    lines = text.splitlines()
    assert any(line.startswith("cpu: another then, ") for line in lines)
    assert any(line.startswith("cores: None then, ") for line in lines)
    (row,) = [line for line in lines if line.startswith(f"| {switched['name']} | 2000.000")]
    assert row.endswith("| outside 1000.000 .. 3000.000 |")
    (row,) = [line for line in lines if line.startswith(f"| {complexity['name']} |") and " % |" in line]
    assert row.endswith(" % |  |")


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_another_file_is_refused(text, tmp_path):
    (tmp_path / "old.json").write_text(text)
    code, _ = run("--quick", "--compare", tmp_path / "old.json")
    assert "give a file that --json wrote" in code
