"""Latencies: what is timed, in which order, per view; and the setting that they belong to."""

import dataclasses
import time

import numpy as np
import pytest
import torch

from mutualnet3d import latency
from mutualnet3d.errors import LatencyError
from mutualnet3d.latency import Latency, Setting, device_name, measure_many


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the measured callables move."""
    now = [0.0]
    monkeypatch.setattr(latency.time, "perf_counter", lambda: now[0])

    def takes(seconds):
        now[0] += seconds

    return takes


def measure(run, **options):
    return measure_many({"only": run}, **options)["only"]


def test_percentiles_of_the_calls_that_count(clock):
    """Two calls a turn, the second counts; warm-up rounds do not."""
    seconds = iter([9.0, 9.0] * 3 + [t for counted in (4.0, 1.0, 3.0, 2.0, 5.0) for t in (7.0, counted)])
    measured = measure(lambda: clock(next(seconds)), warmup=3, repeats=5, batch=4)
    assert next(seconds, None) is None
    p10, median, p90 = np.percentile([1000, 2000, 3000, 4000, 5000], (10, 50, 90)) / 4
    assert measured == Latency(median, p10, p90, repeats=5, warmup=3, batch=4)
    assert isinstance(measured.median_ms, float)
    assert hash(measured) == hash(dataclasses.replace(measured))


def test_one_repetition(clock):
    assert measure(lambda: clock(0.5), warmup=0, repeats=1) == Latency(500, 500, 500, 1, 0, 1)


def test_turns_are_interleaved(clock):
    """Each round runs each callable twice in a row, rounds in different orders."""
    calls = []
    runs = {key: lambda key=key: (calls.append(key), clock(key)) for key in (1, 2, 3, 4)}
    measured = measure_many(runs, warmup=2, repeats=10)
    assert list(measured) == [1, 2, 3, 4]
    assert {key: value.median_ms for key, value in measured.items()} == {1: 1000, 2: 2000, 3: 3000, 4: 4000}
    assert calls[::2] == calls[1::2]
    rounds = [tuple(calls[start : start + 8 : 2]) for start in range(0, len(calls), 8)]
    assert len(rounds) == 12
    assert all(sorted(each) == [1, 2, 3, 4] for each in rounds)
    assert len(set(rounds)) > 4


def test_drift_favours_nobody(clock):
    """A machine that gets ever slower: equal callables stay within a round's drift of each other."""
    speed = [1.0]

    def run():
        speed[0] *= 1.001
        clock(speed[0])

    measured = measure_many({"first": run, "last": run}, warmup=0, repeats=101)
    assert measured["first"].median_ms == pytest.approx(measured["last"].median_ms, rel=0.005)
    assert measured["first"].p90_ms > 1.2 * measured["first"].p10_ms


def test_real_time():
    measured = measure(lambda: time.sleep(0.005), warmup=0, repeats=3)
    assert 5 <= measured.p10_ms <= measured.median_ms <= measured.p90_ms < 500


def test_a_gpu_is_waited_for(monkeypatch, clock):
    """What a call leaves running is part of its time, what an earlier one left running is not."""
    running = [0.0]

    def synchronize(device):
        assert device == torch.device("cuda:1")
        clock(running[0])
        running[0] = 0.0

    def launch():
        clock(0.001)
        running[0] += 2.0

    monkeypatch.setattr(torch.cuda, "synchronize", synchronize)
    assert measure(launch, warmup=1, repeats=3, device="cuda:1").median_ms == pytest.approx(2001)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        *(({"warmup": -1}, "warmup -1"), ({"repeats": 0}, "repeats 0"), ({"repeats": True}, "repeats True")),
        *(({"batch": 0}, "batch 0"), ({"batch": 2.0}, r"batch 2\.0"), ({"device": "meta"}, "neither cpu nor cuda")),
    ],
)
def test_refused_options(values, message):
    def never():
        raise AssertionError("must not run")

    with pytest.raises(LatencyError, match=message):
        measure(never, **values)


def test_nothing_to_measure():
    with pytest.raises(LatencyError, match="at least one callable"):
        measure_many({})


def test_errors_of_a_callable_pass():
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0)


def test_labels():
    setting = Setting("AMD EPYC", "openvino", "float32", threads=2)
    assert setting.label == "AMD EPYC, openvino float32, 2 threads, batch 1"
    assert dataclasses.replace(setting, threads=1, batch=8).label == "AMD EPYC, openvino float32, 1 thread, batch 8"
    assert Setting("NVIDIA H100").label == "NVIDIA H100, torch float32, batch 1"
    assert setting.to_dict()["torch_version"] == torch.__version__
    assert type(setting.torch_version) is str


def test_here():
    setting = Setting.here(batch=4)
    assert setting.device == device_name()
    assert (setting.threads, setting.batch, setting.backend) == (torch.get_num_threads(), 4, "torch")
    assert Setting.here(backend="openvino", threads=7).threads == 7


def test_here_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU number {device.index}")
    assert Setting.here("cuda:1", precision="bfloat16").label == "GPU number 1, torch bfloat16, batch 1"


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor : 0\nmodel name\t: Some  CPU\t3000 \nmodel name : Other\n", "Some CPU 3000"),
        *(("processor : 0\n", "machine"), ("model name :\n", "machine"), (None, "machine")),
    ],
)
def test_processor_names(monkeypatch, tmp_path, cpuinfo, name):
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo)
    monkeypatch.setattr(latency, "Path", lambda _: path)
    monkeypatch.setattr(latency.platform, "processor", lambda: "")
    monkeypatch.setattr(latency.platform, "machine", lambda: "machine")
    assert device_name() == name


@pytest.mark.parametrize(
    "values",
    [
        *({"device": ""}, {"device": " CPU"}, {"device": "a\nb"}, {"device": None}, {"precision": ""}),
        *({"backend": "x\t"}, {"threads": 0}, {"threads": 1.5}, {"batch": 0}, {"batch": True}),
    ],
)
def test_wrong_settings(values):
    (name,) = values
    with pytest.raises(LatencyError, match=name):
        Setting(**{"device": "CPU", **values})
