"""The query table as CSV, Markdown and a table in the terminal."""

import csv
import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

import mutualnet3d as mn
from mutualnet3d.errors import BudgetError
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.query_table.file import to_json
from mutualnet3d.query_table.text import milliseconds, to_csv, to_markdown
from mutualnet3d.summary import print_entry, print_table

CPU, GPU, ODD = "AMD EPYC, openvino float32, 2 threads, batch 1", "Größe | 3 [bold]", 'the "best"\\'


def table(devices=(CPU, GPU, ODD), top5=90.0, image=False):
    rows = ((0.63, 142, 3, 1 / 3, 60.0), (0.8, 178, 5, 2.0, 59.0), (1.0, 224, 8, 54.5, 70.0))
    entries = []
    for number, (width, spatial, temporal, gmacs, accuracy) in enumerate(rows, start=1):
        latencies = tuple(
            (label, 100.5 / 3 ** (number - n)) for n, label in enumerate(devices) if (number, n) != (2, 1)
        )
        configuration = mn.Configuration(width, spatial, None if image else temporal)
        entries.append(Entry(configuration, gmacs, 30 * width, accuracy, top5, None, latencies))
    return QueryTable(tuple(entries), "top1")


def rendered(show, width):
    console = Console(file=io.StringIO(), width=width)
    show(console)
    return console.file.getvalue()


class TestCsv:
    def test_it_is_exact(self):
        t = table()
        rows = list(csv.DictReader(io.StringIO(to_csv(t), newline="")))
        assert len(rows) == 3
        for row, entry in zip(rows, t.entries, strict=True):
            c = entry.configuration
            assert mn.Configuration.parse(row["configuration"]) == c
            assert (float(row["width"]), int(row["spatial"]), int(row["temporal"])) == (c.width, c.spatial, c.temporal)
            values = [float(row[name]) for name in ("gmacs", "mparams", "top1", "top5")]
            assert values == [entry.gmacs, entry.mparams, entry.accuracy, entry.top5]
            for label in t.devices:
                value = row[f"latency_ms {label}"]
                assert (float(value) if value else None) == dict(entry.latencies).get(label)
        assert [row["pareto gmacs"] for row in rows] == ["*", "", "*"]
        assert [row[f"latency_ms {GPU}"] for row in rows].count("") == 1

    def test_what_is_unknown_is_empty(self):
        (row, *_) = csv.DictReader(io.StringIO(to_csv(table((), None, image=True))))
        assert (row["temporal"], row["top5"]) == ("", "")
        assert not any("latency" in name for name in row)

    def test_latencies_of_a_device_without_a_name(self):
        t = QueryTable((Entry(mn.Configuration(1.0, 224, 8), 1.0, 2.0, 3.0, latency_ms=4.0),))
        (row,) = csv.DictReader(io.StringIO(to_csv(t)))
        assert row["latency_ms"] == "4.0"
        assert "| 4 |" in to_markdown(t)
        assert "4 ms / view" in rendered(lambda c: print_entry(t, t.entries[0], c), 80)

    def test_marks_are_those_of_the_whole_table(self):
        """The dominated entry alone is still dominated."""
        t = table()
        rows = list(csv.DictReader(io.StringIO(to_csv(t, t.entries[1:2]))))
        assert [row["pareto gmacs"] for row in rows] == [""]
        rows = list(csv.DictReader(io.StringIO(to_csv(t.on(CPU), cost="latency_ms"))))
        assert [row["pareto latency_ms"] for row in rows] == ["", "", "*"]


class TestMarkdown:
    def test_cells(self):
        lines = to_markdown(table()).splitlines()
        cells = [re.split(r"(?<!\\) \| ", line.strip("| ")) for line in lines]
        assert cells[0][0] == "configuration"  # the first heading, of the marks, is empty
        assert lines[0].count("Größe \\| 3") == 1
        assert lines[2].startswith("| * | 0.63-142-3 | 0.3333 | 18.9 | 60.00 | 90.00 | ")
        assert lines[3].startswith("|  | 0.8-178-5 | 2 | 24 | 59.00 | 90.00 | ")
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert columns == {10}

    def test_columns_that_are_not_needed_are_left_out(self):
        assert to_markdown(table((), None)).splitlines()[0] == "|  | configuration | GMACs | Mparams | top-1 % |"


def test_map_is_written_as_people_write_it():
    t = replace(table((CPU,), None), metric="map")
    assert next(csv.reader(io.StringIO(to_csv(t))))[6] == "map"
    assert to_markdown(t).splitlines()[0].startswith("|  | configuration | GMACs | Mparams | mAP % |")
    assert "mAP %" in rendered(lambda console: print_table(t, console), 100)
    assert "  59.00 % mAP" in rendered(lambda console: print_entry(t, t.entries[1], console), 100)
    with pytest.raises(BudgetError, match=r"reaches 99 mAP"):
        t.best(min_accuracy=99)
    assert '"metric": "map"' in to_json(t)


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0, "0"), (0.77742, "0.777"), (9.996, "10"), (12.34, "12.3"), (3000, "3000.0")]
)
def test_milliseconds(value, text):
    assert milliseconds(value) == text


class TestTerminal:
    @pytest.mark.parametrize(("devices", "width"), [((CPU,), 60), ((CPU, GPU), 68), ((CPU, GPU, ODD), 80)])
    def test_every_row_is_one_line(self, devices, width):
        text = rendered(lambda console: print_table(table(devices), console), width)
        for entry in table(devices).entries:
            (line,) = [line for line in text.splitlines() if str(entry.configuration) in line]
            for _, value in entry.latencies:
                assert milliseconds(value) in line
        for label in devices:
            assert [line.endswith(f": per view on {label}") for line in text.splitlines()].count(True) == 1

    def test_nothing_is_cut_in_a_narrow_terminal(self):
        text = rendered(lambda console: print_table(table(), console), 44)
        shown = [line for line in text.splitlines() if line.startswith("│")]
        columns = zip(*[[cell.strip() for cell in line.strip("│").split("│")] for line in shown], strict=True)
        assert "…" not in text
        assert "0.63-142-30.8-178-51.0-224-8" in ["".join(column) for column in columns]

    def test_without_latencies_the_axes_have_columns(self):
        text = rendered(lambda console: print_table(table((), image=True), console), 80)
        assert "query table: 3 configurations, * on the Pareto front\n" in re.sub(" +\n", "\n", text)
        assert re.search(r"│ \* │  0\.63 │     142 │        - │", text)
        assert "ms" not in re.sub("Mparams", "", text)

    def test_selected_entries(self):
        t = table().on(CPU)
        text = rendered(lambda console: print_table(t, console, t.pareto("latency_ms"), "latency_ms"), 100)
        assert "query table: 1 of 3 configurations, * on the Pareto front of latency_ms" in text
        assert "0.8-178-5" not in text

    def test_an_entry(self):
        t = table()
        text = rendered(lambda console: print_entry(t, t.entries[1], console), 20)
        assert text.splitlines()[:4] == ["0.8-178-5", "  2 GMACs / view", "  24 Mparams", "  59.00 % top-1"]
        assert f"  11.2 ms / view ({CPU})" in text
        assert GPU not in text
