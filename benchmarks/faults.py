"""What each fault of the machine costs a run: struck at random moments, started again, and compared bit by bit.

    python benchmarks/faults.py [--times 8] [--minutes 30] [--seed 0] [--only "kill -9" "NaN"] [--json faults.json]

A tiny network on rendered videos is trained for 3 epochs, calibrated, and tested at 3 configurations, once undisturbed.
Then each fault strikes ``--times`` such runs at a moment drawn from the seed, measured in seconds of the processor from
the beginning of the part that it is to strike. The same command is given again, and weights, statistics, scores,
results and query table must be the bits of the undisturbed run, and no half-written file may lie about. Prints a
Markdown table; status 1 if anything was lost, or a run did not end as it should.
"""

import argparse
import itertools
import json
import math
import os
import random
import re
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests" / part) for part in ("", "faults")]

from fault_runs import (  # noqa: E402
    At,
    Clock,
    NotANumber,
    Started,
    Writes,
    fork_server,
    give_no_memory,
    kill_a_worker,
    leave_room,
    send_itself,
)
from killing import differences  # noqa: E402 - the tests' own
from tiny import OVERRIDES, RECIPE, write_data  # noqa: E402

EPOCHS, PER_EPOCH = 3, 4
SHORT = ["SOLVER.MAX_EPOCH", EPOCHS, "QUERY_TABLE.CONFIGURATIONS", ["1.0-32-4", "0.63-20-2", "0.8-32-2"]]
SHORT += ["CALIBRATION.NUM_BATCHES", 24, "TEST.BATCH_SIZE", 1]
PARTS = {  # what is said when a part begins and when it ends
    "training": (f"epoch 1/{EPOCHS} 1/", f"epoch {EPOCHS}: validation"),
    "calibration": ("calibrating", "testing"),
    "evaluation": ("testing", "report:"),
}
ENDS = {0: "finished", 1: "error", 130: "saved", -signal.SIGKILL: "killed"}
OUT_OF_MEMORY = r"ResourceError: .*(out of memory|data loading worker .* was killed)"


@dataclass
class Result:
    """One fault: how often it struck, in which part, how the runs ended, and what was lost."""

    fault: str
    times: int = 0
    struck: Counter = field(default_factory=Counter)
    ended: Counter = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def row(self) -> str:
        counts = (", ".join(f"{n} x {name}" for name, n in each.items()) for each in (self.struck, self.ended))
        return f"| {self.fault} | {self.times} | {' | '.join(counts)} | {'; '.join(self.lost) or 'nothing'} |"


class Bench:
    """An undisturbed run to compare with, and runs like it."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.rng, self.context = folder, random.Random(seed), fork_server()
        self.number = 0
        data = folder / "data"
        data.mkdir()
        write_data(data)
        self.words = [str(word) for word in ("--cfg", RECIPE, *OVERRIDES, *SHORT, "DATA.PATH_TO_DATA_DIR", data)]
        self.whole = folder / "whole"
        must_be(self.start(self.whole, prepare=Writes(counts=folder / "pieces.json")), 0)
        self.pieces = json.loads((folder / "pieces.json").read_text())
        must_be(self.start(folder / "timed", prepare=Clock(folder / "lines.json")), 0)
        lines = [json.loads(line) for line in (folder / "lines.json").read_text().splitlines()]
        at = {words: next(seconds for seconds, line in lines if words in line) for words in sum(PARTS.values(), ())}
        self.lasts = {part: at[last] - at[first] for part, (first, last) in PARTS.items()}

    def new_output(self) -> Path:
        self.number += 1
        return self.folder / f"run{self.number}"

    def start(self, output: Path, *words, prepare=None, environment=None) -> Started:
        log = output.with_name(f"{output.name}.{time.monotonic_ns()}.log")
        words = [*self.words, "OUTPUT_DIR", str(output), *map(str, words)]
        return Started(self.context, words, log, prepare, environment)

    def moment(self, *parts: str) -> tuple[str, float]:
        """Words that begin one of the ``parts``, and seconds of the processor from then on."""
        part = self.rng.choice(parts)
        return PARTS[part][0], self.rng.uniform(0, self.lasts[part])

    def struck(self, action: Callable[[], None], *parts: str, words: tuple = ()) -> tuple[Path, Started]:
        """A run in which ``action`` is called at a moment drawn from ``parts``, and where it writes."""
        output = self.new_output()
        return output, self.start(output, *words, prepare=At(*self.moment(*parts), action))

    def finish(self, output: Path) -> list[str]:
        """Give the same command again; what then differs from the undisturbed run."""
        must_be(self.start(output), 0)
        return differences(output, self.whole)


def must_be(run: Started, *codes: int, says: str = "") -> str:
    """How the run ended; SystemExit with its words if not with one of ``codes``, or without saying ``says``."""
    code = run.end()
    if code not in codes or (code == 1 and not re.search(says or "(?!)", run.said())):
        raise SystemExit(f"ended with {code}, not {codes} and {says!r}:\n{run.said()}")
    return ENDS.get(code) or f"ended by {signal.Signals(-code).name}"


def part_of(run: Started) -> str:
    """The part that a run is in, from what it has said."""
    said = run.said()
    return next((part for part, (words, _) in reversed(PARTS.items()) if words in said), "start")


def kill_in(*parts: str, number: int = signal.SIGKILL, codes: tuple[int, ...] = (-signal.SIGKILL, 0)):
    def strike(bench: Bench, result: Result) -> list[str]:
        output, run = bench.struck(partial(send_itself, number), *parts)
        result.ended[must_be(run, *codes)] += 1
        result.struck[part_of(run)] += 1
        return bench.finish(output)

    return strike


def kill_while_saving(bench: Bench, result: Result) -> list[str]:
    """In the middle of a file, each of the run's as likely as the others."""
    file = bench.rng.randrange(len(bench.pieces))
    place = (file, bench.rng.randrange(bench.pieces[file]))
    run = bench.start(output := bench.new_output(), prepare=Writes(place))
    result.ended[must_be(run, -signal.SIGKILL)] += 1
    (name,) = (path.name for path in output.rglob("*.partial"))
    result.struck[re.sub(r"_epoch.*|_\d+$", "", name.split(".")[1])] += 1
    return bench.finish(output)


def disk_full(bench: Bench, result: Result) -> list[str]:
    """From a moment on no file may grow beyond a number of bytes (RLIMIT_FSIZE): the system refuses the write."""
    room = bench.rng.randrange((bench.whole / "model.pyth").stat().st_size)
    output, run = bench.struck(partial(leave_room, room), "training")
    result.ended[must_be(run, 1, says=r"ResourceError: .*cannot take more files")] += 1
    result.struck[part_of(run)] += 1
    return bench.finish(output)


def worker_killed(bench: Bench, result: Result) -> list[str]:
    output, run = bench.struck(kill_a_worker, "training", "evaluation", words=("DATA_LOADER.NUM_WORKERS", 1))
    result.ended[must_be(run, 0, 1, says=r"ResourceError: .*data loading worker .* was killed")] += 1
    result.struck[part_of(run)] += 1
    return bench.finish(output)


def not_a_number(bench: Bench, result: Result) -> list[str]:
    """In the clips of one iteration. The checkpoint before stays, and the error names the files of the batch."""
    iteration = bench.rng.randrange(EPOCHS * PER_EPOCH)
    run = bench.start(output := bench.new_output(), prepare=NotANumber(iteration))
    epoch, inside = divmod(iteration, PER_EPOCH)
    says = rf"not finite at epoch {epoch + 1}, iteration {inside + 1} .*Clips of the batch: .*\.mp4; .*\.mp4"
    result.ended[must_be(run, 1, says=says)] += 1
    result.struck["training"] += 1
    kept = sorted(path.name for path in (output / "checkpoints").glob("*"))
    lost = [] if kept == [f"checkpoint_epoch_{n:05d}.pyth" for n in range(1, epoch + 1)] else [f"checkpoints: {kept}"]
    return lost + bench.finish(output)


def out_of_memory(bench: Bench, result: Result) -> list[str]:
    """From a moment on the process gets no more memory (RLIMIT_AS): what needs more fails."""
    output, run = bench.struck(give_no_memory, "training", "calibration", "evaluation")
    result.ended[must_be(run, 0, 1, says=OUT_OF_MEMORY)] += 1
    result.struck[part_of(run)] += 1
    return bench.finish(output)


def second_run(bench: Bench, result: Result) -> list[str]:
    """The second one is refused while the first, which is held at a moment, is there; that one then goes on."""
    output, run = bench.struck(partial(send_itself, signal.SIGSTOP), "training", "calibration", "evaluation")
    if run.wait_for(run.is_held):
        says = "ConfigError: OUTPUT_DIR .* is in use by another run"
        result.ended[must_be(bench.start(output), 1, says=says) + " in the second run"] += 1
        run.kill(signal.SIGCONT)
    else:  # its part took less time than in the undisturbed run
        result.ended["finished before the second run"] += 1
    result.struck[part_of(run)] += 1
    must_be(run, 0)
    return differences(output, bench.whole)


class TwoProcesses:
    """Two processes, as torchrun starts them; one of them or both are killed, and the other is ended."""

    whole: Path | None = None

    def start(self, bench: Bench, output: Path) -> list[Started]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        place |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        ranks = ({"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2))
        return [bench.start(output, environment=place | rank) for rank in ranks]

    def __call__(self, bench: Bench, result: Result) -> list[str]:
        if self.whole is None:
            self.whole = bench.folder / "whole of two"
            for run in self.start(bench, self.whole):
                must_be(run, 0)
        runs = self.start(bench, output := bench.new_output())
        runs[0].wait_moment(*bench.moment("training", "calibration", "evaluation"))
        killed = bench.rng.choice(([0], [1], [0, 1]))
        for rank in killed:
            runs[rank].kill()
        result.struck[f"{part_of(runs[0])}, rank {' and '.join(map(str, killed))}"] += 1
        for run in runs:  # as torchrun's agent does
            run.kill(signal.SIGTERM)
            run.process.join(10)
            run.kill()
            run.end()
        result.ended["killed"] += 1
        for run in self.start(bench, output):
            must_be(run, 0)
        return differences(output, self.whole)


FAULTS = {
    "kill -9 in training": kill_in("training"),
    "kill -9 while saving": kill_while_saving,
    "kill -9 in calibration": kill_in("calibration"),
    "kill -9 in evaluation": kill_in("evaluation"),
    "SIGTERM": kill_in("training", "calibration", "evaluation", number=signal.SIGTERM, codes=(-signal.SIGTERM, 0, 130)),
    "disk full while saving": disk_full,
    "loader worker killed": worker_killed,
    "NaN loss": not_a_number,
    "out of memory": out_of_memory,
    "second run on the same OUTPUT_DIR": second_run,
    "two processes, one or both killed": TwoProcesses(),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=8, help="runs that each fault strikes")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no further run is struck")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", nargs="+", default=[""], help="faults whose names contain one of these; all")
    parser.add_argument("--json", type=Path, help="file for the same table as JSON")
    arguments = parser.parse_args()
    results = {fault: Result(fault) for fault in FAULTS if any(word in fault for word in arguments.only)}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), arguments.seed)
        for number, fault in itertools.product(range(arguments.times), results):
            if time.monotonic() - start < 60 * arguments.minutes:
                bench.rng = random.Random(f"{arguments.seed} {fault} {number}")
                results[fault].lost += FAULTS[fault](bench, results[fault])
                results[fault].times += 1
                if arguments.json:
                    arguments.json.write_text(json.dumps([vars(each) for each in results.values()], indent=1))
    print("| fault | runs struck | where it struck | how the run ended | lost |\n|---|---|---|---|---|")
    print("\n".join(result.row() for result in results.values()))
    lost = [each for result in results.values() for each in result.lost]
    struck = sum(result.times for result in results.values())
    print(f"\n{struck} runs in {(time.monotonic() - start) / 60:.0f} min; lost: {', '.join(lost) or 'nothing'}")
    return bool(lost)


if __name__ == "__main__":
    sys.exit(main())
