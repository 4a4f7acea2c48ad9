"""Which configuration a stream runs at: a budget that changes and a machine that others use too, in milliseconds.

Pure logic: no clock, no thread, no file. Time is whatever the caller says it is.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import BudgetError, QueryTableError
from mutualnet3d.query_table import pareto_front

_WINDOW = 3  # clips whose median is the load: one slow clip alone changes nothing
_SPREAD = 6  # clips whose second highest ratio a new choice reckons with
_LONGEST_PATIENCE = 16  # times the patience asked for


@dataclass(frozen=True)
class ExpectedLatency:
    """What one configuration is expected to take and to reach.

    Attributes:
        configuration: of the network.
        latency_ms: expected milliseconds per clip on an idle machine, above 0.
        accuracy: per cent.
    """

    configuration: Configuration
    latency_ms: float
    accuracy: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.latency_ms) and self.latency_ms > 0):
            raise QueryTableError(f"latency {self.latency_ms!r} ms of {self.configuration} must be a number above 0")


@dataclass(frozen=True)
class Switch:
    """One change of the configuration.

    Attributes:
        time_s: as the caller counted.
        before, after: configurations.
        reason: ``budget fell``, ``budget rose``, ``load rose`` or ``load fell``.
        budget_ms: at that time.
        load: observed over expected latency.
        observed_ms: latency of the last clip; None before the first.
    """

    time_s: float
    before: Configuration
    after: Configuration
    reason: str
    budget_ms: float
    load: float
    observed_ms: float | None


class BudgetGovernor:
    """Keeps the latency of clips within a budget, with the most accurate configuration that allows it.

    The load is the median of the last 3 ratios of observed to expected latency. It moves down as soon as load x
    expected latency exceeds the budget, or a lower budget leaves no margin; up only when a more accurate configuration
    has been predicted to stay a margin below the budget for ``patience`` clips in a row. What it moves to must leave
    that margin at the second highest of the last 6 ratios: on a machine that is shared the load comes and goes.

    Where a rise has to be taken back soon after, the machine is not what the expectation says: the next rise waits
    twice as long, up to 16 times, until one lasts or the budget rises.

    Args:
        points: expected latencies and accuracies; only their Pareto front is used.
        budget_ms: per clip.
        margin: fraction of the budget that a newly chosen configuration leaves free, in [0, 1).
        patience: clips before a rise, at least 1.

    Raises:
        BudgetError: the budget is not a number above 0.
        QueryTableError: no points.
    """

    def __init__(self, points: Sequence[ExpectedLatency], budget_ms: float, margin: float = 0.1, patience: int = 4):
        if not 0 <= margin < 1 or patience < 1:
            raise ValueError(f"margin {margin} must lie in [0, 1) and patience {patience} must be at least 1")
        self.front: tuple[ExpectedLatency, ...] = tuple(pareto_front(points, "latency_ms"))
        if not self.front:
            raise QueryTableError("a governor needs at least one configuration with a latency")
        self._margin, self._base_patience, self._patience = margin, patience, patience
        self._budget = _checked(budget_ms)
        self._ratios = deque([1.0] * _SPREAD, maxlen=_SPREAD)
        self._observed: float | None = None
        self._rising: deque[int] = deque(maxlen=patience)
        self._probation = 0  # clips left in which a fall takes the last rise back
        self._at = self._best_fitting()
        self._budget_at_switch = self._budget
        self.switches: list[Switch] = []

    @property
    def configuration(self) -> Configuration:
        """What the next clip should run at."""
        return self.front[self._at].configuration

    @property
    def position(self) -> int:
        """Of the current configuration on the front; 0 is the cheapest."""
        return self._at

    @property
    def budget_ms(self) -> float:
        """Milliseconds per clip."""
        return self._budget

    @property
    def load(self) -> float:
        """Observed over expected latency: 1 on an idle machine, 2 where everything takes twice as long."""
        return statistics.median(list(self._ratios)[-_WINDOW:])

    @property
    def predicted_ms(self) -> float:
        """Latency of the next clip as far as can be told."""
        return self.load * self.front[self._at].latency_ms

    @property
    def out_of_reach(self) -> bool:
        """Whether even the cheapest configuration is predicted to exceed the budget; it runs all the same."""
        return self.load * self.front[0].latency_ms > self._budget

    def set_budget(self, time_s: float, budget_ms: float) -> Switch | None:
        """A new budget from now on; the switch down that it calls for, if any. A rise comes with the clips."""
        before, self._budget = self._budget, _checked(budget_ms)
        if self._budget > before:
            self._reset_patience(self._base_patience)
        if self._budget < before and self._best_fitting() < self._at:
            return self._fall(time_s, "budget fell")
        return None

    def observe(self, time_s: float, latency_ms: float) -> Switch | None:
        """The latency of a clip at the current configuration; the switch that it calls for, if any.

        Raises:
            ValueError: the latency is not a number above 0.
        """
        if not (math.isfinite(latency_ms) and latency_ms > 0):
            raise ValueError(f"an observed latency of {latency_ms!r} ms is not a number above 0")
        self._observed = latency_ms
        self._ratios.append(latency_ms / self.front[self._at].latency_ms)
        taken_back, self._probation = self._probation > 0, max(self._probation - 1, 0)
        if self.predicted_ms > self._budget:
            if taken_back and self._at > 0:
                self._reset_patience(min(2 * self._patience, _LONGEST_PATIENCE * self._base_patience))
            return self._fall(time_s, "load rose")
        if taken_back and self._probation == 0:
            self._reset_patience(self._base_patience)
        return self._rise(time_s)

    def _fall(self, time_s: float, reason: str) -> Switch | None:
        self._rising.clear()
        self._probation = 0
        return self._switch(time_s, self._best_fitting(), reason)

    def _rise(self, time_s: float) -> Switch | None:
        target = self._best_fitting()
        if target <= self._at:
            self._rising.clear()
            return None
        self._rising.append(target)
        if len(self._rising) < self._patience:
            return None
        target = min(self._rising)
        self._rising.clear()
        self._probation = 2 * self._patience
        return self._switch(time_s, target, "budget rose" if self._budget > self._budget_at_switch else "load fell")

    def _switch(self, time_s: float, target: int, reason: str) -> Switch | None:
        if target == self._at:
            return None
        before, self._at = self.configuration, target
        self._budget_at_switch = self._budget
        switch = Switch(time_s, before, self.configuration, reason, self._budget, self.load, self._observed)
        self.switches.append(switch)
        return switch

    def _best_fitting(self) -> int:
        """The most accurate point that leaves the margin in the bad moments of late; the cheapest if none does."""
        load = max(self.load, sorted(self._ratios)[-2])
        allowed = (1 - self._margin) * self._budget
        return max((i for i, p in enumerate(self.front) if load * p.latency_ms <= allowed), default=0)

    def _reset_patience(self, patience: int) -> None:
        self._patience = patience
        self._rising = deque(self._rising, maxlen=patience)


def _checked(budget_ms: float) -> float:
    if isinstance(budget_ms, bool) or not isinstance(budget_ms, (int, float)) or not 0 < budget_ms < math.inf:
        raise BudgetError(f"a budget of {budget_ms!r} ms per clip is not a number above 0")
    return float(budget_ms)
