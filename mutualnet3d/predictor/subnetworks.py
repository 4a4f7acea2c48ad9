"""Sub-networks that are ready to run: each built once, the least recently used ones dropped."""

from __future__ import annotations

import statistics
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.predictor.prediction import milliseconds_since

Run = Callable[..., torch.Tensor]  # views, and boxes of detection networks, to logits
_REMEMBERED = 1000  # building times kept for the report


@dataclass(frozen=True)
class SwitchingCost:
    """What building sub-networks has cost so far.

    Attributes:
        built: how many were built, those built again after they had been dropped included.
        median_ms: of building one, over the last 1000; 0.0 before the first.
        converts: whether building one converts it: onnxruntime and openvino from the directory of a run, which takes
            seconds where reading an export takes milliseconds. The times hold the conversion.
    """

    built: int
    median_ms: float
    converts: bool


class SubNetworks:
    """A bounded store of built sub-networks, for any number of threads.

    One is built at a time; threads that ask for those that are there never wait for it.

    Args:
        build: makes the runner of a configuration.
        capacity: how many are kept, at least 1.
        converts: whether ``build`` converts, for the report.
    """

    def __init__(self, build: Callable[[Configuration], Run], capacity: int, converts: bool = False):
        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
            raise ValueError(f"max_networks {capacity!r} must be a whole number of at least 1")
        self._build, self.capacity, self._converts = build, capacity, converts
        self._ready: OrderedDict[Configuration, Run] = OrderedDict()
        self._access, self._building = threading.Lock(), threading.Lock()
        self._times: deque[float] = deque(maxlen=_REMEMBERED)
        self._built = 0

    def get(self, configuration: Configuration) -> tuple[Run, float]:
        """The runner of ``configuration``, and the milliseconds that this call waited for it to be built.

        They are 0.0 where it was there. Errors of building pass; the next call tries again.
        """
        runner = self._find(configuration)
        if runner is not None:
            return runner, 0.0
        asked = time.perf_counter()
        with self._building:
            runner = self._find(configuration)  # another thread may have built it meanwhile
            if runner is None:
                started = time.perf_counter()
                runner = self._build(configuration)
                self._keep(configuration, runner, milliseconds_since(started))
        return runner, milliseconds_since(asked)

    def cost(self) -> SwitchingCost:
        """What building has cost so far."""
        with self._access:
            times = list(self._times)
            built = self._built
        return SwitchingCost(built, statistics.median(times) if times else 0.0, self._converts)

    def __len__(self) -> int:
        with self._access:
            return len(self._ready)

    def _find(self, configuration: Configuration) -> Run | None:
        with self._access:
            runner = self._ready.get(configuration)
            if runner is not None:
                self._ready.move_to_end(configuration)
            return runner

    def _keep(self, configuration: Configuration, runner: Run, milliseconds: float) -> None:
        with self._access:
            self._ready[configuration] = runner
            self._times.append(milliseconds)
            self._built += 1
            while len(self._ready) > self.capacity:
                self._ready.popitem(last=False)
