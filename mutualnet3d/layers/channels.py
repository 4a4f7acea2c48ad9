"""Channel algebra: which channels of a layer are active at a width.

A channel dimension is an ordered list of segments, each slimmable or fixed::

    Channels.slim(256) + Channels.fixed(64)      # Slow features, then the Fast pathway's

At a width every slimmable segment keeps its first channels and every fixed one keeps all; everything that slices a
weight asks :meth:`Channels.narrow`. Widths here are relative to the layer's own size: 1.0 is all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


def make_divisible(value: float, divisor: int) -> int:
    """``value`` rounded to a multiple of ``divisor``, at least ``divisor``, never more than 10 % below ``value``."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


@dataclass(frozen=True)
class Segment:
    """``size`` neighbouring channels. A slimmable one keeps ``multiple * make_divisible(size / multiple * width)``."""

    size: int
    slimmable: bool
    divisor: int = 8
    multiple: int = 1

    def __post_init__(self) -> None:
        if min(self.size, self.divisor, self.multiple) < 1:
            raise ValueError(f"{self} must have a size, divisor and multiple of at least 1")
        if self.size % self.multiple:
            raise ValueError(f"{self.size} channels are not a multiple of {self.multiple}; choose a multiple of it")

    def active(self, width: float) -> int:
        if not 0 < width <= 1:
            raise ValueError(f"width {width} must be in (0, 1]: it is relative to the layer's {self.size} channels")
        if not self.slimmable or width == 1:
            return self.size
        base = self.size // self.multiple
        return self.multiple * min(base, make_divisible(base * width, self.divisor))


@dataclass(frozen=True)
class Channels:
    """An ordered sequence of segments; ``+`` concatenates as ``torch.cat`` does along the channel axis."""

    segments: tuple[Segment, ...]

    @classmethod
    def slim(cls, size: int, *, divisor: int = 8, multiple: int = 1) -> Channels:
        """``size`` slimmable channels; ``multiple=6`` makes the active count 6 x that of ``size / 6`` channels."""
        return cls((Segment(size, True, divisor, multiple),))

    @classmethod
    def fixed(cls, size: int) -> Channels:
        """``size`` channels that are active at every width."""
        return cls((Segment(size, False),))

    def __add__(self, other: Channels) -> Channels:
        return Channels(self.segments + other.segments)

    @property
    def size(self) -> int:
        """All channels: the size of the tensor dimension at width 1."""
        return sum(segment.size for segment in self.segments)

    def active(self, width: float) -> tuple[int, ...]:
        """Active channels of each segment at ``width``."""
        return tuple(segment.active(width) for segment in self.segments)

    def count(self, width: float) -> int:
        """Active channels in all."""
        return sum(self.active(width))

    def ranges(self, width: float) -> tuple[tuple[int, int], ...]:
        """Active channels as (start, stop) ranges, neighbouring ranges joined."""
        ranges: list[tuple[int, int]] = []
        start = 0
        for segment, active in zip(self.segments, self.active(width), strict=True):
            if ranges and ranges[-1][1] == start:
                ranges[-1] = (ranges[-1][0], start + active)
            else:
                ranges.append((start, start + active))
            start += segment.size
        return tuple(ranges)

    def narrow(self, tensor: torch.Tensor, dim: int, width: float) -> torch.Tensor:
        """The active part of ``tensor`` along ``dim``: a view where it is one range, else a concatenation."""
        if width == 1:
            return tensor
        parts = [tensor.narrow(dim, start, stop - start) for start, stop in self.ranges(width)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim)
