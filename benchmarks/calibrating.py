"""What calibrating K configurations costs over their forward passes alone.

    python benchmarks/calibrating.py [--cfg FILE] [--count 9] [--batches 2] [--batch 8] [--rounds 5] [KEY VALUE ...]

The batches are noise in memory. Forward passes are those of training mode, one a configuration and batch, without
gradients; on SlowFast, whose Fast pathway calibration computes once, they compute it every time.
"""

import sys

import torch
from grid_evaluation import spread
from pairs import ON_CPU, Ratio, paired, ratio_of, report

import mutualnet3d as mn
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.training.device import to_device


def measure(cfg, count: int, batches: int, batch: int, rounds: int) -> list[Ratio]:
    """``count`` configurations, evenly spread over the grid, full among them."""
    model, size = to_device(mn.build_model(cfg), cfg).train(), cfg.DATA.TRAIN_CROP_SIZE
    chosen = spread(model.space.grid(), count)
    clips = [torch.randn(batch, cfg.DATA.NUM_FRAMES, size, size, 3).permute(0, 4, 1, 2, 3) for _ in range(batches)]

    @torch.no_grad()
    def forward() -> None:
        for clip in clips:
            for configuration in chosen:
                model(clip, configuration)

    calls = {"calibration": lambda: mn.calibrate(model, clips, chosen), "forward passes": forward}
    name = f"{cfg.MODEL.ARCH}: calibrating {count} configurations / their forward passes"
    return [ratio_of(name, paired(calls, rounds), *calls)]


def main() -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=9, help="configurations, K")
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8, help="clips of a batch")
    parser.add_argument("--rounds", type=int, default=5, help="paired repetitions")
    arguments = parse_arguments(parser=parser, require_cfg=False)
    cfg = mn.load_config(arguments.cfg_files or ["configs/Demo/MN_SLOW_SMALL.yaml"], [*ON_CPU, *arguments.overrides])
    prepare_cpu()
    report(measure(cfg, arguments.count, arguments.batches, arguments.batch, arguments.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
