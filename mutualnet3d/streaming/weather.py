"""How busy a machine is, and how regular, from ratios of observed to expected latency."""

from __future__ import annotations

import statistics
from collections import deque

_RECENT = 15  # clips whose median is the load
_REMEMBERED, _ENOUGH = 64, 24  # clips that the spread is taken of; fewer do not speak against what was assumed
_FEW, _HARDLY_ANY = 0.94, 0.98  # quantiles: to stay at a configuration, and to take it up
_LEAST, _MOST = 1.05, 2.0  # spreads that are believed
_STEP = 1.25  # a change of the load that is noticed at once, where the spread is not larger
_UP, _DOWN = 2, 4  # clips in a row that prove one: being late costs more than being early


class Weather:
    """The load: the median ratio of the last 15 clips. The spread: what ratio to it few clips exceed.

    A step of the load, some clips in a row beyond the spread and a quarter, makes the clips before it forgotten.

    Args:
        spread: assumed until 24 clips have been seen; at least 1.
    """

    def __init__(self, spread: float):
        self._assumed = min(max(spread, _LEAST), _MOST)
        self._ratios: deque[float] = deque([1.0], maxlen=_RECENT)
        self._residuals: deque[float] = deque(maxlen=_REMEMBERED)
        self._above: list[float] = []
        self._below: list[float] = []
        self.load = 1.0

    @property
    def slow(self) -> float:
        """The ratio of observed to expected latency that few clips exceed: one in twenty."""
        return self.load * self._spread(_FEW)

    @property
    def worst(self) -> float:
        """The ratio that hardly any clip exceeds: one in fifty."""
        return self.load * self._spread(_HARDLY_ANY)

    def observe(self, ratio: float) -> None:
        """The ratio of observed to expected latency of one more clip."""
        beyond = max(self._spread(_FEW), _STEP)
        self._above = [*self._above, ratio] if ratio > self.load * beyond else []
        self._below = [*self._below, ratio] if ratio < self.load / beyond else []
        self._ratios.append(ratio)
        self._residuals.append(ratio / self.load)
        for run, enough in ((self._above, _UP), (self._below, _DOWN)):
            if len(run) == enough:
                self._step_to(run)
        self.load = statistics.median(self._ratios)

    def _step_to(self, run: list[float]) -> None:
        self._ratios = deque(run, maxlen=_RECENT)
        for _ in run:  # they say nothing about the spread around a load that stays
            self._residuals.pop()
        self._above, self._below = [], []

    def _spread(self, quantile: float) -> float:
        seen = sorted(self._residuals)
        found = seen[round(quantile * (len(seen) - 1))] if seen else 1.0
        if len(seen) < _ENOUGH:
            found = max(found, self._assumed)
        return min(max(found, _LEAST), _MOST)
