"""Values that change at given seconds of a stream: budgets, and how many other processes keep the machine busy."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from mutualnet3d.errors import ConfigError


@dataclass(frozen=True)
class Timeline:
    """Steps (second, value), by rising second; the first at 0."""

    steps: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        seconds = [second for second, _ in self.steps]
        if not seconds or seconds[0] != 0 or any(a >= b for a, b in itertools.pairwise(seconds)):
            raise ConfigError(f"the seconds {seconds} of a schedule must start at 0 and rise")

    def at(self, second: float) -> float:
        """The value at ``second``; before 0 the first one."""
        return max((step for step in self.steps if step[0] <= second), default=self.steps[0])[1]

    @classmethod
    def parse(cls, text: str, percent_of: float | None = None, above_zero: bool = False) -> Timeline:
        """``0:80,10:40,20:80``: seconds and values; a single ``80`` holds from the start. Values are at least 0.

        Args:
            percent_of: what 100 % is, where values such as ``50%`` are allowed.
            above_zero: whether values must be above 0, as budgets must.

        Raises:
            ConfigError: the text is something else; the message says which part.
        """
        parts = [part.strip() for part in str(text).split(",")]
        if len(parts) == 1 and ":" not in parts[0]:
            parts = [f"0:{parts[0]}"]
        return cls(tuple(_step(part, percent_of, above_zero) for part in parts))


def _step(part: str, percent_of: float | None, above_zero: bool) -> tuple[float, float]:
    second, _, value = (piece.strip() for piece in part.partition(":"))
    try:
        if value.endswith("%") and percent_of is not None:
            step = float(second), float(value[:-1]) / 100 * percent_of
        else:
            step = float(second), float(value)
    except ValueError as error:
        raise ConfigError(f"{part!r} is not SECOND:VALUE, for example 10:40") from error
    if not all(math.isfinite(number) and number >= 0 for number in step):
        raise ConfigError(f"{part!r}: second and value must be numbers of at least 0")
    if above_zero and step[1] == 0:
        raise ConfigError(f"{part!r}: a budget must be above 0")
    return step
