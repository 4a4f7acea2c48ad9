"""The query table: budgets, the Pareto front, the file."""

import dataclasses
import json
import math
import random

import pytest

import mutualnet3d as mn
from mutualnet3d.errors import BudgetError, QueryTableError
from mutualnet3d.query_table import Entry, QueryTable

A, B, C = (mn.Configuration(*c) for c in ((0.63, 142, 3), (0.8, 178, 5), (1.0, 224, 8)))


def table(*rows):
    """From (configuration, gmacs, accuracy[, latency])."""
    return QueryTable(tuple(Entry(c, g, 30.0, a, None, *more) for c, g, a, *more in rows))


def random_table(rng, latencies=True):
    rows = []
    for number in range(rng.randrange(1, 30)):
        # few different values, so that there are ties
        latency = [rng.randrange(1, 12) / 2] if latencies else []
        rows.append((mn.Configuration(1 - number / 100, 224, 8), rng.randrange(0, 12), rng.randrange(0, 15), *latency))
    return table(*rows)


@pytest.mark.parametrize("seed", range(200))
def test_best_against_brute_force(seed):
    """Never above the budget, nothing within it more accurate, of equals none cheaper; more budget, never less."""
    rng = random.Random(seed)
    for name, limit in (("gmacs", "max_gmacs"), ("latency_ms", "max_latency_ms")):
        t = random_table(rng, latencies=name == "latency_ms")
        cheapest = min(getattr(e, name) for e in t.entries)
        before = -1.0
        for budget in [*sorted(rng.uniform(0, 13) for _ in range(20)), cheapest, math.inf]:
            within = [e for e in t.entries if getattr(e, name) <= budget]
            if not within:
                with pytest.raises(BudgetError):
                    t.best(**{limit: budget})
                continue
            best = t.best(**{limit: budget})
            accuracy = max(e.accuracy for e in within)
            assert best in within
            assert best.accuracy == accuracy
            assert getattr(best, name) == min(getattr(e, name) for e in within if e.accuracy == accuracy)
            if budget != cheapest:
                assert best.accuracy >= before
                before = best.accuracy
        assert t.best().accuracy == max(e.accuracy for e in t.entries)


@pytest.mark.parametrize("seed", range(100))
def test_pareto_against_brute_force(seed):
    t = random_table(random.Random(seed))
    front = t.pareto()
    undominated = {
        (e.gmacs, e.accuracy)
        for e in t.entries
        if not any(
            o.gmacs <= e.gmacs and o.accuracy >= e.accuracy and (o.gmacs, o.accuracy) != (e.gmacs, e.accuracy)
            for o in t.entries
        )
    }
    assert {(e.gmacs, e.accuracy) for e in front} == undominated
    assert len(front) == len(undominated)
    assert [e.gmacs for e in front] == sorted(e.gmacs for e in front)


def test_under_the_cheapest():
    t = table((C, 54.5, 70.0), (A, 3.4, 60.0, 12.0), (B, 20.0, 66.0))
    with pytest.raises(BudgetError, match=r"at most 3\.3 GMACs.*cheapest is 0\.63-142-3 at 3\.4 GMACs"):
        t.best(max_gmacs=3.3)
    assert t.best(max_gmacs=3.4).configuration == A
    assert t.best(max_gmacs=54.4).configuration == B


def test_latency_and_two_budgets():
    t = table((A, 3.4, 60.0, 12.0), (B, 20.0, 66.0, 9.0), (C, 54.5, 70.0, 30.0))
    assert t.best(max_latency_ms=29.9).configuration == B
    with pytest.raises(BudgetError, match=r"at most 5 ms.*cheapest is 0\.8-178-5 at 9 ms"):
        t.best(max_latency_ms=5)
    assert t.best(max_gmacs=100, max_latency_ms=12).configuration == B
    assert t.best(max_gmacs=10, max_latency_ms=12).configuration == A
    with pytest.raises(BudgetError, match="within the other budgets given"):
        t.best(max_gmacs=10, max_latency_ms=10)
    for lacking, rows in (("", [(A, 3.4, 60.0)]), (r" of 0\.8-178-5", [(A, 3.4, 60.0, 12.0), (B, 20.0, 66.0)])):
        with pytest.raises(QueryTableError, match=f"has no latency_ms{lacking}; measure"):
            table(*rows).best(max_latency_ms=50)


def test_of_equals_the_cheaper_by_the_cost_that_the_budget_names():
    t = table((A, 3.0, 60.0, 20.0), (B, 4.0, 60.0, 10.0))
    assert t.best(max_gmacs=10).configuration == A
    assert t.best(max_latency_ms=50).configuration == B
    assert t.best().configuration == A


def test_of_equals_the_cheaper_where_only_some_have_a_latency():
    """Milliseconds and GMACs are never compared."""
    t = table((A, 3.0, 60.0, 20.0), (B, 4.0, 60.0))
    assert t.best().configuration == A
    assert t.best(min_accuracy=50).configuration == A


def test_minimum_accuracy():
    t = table((A, 3.4, 60.0), (B, 20.0, 66.0), (C, 54.5, 70.0))
    assert t.best(min_accuracy=0).configuration == A
    assert t.best(min_accuracy=60.5).configuration == B
    assert t.best(min_accuracy=66.0).configuration == B
    assert t.best(max_gmacs=54.5, min_accuracy=60).configuration == C
    with pytest.raises(BudgetError, match=r"reaches 80 top-1.*1\.0-224-8, reaches 70\.00"):
        t.best(min_accuracy=80)
    with pytest.raises(BudgetError, match=r"reaches 68"):
        t.best(max_gmacs=20, min_accuracy=68)


@pytest.mark.parametrize("budget", ["20", float("nan"), [3]])
def test_a_budget_that_is_no_number(budget):
    with pytest.raises(BudgetError, match="is not a number"):
        table((A, 1.0, 60.0)).best(max_gmacs=budget)


def test_look_up_and_order():
    t = table((C, 54.5, 70.0), (A, 3.4, 60.0))
    assert [e.configuration for e in t.entries] == [A, C]
    assert t[C].gmacs == 54.5
    with pytest.raises(KeyError, match=r"0\.8-178-5 is not in this table of 2"):
        t[B]


def test_round_trip_is_exact(tmp_path):
    rng = random.Random(0)
    entries = [
        Entry(mn.Configuration(1.0, 224, 8), 1 / 3, rng.random(), 200 / 3, 100 / 3, 0.1 + 0.2),
        Entry(mn.Configuration(0.63, 160), 5e-324, 1e300, 0.0),
        Entry(mn.Configuration(1 / 3, 160, 1), 7, 3, 50, latency_ms=0),
    ]
    t = QueryTable(tuple(entries), "mAP", {"views": {"temporal": 10}, "data": "Größe", "none": None, "list": [1, 2.5]})
    t.save(tmp_path / "table.json")
    assert QueryTable.load(tmp_path / "table.json") == t
    assert QueryTable.load(str(tmp_path / "table.json")).entries == t.entries
    assert [p.name for p in tmp_path.iterdir()] == ["table.json"]
    t.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "table.json").read_bytes()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("gmacs", -1), ("gmacs", math.nan), ("gmacs", None), ("gmacs", True), ("accuracy", math.inf)),
        *(("mparams", "3"), ("latency_ms", -0.5), ("top5", math.nan), ("configuration", "0.63-142-3")),
        pytest.param("gmacs", 10**400, id="gmacs-huge"),
    ],
)
def test_wrong_entries(name, value):
    with pytest.raises(QueryTableError, match=name):
        dataclasses.replace(Entry(A, 1.0, 2.0, 3.0), **{name: value})


def test_wrong_tables():
    with pytest.raises(QueryTableError, match="at least one entry"):
        QueryTable(())
    with pytest.raises(QueryTableError, match=r"0\.63-142-3 have more than one entry"):
        table((A, 1.0, 2.0), (A, 3.0, 4.0))


def _set(key, value):
    return lambda v: v.update({key: value})


def _entry(key, value):
    return lambda v: v["entries"][1].update({key: value})


MUTATIONS = {
    "other format": _set("format", "something else"),
    "no format": lambda v: v.pop("format"),
    "newer version": _set("version", 2),
    "no version": lambda v: v.pop("version"),
    "metric is no text": _set("metric", 3),
    "no provenance": lambda v: v.pop("provenance"),
    "provenance is a list": _set("provenance", []),
    "no entries": _set("entries", []),
    "entries missing": lambda v: v.pop("entries"),
    "entries are an object": _set("entries", {"0.63-142-3": {}}),
    "an entry is a number": lambda v: v["entries"].append(3),
    "an entry is a list": lambda v: v["entries"].append(["configuration"]),
    "an entry is null": lambda v: v["entries"].append(None),
    "an entry twice": lambda v: v["entries"].append(dict(v["entries"][0])),
    "an entry twice, spelled otherwise": lambda v: v["entries"].append(
        v["entries"][0] | {"configuration": "0.630-142-3"}
    ),
    "unknown key": _entry("speed", 1),
    "gmacs missing": lambda v: v["entries"][1].pop("gmacs"),
    "configuration missing": lambda v: v["entries"][1].pop("configuration"),
    "configuration is no text": _entry("configuration", 0.63),
    "configuration cannot be parsed": _entry("configuration", "0.63x142"),
    "configuration is negative": _entry("configuration", "0.63--142"),
    "gmacs is a text": _entry("gmacs", "20"),
    "gmacs is true": _entry("gmacs", True),
    "gmacs is negative": _entry("gmacs", -1),
    "gmacs is infinite": _entry("gmacs", math.inf),
    "gmacs is a huge integer": _entry("gmacs", 10**400),
    "accuracy is null": _entry("accuracy", None),
    "accuracy is nan": _entry("accuracy", math.nan),
    "latency is a list": _entry("latency_ms", [1]),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_malformed_files(tmp_path, name):
    path = tmp_path / "table.json"
    table((A, 3.4, 60.0), (B, 20.0, 66.0)).save(path)
    values = json.loads(path.read_text())
    MUTATIONS[name](values)
    path.write_text(json.dumps(values))
    with pytest.raises(QueryTableError, match=r"table\.json"):
        QueryTable.load(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"version": ' + b"9" * 5000 + b"}"],
    ids=["empty", "cut off", "list", "number", "null", "no utf-8", "deep", "huge number"],
)
def test_files_that_are_no_tables(tmp_path, content):
    path = tmp_path / "table.json"
    path.write_bytes(content)
    with pytest.raises(QueryTableError, match=r"table\.json"):
        QueryTable.load(path)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "no table.json", tmp_path):
        with pytest.raises(QueryTableError, match="cannot be read"):
            QueryTable.load(path)


def test_every_truncation_is_refused(tmp_path):
    path = tmp_path / "table.json"
    table((A, 3.4, 60.0)).save(path)
    whole = path.read_bytes().rstrip()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(QueryTableError):
            QueryTable.load(path)
