"""Stopping between iterations, never inside one."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator

_logger = logging.getLogger(__name__)
_PASSED_ON = 3.0  # seconds: a terminal and SLURM signal every process, and torchrun passes on to them what it gets


class StopRequest:
    """``requested`` turns true at the first Ctrl-C or SIGTERM; one more than 3 seconds later stops at once."""

    def __init__(self) -> None:
        self.requested = False
        self._since = 0.0

    def _on_signal(self, number: int, frame) -> None:
        if self.requested:
            if time.monotonic() - self._since > _PASSED_ON:
                raise KeyboardInterrupt
            return
        self.requested, self._since = True, time.monotonic()
        _logger.warning(
            "%s: stopping after this iteration; once more, after 3 seconds, stops at once", signal.Signals(number).name
        )


@contextlib.contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Collect SIGINT and SIGTERM while the body runs. Outside the main thread signals cannot be collected."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.signal(number, request._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
