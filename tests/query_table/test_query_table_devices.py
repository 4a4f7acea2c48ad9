"""Latencies of several devices in one query table: joining, choosing, merging."""

import math
import random
from dataclasses import replace

import pytest
from tables import CPU, GPU, A, B, C, on_cpu, on_gpu, plain, took

import mutualnet3d as mn
from mutualnet3d.errors import BudgetError, QueryTableError
from mutualnet3d.query_table import Entry, QueryTable


class TestWithLatencies:
    def test_they_become_the_tables_own(self):
        t = on_cpu()
        assert t.devices == (CPU.label,)
        assert t.device == CPU.label
        assert [e.latency_ms for e in t.entries] == [9.0, 40.0, 80.0]
        assert t[B].latencies == ((CPU.label, 40.0),)
        assert t.best(max_latency_ms=79).configuration == B
        assert plain() == plain()
        assert [replace(e, latency_ms=None, latencies=()) for e in t.entries] == list(plain().entries)

    def test_provenance(self):
        before = plain(date="2026")
        t = before.with_latencies({A: took(9.0), B: replace(took(40.0), p90_ms=76.0)}, CPU)
        expected = CPU.to_dict() | {"repeats": 20, "warmup": 3, "largest_spread_percent": 100.0}
        assert t.provenance == before.provenance | {"latency": {CPU.label: expected}}
        assert "latency" not in before.provenance

    def test_a_second_device_and_a_second_measurement(self):
        t = on_cpu().with_latencies({A: took(2.0), B: took(3.0), C: took(4.0)}, GPU)
        assert t.devices == tuple(sorted((CPU.label, GPU.label)))
        assert [e.latency_ms for e in t.entries] == [2.0, 3.0, 4.0]
        assert [dict(e.latencies)[CPU.label] for e in t.entries] == [9.0, 40.0, 80.0]
        again = t.with_latencies({A: took(8.0)}, CPU)
        assert [e.latency_ms for e in again.entries] == [8.0, None, None]
        assert len(again[B].latencies) == 1
        assert set(again.provenance["latency"]) == {CPU.label, GPU.label}

    def test_refusals(self):
        with pytest.raises(QueryTableError, match="nothing was measured"):
            plain().with_latencies({}, CPU)
        unknown = mn.Configuration(0.7, 142, 3)
        with pytest.raises(QueryTableError, match=r"0\.7-142-3 were measured .* not in this table"):
            plain().with_latencies({unknown: took(1.0)}, CPU)
        with pytest.raises(QueryTableError, match="batches of 8, the setting says 1"):
            plain().with_latencies({A: took(1.0, batch=8)}, CPU)
        for wrong in (math.nan, math.inf, -1.0):
            with pytest.raises(QueryTableError, match="latency on Größe"):
                plain().with_latencies({A: took(wrong)}, CPU)
        assert plain().with_latencies({A: took(0.0)}, CPU)[A].latency_ms == 0.0


class TestSelect:
    def test_entries_device_and_provenance(self):
        t = on_cpu().with_latencies({A: took(2.0), C: took(4.0)}, GPU)
        narrow = t.select(c for c in (C, A, C))
        assert narrow.entries == (t[A], t[C])
        assert (narrow.device, narrow.metric, narrow.provenance) == (GPU.label, t.metric, t.provenance)
        assert t.select([A, B, C]) == t
        assert plain().select([B]) == replace(plain(), entries=(plain()[B],))

    def test_devices_that_measured_none_of_them_leave(self):
        t = on_cpu().with_latencies({A: took(2.0), C: took(4.0)}, GPU).select([B])
        assert t.devices == (CPU.label,)
        assert (t.device, t[B].latency_ms) == (CPU.label, 40.0)
        assert t.provenance == on_cpu().provenance
        nothing = on_gpu().select([B])
        assert (nothing.device, nothing.devices, nothing[B].latency_ms) == (None, (), None)
        assert nothing.provenance == plain().provenance | {"latency": {}}

    def test_latencies_of_a_device_without_a_name_stay(self):
        t = replace(plain(), entries=tuple(replace(e, latency_ms=5.0) for e in plain().entries))
        assert t.select([A]).entries == (replace(plain()[A], latency_ms=5.0),)

    def test_what_the_table_lacks_is_named(self):
        other, another = mn.Configuration(0.7, 142, 3), mn.Configuration(0.9, 142, 3)
        with pytest.raises(QueryTableError, match=r"0\.7-142-3, 0\.9-142-3 is not in .*it has 0\.63-142-3, 0\.8-178-5"):
            plain().select([A, other, another])
        with pytest.raises(QueryTableError, match="at least one entry"):
            plain().select([])


class TestMerge:
    def test_two_devices(self):
        t = QueryTable.merge([on_cpu(), on_gpu()])
        assert t.devices == tuple(sorted((CPU.label, GPU.label)))
        assert t.device is None
        assert dict(t[A].latencies) == {CPU.label: 9.0, GPU.label: 2.0}
        assert dict(t[B].latencies) == {CPU.label: 40.0}
        assert set(t.provenance["latency"]) == set(t.devices)
        assert t.best(max_gmacs=20).configuration == B
        for ask in (lambda: t.best(max_latency_ms=50), lambda: t.pareto("latency_ms")):
            with pytest.raises(QueryTableError) as caught:
                ask()
            assert all(label in str(caught.value) for label in t.devices)

    def test_the_table_of_one_device(self):
        t = QueryTable.merge([on_cpu(), on_gpu()])
        assert t.on(CPU.label).best(max_latency_ms=50).configuration == B
        gpu = t.on(GPU.label)
        assert [e.configuration for e in gpu.entries] == [A, C]  # B was not measured there
        assert gpu.best(max_latency_ms=5).configuration == C
        assert [e.configuration for e in gpu.pareto("latency_ms")] == [C]
        assert [e.configuration for e in gpu.pareto()] == [A, C]
        with pytest.raises(BudgetError, match=r"cheapest is 1\.0-224-8 at 1\.5 ms"):
            gpu.best(max_latency_ms=1.4)
        assert gpu.on(CPU.label).device == CPU.label
        with pytest.raises(QueryTableError, match=r"'a phone'; its devices: .*H100"):
            t.on("a phone")
        with pytest.raises(QueryTableError, match="its devices: none"):
            plain().on(CPU.label)

    def test_what_was_not_measured_is_named(self):
        with pytest.raises(QueryTableError, match=r"no latency_ms of 0\.8-178-5; measure them too, or choose a device"):
            on_gpu().best(max_latency_ms=5)
        assert on_gpu().on(GPU.label).best(max_latency_ms=5).configuration == C

    def test_one_device_needs_no_choice(self):
        t = QueryTable.merge([plain(), on_cpu()])
        assert t.device == CPU.label
        assert t.best(max_latency_ms=10).configuration == A

    def test_order_and_repetition_change_nothing(self):
        tables = [on_cpu(), on_gpu(), plain()]
        merged = QueryTable.merge(tables)
        assert QueryTable.merge(iter(tables[::-1])) == merged
        assert QueryTable.merge([merged, on_cpu(), merged]) == merged
        assert QueryTable.merge([on_gpu()]) == on_gpu()

    def test_a_configuration_that_one_table_lacks(self):
        some = replace(on_gpu(), entries=on_gpu().entries[::2])
        t = QueryTable.merge([some, on_cpu()])
        assert [e.configuration for e in t.entries] == [A, B, C]
        assert dict(t[B].latencies) == {CPU.label: 40.0}

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda t: replace(t, provenance=t.provenance | {"model_sha256": "0" * 64}), "model_sha256 differs: .*000"),
            (lambda t: replace(t, provenance={}), "does not say whose it is"),
            (lambda t: replace(t, provenance=t.provenance | {"space": {"width": [0.5, 1]}}), r"space differs: .*0\.5"),
            (lambda t: replace(t, metric="mAP"), "metric differs: top1 and mAP"),
            (lambda t: edited(t, accuracy=59.0), r"accuracy of 0\.63-142-3 differs: 60\.0 and 59\.0"),
            (lambda t: edited(t, top5=None), r"top5 of 0\.63-142-3 differs: 90\.0 and None"),
            (lambda t: edited(t, gmacs=3.5), r"gmacs of 0\.63-142-3 differs: 3\.4 and 3\.5"),
            (lambda t: edited(t, mparams=1), r"mparams of 0\.63-142-3 differs"),
            (lambda t: plain().with_latencies({A: took(9.5)}, CPU), r"setting of Größe .* differs|9\.0 and 9\.5"),
            (lambda t: edited(plain(), latency_ms=5.0), "name no device"),
            (lambda t: replace(t, provenance=t.provenance | {"latency": []}), "'latency' .* is not an object"),
        ],
    )
    def test_refusals(self, change, message):
        for tables in ([on_cpu(), change(on_gpu())], [on_cpu(), plain(), change(on_gpu())]):
            with pytest.raises(QueryTableError, match=message):
                QueryTable.merge(tables)

    def test_nothing_to_merge(self):
        with pytest.raises(QueryTableError, match="nothing to merge"):
            QueryTable.merge([])

    def test_two_measurements_of_one_device(self):
        """Equal settings and spreads, so the latencies themselves are compared."""
        one, other = (plain().with_latencies({A: took(value), C: took(8.0)}, CPU) for value in (4.0, 2.0))
        with pytest.raises(QueryTableError, match=r"latency of 0\.63-142-3 on Größe .* differs: 4\.0 and 2\.0"):
            QueryTable.merge([one, other])


def edited(table, **values):
    return replace(table, entries=(replace(table.entries[0], **values), *table.entries[1:]))


@pytest.mark.parametrize("seed", range(60))
def test_best_per_device_against_brute_force(seed):
    """Few different values, so that there are ties; some configurations are not measured everywhere."""
    rng = random.Random(seed)
    labels = ["one", "two, with a comma", "drei ß"][: rng.randrange(1, 4)]
    entries = []
    for number in range(rng.randrange(1, 20)):
        latencies = tuple((label, rng.randrange(1, 12) / 2) for label in labels if rng.random() < 0.8)
        cost, accuracy = rng.randrange(12), rng.randrange(15)
        entries.append(Entry(mn.Configuration(1 - number / 100, 224, 8), cost, 1, accuracy, latencies=latencies))
    t = QueryTable(tuple(entries))
    for label in t.devices:
        before = -1
        measured = [(dict(e.latencies)[label], e) for e in t.entries if label in dict(e.latencies)]
        for budget in (0.5 * step for step in range(13)):
            within = [(ms, e) for ms, e in measured if ms <= budget]
            if not within:
                with pytest.raises(BudgetError, match=f"at {min(ms for ms, _ in measured):.4g} ms"):
                    t.on(label).best(max_latency_ms=budget)
                continue
            best = t.on(label).best(max_latency_ms=budget)
            accuracy = max(e.accuracy for _, e in within)
            assert (best.accuracy, best.latency_ms) == (accuracy, min(ms for ms, e in within if e.accuracy == accuracy))
            assert best.accuracy >= before
            before = best.accuracy
        front = {(e.latency_ms, e.accuracy) for e in t.on(label).pareto("latency_ms")}
        points = {(ms, e.accuracy) for ms, e in measured}
        better = {p for p in points if any(o[0] <= p[0] and o[1] >= p[1] and o != p for o in points)}
        assert front == points - better
