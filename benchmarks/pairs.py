"""Paired timing: what is compared runs in turns in one process, round after round, and every round gives a ratio."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

ON_CPU = ("NUM_GPUS", 0)  # overrides: the recipes are for 8 GPUs
CLOCK, PROCESSOR = "clock", "processor"  # seconds of the wall clock, and of all processors for this process


@dataclass(frozen=True)
class Ratio:
    """The median of a ratio over the rounds, and its range.

    Attributes:
        name: unique in a table; what is compared with what, in words.
        bound: what the ratio should not exceed; ``None``: it is a speed-up, or nothing was promised.
        rounds: of every call that took its turn, the seconds of every round by both clocks.
    """

    name: str
    value: float
    low: float
    high: float
    bound: float | None = None
    rounds: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)


Rounds = dict[str, dict[str, list[float]]]


def paired(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warmup: int = 1,
    twice: bool = False,
    alternate: bool = True,
) -> Rounds:
    """Run all ``calls`` in turns; seconds by both clocks of each, round by round.

    Args:
        warmup: rounds before the first that counts.
        twice: every call takes its turn twice and the second counts: it finds its own caches.
        alternate: every other round goes backwards, so that nobody always follows the same one.
    """
    times: Rounds = {name: {CLOCK: [], PROCESSOR: []} for name in calls}
    for number in range(warmup + rounds):
        order = list(calls) if not alternate or number % 2 else list(reversed(calls))
        for name in order:
            if twice:
                calls[name]()
            clock, processor = time.perf_counter(), time.process_time()
            calls[name]()
            clock, processor = time.perf_counter() - clock, time.process_time() - processor
            if number >= warmup:
                times[name][CLOCK].append(clock)
                times[name][PROCESSOR].append(processor)
    return times


def ratio_of(
    name: str, rounds: Rounds, above: str, below: str, *, clock: str = CLOCK, bound: float | None = None
) -> Ratio:
    """The ratio of the calls ``above`` and ``below``, from their times in the same rounds."""
    values = [a / b for a, b in zip(rounds[above][clock], rounds[below][clock], strict=True)]
    return Ratio(name, statistics.median(values), min(values), max(values), bound, rounds)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Run the body with ``count`` threads of torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def markdown(ratios: Sequence[Ratio]) -> str:
    """A table: a ratio a line, its range, and its bound where it has one."""
    lines = ["| what | median | lowest .. highest | at most |", "|---|---|---|---|"]
    for ratio in ratios:
        bound = "" if ratio.bound is None else f"{ratio.bound:.3f}{' (missed)' if ratio.value > ratio.bound else ''}"
        lines.append(f"| {ratio.name} | {ratio.value:.3f} | {ratio.low:.3f} .. {ratio.high:.3f} | {bound} |")
    return "\n".join(lines)


def report(ratios: Sequence[Ratio]) -> None:
    """Print the table, and below it the median time of every call."""
    print(markdown(ratios))
    seen: list[Mapping] = []
    for ratio in ratios:
        if any(ratio.rounds is rounds for rounds in seen):
            continue
        seen.append(ratio.rounds)
        for name, times in ratio.rounds.items():
            clock, processor = (1000 * statistics.median(times[key]) for key in (CLOCK, PROCESSOR))
            print(f"{name:40s} {clock:9.1f} ms on the clock, {processor:9.1f} ms of the processor", flush=True)
