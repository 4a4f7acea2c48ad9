"""The one table of benchmarks/: all of it in small shapes, what it keeps, and what a comparison says."""

import importlib.metadata
import json
import runpy
import statistics
import sys

import pytest
import torch
from tiny import ROOT


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["table.py", *map(str, words)])
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.chdir(ROOT)
    threads = torch.get_num_threads()
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "benchmarks" / "table.py"), run_name="__main__")
    assert torch.get_num_threads() == threads
    return end.value.code, capsys.readouterr().out


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("table") / "old.json"


@pytest.mark.filterwarnings("default")  # of the libraries that they are compared with
def test_all_ratios(kept, monkeypatch, capsys):
    code, text = run(monkeypatch, capsys, "--quick", "--json", kept)
    assert code == 0
    record = json.loads(kept.read_text())
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


def test_a_comparison_marks_what_left_the_old_range(kept, monkeypatch, capsys):
    record = json.loads(kept.read_text())
    switched, complexity = (
        next(r for r in record["ratios"] if word in r["name"]) for word in ("switched in place", "counting")
    )
    switched |= {"low": 1e3, "value": 2e3, "high": 3e3}
    complexity |= {"low": 1e-9, "high": 1e9}
    record["setting"]["cpu"] = "another"
    record["ratios"] = [switched, complexity]
    kept.write_text(json.dumps(record))
    code, text = run(monkeypatch, capsys, "--quick", "--only", "switching", "complexity", "--compare", kept)
    assert code == 0
    lines = text.splitlines()
    assert any(line.startswith("cpu: another then, ") for line in lines)
    (row,) = [line for line in lines if line.startswith(f"| {switched['name']} | 2000.000")]
    assert row.endswith("| outside 1000.000 .. 3000.000 |")
    (row,) = [line for line in lines if line.startswith(f"| {complexity['name']} |") and " % |" in line]
    assert row.endswith(" % |  |")


@pytest.mark.parametrize("text", ["", "{}", "[1]"])
def test_another_file_is_refused(text, monkeypatch, capsys, tmp_path):
    (tmp_path / "old.json").write_text(text)
    code, _ = run(monkeypatch, capsys, "--quick", "--compare", tmp_path / "old.json")
    assert "give a file that --json wrote" in code
