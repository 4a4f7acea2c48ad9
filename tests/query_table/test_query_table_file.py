"""What a query table with latencies must be: its entries, its own device, its file, the model it belongs to."""

import json
import math
from dataclasses import replace

import pytest
from tables import CPU, GPU, HASH, A, on_cpu, on_gpu, plain

from mutualnet3d.errors import QueryTableError
from mutualnet3d.query_table import Entry, QueryTable


class TestEntry:
    @pytest.mark.parametrize(
        ("latencies", "message"),
        [
            *((None, "not pairs"), (3, "not pairs"), (("label",), "not pairs"), ((("a", 1.0, 2.0),), "not pairs")),
            *(((("a", 1.0), ("a", 1.0)), "two latencies of one device"), ((("a", math.nan),), "latency on a")),
            *(((("a", -1.0),), "latency on a"), ((("a", math.inf),), "latency on a"), ((("a", True),), "latency on a")),
            *(((("a", "1"),), "latency on a"), ((("a", None),), "latency on a"), ((("", 1.0),), "device label")),
            *((((" a", 1.0),), "device label"), ((("a\nb", 1.0),), "device label"), (((1, 1.0),), "device label")),
        ],
    )
    def test_wrong_latencies(self, latencies, message):
        with pytest.raises(QueryTableError, match=message):
            Entry(A, 1.0, 2.0, 3.0, latencies=latencies)

    def test_order_does_not_matter(self):
        one, other = (Entry(A, 1, 2, 3, latencies=pairs) for pairs in ([("b", 1), ("a", 2)], (("a", 2), ("b", 1))))
        assert one == other
        assert hash(one) == hash(other)


class TestOwnDevice:
    def test_latency_ms_is_the_devices(self):
        entry = Entry(A, 1, 2, 3, None, None, (("a", 5.0), ("b", 6.0)))
        assert QueryTable((replace(entry, latency_ms=6.0),), device="b")[A].latency_ms == 6.0
        for latency, device in ((5.0, "b"), (None, "b"), (5.0, None)):
            with pytest.raises(QueryTableError, match=r"latency_ms of 0\.63-142-3 is not that of .*its devices: a; b"):
                QueryTable((replace(entry, latency_ms=latency),), device=device)
        with pytest.raises(QueryTableError, match="device 'c' has no latency here"):
            QueryTable((entry,), device="c")

    def test_an_unknown_cost(self):
        with pytest.raises(QueryTableError, match="'mparams' is not one of gmacs, latency_ms"):
            plain().pareto("mparams")


class TestFile:
    @pytest.mark.parametrize("table", [plain, on_cpu, on_gpu, lambda: QueryTable.merge([on_cpu(), on_gpu()])])
    def test_round_trip(self, table, tmp_path):
        table().save(tmp_path / "table.json")
        assert QueryTable.load(tmp_path / "table.json") == table()

    def test_it_is_readable(self, tmp_path):
        QueryTable.merge([on_cpu(), on_gpu()]).save(tmp_path / "table.json")
        values = json.loads((tmp_path / "table.json").read_text())
        assert values["entries"][0]["latencies"] == {CPU.label: 9.0, GPU.label: 2.0}
        assert "device" not in values
        assert values["version"] == 1

    def test_without_latencies_it_is_as_it_was(self, tmp_path):
        plain().save(tmp_path / "table.json")
        values = json.loads((tmp_path / "table.json").read_text())
        assert set(values) == {"format", "version", "metric", "provenance", "entries"}
        names = {"configuration", "gmacs", "mparams", "accuracy", "top5", "latency_ms"}
        assert set(values["entries"][0]) == names

    @pytest.mark.parametrize(
        "change",
        [
            *({"device": 3}, {"device": "another"}, {"latencies": None}, {"latencies": [["a", 1]]}),
            *({"latencies": {"a": "1"}}, {"latencies": {"": 1}}, {"latencies": {"a": -1}}, {"latencies": 3}),
        ],
        ids=str,
    )
    def test_malformed(self, change, tmp_path):
        path = tmp_path / "table.json"
        on_cpu().save(path)
        values = json.loads(path.read_text())
        (values if "device" in change else values["entries"][1]).update(change)
        path.write_text(json.dumps(values))
        with pytest.raises(QueryTableError, match=r"table\.json"):
            QueryTable.load(path)


class TestCheckModel:
    def test_the_tables_own(self, tmp_path):
        path = tmp_path / "model.pyth"
        path.write_bytes(b"the model")
        for model in (path, str(path), HASH, HASH.upper()):
            plain().check_model(model)

    def test_another(self, tmp_path):
        path = tmp_path / "model.pyth"
        path.write_bytes(b"another model")
        with pytest.raises(QueryTableError, match=rf"belongs to the model of SHA-256 {HASH}, not to .*model\.pyth"):
            plain().check_model(path)
        with pytest.raises(QueryTableError, match="belongs to"):
            plain().check_model("0" * 64)
        for missing in (tmp_path / "none.pyth", tmp_path):
            with pytest.raises(QueryTableError, match="cannot be read"):
                plain().check_model(missing)
        with pytest.raises(QueryTableError, match="does not say which model"):
            QueryTable(plain().entries).check_model(HASH)
