"""What switching the weight-shared network in place costs over the dense network of the same width.

    python benchmarks/switched.py [--cfg FILE] [--widths 0.63 0.8] [--threads 1] [KEY VALUE ...]

Both are torch without folding, on the same views, timed in turns in one process.
"""

import functools
import sys

import torch
from pairs import Ratio, paired, ratio_of, report, threads
from random_network import random_network

import mutualnet3d as mn
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.cpu import prepare_cpu


def measure(files: list[str], overrides: list, widths: list[float], count: int, rounds: int) -> list[Ratio]:
    """``count`` threads."""
    cfg, model, configurations = random_network(files, overrides, widths)
    crop, found = cfg.DATA.TRAIN_CROP_SIZE, []
    clip = torch.randn(1, 3, cfg.DATA.NUM_FRAMES, crop, crop)
    with torch.no_grad(), threads(count):
        for configuration in configurations:
            views, dense = model.pathways(clip, configuration), mn.extract_dense(model, configuration)
            calls = {
                "switched": functools.partial(model, clip, configuration),
                "dense": functools.partial(dense, *views),
            }
            times = paired(calls, rounds, twice=True)
            name = f"{cfg.MODEL.ARCH} {configuration}, {count} thread(s): switched in place / dense"
            found.append(ratio_of(name, times, *calls))
    return found


def main() -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--widths", nargs="+", type=float, default=[0.63, 0.8])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parse_arguments(parser=parser, require_cfg=False)
    files = arguments.cfg_files or ["configs/Kinetics/MN_SLOW_8x8.yaml"]
    prepare_cpu()
    report(measure(files, arguments.overrides, arguments.widths, arguments.threads, arguments.repeats))
    return 0


if __name__ == "__main__":
    sys.exit(main())
