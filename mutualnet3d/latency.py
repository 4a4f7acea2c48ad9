"""Latency: milliseconds per view of ready-to-run networks, and the setting in which they were measured.

What is timed is any callable, so the networks that are deployed can be: dense, folded, of whatever library.
"""

from __future__ import annotations

import platform
import random
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from mutualnet3d.device_label import is_device_label
from mutualnet3d.errors import LatencyError

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Latency:
    """Wall-clock time of one view, over ``repeats`` timed calls after ``warmup`` untimed ones.

    Attributes:
        median_ms: milliseconds per view.
        p10_ms: 10 % of the calls were at least as fast.
        p90_ms: 90 % of the calls were at least as fast.
        batch: views per call; the times are those of a call divided by it.
    """

    median_ms: float
    p10_ms: float
    p90_ms: float
    repeats: int
    warmup: int
    batch: int = 1


@dataclass(frozen=True)
class Setting:
    """Where and how a latency was measured.

    Attributes:
        device: model name of the processor or the GPU.
        backend: what runs the network: ``torch``, ``openvino``, ``onnxruntime``, ...
        precision: of the activations, for example ``float32``.
        threads: of the processor; ``None`` where they do not matter, on a GPU.
        batch: views per call.
        torch_version: of the torch that runs or exported the network.
        backend_version: of a backend other than torch.
    """

    device: str
    backend: str = "torch"
    precision: str = "float32"
    threads: int | None = None
    batch: int = 1
    torch_version: str = str(torch.__version__)
    backend_version: str | None = None

    def __post_init__(self) -> None:
        for name in ("device", "backend", "precision"):
            text = getattr(self, name)
            if not is_device_label(text):
                raise LatencyError(f"{name} {text!r} of a setting must be one line of text, without spaces around it")
        for name in ("threads", "batch"):
            if not (name == "threads" and self.threads is None):
                _check_count(name, getattr(self, name), 1)

    @classmethod
    def here(cls, device: str | torch.device = "cpu", **values: Any) -> Setting:
        """The setting of this process on ``device``; ``values`` are the fields that it cannot know.

        ``threads`` defaults to torch's on a processor: give those of another backend.
        """
        device = _check_device(device)
        if device.type == "cpu":
            values.setdefault("threads", torch.get_num_threads())
        return cls(device_name(device), **values)

    @property
    def label(self) -> str:
        """One line: ``AMD EPYC, openvino float32, 2 threads, batch 1``."""
        parts = [self.device, f"{self.backend} {self.precision}"]
        if self.threads is not None:
            parts.append(f"{self.threads} thread{'' if self.threads == 1 else 's'}")
        return ", ".join([*parts, f"batch {self.batch}"])

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def device_name(device: str | torch.device = "cpu") -> str:
    """Model name of the processor or of the CUDA GPU ``device``, for example ``AMD EPYC``."""
    device = _check_device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [" ".join(line.partition(":")[2].split()) for line in lines if line.startswith("model name")]
    return next(filter(None, names), "") or platform.processor() or platform.machine()


def measure_many(
    runs: Mapping[Key, Callable[[], object]],
    *,
    warmup: int = 3,
    repeats: int = 20,
    batch: int = 1,
    device: str | torch.device = "cpu",
) -> dict[Key, Latency]:
    """The latency of each callable, all in turns, so that no drift of the machine favours one.

    Every round runs all of them, in an order of its own. Each takes its turn twice and the second time counts: it
    finds the caches as a run that is repeated does, not as another network left them.

    Args:
        runs: each processes one batch; gradients, precision and inputs are their own matter.
        warmup: rounds before the first that counts.
        repeats: rounds that count.
        batch: views that a call processes.
        device: where it computes; a CUDA device is waited for before and after each timed call.

    Raises:
        LatencyError: there is nothing to run, a number is out of range, or the device is neither CPU nor CUDA.
    """
    for name, value, least in (("warmup", warmup, 0), ("repeats", repeats, 1), ("batch", batch, 1)):
        _check_count(name, value, least)
    device = _check_device(device)
    if not runs:
        raise LatencyError("nothing to measure: give at least one callable")
    times: dict[Key, list[float]] = {key: [] for key in runs}
    order = list(runs)
    shuffle = random.Random(0).shuffle
    for number in range(warmup + repeats):
        shuffle(order)
        for key in order:
            runs[key]()
            milliseconds = _timed(runs[key], device)
            if number >= warmup:
                times[key].append(milliseconds / batch)
    return {key: _summary(values, repeats, warmup, batch) for key, values in times.items()}


def _timed(run: Callable[[], object], device: torch.device) -> float:
    """Milliseconds of one call. Wall-clock, on a GPU too: launching its kernels is part of the latency."""
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return 1000 * (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _summary(times: list[float], repeats: int, warmup: int, batch: int) -> Latency:
    p10, median, p90 = (float(value) for value in np.percentile(times, (10, 50, 90)))
    return Latency(median, p10, p90, repeats, warmup, batch)


def _check_device(device: str | torch.device) -> torch.device:
    device = torch.device(device)
    if device.type not in ("cpu", "cuda"):
        raise LatencyError(f"device {device} is neither cpu nor cuda: its latency cannot be measured here")
    return device


def _check_count(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise LatencyError(f"{name} {value!r} must be a whole number of at least {least}")
