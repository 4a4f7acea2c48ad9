"""Configurations: the operating points (width, spatial, temporal) of one weight-shared network.

Nothing here knows of layers, models or data; everything else imports it.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from dataclasses import asdict, dataclass

from mutualnet3d.errors import ConfigurationError

_TEXT = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)-(\d+)(?:-(\d+))?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Configuration:
    """One operating point.

    Args:
        width: fraction of the channels of every slimmable layer; above 1 in scaled-up spaces.
        spatial: height and width of the input in pixels, written at the training resolution.
        temporal: frames of the Slow pathway (or of the only branch), written at the training clip length;
            ``None`` for images.

    Text form, by ``str`` and :meth:`parse`: ``0.63-142-3``, for images ``0.63-160``.
    """

    width: float
    spatial: int
    temporal: int | None = None

    def __post_init__(self) -> None:
        try:
            if any(isinstance(value, (bool, str, bytes)) for value in (self.width, self.spatial, self.temporal)):
                raise TypeError("truth values and texts are no numbers")
            object.__setattr__(self, "width", float(self.width))
            object.__setattr__(self, "spatial", operator.index(self.spatial))
            if self.temporal is not None:
                object.__setattr__(self, "temporal", operator.index(self.temporal))
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigurationError(
                f"a configuration is (float width, int spatial, int temporal or None), got "
                f"({self.width!r}, {self.spatial!r}, {self.temporal!r}): {error}"
            ) from error
        if not (math.isfinite(self.width) and self.width > 0):
            raise ConfigurationError(f"width {self.width} must be a finite number above 0")
        if self.spatial < 1 or (self.temporal is not None and self.temporal < 1):
            raise ConfigurationError(f"spatial {self.spatial} and temporal {self.temporal} must be at least 1")

    def __str__(self) -> str:
        parts = [repr(self.width), str(self.spatial)]
        return "-".join(parts if self.temporal is None else [*parts, str(self.temporal)])

    @classmethod
    def parse(cls, text: str) -> Configuration:
        """The configuration that ``text`` (``0.63-142-3`` or ``0.63-160``) names.

        Raises:
            ConfigurationError: it is written otherwise, or a part is not above 0.
        """
        match = _TEXT.fullmatch(str(text).strip())
        if match is None:
            raise ConfigurationError(
                f"{str(text)[:60]!r} is not width-spatial-temporal (0.63-142-3) or width-spatial (0.63-160)"
            )
        width, spatial, temporal = match.groups()
        try:
            return cls(float(width), int(spatial), None if temporal is None else int(temporal))
        except ValueError as error:  # a ConfigurationError, or more digits than Python reads
            raise ConfigurationError(f"{str(text)[:60]!r}: {error}") from error


@dataclass(frozen=True)
class ConfigurationSpace:
    """The configurations that one network is trained for.

    Args:
        width: (lowest, highest) width; training draws any width between them.
        spatial: allowed sizes in pixels, ascending; the last is the training crop.
        temporal: allowed lengths in frames, ascending; the last is the training length; ``None`` for images.
        divisor: active channels are rounded to multiples of it.

    Raises:
        ConfigurationError: a range or list is empty, unordered or not positive.
    """

    width: tuple[float, float]
    spatial: tuple[int, ...]
    temporal: tuple[int, ...] | None = None
    divisor: int = 8

    def __post_init__(self) -> None:
        try:
            low, high = (float(value) for value in self.width)
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigurationError(f"width {self.width!r} must be a pair (lowest, highest)") from error
        object.__setattr__(self, "width", (low, high))
        object.__setattr__(self, "spatial", _ascending("spatial", self.spatial))
        if self.temporal is not None:
            object.__setattr__(self, "temporal", _ascending("temporal", self.temporal))
        if not 0 < low <= high < math.inf:
            raise ConfigurationError(f"width range ({low}, {high}) must satisfy 0 < lowest <= highest")
        if isinstance(self.divisor, bool) or not isinstance(self.divisor, int) or self.divisor < 1:
            raise ConfigurationError(f"divisor {self.divisor!r} must be an integer of at least 1")

    @property
    def full(self) -> Configuration:
        """The configuration with every axis at its maximum."""
        return Configuration(self.width[1], self.spatial[-1], self.temporal[-1] if self.temporal else None)

    @property
    def smallest(self) -> Configuration:
        """The configuration with every axis at its minimum."""
        return Configuration(self.width[0], self.spatial[0], self.temporal[0] if self.temporal else None)

    def grid(self, widths: tuple[float, ...] | None = None) -> tuple[Configuration, ...]:
        """Every combination of ``widths`` x spatial x temporal, from smallest to full.

        ``widths`` defaults to the lowest, the middle (two decimals) and the highest of the range.

        Raises:
            ConfigurationError: a width lies outside the range.
        """
        if not widths:
            low, high = self.width
            middle = round((low + high) / 2, 2)
            widths = (low, middle, high) if low < middle < high else (low, high)
        grid = itertools.product(sorted(set(widths)), self.spatial, self.temporal or (None,))
        return tuple(self.check(Configuration(*axes)) for axes in grid)

    def check(self, configuration: Configuration) -> Configuration:
        """``configuration`` itself, or ConfigurationError saying which axis lies outside the space."""
        if not isinstance(configuration, Configuration):
            raise ConfigurationError(
                f"expected a Configuration, got {configuration!r}; texts are read by Configuration.parse"
            )
        low, high = self.width
        if not low <= configuration.width <= high:
            raise ConfigurationError(
                f"width {configuration.width} of {configuration} is outside the trained range [{low}, {high}]: "
                "a network collapses at widths it was not trained for; choose one inside"
            )
        if configuration.spatial not in self.spatial:
            raise ConfigurationError(
                f"spatial {configuration.spatial} of {configuration} is not one of the trained {list(self.spatial)}"
            )
        if (configuration.temporal is None) != (self.temporal is None):
            kind = "images have no temporal part" if self.temporal is None else f"choose one of {list(self.temporal)}"
            raise ConfigurationError(f"temporal {configuration.temporal} of {configuration} does not fit: {kind}")
        if self.temporal is not None and configuration.temporal not in self.temporal:
            raise ConfigurationError(
                f"temporal {configuration.temporal} of {configuration} is not one of the trained {list(self.temporal)}"
            )
        return configuration

    def scaled_size(self, configuration: Configuration, size: int) -> int:
        """Pixels of a side of ``size`` pixels at ``configuration``: ``round_even(size * spatial / full spatial)``."""
        if configuration.spatial == self.spatial[-1]:
            return size
        return round_even(size * configuration.spatial / self.spatial[-1])

    def scaled_length(self, configuration: Configuration, frames: int) -> int:
        """Frames kept of ``frames`` at ``configuration``: ``max(1, round(frames * temporal / full temporal))``."""
        if self.temporal is None or configuration.temporal is None:
            raise ConfigurationError(f"{configuration} in {self} has no temporal axis: images have no frames to scale")
        return max(1, round(frames * configuration.temporal / self.temporal[-1]))

    def to_dict(self) -> dict:
        """Plain values for JSON and checkpoints; :meth:`from_dict` reads them back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict) -> ConfigurationSpace:
        """The space that :meth:`to_dict` described.

        Raises:
            ConfigurationError: a value is missing, of another type, or out of bounds.
        """
        try:
            temporal = values["temporal"]
            temporal = None if temporal is None else tuple(temporal)
            return cls(tuple(values["width"]), tuple(values["spatial"]), temporal, values["divisor"])
        except (KeyError, TypeError) as error:
            raise ConfigurationError(f"{values!r} does not describe a ConfigurationSpace: {error!r}") from error


def frame_indices(length: int, count: int) -> tuple[int, ...]:
    """``floor(linspace(0, length - 1, count))`` in exact integers: PySlowFast's rule for keeping frames."""
    if count < 1 or length < 1:
        raise ConfigurationError(f"cannot keep {count} of {length} frames: both must be at least 1")
    if count == 1:
        return (0,)
    return tuple(i * (length - 1) // (count - 1) for i in range(count))


def round_even(value: float) -> int:
    """The nearest even integer, at least 2."""
    return max(2, 2 * round(value / 2))


def _ascending(name: str, values: tuple[int, ...]) -> tuple[int, ...]:
    try:
        values = tuple(operator.index(value) for value in values)
    except TypeError as error:
        raise ConfigurationError(f"{name} {values!r} must be a sequence of integers") from error
    if not values or values[0] < 1 or any(a >= b for a, b in itertools.pairwise(values)):
        raise ConfigurationError(f"{name} {list(values)} must be positive integers in ascending order, without repeats")
    return values
