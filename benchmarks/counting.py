"""Seconds to count a grid of configurations, against counting each on its own, and what a training step costs.

    OMP_NUM_THREADS=1 python benchmarks/counting.py [--crop 256] [--sample 12] [--widths 16] [--recipes NAME ...]

The grids are 16 widths (--widths) x the 3 largest sizes x the 3 largest lengths (for images: the 3 largest sizes) of
the recipes in configs. Counting one by one is timed on a sample, evenly spread over the grid, and scaled up; its counts
must be equal. The expected cost of a mutual step stands beside: by the paper's formula, and counted.
"""

import argparse
import sys
from pathlib import Path

from pairs import Ratio, paired, ratio_of, report

import mutualnet3d as mn
from mutualnet3d.counting import complexities
from mutualnet3d.methods import Method
from mutualnet3d.training.cost import expected_step_gmacs, paper_factor

RECIPES = Path(__file__).resolve().parents[1] / "configs"
DEFAULT = ("Kinetics/MN_SLOW_8x8", "Kinetics/MN_SLOWFAST_4x16", "Kinetics/MN_X3D_M", "ImageNet/MN_MOBILENET_V1")


def measure(name: str, rounds: int, *, crop: int | None = None, widths: int = 16, sample: int = 12) -> list[Ratio]:
    """``name`` of a recipe in configs; ValueError where the two ways count differently."""
    cfg = mn.load_config(RECIPES / f"{name}.yaml", [])
    model, crop = mn.build_model(cfg), crop or cfg.DATA.TEST_CROP_SIZE
    grid = grid_of(model.space, widths)
    chosen = grid[:: max(1, len(grid) // sample)]
    results: dict[str, dict] = {}

    def together() -> None:
        results["together"] = complexities(model, grid, crop)

    def one_by_one() -> None:
        results["one by one"] = {c: mn.complexity(model, c, crop) for c in chosen}

    calls = {"one by one": one_by_one, "together": together}
    times = paired(calls, rounds)
    if any(results["together"][c] != cost for c, cost in results["one by one"].items()):
        raise ValueError(f"{name}: the counts differ")
    whole = len(grid) / len(chosen)
    times["one by one"] = {clock: [whole * t for t in values] for clock, values in times["one by one"].items()}
    return [ratio_of(f"{name}: counting {len(grid)} configurations one by one / together", times, *calls)]


def step_cost(name: str, crop: int | None) -> str:
    cfg = mn.load_config(RECIPES / f"{name}.yaml", [])
    model, crop = mn.build_model(cfg), crop or cfg.DATA.TEST_CROP_SIZE
    method, full = Method.from_cfg(cfg, model.space), mn.complexity(model, crop=crop).gmacs
    formula, counted = full * paper_factor(method), expected_step_gmacs(model, method, share=False, crop=crop)
    return (
        f"{name}: GMACs at {crop}: full {full:.2f}, a mutual step {formula:.2f} by the paper's formula, "
        f"{counted:.2f} counted"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--crop", type=int, help="side of the view in pixels; default: the recipe's DATA.TEST_CROP_SIZE"
    )
    parser.add_argument("--sample", type=int, default=12, help="configurations that are also counted one by one")
    parser.add_argument("--widths", type=int, default=16, help="of the grid, at least 2")
    parser.add_argument("--recipes", nargs="+", default=DEFAULT, help="files in configs")
    parser.add_argument("--rounds", type=int, default=1, help="paired repetitions")
    arguments = parser.parse_args()
    for name in arguments.recipes:
        options = {"crop": arguments.crop, "widths": arguments.widths, "sample": arguments.sample}
        report(measure(name, arguments.rounds, **options))
        print(step_cost(name, arguments.crop))
    return 0


def grid_of(space: mn.ConfigurationSpace, count: int) -> list[mn.Configuration]:
    """``count`` widths, evenly spread, x the 3 largest sizes x the 3 largest lengths."""
    low, high = space.width
    widths = [round(low + (high - low) * number / (count - 1), 4) for number in range(count)]
    lengths = space.temporal[-3:] if space.temporal else (None,)
    return [mn.Configuration(w, s, t) for w in widths for s in space.spatial[-3:] for t in lengths]


if __name__ == "__main__":
    sys.exit(main())
