"""Other work for the processor, on purpose: processes that compute and do nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

# A worker ends with the process that it was made for.
_WORKER = "import os\nwhile os.getppid() == {parent}: sum(range(100_000))"


class BusyProcesses:
    """Processes that keep one core busy each, for as long as the body runs. A context manager."""

    def __init__(self) -> None:
        self._running: list[subprocess.Popen] = []

    def __len__(self) -> int:
        return len(self._running)

    def set(self, count: int) -> None:
        """Let ``count`` processes run from now on."""
        while len(self._running) > count:
            process = self._running.pop()
            process.kill()
            process.wait()
        while len(self._running) < count:
            code = _WORKER.format(parent=os.getpid())
            # A session of its own: Ctrl-C is the demo's matter.
            process = subprocess.Popen(
                [sys.executable, "-S", "-c", code], stderr=subprocess.DEVNULL, start_new_session=True
            )
            self._running.append(process)

    def __enter__(self) -> BusyProcesses:
        return self

    def __exit__(self, *exception: object) -> None:
        self.set(0)
