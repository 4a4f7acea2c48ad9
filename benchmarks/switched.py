"""What switching the weight-shared network in place costs over the dense network of the same width.

    python benchmarks/switched.py [--cfg FILE] [--widths 0.63 0.8] [--threads 1] [KEY VALUE ...]

Both are torch without folding, on the same views, timed in turns in one process; the ratio is of the medians.
"""

import functools
import sys

import torch
from random_network import random_network

import mutualnet3d as mn
from mutualnet3d.allocator import keep_large_blocks
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.latency import measure_many


def main() -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--widths", nargs="+", type=float, default=[0.63, 0.8])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parse_arguments(parser=parser, require_cfg=False)
    files = arguments.cfg_files or ["configs/Kinetics/MN_SLOW_8x8.yaml"]
    keep_large_blocks()
    torch.set_num_threads(arguments.threads)
    cfg, model, configurations = random_network(files, arguments.overrides, arguments.widths)
    crop = cfg.DATA.TRAIN_CROP_SIZE
    clip = torch.randn(1, 3, cfg.DATA.NUM_FRAMES, crop, crop)
    print(f"{cfg.MODEL.ARCH}, crop {crop}, batch 1, {arguments.threads} threads")
    for configuration in configurations:
        views = model.pathways(clip, configuration)
        dense = mn.extract_dense(model, configuration)
        times = measure_many(
            {
                "switched": torch.no_grad()(functools.partial(model, clip, configuration)),
                "dense": torch.no_grad()(functools.partial(dense, *views)),
            },
            repeats=arguments.repeats,
        )
        switched, alone = times["switched"].median_ms, times["dense"].median_ms
        print(f"{configuration}: switched {switched:.1f} ms, dense {alone:.1f} ms, ratio {switched / alone:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
