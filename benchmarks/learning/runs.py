"""Training runs that are made once: each in a process of its own, taken up where it was interrupted."""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from mutualnet3d.commands.run import main
from mutualnet3d.files import write_text

ROOT = Path(__file__).resolve().parents[2]
LATE_IMPORTS = ("slowfast.models.resnet_helper", "matplotlib.backends.backend_agg")  # by functions, where needed
ALLOCATION = {  # glibc keeps freed memory: else the kernel gives every step some thousand pages anew
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
DONE = "finished.json"  # in the folder of a finished run: the command that made it


@dataclass(frozen=True)
class Run:
    """``tools/run_net.py`` with a recipe and overrides; the results go to the folder ``name`` of an output folder."""

    name: str
    recipe: Path
    words: tuple

    def folder(self, output: Path) -> Path:
        return output / self.name

    def command(self, output: Path) -> list[str]:
        words = (*self.words, "OUTPUT_DIR", self.folder(output))
        return ["--cfg", str(self.recipe), *map(str, words)]

    def is_finished(self, output: Path) -> bool:
        """Whether the run is done; SystemExit if what is done in its folder is another one."""
        path = self.folder(output) / DONE
        if not path.exists():
            return False
        made, wanted = json.loads(path.read_text(encoding="utf-8")), self.command(output)
        if made != wanted:
            differing = sorted(set(made) ^ set(wanted))
            raise SystemExit(
                f"{path.parent} holds another run ({', '.join(differing)} differ); choose another --output"
            )
        return True


def in_a_process(command: Sequence[str], folder: Path, threads: int) -> None:
    """Run tools/run_net.py; what it says goes to ``process.log`` beside its results.

    The process is one of :func:`copies`, which saves each run some seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    process = copies(threads).Process(target=_run_net, args=(list(command), folder / "process.log"))
    process.start()
    process.join()
    if process.exitcode:
        lines = (folder / "process.log").read_text(encoding="utf-8").splitlines()[-5:]
        raise SystemExit(f"{folder}: the run ended with status {process.exitcode}:\n" + "\n".join(lines))


def copies(threads: int):
    """What makes processes that are copies of one that has imported everything and done nothing."""
    os.environ |= {**ALLOCATION, **os.environ, "OMP_NUM_THREADS": str(threads)}  # read when that process begins
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mutualnet3d.commands.run", *LATE_IMPORTS])
    return context


def _run_net(command: Sequence[str], log: Path) -> None:
    """What a process of :func:`in_a_process` does."""
    with open(log, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.exit(main(command))


def finish(runs: Sequence[Run], output: Path, *, threads: int = 1, jobs: int = 1, execute=in_a_process) -> None:
    """Make the ``runs`` that are not finished, ``jobs`` at a time; the same call goes on after an interruption."""
    waiting = [run for run in runs if not run.is_finished(output)]
    print(f"{len(runs) - len(waiting)} of {len(runs)} runs are finished")

    def make(run: Run) -> None:
        start = time.perf_counter()
        execute(run.command(output), run.folder(output), threads)
        write_text(run.folder(output) / DONE, json.dumps(run.command(output)) + "\n")
        print(f"{run.name}: {time.perf_counter() - start:.0f} s", flush=True)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for made in as_completed([pool.submit(make, run) for run in waiting]):
                made.result()
        except BaseException:  # a failure or Ctrl-C: those that have not begun never do
            pool.shutdown(wait=False, cancel_futures=True)
            raise
