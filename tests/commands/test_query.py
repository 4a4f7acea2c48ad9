"""tools/query_net.py: budgets, tables, formats, several tables, exit statuses."""

import csv
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import mutualnet3d as mn
from mutualnet3d.commands.query import main
from mutualnet3d.latency import Latency, Setting
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.query_table.text import to_csv, to_markdown

A, B, C = (mn.Configuration(*c) for c in ((0.63, 142, 3), (0.8, 178, 5), (1.0, 224, 8)))
CPU, GPU = Setting("Größe, CPU", threads=2), Setting("NVIDIA H100")


def table():
    rows = ((A, 3.4, 60.0), (B, 20.0, 59.0), (C, 54.5, 70.0))
    entries = tuple(Entry(c, gmacs, 30.0, accuracy, 90.0) for c, gmacs, accuracy in rows)
    return QueryTable(entries, "top1", {"model_sha256": "0" * 64})


def measured(setting, *milliseconds):
    pairs = zip((A, B, C), milliseconds, strict=False)
    return table().with_latencies({c: Latency(ms, ms, ms, 5, 1) for c, ms in pairs}, setting)


@pytest.fixture
def runs(tmp_path):
    """Two output directories of runs and a table elsewhere."""
    measured(CPU, 9.0, 40.0, 80.0).save(tmp_path / "cpu run" / "query_table.json")
    measured(GPU, 2.0, 3.0, 1.5).save(tmp_path / "gpu" / "query_table.json")
    table().save(tmp_path / "plain.json")
    return tmp_path


@pytest.fixture
def query(runs, capsys):
    """Run the command in this process: (exit status, what it printed)."""

    def run(*words):
        words = [str(runs / word) if (runs / str(word)).exists() else str(word) for word in words]
        status = main(words)
        return status, capsys.readouterr().out

    return run


def test_budgets(query):
    assert query("plain.json", "--max-gmacs", 54)[1].splitlines()[0] == str(A)
    assert query("cpu run", "--max-latency-ms", 80)[1].splitlines()[0] == str(C)
    assert query("plain.json", "--min-accuracy", 61)[1].splitlines()[0] == str(C)
    assert query("cpu run", "--max-gmacs", "inf", "--max-latency-ms", 79)[1].splitlines()[0] == str(A)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plain.json", "--max-gmacs", "3.3"], "BudgetError: .*cheapest is 0.63-142-3 at 3.4 GMACs"),
        (["plain.json", "--max-gmacs", "nan"], "BudgetError: max_gmacs nan is not a number"),
        (["plain.json", "--max-gmacs=-1"], "BudgetError: .*at most -1.0 GMACs"),
        (["plain.json", "--max-latency-ms", "5"], "QueryTableError: this table has no latency_ms; measure it first"),
        (["cpu run", "gpu", "--max-latency-ms", "5"], "QueryTableError: .*choose one by its label.*H100"),
        (["cpu run", "--device", "a phone"], "QueryTableError: no latency was measured on 'a phone'"),
        (["nowhere.json"], "QueryTableError: nowhere.json: cannot be read"),
    ],
)
def test_errors(query, caplog, words, message):
    assert query(*words) == (1, "")
    (record,) = caplog.records
    assert re.search(message, record.getMessage())


def test_an_output_that_cannot_be_written(query, runs, caplog):
    assert query("plain.json", "--output", str(runs / "plain.json" / "x"))[0] == 1
    assert "plain.json" in caplog.text


@pytest.mark.parametrize(
    "words",
    [[], ["plain.json", "--format", "xml"], ["plain.json", "--pareto", "--max-gmacs", "3"], ["x", "--max-gmacs"]],
)
def test_usage(query, words):
    with pytest.raises(SystemExit) as caught:
        query(*words)
    assert caught.value.code == 2


def test_the_table_as_text(query):
    status, text = query("cpu run", "gpu")
    assert status == 0
    assert "query table: 3 configurations" in text
    assert f"ms [1]: per view on {CPU.label}" in text
    status, text = query("plain.json", "--pareto")
    assert "query table: 2 of 3 configurations" in text
    assert str(B.spatial) not in text


def test_several_tables_and_a_device(query):
    assert query("cpu run", "gpu", "--device", GPU.label, "--max-latency-ms", "1.7")[1].splitlines()[0] == str(C)
    rows = csv.DictReader(io.StringIO(query("cpu run", "gpu", "--device", GPU.label, "--pareto", "--format", "csv")[1]))
    assert [(row["configuration"], row["pareto latency_ms"]) for row in rows] == [(str(C), "*")]


def test_formats(query, runs):
    whole = table()
    assert query("plain.json", "--format", "csv")[1] == to_csv(whole)
    assert query("plain.json", "--format", "markdown")[1] == to_markdown(whole)
    assert query("plain.json", "--format", "json")[1] == (runs / "plain.json").read_text()
    (row,) = csv.DictReader(io.StringIO(query("plain.json", "--max-gmacs", "4", "--format", "csv")[1]))
    assert row["configuration"] == str(A)
    best = json.loads(query("cpu run", "--max-gmacs", "4", "--format", "json")[1])
    assert best == {
        **{"configuration": str(A), "gmacs": 3.4, "mparams": 30.0, "accuracy": 60.0, "top5": 90.0},
        **{"latency_ms": 9.0, "latencies": {CPU.label: 9.0}},
    }
    assert len(query("plain.json", "--max-gmacs", "4", "--format", "markdown")[1].splitlines()) == 3


def test_json_output_is_a_query_table(query, runs):
    merged = runs / "merged.json"
    assert query("cpu run", "gpu", "--format", "json", "--output", merged) == (0, "")
    assert QueryTable.load(merged) == QueryTable.merge([measured(CPU, 9.0, 40.0, 80.0), measured(GPU, 2.0, 3.0, 1.5)])
    assert query("merged.json", "--pareto", "--format", "json", "--output", runs / "front.json")[0] == 0
    assert [e.configuration for e in QueryTable.load(runs / "front.json").entries] == [A, C]


def test_json_of_a_front_that_the_tables_device_did_not_measure(query, runs):
    """B alone was measured, and is not on the front."""
    partial = measured(CPU, 9.0, 40.0)
    partial = replace(
        partial,
        entries=tuple(
            replace(e, latencies=(), latency_ms=None) if e.configuration == A else e for e in partial.entries
        ),
    )
    partial.save(runs / "partial.json")
    status, text = query("partial.json", "--pareto", "--format", "json")
    assert status == 0
    assert [entry["configuration"] for entry in json.loads(text)["entries"]] == [str(A), str(C)]


def test_text_in_a_file_does_not_depend_on_the_terminal(query, runs, monkeypatch):
    for columns in ("30", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert query("cpu run", "--output", runs / f"{columns}.txt") == (0, "")
    assert (runs / "30.txt").read_text() == (runs / "200.txt").read_text()
    assert "\x1b" not in (runs / "30.txt").read_text()


def test_a_terminal_without_unicode(runs, monkeypatch):
    """Boxes are then drawn in ASCII."""
    code = f"from mutualnet3d.commands.query import main; main([{str(runs / 'plain.json')!r}])"
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "| width |" in done.stdout


def test_the_script_needs_no_torch(runs):
    root = Path(mn.__file__).resolve().parents[1]
    code = f"import runpy, sys; sys.argv = ['query', {str(runs / 'plain.json')!r}]\n"
    code += f"try: runpy.run_path({str(root / 'tools' / 'query_net.py')!r}, run_name='__main__')\n"
    code += "except SystemExit as end: assert not end.code\n"
    code += "assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "query table: 3 configurations" in done.stdout


def test_a_table_is_kept(runs):
    before = (runs / "plain.json").read_bytes()
    assert main([str(runs / "plain.json"), "--max-gmacs", "60", "--output", str(runs / "plain.json")]) == 1
    assert (runs / "plain.json").read_bytes() == before


def test_the_named_cost_is_a_budget_that_does(tmp_path):
    exact = QueryTable((Entry(A, 0.000950048, 30.0, 60.0),), "top1", {})
    with pytest.raises(mn.BudgetError) as raised:
        exact.best(max_gmacs=0.00095)
    named = re.search(r"cheapest is \S+ at (\S+) GMACs", str(raised.value))[1]
    assert exact.best(max_gmacs=float(named)).configuration == A
    exact.save(tmp_path / "table.json")
    (tmp_path / "table.json").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "table.json").read_bytes())  # an editor's mark
    assert QueryTable.load(tmp_path / "table.json") == exact
