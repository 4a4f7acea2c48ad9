"""Which configuration a stream runs at: a budget that changes and a machine that others use too, in milliseconds.

Pure logic: no clock, no thread, no file. Time is whatever the caller says it is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import BudgetError, QueryTableError
from mutualnet3d.streaming.weather import Weather

_LONGEST_PATIENCE = 16  # times the patience asked for


@dataclass(frozen=True)
class OperatingPoint:
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


def latency_front(points: Iterable[OperatingPoint]) -> tuple[OperatingPoint, ...]:
    """The points that no faster or equally fast one reaches in accuracy, by rising latency and accuracy."""
    front: list[OperatingPoint] = []
    for point in sorted(points, key=lambda p: (p.latency_ms, -p.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return tuple(front)


class BudgetGovernor:
    """Keeps the latency of clips within a budget, with the most accurate configuration that allows it.

    The load is the median of the last 9 ratios of observed to expected latency; the spread is what ratio to the load
    hardly any of the last 64 clips exceeded. Expected latency x load x spread is what a clip takes at worst. The
    governor moves down as soon as that exceeds the budget; up only when a more accurate configuration has been
    predicted to stay a margin below the budget for ``patience`` clips in a row. Two clips in a row beyond the spread
    are a step of the load: what was before it is forgotten. Where a rise has to be taken back soon after, the machine
    is not what the expectation says: the next rise waits twice as long, up to 16 times, until one lasts or the budget
    rises.

    Args:
        points: expected latencies and accuracies; only their Pareto front is used.
        budget_ms: per clip.
        spread: of the first clips, at least 1: the slowest over the median latency of a configuration.
        margin: fraction of the budget that a newly chosen configuration leaves free, in [0, 1).
        patience: clips before a rise, at least 1.

    Raises:
        BudgetError: the budget is not a number above 0.
        QueryTableError: no points.
    """

    def __init__(
        self,
        points: Sequence[OperatingPoint],
        budget_ms: float,
        spread: float = 1.1,
        margin: float = 0.05,
        patience: int = 4,
    ):
        if not (0 <= margin < 1 and patience >= 1 and 1 <= spread < math.inf):
            raise ValueError(
                f"margin {margin} must lie in [0, 1), patience {patience} and spread {spread} be at least 1"
            )
        self.front = latency_front(points)
        if not self.front:
            raise QueryTableError("a governor needs at least one configuration with a latency")
        self._margin, self._base_patience, self._patience = margin, patience, patience
        self._budget = _checked(budget_ms)
        self._weather = Weather(spread)
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
        return self._weather.load

    @property
    def predicted_ms(self) -> float:
        """Latency of the next clip, as a median."""
        return self.load * self.front[self._at].latency_ms

    @property
    def slow_ms(self) -> float:
        """Latency that one clip in twenty exceeds."""
        return self._weather.slow * self.front[self._at].latency_ms

    @property
    def out_of_reach(self) -> bool:
        """Whether even the cheapest configuration is predicted to exceed the budget; it runs all the same."""
        return self.load * self.front[0].latency_ms > self._budget

    def set_budget(self, time_s: float, budget_ms: float) -> Switch | None:
        """A new budget from now on; the switch down that it calls for, if any. A rise comes with the clips."""
        before, self._budget = self._budget, _checked(budget_ms)
        if self._budget > before:
            self._reset_patience(self._base_patience)
        if self._budget < before and self.slow_ms > self._budget:
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
        self._weather.observe(latency_ms / self.front[self._at].latency_ms)
        taken_back, self._probation = self._probation > 0, max(self._probation - 1, 0)
        if self.slow_ms > self._budget:
            if taken_back and self._at > 0:
                self._reset_patience(min(2 * self._patience, _LONGEST_PATIENCE * self._base_patience))
            return self._fall(time_s, "budget fell" if self._budget < self._budget_at_switch else "load rose")
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
        self._probation = 4 * self._base_patience
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
        """The most accurate point that leaves the margin at the present load; the cheapest if none does."""
        allowed, worst = (1 - self._margin) * self._budget, self._weather.worst
        return max((i for i, p in enumerate(self.front) if worst * p.latency_ms <= allowed), default=0)

    def _reset_patience(self, patience: int) -> None:
        self._patience = patience
        self._rising = deque(self._rising, maxlen=patience)


def _checked(budget_ms: float) -> float:
    if isinstance(budget_ms, bool) or not isinstance(budget_ms, (int, float)) or not 0 < budget_ms < math.inf:
        raise BudgetError(f"a budget of {budget_ms!r} ms per clip is not a number above 0")
    return float(budget_ms)
