"""The video of a stream: every frame with what was known when it came."""

from __future__ import annotations

from collections import deque

from mutualnet3d.query_table import QueryTable
from mutualnet3d.streaming.governor import BudgetGovernor, Switch
from mutualnet3d.streaming.overlay import Overlay
from mutualnet3d.streaming.record import Clip
from mutualnet3d.streaming.screen import Moment, Screen
from mutualnet3d.streaming.source import StreamFrame
from mutualnet3d.streaming.writer import VideoWriter

_HISTORY = 200  # clips: more than any picture has room for
_NEWS_S, _NEWS = 3.0, 2  # how long a note stays, and how many at once


class Picture:
    """Draws every frame and writes it.

    Args:
        governor: its budget, load and configuration are shown.
        table: cost and accuracy of the configurations.
        overlay: draws.
        writer: takes the frames.
    """

    def __init__(self, governor: BudgetGovernor, table: QueryTable, overlay: Overlay, writer: VideoWriter):
        self._governor, self._table, self._overlay, self._writer = governor, table, overlay, writer
        self._history: deque[Moment] = deque(maxlen=_HISTORY)
        self._notes: deque[tuple[float, str]] = deque(maxlen=_NEWS)
        self._budget = governor.budget_ms

    def clip(self, clip: Clip) -> None:
        """One more clip."""
        self._history.append(Moment(clip.latency_ms, clip.budget_ms))

    def switch(self, switch: Switch) -> None:
        """A change of the configuration, which is news."""
        self.note(switch.time_s, f"{switch.reason}: {switch.before} → {switch.after}")

    def note(self, second: float, text: str) -> None:
        """Show ``text`` from ``second`` on, for 3 seconds."""
        self._notes.append((second, text))

    def frame(self, frame: StreamFrame, clip: Clip | None) -> None:
        """Draw a frame, with the last clip so far, and write it."""
        if self._governor.budget_ms != self._budget:
            before, self._budget = self._budget, self._governor.budget_ms
            self._notes.appendleft((frame.time_s, f"budget {before:.3g} → {self._budget:.3g} ms"))
        self._writer.write(self._overlay.draw(frame.image, self._screen(frame.time_s, clip)), frame.number)

    def _screen(self, second: float, clip: Clip | None) -> Screen:
        governor = self._governor
        labels = () if clip is None else tuple((str(name), probability) for name, probability in clip.labels)
        return Screen(
            labels,
            self._table[governor.configuration],
            self._table.metric,
            governor.position,
            len(governor.front),
            governor.budget_ms,
            tuple(self._history),
            governor.load,
            governor.out_of_reach,
            tuple(text for start, text in self._notes if second - start < _NEWS_S),
        )
