"""How far long work has come: a bar in a terminal, a line a minute in files and pipes.

It is shown where :func:`mutualnet3d.logs.setup_logging` sent this package's messages: of several processes by the first
alone, and not at all in programs that never called it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from mutualnet3d.logs import TerminalHandler

Item = TypeVar("Item")
LINE_EVERY_S = 60.0
DRAW_EVERY_S = 0.2
NARROW = 72  # columns; below, there is room for words alone
_logger = logging.getLogger(__name__)


class Steps:
    """Work of ``total`` steps, of which :meth:`advance` says that they are done.

    Args:
        what: what is done, such as ``testing``.
        unit: of the steps, plural.
        done: steps that were done before.
        lines: whether the log gets a line every ``LINE_EVERY_S`` seconds.
        console: where the bar is drawn; None = nowhere.
    """

    def __init__(self, what: str, total: int, unit: str, done: int, lines: bool, console: Console | None):
        self.what, self.total, self.unit, self.done = what, total, unit, done
        self._before, self._start, self._lines = done, time.perf_counter(), lines
        self._said = self._drawn = self._start
        self._bar: Progress | None = None
        if console is not None:
            # Drawn by advance(), not by a thread: data loaders fork, and a fork would copy the locks that it holds.
            columns = _columns(console.width, unit)
            self._bar = Progress(*columns, console=console, auto_refresh=False, transient=True)
            self._task = self._bar.add_task(what, total=total, completed=done, note="")

    @property
    def rate(self) -> float:
        """Steps per second, 0 before the first."""
        return (self.done - self._before) / max(time.perf_counter() - self._start, 1e-9)

    @property
    def seconds_left(self) -> float:
        """At this rate; infinite before the first step."""
        return (self.total - self.done) / self.rate if self.rate else math.inf

    def advance(self, steps: int = 1, note: str = "") -> None:
        """``steps`` more are done; ``note`` says something of the last one."""
        self.done += steps
        now = time.perf_counter()
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, note=note)
            if now - self._drawn >= DRAW_EVERY_S:
                self._drawn = now
                self._bar.refresh()
        if self._lines and now - self._said >= LINE_EVERY_S and self.done < self.total:
            self._said = now
            _logger.info(
                "%s: %d of %d %s, %.3g/s, left %s",
                *(self.what, self.done, self.total, self.unit, self.rate, duration(self.seconds_left)),
            )

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """``items``, each a step that is done when the next one is asked for."""
        for item in items:
            yield item
            self.advance()

    @contextlib.contextmanager
    def _shown(self) -> Iterator[Steps]:
        with self._bar or contextlib.nullcontext():
            yield self


def show_progress(
    what: str, total: int, unit: str, *, done: int = 0, lines: bool = True
) -> contextlib.AbstractContextManager[Steps]:
    """Show, while the body runs, how many of ``total`` steps are done, their rate and the time left.

    Bodies must not be nested. Arguments: see :class:`Steps`.
    """
    return Steps(what, total, unit, done, lines, _terminal())._shown()


def duration(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    if not math.isfinite(seconds):
        return "?"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _terminal() -> Console | None:
    """The terminal that this package's messages go to, if they do."""
    logger = logging.getLogger("mutualnet3d")
    speaks = logger.isEnabledFor(logging.INFO) and any(isinstance(h, TerminalHandler) for h in logger.handlers)
    if not (speaks and sys.stdout.isatty()) or os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        return None
    return Console(file=sys.stdout)


class _Pace(ProgressColumn):
    """``12.3/s, left 1:02``"""

    def __init__(self, unit: str):
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        rate = f"{task.speed:.3g}" if task.speed else "?"
        left = duration(math.inf if task.time_remaining is None else task.time_remaining)
        return Text(f"{rate} {self.unit}/s, left {left}", no_wrap=True, overflow="ellipsis")


def _columns(width: int, unit: str) -> list[ProgressColumn]:
    name = TextColumn("{task.description}", markup=False)
    count = TextColumn("{task.completed:.0f}/{task.total:.0f}", markup=False)
    if width < NARROW:
        return [name, count]
    return [name, BarColumn(bar_width=None), count, _Pace(unit), TextColumn("{task.fields[note]}", markup=False)]
