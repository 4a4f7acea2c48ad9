"""What a mutual step costs over a plain one, and what sharing the Fast pathway saves.

    python benchmarks/mutual_step.py --cfg configs/Demo/MN_SLOWFAST_SMALL.yaml [--batch 8] [--rounds 7] [KEY VALUE ...]

Paired: every round times all variants one after another; the table gives the median and the range of the ratios to the
plain step of the same round, beside the ratio of the counted multiply-adds.
"""

import statistics
import sys
import time

import torch
from torch import nn

import mutualnet3d as mn
from mutualnet3d.allocator import keep_large_blocks
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.configuration import Configuration
from mutualnet3d.training.losses import build_loss
from mutualnet3d.training.step import mutual_backward


class Unshared(nn.Module):
    """The same network, which computes everything anew for every configuration."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def can_share(self, configurations: tuple) -> bool:
        return False

    def forward(self, clip, configuration: Configuration, boxes=None, *, shared: tuple = ()) -> torch.Tensor:
        return self.model(clip, configuration, boxes)


def main() -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8, help="clips per step")
    parser.add_argument("--rounds", type=int, default=7, help="paired repetitions")
    arguments = parse_arguments(parser=parser)
    cfg = mn.load_config(arguments.cfg_files, arguments.overrides)
    keep_large_blocks()
    model = mn.build_model(cfg).train().to(memory_format=torch.channels_last_3d)
    space = model.space
    middle = Configuration(round(sum(space.width) / 2, 2), space.spatial[len(space.spatial) // 2], space.temporal[-2])
    drawn = (space.full, space.smallest, middle)
    size, loss = cfg.DATA.TRAIN_CROP_SIZE, build_loss(cfg)
    clip = torch.randn(arguments.batch, cfg.DATA.NUM_FRAMES, size, size, 3).permute(0, 4, 1, 2, 3)
    labels = torch.randint(cfg.MODEL.NUM_CLASSES, (arguments.batch,))
    variants = {
        "plain": (model, drawn[:1]),
        "mutual": (model, drawn),
        "mutual, nothing shared": (Unshared(model), drawn),
    }
    seconds = {name: [] for name in variants}
    for round_number in range(arguments.rounds + 1):
        for name, (network, configurations) in variants.items():
            model.zero_grad(set_to_none=True)
            start = time.perf_counter()
            mutual_backward(network, clip, labels, configurations, loss)
            if round_number:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    macs = [mn.complexity(model, c).gmacs for c in drawn]
    print(f"{cfg.MODEL.ARCH}, {arguments.batch} clips, {torch.get_num_threads()} threads; {', '.join(map(str, drawn))}")
    print(f"multiply-adds of the three configurations over full's alone: {sum(macs) / macs[0]:.2f}")
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(times, seconds["plain"], strict=True)]
        print(
            f"{name:24s} {1000 * statistics.median(times):8.0f} ms   x {statistics.median(ratios):.2f} of plain "
            f"({min(ratios):.2f} .. {max(ratios):.2f})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
