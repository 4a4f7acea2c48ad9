"""Processes that do nothing but keep cores busy: a real load, to show what a stream does about it."""

from __future__ import annotations

import subprocess
import sys

from mutualnet3d.streaming.timeline import Timeline

_SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100000))\n"


class BusyProcesses:
    """As many spinning processes as a timeline says; a context manager that ends them. They end with us in any case."""

    def __init__(self, counts: Timeline):
        self._counts = counts
        self._processes: list[subprocess.Popen] = []

    def at(self, second: float) -> None:
        """Start or end processes until there are as many as the timeline says for ``second``."""
        wanted = round(self._counts.at(second))
        while len(self._processes) < wanted:
            # In a process group of their own: Ctrl-C in the terminal is ours to handle.
            self._processes.append(subprocess.Popen([sys.executable, "-S", "-c", _SPIN], start_new_session=True))
        while len(self._processes) > wanted:
            _end(self._processes.pop())

    def __len__(self) -> int:
        return len(self._processes)

    def __enter__(self) -> BusyProcesses:
        return self

    def __exit__(self, *exception: object) -> None:
        while self._processes:
            _end(self._processes.pop())


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    process.wait()
