"""What it gains to keep more compiled kernels than oneDNN does by itself: mutual steps with configurations drawn anew.

    python benchmarks/kernel_cache.py --cfg configs/Demo/MN_CIFAR_SMALL.yaml [--steps 60] [--rounds 3] [KEY VALUE ...]

A step is that of the training loop on a batch of noise; each iteration draws its own random width and resolution. The
number of kernels is read once a process, so every measurement is a process, in turns: oneDNN's own number, then ours.
"""

import os
import subprocess
import sys
import time

import torch
from mutual_step import Steps
from pairs import CLOCK, ON_CPU, PROCESSOR, ratio_of, report

import mutualnet3d as mn
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.methods import Method

BY_ITSELF, OURS = "1024 kernels, oneDNN's own", "as the tools set it"


def seconds(cfg, steps: int) -> tuple[float, float]:
    """On the clock and of the processor, of ``steps`` iterations after as many that do not count."""
    runner = Steps(cfg, cfg.TRAIN.BATCH_SIZE)
    method = Method.from_cfg(cfg, runner.model.space)
    for number in range(2 * steps):
        if number == steps:
            clock, processor = time.perf_counter(), time.process_time()
        runner.step(method.draw(number))
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=60, help="iterations that are timed, after as many that are not")
    parser.add_argument("--rounds", type=int, default=3, help="paired repetitions")
    parser.add_argument("--one", action="store_true", help="time one process, print its seconds")
    arguments = parse_arguments(parser=parser)
    if arguments.one:
        prepare_cpu()
        print(*seconds(mn.load_config(arguments.cfg_files, [*ON_CPU, *arguments.overrides]), arguments.steps))
        return 0
    times = {name: {CLOCK: [], PROCESSOR: []} for name in (BY_ITSELF, OURS)}
    for _ in range(arguments.rounds):
        for name, variable in ((BY_ITSELF, {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "1024"}), (OURS, {})):
            command = [sys.executable, __file__, *sys.argv[1:], "--one"]
            made = subprocess.run(command, env=os.environ | variable, stdout=subprocess.PIPE, text=True, check=True)
            for key, value in zip((CLOCK, PROCESSOR), map(float, made.stdout.split()[-2:]), strict=True):
                times[name][key].append(value)
    print(f"{arguments.steps} mutual steps, {torch.get_num_threads()} threads")
    report([ratio_of("kernels of oneDNN kept: its own number / ours", times, BY_ITSELF, OURS)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
