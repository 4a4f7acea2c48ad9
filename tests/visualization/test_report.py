"""The report: one well-formed HTML file that asks for nothing, escapes everything and leaves nothing out."""

import base64
import hashlib
import json
import math
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from run_files import CONFIGURATIONS, write_run, write_scores
from tiny import ROOT

from mutualnet3d.commands.report import main
from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import DataError, QueryTableError
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.visualization import report, write_report
from mutualnet3d.visualization.comparison import compare_runs, distinct_names
from mutualnet3d.visualization.latencies import measured_latencies
from mutualnet3d.visualization.report_text import halfway_budget, key_configurations
from mutualnet3d.visualization.run_folder import read_run

VOID = {"meta", "link", "img", "br"}
HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Fails where tags do not close in order; collects what a page asks for, its ids, scripts and texts."""

    def __init__(self, text):
        super().__init__()
        self.open, self.asked, self.ids, self.scripts, self.texts, self.tags, self.anchors = [], [], [], 0, [], [], []
        self.handlers = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        assert len(values) == len(attributes), f"{tag}: an attribute twice"
        self.tags.append(tag)
        self.scripts += tag == "script"
        self.asked += [values[name] for name in ("src", "href", "srcset", "action", "data") if name in values]
        self.handlers += [name for name in values if name.startswith("on")]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "img":
            assert values["alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"] and self.open[-1:] != ["script"]:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def written(tiny_data, tmp_path_factory):
    """A run's folder with its report; only to be read."""
    folder = write_run(tmp_path_factory.mktemp("a run") / "run", tiny_data, latency=True)
    write_report(folder)
    return folder


@pytest.fixture
def folder(tiny_data, tmp_path):
    return write_run(tmp_path / "run", tiny_data, latency=True)


@pytest.fixture
def no_pictures(monkeypatch):
    """Charts are drawn and not written, which takes most of a report's time."""
    monkeypatch.setattr(report, "to_svg", lambda figure: b"<svg/>")


def read(folder, **options):
    return Page(write_report(folder, **options).read_text(encoding="utf-8"))


def test_whole_report(written):
    folder, text = written, (written / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert [p.name for p in folder.iterdir() if p.suffix == ".html"] == ["report.html"]
    assert len(text) < 1_000_000
    sections = ["curves", "table", "training", "classes", "videos", "unreadable", "config"]
    assert page.ids == sections
    links = [address for address in page.asked if address.startswith("#")]
    assert links == [f"#{name}" for name in sections]
    assert all(a.startswith(("#", "data:")) for a in page.asked)
    assert "url(" not in text
    assert "@import" not in text
    pictures = [a for a in page.asked if a.startswith("data:image/")]
    assert [a.split(";")[0] for a in pictures].count("data:image/svg+xml") == 4  # GMACs, ms, training, confusions
    assert [a.split(";")[0] for a in pictures].count("data:image/jpeg") == 4
    for said in ("slow: one network, 8 configurations", "2031-05-04 03:02:01 UTC", "torch 2.6.0", "green"):
        assert said in page.text
    assert read_run(folder).table.provenance["model_sha256"] in page.text
    assert "1 test videos could not be read" in page.text
    assert "gone.mp4 the file is empty" in page.text


def test_the_only_script_is_the_one_that_the_page_allows(written):
    text = (written / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.scripts == 1
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert page.handlers == []


def test_names_are_texts_never_tags(tiny_data, tmp_path, no_pictures):
    path = f'"><img src=x onerror=alert(1)>{HOSTILE}.mp4'
    folder = write_run(tmp_path / "run", tiny_data, names=(HOSTILE, "{{ 7 * 7 }}", "&amp;"), paths=[path] * 4)
    config = folder / "config.yaml"
    config.write_text(f"{config.read_text()}# {HOSTILE}\n")
    (folder / "unreadable_videos.jsonl").write_text(json.dumps({"path": HOSTILE, "reason": "\udcff"}) + "\n{cut")
    page = read(folder)
    assert page.scripts == 1
    assert page.handlers == []
    assert all(a.startswith(("#", "data:")) for a in page.asked)
    for said in (HOSTILE, "{{ 7 * 7 }}", "&amp;", path, f"# {HOSTILE}"):
        assert said in page.text
    assert "1 training videos could not be read" in page.text


def test_the_table_without_javascript_is_the_query_table(written):
    text = (written / "report.html").read_text(encoding="utf-8")
    table = QueryTable.load(written / "query_table.json")
    body = re.search(r'<section id="table">.*?<tbody>(.*?)</tbody>', text, re.DOTALL)[1]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in body.split("</tr>")[:-1]]
    assert [re.sub(r"</?code>| <span.*", "", row[1]) for row in rows] == [str(e.configuration) for e in table.entries]
    front = set(table.pareto())
    assert [row[0] == "★" for row in rows] == [entry in front for entry in table.entries]
    assert [float(row[5]) for row in rows] == [pytest.approx(e.gmacs, rel=1e-3) for e in table.entries]


def test_key_configurations_and_summary(written):
    run = read_run(written)
    full, halfway, smallest = key_configurations(run)
    assert (full.configuration, smallest.configuration) == (CONFIGURATIONS[-1], CONFIGURATIONS[0])
    budget = halfway_budget(run.table)
    assert budget == pytest.approx((0.5 * 4) ** 0.5)
    affordable = [e for e in run.table.entries if e.gmacs <= budget]
    assert run.table[halfway.configuration].accuracy == max(e.accuracy for e in affordable)
    page = Page((written / "report.html").read_text(encoding="utf-8"))
    assert "Full (1.0-32-4) reaches 100.0 % top-1 at 4 GMACs per view." in page.text
    assert "at 8x fewer." in page.text


def test_one_configuration_is_full_alone(folder, no_pictures):
    table = QueryTable.load(folder / "query_table.json")
    replace(table, entries=table.entries[-1:]).save(folder / "query_table.json")
    assert [key.role for key in key_configurations(read_run(folder))] == ["full"]
    page = read(folder)
    assert "slow: one configuration" in page.text


@pytest.mark.parametrize(
    "name", ["config.yaml", "query_table.json", "test_results.json", "test_scores.npz", "log.jsonl", "model.pyth"]
)
def test_any_file_may_be_absent_and_the_page_says_so(folder, name, no_pictures):
    (folder / name).unlink()
    page = read(folder)
    assert "notes" in page.ids
    assert f"No {name}:" in page.text


def test_trained_and_not_tested(folder, no_pictures):
    for name in ("query_table.json", "test_results.json", "test_scores.npz"):
        (folder / name).unlink()
    page = read(folder)
    assert page.ids == ["notes", "training", "unreadable", "config"]
    assert "slow: trained, not tested" in page.text
    assert "Whether test videos were unreadable is not known." in page.text


def with_devices(folder):
    """cpu measured every entry, gpu every second one."""
    table = QueryTable.load(folder / "query_table.json")
    entries = [
        replace(e, latency_ms=None, latencies=(("cpu", 2.0 + i), ("gpu", 1.0 + i))[: 1 + i % 2])
        for i, e in enumerate(table.entries)
    ]
    table = replace(table, entries=tuple(entries))
    table.save(folder / "query_table.json")
    return table


def test_latencies_of_several_devices(folder, no_pictures):
    assert [each.name for each in measured_latencies(QueryTable.load(folder / "query_table.json"))] == [""]
    cpu, gpu = measured_latencies(with_devices(folder))
    assert (cpu.name, [e.latency_ms for e in cpu.entries]) == ("cpu", [2.0 + i for i in range(8)])
    assert (gpu.name, [e.latency_ms for e in gpu.entries]) == ("gpu", [2.0, 4.0, 6.0, 8.0])
    page = read(folder)
    assert "4 configurations have no latency measured." in page.text
    assert "ms, cpu" in page.text
    bare = replace(cpu.entries[0], latency_ms=None, latencies=())
    assert measured_latencies(QueryTable((bare,))) == ()


def test_latencies_are_compared_on_the_devices_that_all_runs_have(folder, tiny_data, tmp_path):
    other = write_run(tmp_path / "other", tiny_data, latency=True)
    run, found = read_run(folder), [alt for _, alt in compare_runs(read_run(folder), [other]).figures]
    assert found == ["accuracy against GMACs", "accuracy against latency "]
    with_devices(other)
    assert [alt for _, alt in compare_runs(run, [other]).figures] == ["accuracy against GMACs"]
    with_devices(folder)
    found = [alt for _, alt in compare_runs(read_run(folder), [other]).figures]
    assert found == ["accuracy against GMACs", "accuracy against latency cpu", "accuracy against latency gpu"]


def test_comparison_of_runs(folder, tiny_data, tmp_path, no_pictures):
    other = write_run(tmp_path / "other" / "run", tiny_data)
    table = QueryTable.load(other / "query_table.json")
    dear = [replace(e, gmacs=e.gmacs + 1.6, accuracy=e.accuracy / 2) for e in table.entries]
    replace(table, entries=tuple(dear), provenance=table.provenance | {"crop": 64}).save(other / "query_table.json")
    page = read(folder, compare=[other], path=tmp_path / "compared.html")
    assert "comparison" in page.ids
    assert "other/run" in page.text
    assert "nothing fits" in page.text
    assert "Not the same test: crop differs" in page.text
    assert not (folder / "report.html").exists()
    (other / "query_table.json").unlink()
    with pytest.raises(QueryTableError, match=r"query_table\.json"):
        write_report(folder, compare=[other])
    with pytest.raises(DataError, match="has no query table to compare"):
        write_report(other, compare=[folder])


def test_runs_are_told_apart_by_as_few_folders_as_possible(tmp_path):
    a, b = tmp_path / "a" / "run", tmp_path / "b" / "run"
    assert distinct_names([a, tmp_path / "c"]) == ["run", "c"]
    assert distinct_names([a, b]) == ["a/run", "b/run"]
    assert distinct_names([a, a]) == ["run", "run (2)"]


def test_scores_of_configurations_that_the_table_does_not_have(folder, no_pictures):
    table = QueryTable.load(folder / "query_table.json")
    replace(
        table,
        entries=tuple(
            replace(e, configuration=Configuration(0.9, 32, e.configuration.temporal)) for e in table.entries[:1]
        ),
    ).save(folder / "query_table.json")
    assert "largest tested 1.0-32-4" in read(folder).text


def test_how_scores_were_joined_is_what_is_recorded_beside_them(folder, no_pictures):
    stored = np.load(folder / "test_scores.npz")
    arrays = stored["scores"], stored["labels"], stored["paths"].tolist()
    assert "per cent: the mean score" in read(folder).text
    write_scores(folder, *arrays, ensemble_method="max", views=(1, 3))
    text = read(folder).text
    assert "per cent: the highest score" in text
    assert "1 x 3 views of 4 frames" in text
    write_scores(folder, *arrays, ensemble_method=None, views=None)
    text = read(folder).text
    assert "is not recorded in test_scores.npz, so they are not shown" in text
    assert "test clips not recorded" in text


def test_command(written, tmp_path):
    page = tmp_path / "page.html"
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error::UserWarning", ROOT / "tools" / "report_net.py"),
            *(written, "--output", page, "--compare", written),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"written {page} (" in done.stdout
    assert "comparison" in Page(page.read_text(encoding="utf-8")).ids


def test_command_says_what_is_wrong(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 1
    said = capsys.readouterr()
    assert "DataError: " in said.out
    assert "no such folder; give the OUTPUT_DIR" in said.out
    with pytest.raises(SystemExit) as error:
        main([])
    assert error.value.code == 2


def test_a_browser_runs_the_page_without_complaint(written, tmp_path):
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium on PATH")
    done = subprocess.run(
        [
            *(browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"),
            *(
                "--enable-logging=stderr",
                "--virtual-time-budget=2000",
                "--dump-dom",
                (written / "report.html").as_uri(),
            ),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert ":CONSOLE" not in done.stderr
    assert done.stdout.count('<button type="button" title="sort">') == 11 + 5  # the script ran: the policy allows it


def test_one_configuration_is_within_the_halfway_budget():
    """The root of a square is not always the number: 0.112495616 would buy nothing."""
    entry = Entry(Configuration(1.0, 48, 4), 0.112495616, 1.0, 50.0)
    table = QueryTable((entry,), "map", {})
    assert math.sqrt(entry.gmacs) * math.sqrt(entry.gmacs) < entry.gmacs
    assert table.best(max_gmacs=halfway_budget(table)) == entry
