"""Seconds to count a grid, of 144 configurations by default, against counting each on its own.

    OMP_NUM_THREADS=1 python benchmarks/counting.py [--crop 256] [--sample 12] [--widths 16] [--recipes NAME ...]

The grids are 16 widths (--widths) x the 3 largest sizes x the 3 largest lengths of the networks in configs/Kinetics.
Counting one by one is timed on a sample, evenly spread over the grid, and scaled up; its counts must be equal.
"""

import argparse
import sys
import time
from pathlib import Path

import torch

import mutualnet3d as mn
from mutualnet3d.counting import complexities

RECIPES = Path(__file__).resolve().parents[1] / "configs" / "Kinetics"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crop", type=int, default=256, help="side of the view in pixels")
    parser.add_argument("--sample", type=int, default=12, help="configurations that are also counted one by one")
    parser.add_argument("--widths", type=int, default=16, help="of the grid, at least 2")
    parser.add_argument("--recipes", nargs="+", default=["MN_SLOW_8x8", "MN_SLOWFAST_4x16", "MN_X3D_M"])
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s), crop {arguments.crop}")
    for name in arguments.recipes:
        model = mn.build_model(mn.load_config(RECIPES / f"{name}.yaml", []))
        grid = grid_of(model.space, arguments.widths)
        mn.complexity(model, model.space.smallest, arguments.crop)  # the first count imports what torch needs for it
        start = time.perf_counter()
        together = complexities(model, grid, arguments.crop)
        seconds = time.perf_counter() - start
        sample = grid[:: max(1, len(grid) // arguments.sample)]
        start = time.perf_counter()
        single = {c: mn.complexity(model, c, arguments.crop) for c in sample}
        one_by_one = (time.perf_counter() - start) * len(grid) / len(sample)
        if any(together[c] != cost for c, cost in single.items()):
            print(f"{name}: the counts differ", file=sys.stderr)
            return 1
        print(
            f"{name:18s} {len(grid)} configurations in {seconds:5.1f} s; one by one {one_by_one:5.1f} s "
            f"(from {len(sample)}): {one_by_one / seconds:.0f} x"
        )
    return 0


def grid_of(space: mn.ConfigurationSpace, count: int) -> list[mn.Configuration]:
    """``count`` widths, evenly spread, x the 3 largest sizes x the 3 largest lengths."""
    low, high = space.width
    widths = [round(low + (high - low) * number / (count - 1), 4) for number in range(count)]
    return [mn.Configuration(w, s, t) for w in widths for s in space.spatial[-3:] for t in space.temporal[-3:]]


if __name__ == "__main__":
    sys.exit(main())
