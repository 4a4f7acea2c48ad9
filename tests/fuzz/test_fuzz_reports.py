"""Test scores and run folders of unknown origin; what their names may do in the report."""

import html.parser
import io
import json
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutualnet3d.commands.report import main as report_net
from mutualnet3d.errors import DataError
from mutualnet3d.evaluation.result import load_scores
from mutualnet3d.visualization import write_report
from mutualnet3d.visualization.run_folder import read_run
from mutualnet3d.visualization.training_log import read_training_log
from tests.fuzz.fuzzing import examples, only_our_errors, spoiled_bytes, spoiled_values
from tests.visualization.run_files import train_line, write_run

JSON_FILES = ("query_table.json", "test_results.json", "log.jsonl")
NASTY = (
    '<script>alert("1")</script>',
    "\"'><img src=x onerror=alert(1)>",
    "javascript:alert(1)&lt;b&gt;{{7*7}}${x}\x1b[31m",
)


@pytest.fixture(scope="session")
def whole(folder, tiny_data) -> Path:
    return write_run(folder / "whole", tiny_data, latency=True)


@pytest.fixture(scope="session")
def arrays(whole) -> dict:
    with np.load(whole / "test_scores.npz") as file:
        return {name: file[name] for name in file.files}


def copy_of(whole: Path) -> Path:
    place = whole.parent / "spoiled"
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(whole, place))


@examples(60)
@given(data=st.data())
def test_scores_of_other_bytes(folder, whole, data):
    path = folder / "scores.npz"
    path.write_bytes(data.draw(spoiled_bytes((whole / "test_scores.npz").read_bytes())))
    with only_our_errors("scores.npz"):
        load_scores(path)


@examples(60)
@given(data=st.data())
def test_scores_of_other_arrays(whole, arrays, data):
    place = copy_of(whole)
    values = dict(arrays)
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from(sorted(values)))
        edit = data.draw(st.sampled_from(("remove", "cut", "type", "shape", "value", "value")))
        array = values.pop(name)
        if name == "facts" and edit != "remove":
            values[name] = np.array(json.dumps(data.draw(spoiled_values(json.loads(str(array))))))
        elif edit == "cut":
            values[name] = array[:-1] if array.ndim else array
        elif edit == "type":
            values[name] = array.astype(data.draw(st.sampled_from(["U9", "S9", "U3"])))
        elif edit == "shape":
            values[name] = array[None] if data.draw(st.booleans()) else array.reshape(-1)
        elif edit == "value" and array.dtype.kind in "fi" and array.size:
            values[name] = array.copy()
            values[name].flat[0] = data.draw(
                st.sampled_from([-1, 3, 100] + [np.nan, np.inf] * (array.dtype.kind == "f"))
            )
    np.savez(place / "test_scores.npz", **values)
    with only_our_errors():
        read_run(place)
        accuracies = load_scores(place / "test_scores.npz").accuracies()
        assert all(0 <= each.top1 <= 100 for each in accuracies.values())


def test_scores_with_pickled_objects_are_refused(tmp_path, arrays):
    trace = tmp_path / "ran"

    class Malicious:
        def __reduce__(self):
            return Path.touch, (trace,)

    path = tmp_path / "a.npz"
    np.savez(path, **(arrays | {"paths": np.array([Malicious()], dtype=object)}))
    with pytest.raises(DataError, match=r"a\.npz: cannot be read.*allow_pickle"):
        load_scores(path)
    assert not trace.exists()


def test_scores_that_unpack_to_more_than_they_weigh(tmp_path, arrays):
    path, file = tmp_path / "a.npz", io.BytesIO()
    np.save(file, np.zeros(50_000_000, np.uint8))
    np.savez_compressed(path, **arrays)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("more.npy", file.getvalue())
    with pytest.raises(DataError, match=r"a\.npz.*compressed"):
        load_scores(path)


@examples(10)
@given(data=st.data())
def test_reports_of_spoiled_folders(whole, data):
    place = copy_of(whole)
    name = data.draw(st.sampled_from([*JSON_FILES, "query_table.json", "config.yaml", "data/classes.txt"]))
    path = place / name
    if name in JSON_FILES[:2] and data.draw(st.booleans()):
        path.write_text(json.dumps(data.draw(spoiled_values(json.loads(path.read_text())))))
    elif name == "log.jsonl" and data.draw(st.booleans()):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("\n".join(json.dumps(line) for line in data.draw(spoiled_values(lines))))
    else:
        path.write_bytes(data.draw(spoiled_bytes(path.read_bytes())))
    (place / "unreadable_videos.jsonl").write_bytes(data.draw(spoiled_bytes(b'{"path": "a", "reason": "b"}\n')))
    with only_our_errors():
        page = write_report(place).read_text(encoding="utf-8")
        assert page.rstrip().endswith("</html>")


@examples(80)
@given(st.data())
def test_training_logs(folder, data):
    lines = [json.loads(train_line(1, n, 2.0)) for n in (1, 2)] + [{"type": "val", "epoch": 1, "top1": 3.0}]
    path = folder / "log.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in data.draw(spoiled_values(lines))))
    with only_our_errors(), warnings.catch_warnings():
        read_training_log(path)


@pytest.mark.parametrize("gmacs", [(1e-300, 1e300), (1e308, 1.7e308), (5e-324, 1.0), (0, 1), (1.0, 1.0 + 1e-15)])
def test_costs_that_no_chart_can_show(whole, gmacs):
    place = copy_of(whole)
    values = json.loads((place / "query_table.json").read_text())
    for entry, cost in zip(values["entries"], gmacs * 4, strict=True):
        entry["gmacs"] = cost
    (place / "query_table.json").write_text(json.dumps(values))
    with only_our_errors(place.name):
        write_report(place)


class Page(html.parser.HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def test_names_do_nothing_in_the_report(folder, tiny_data):
    """Names of classes, videos, metric, devices, data, config: shown, not obeyed."""
    plain = write_run(folder / "plain", tiny_data)
    nasty = write_run(
        folder / "nasty", tiny_data, names=NASTY, paths=[f"{name}/{n}.mp4" for n, name in enumerate((*NASTY, "d"))]
    )
    values = json.loads((nasty / "query_table.json").read_text())
    values["metric"] = NASTY[0]
    values["provenance"] |= dict.fromkeys(("architecture", "data", "date", "mutualnet3d", "crop", "videos"), NASTY[1])
    for entry in values["entries"]:
        entry["latencies"] = {"".join(c for c in NASTY[0] if c.isprintable()): 3.0}
    (nasty / "query_table.json").write_text(json.dumps(values))
    values = json.loads((plain / "query_table.json").read_text())
    (plain / "query_table.json").write_text(json.dumps(values | {"metric": NASTY[0]}))
    results = {"missing": [{"path": NASTY[0], "reason": NASTY[1]}], "per_class": {"1.0-32-4": {NASTY[1]: 50.0}}}
    (nasty / "test_results.json").write_text(json.dumps(results))
    (nasty / "unreadable_videos.jsonl").write_text(json.dumps({"path": NASTY[2], "reason": NASTY[0]}) + "\n")
    with open(nasty / "config.yaml", "a") as file:
        file.write(f"# {NASTY[0]} {NASTY[1]}\n")
    text = write_report(nasty, compare=[plain]).read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags.count("script") == 1
    assert "b" not in page.tags
    assert not [pair for pair in page.attributes if pair[0].startswith("on")]
    links = [value for name, value in page.attributes if name in ("src", "href")]
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "&lt;script&gt;" in text
    assert "{{7*7}}" in text
    others = Page(write_report(plain, compare=[nasty]).read_text(encoding="utf-8")).tags
    assert set(page.tags) <= {*others, "ul", "li"}


def test_the_report_is_written_where_it_is_asked_for(folder, tiny_data, tmp_path):
    run = write_run(folder / "outside" / "run", tiny_data, names=("../../a", "/b", "c"), paths=["../../x.mp4"] * 4)
    before = sorted(path for path in folder.rglob("*") if "pytest" not in path.name)
    assert report_net([str(run), "--output", str(tmp_path / "out" / "a.html")]) == 0
    assert sorted(path for path in folder.rglob("*") if "pytest" not in path.name) == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.html"]
    assert read_run(run).class_names == ("../../a", "/b", "c")
