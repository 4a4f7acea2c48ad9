"""Kill a run at random moments, start it again until it ends, and compare what it leaves with an undisturbed run.

    python benchmarks/faults.py [--kills 30] [--seed 0]

A tiny network on rendered videos, trained, calibrated and tested at 8 configurations. Every start is killed (-9) at a
moment drawn uniformly from the time that a whole run takes, until as many as asked for were killed; the next one may
end. The table says in which part the kills fell, and what differs, bit by bit: it must be nothing.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests" / part) for part in ("", "faults")]

from killing import differences, run_until_done  # noqa: E402 - the tests' own
from tiny import OVERRIDES, RECIPE, ROOT, write_data  # noqa: E402

PARTS = {"epoch": "training", "saved": "training", "calibrat": "calibration", "testing": "evaluation", "report": "end"}


def part_of(line: str) -> str:
    """The part of a run that its last line belongs to."""
    return next((part for word, part in PARTS.items() if word in line), "start")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30, help="how many times to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data"
        data.mkdir()
        write_data(data)
        words = [str(ROOT / "tools" / "run_net.py"), "--cfg", str(RECIPE), *map(str, OVERRIDES)]
        words += ["SOLVER.MAX_EPOCH", "6", "DATA.PATH_TO_DATA_DIR", str(data), "OUTPUT_DIR"]
        start = time.perf_counter()
        run_until_done([*words, str(folder / "whole")], [])
        took = time.perf_counter() - start
        rng, said = random.Random(arguments.seed), []
        lost: list[str] = []
        runs = 0
        while len(said) < arguments.kills:
            runs += 1
            output = folder / f"killed{runs}"
            kills = min(5, arguments.kills - len(said))
            said += run_until_done([*words, str(output)], [rng.uniform(0, took) for _ in range(kills)])
            lost += differences(output, folder / "whole")
    for part, count in sorted(Counter(map(part_of, said)).items()):
        print(f"killed during {part:12s} {count:3d} times")
    print(f"{runs} runs were begun again until they ended; lost or different: {', '.join(lost) or 'nothing'}")
    return bool(lost)


if __name__ == "__main__":
    sys.exit(main())
