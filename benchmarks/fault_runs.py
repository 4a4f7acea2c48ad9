"""Runs for ``faults.py`` to disturb: real processes, forked from one that has imported everything, which is cheap.

Linux only: it reads /proc.
"""

import json
import logging
import math
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mutualnet3d.commands.run import main as run_net
from mutualnet3d.training import loop

TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 600.0  # seconds until a run that neither ends nor goes on is called hanging


def fork_server():
    """What starts the processes; nothing has been computed in it, so that forking is safe."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "mutualnet3d.visualization.report"])
    return context


class Started:
    """``tools/run_net.py`` with ``words`` in a process of its own; what it says goes to the file ``log``.

    Args:
        prepare: is called in the process before the run starts.
        environment: variables of the process.
    """

    def __init__(
        self,
        context,
        words: list[str],
        log: Path,
        prepare: Callable[[], None] | None = None,
        environment: dict[str, str] | None = None,
    ):
        self.log, self.used = log, 0.0
        log.write_text("")
        self.process = context.Process(target=_run, args=(words, str(log), prepare, environment or {}))
        self.process.start()
        self.pid: int = self.process.pid

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def _stat(self) -> list[str]:
        """What the system says of the process after its name, state first; nothing of one that has ended."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return []
        return [] if fields[0] == "Z" else fields

    def cpu(self) -> float:
        """Seconds of the processor so far; of a process that has ended: infinite."""
        fields = self._stat()
        if not fields:
            return math.inf
        self.used = (int(fields[11]) + int(fields[12])) / TICK
        return self.used

    def is_held(self) -> bool:
        """Whether SIGSTOP holds it."""
        return self._stat()[:1] == ["T"]

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Until ``condition``; False if the process ended before."""
        until = time.monotonic() + PATIENCE
        while not condition():
            if self.cpu() == math.inf:
                return condition()
            if time.monotonic() > until:
                raise SystemExit(f"hangs after: {self.last_line()}")
            time.sleep(0.003)
        return True

    def wait_moment(self, words: str, seconds: float) -> None:
        """Until it has said ``words`` and then computed for ``seconds`` of the processor, or has ended."""
        if self.wait_for(lambda: words in self.said()):
            before = self.cpu()
            self.wait_for(lambda: self.cpu() >= before + seconds)

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.cpu() < math.inf:
            os.kill(self.pid, number)

    def end(self) -> int:
        """Its exit status, negative for a signal."""
        self.process.join(PATIENCE)
        if self.process.exitcode is None:
            self.process.kill()
            raise SystemExit(f"hangs after: {self.last_line()}")
        return self.process.exitcode

    def last_line(self) -> str:
        return (self.said().strip().splitlines() or ["(nothing yet)"])[-1]


def _run(words: list[str], log: str, prepare: Callable[[], None] | None, environment: dict[str, str]) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.environ.update(environment)
    if prepare:
        prepare()
    raise SystemExit(run_net(words))


@dataclass(frozen=True)
class At:
    """Calls ``action`` once the run has logged ``words`` and has then computed for ``seconds`` of the processor."""

    words: str
    seconds: float
    action: Callable[[], None]

    def __call__(self) -> None:
        original, armed = logging.Logger.handle, []

        def handle(logger, record) -> None:
            original(logger, record)
            if not armed and self.words in record.getMessage():
                armed.append(True)
                signal.signal(signal.SIGPROF, lambda *_: self.action())
                signal.setitimer(signal.ITIMER_PROF, max(self.seconds, 1e-3))

        logging.Logger.handle = handle


@dataclass(frozen=True)
class Clock:
    """Writes to ``path``, for each line of the log, the seconds of the processor and the line, as JSON."""

    path: Path

    def __call__(self) -> None:
        original = logging.Logger.handle

        def handle(logger, record) -> None:
            original(logger, record)
            with open(self.path, "a") as file:
                file.write(json.dumps([time.process_time(), record.getMessage()]) + "\n")

        logging.Logger.handle = handle


def send_itself(number: int) -> None:
    os.kill(os.getpid(), number)


def kill_a_worker() -> None:
    """The first of this process's own; where there is none, the next one that is started."""
    workers = [child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()]
    if workers:
        os.kill(int(workers[0]), signal.SIGKILL)
    else:
        signal.setitimer(signal.ITIMER_PROF, 0.01)


def leave_room(room: int) -> None:
    """No file may grow beyond ``room`` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))


def give_no_memory() -> None:
    """The process gets no more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize(),) * 2)


class Writes:
    """Counts the pieces that are written of each file that appears whole or not at all.

    Args:
        kill_at: (file, piece), from 0: half of that piece is written, then the process kills itself (-9).
        counts: file to which the counts are written at the end.
    """

    def __init__(self, kill_at: tuple[int, int] | None = None, counts: Path | None = None):
        self.kill_at, self.path, self.pieces = kill_at, counts, []

    def __call__(self) -> None:
        open_handle = os.fdopen

        def fdopen(handle, *arguments, **options):
            file = open_handle(handle, *arguments, **options)
            if not os.readlink(f"/proc/self/fd/{handle}").endswith(".partial"):
                return file
            self.pieces.append(0)
            return _Counted(file, self)

        os.fdopen = fdopen

    def before_write(self, file, data) -> None:
        if self.kill_at == (len(self.pieces) - 1, self.pieces[-1]):
            file.write(bytes(data)[: len(data) // 2])
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        self.pieces[-1] += 1
        if self.path:
            self.path.write_text(json.dumps(self.pieces))


class _Counted:
    """A file whose writes are counted."""

    def __init__(self, file, writes: Writes):
        self._file, self._writes = file, writes

    def write(self, data) -> int:
        self._writes.before_write(self._file, data)
        return self._file.write(data)

    def __getattr__(self, name: str):
        return getattr(self._file, name)

    def __enter__(self) -> "_Counted":
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()


class NotANumber:
    """Makes the clips of one iteration, counted from 0 since the start of the process, not a number."""

    def __init__(self, iteration: int):
        self.left = iteration

    def __call__(self) -> None:
        original = loop.normalise

        def normalise(*arguments):
            self.left -= 1
            return original(*arguments) * (math.nan if self.left == -1 else 1)

        loop.normalise = normalise
