"""What a mutual step costs over a plain one, and what sharing the Fast pathway saves.

    python benchmarks/mutual_step.py --cfg configs/Kinetics/MN_SLOW_8x8.yaml [--batch 2] [--rounds 7] [KEY VALUE ...]
    python benchmarks/mutual_step.py --cfg ... --memory [KEY VALUE ...]

The step is that of the training loop: its device, memory layout, precision (TRAIN.MIXED_PRECISION True for bfloat16)
and optimizer. The bound is 1.07 times the ratio of the counted multiply-adds. With --memory each step runs 3 times in a
process of its own, and its peak resident memory is compared.
"""

import resource
import subprocess
import sys

import torch
from pairs import ON_CPU, Ratio, paired, ratio_of, report
from torch import nn

import mutualnet3d as mn
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.configuration import Configuration
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.training.device import build_autocast, choose_device, to_device
from mutualnet3d.training.losses import build_loss
from mutualnet3d.training.optimizer import build_optimizer
from mutualnet3d.training.step import mutual_backward

TIME_BOUND, MEMORY_BOUND = 1.07, 1.05
PLAIN, MUTUAL, UNSHARED = "plain", "mutual", "mutual, nothing shared"


class Unshared(nn.Module):
    """The same network, which computes everything anew for every configuration."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def can_share(self, configurations: tuple) -> bool:
        return False

    def forward(self, clip, configuration: Configuration, boxes=None, *, shared: tuple = ()) -> torch.Tensor:
        return self.model(clip, configuration, boxes)


class Steps:
    """Plain and mutual steps of one network on one batch of noise."""

    def __init__(self, cfg, batch: int):
        self.model = to_device(mn.build_model(cfg), cfg).train()
        space = self.model.space
        lengths = space.temporal
        middle = round(sum(space.width) / 2, 2), space.spatial[len(space.spatial) // 2], lengths[len(lengths) // 2]
        self.drawn = (space.full, space.smallest, Configuration(*middle))
        size = cfg.DATA.TRAIN_CROP_SIZE
        self.clip = torch.randn(batch, cfg.DATA.NUM_FRAMES, size, size, 3).permute(0, 4, 1, 2, 3)
        self.labels = torch.randint(cfg.MODEL.NUM_CLASSES, (batch,))
        self.optimizer, self.loss = build_optimizer(self.model, cfg), build_loss(cfg)
        self.autocast = build_autocast(cfg, choose_device(cfg))

    def run(self, kind: str) -> None:
        network = Unshared(self.model) if kind == UNSHARED else self.model
        self.step(self.drawn[:1] if kind == PLAIN else self.drawn, network)

    def step(self, configurations: tuple[Configuration, ...], network: nn.Module | None = None) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        network = self.model if network is None else network
        mutual_backward(network, self.clip, self.labels, configurations, self.loss, autocast=self.autocast)
        self.optimizer.step()

    def counted(self) -> float:
        """Multiply-adds of the three configurations over full's."""
        costs = [mn.complexity(self.model, configuration).gmacs for configuration in self.drawn]
        return sum(costs) / costs[0]


def measure(cfg, batch: int, rounds: int, name: str) -> list[Ratio]:
    """``name`` is the network's in the table."""
    steps = Steps(cfg, batch)
    kinds = (PLAIN, MUTUAL, *((UNSHARED,) if steps.model.has_fast_pathway else ()))
    times = paired({kind: lambda kind=kind: steps.run(kind) for kind in kinds}, rounds)
    counted = steps.counted()
    found = [
        ratio_of(
            f"{name}: mutual step / plain step (multiply-adds: {counted:.3f})",
            times,
            MUTUAL,
            PLAIN,
            bound=None if UNSHARED in kinds else TIME_BOUND * counted,
        )
    ]
    if UNSHARED in kinds:
        found.append(ratio_of(f"{name}: the same with nothing shared", times, UNSHARED, PLAIN))
    return found


def peak_resident(words: list[str], kind: str) -> int:
    """Bytes; of a new process that runs 3 steps of ``kind``."""
    process = subprocess.run(
        [sys.executable, __file__, *words, "--peak-of", kind], stdout=subprocess.PIPE, text=True, check=True
    )
    return int(process.stdout.split()[-1])


def main() -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=2, help="clips per step")
    parser.add_argument("--rounds", type=int, default=7, help="paired repetitions")
    parser.add_argument("--memory", action="store_true", help="compare peak memory in place of time")
    parser.add_argument("--peak-of", choices=(PLAIN, MUTUAL), help="print the peak resident bytes of this step")
    arguments = parse_arguments(parser=parser)
    cfg = mn.load_config(arguments.cfg_files, [*ON_CPU, *arguments.overrides])
    prepare_cpu()
    if arguments.peak_of:
        steps = Steps(cfg, arguments.batch)
        for _ in range(3):
            steps.run(arguments.peak_of)
        print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return 0
    if arguments.memory:
        words = [word for word in sys.argv[1:] if word != "--memory"]
        plain, mutual = (peak_resident(words, kind) for kind in (PLAIN, MUTUAL))
        print(f"peak resident memory: plain {plain / 2**20:.0f} MiB, mutual {mutual / 2**20:.0f} MiB")
        print(f"ratio {mutual / plain:.3f}, at most {MEMORY_BOUND}")
        return 0
    print(f"{cfg.MODEL.ARCH}, {arguments.batch} clips, {torch.get_num_threads()} threads")
    report(measure(cfg, arguments.batch, arguments.rounds, cfg.MODEL.ARCH))
    return 0


if __name__ == "__main__":
    sys.exit(main())
