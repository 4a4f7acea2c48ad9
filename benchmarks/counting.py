"""Seconds to count a grid of configurations, against counting each on its own, and what a training step costs.

    OMP_NUM_THREADS=1 python benchmarks/counting.py [--crop 256] [--sample 12] [--widths 16] [--recipes NAME ...]

The grids are 16 widths (--widths) x the 3 largest sizes x the 3 largest lengths (for images: the 3 largest sizes) of
the recipes in configs. Counting one by one is timed on a sample, evenly spread over the grid, and scaled up; its counts
must be equal. The expected cost of a mutual step stands beside: by the paper's formula, and counted.
"""

import argparse
import sys
import time
from pathlib import Path

import torch

import mutualnet3d as mn
from mutualnet3d.counting import complexities
from mutualnet3d.methods import Method
from mutualnet3d.training.cost import expected_step_gmacs, paper_factor

RECIPES = Path(__file__).resolve().parents[1] / "configs"
DEFAULT = ("Kinetics/MN_SLOW_8x8", "Kinetics/MN_SLOWFAST_4x16", "Kinetics/MN_X3D_M", "ImageNet/MN_MOBILENET_V1")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--crop", type=int, help="side of the view in pixels; default: the recipe's DATA.TEST_CROP_SIZE"
    )
    parser.add_argument("--sample", type=int, default=12, help="configurations that are also counted one by one")
    parser.add_argument("--widths", type=int, default=16, help="of the grid, at least 2")
    parser.add_argument("--recipes", nargs="+", default=DEFAULT, help="files in configs")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s)")
    for name in arguments.recipes:
        cfg = mn.load_config(RECIPES / f"{name}.yaml", [])
        model, crop = mn.build_model(cfg), arguments.crop or cfg.DATA.TEST_CROP_SIZE
        grid = grid_of(model.space, arguments.widths)
        mn.complexity(model, model.space.smallest, crop)  # the first count imports what torch needs for it
        start = time.perf_counter()
        together = complexities(model, grid, crop)
        seconds = time.perf_counter() - start
        sample = grid[:: max(1, len(grid) // arguments.sample)]
        start = time.perf_counter()
        single = {c: mn.complexity(model, c, crop) for c in sample}
        one_by_one = (time.perf_counter() - start) * len(grid) / len(sample)
        if any(together[c] != cost for c, cost in single.items()):
            print(f"{name}: the counts differ", file=sys.stderr)
            return 1
        print(
            f"{name:26s} {len(grid)} configurations in {seconds:5.1f} s; one by one {one_by_one:5.1f} s "
            f"(from {len(sample)}): {one_by_one / seconds:.0f} x"
        )
        method, full = Method.from_cfg(cfg, model.space), mn.complexity(model, crop=crop).gmacs
        formula, counted = full * paper_factor(method), expected_step_gmacs(model, method, share=False, crop=crop)
        print(
            f"{'':26s} GMACs at {crop}: full {full:.2f}, a mutual step {formula:.2f} by the paper's formula, "
            f"{counted:.2f} counted"
        )
    return 0


def grid_of(space: mn.ConfigurationSpace, count: int) -> list[mn.Configuration]:
    """``count`` widths, evenly spread, x the 3 largest sizes x the 3 largest lengths."""
    low, high = space.width
    widths = [round(low + (high - low) * number / (count - 1), 4) for number in range(count)]
    lengths = space.temporal[-3:] if space.temporal else (None,)
    return [mn.Configuration(w, s, t) for w in widths for s in space.spatial[-3:] for t in lengths]


if __name__ == "__main__":
    sys.exit(main())
