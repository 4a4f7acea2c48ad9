"""A training pass as it is, stored contiguously in place of channels last, and compiled by torch.compile.

    python benchmarks/pass_variants.py [--cfg FILE] [--batch 8] [--rounds 7] [--widths 0.81] [--variants compiled]

A pass is forward and backward of one width at full resolution, and the optimizer's step, in the loop's precision. A
compiled width or resolution is a graph of its own; the seconds that each took to compile are printed, and how many
passes pay for them. A mutual run draws hundreds.
"""

import sys
import time
from functools import partial

import torch
from mutual_step import Steps
from pairs import ON_CPU, Ratio, paired, ratio_of, report

import mutualnet3d as mn
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.configuration import Configuration
from mutualnet3d.cpu import prepare_cpu

OURS, CONTIGUOUS, COMPILED = "ours", "contiguous", "compiled"


def measure(cfg, batch: int, rounds: int, widths: list[float], variants: list[str], backend: str) -> list[Ratio]:
    """Each of the ``variants`` over ours; prints the seconds of each compilation."""
    steps, plain, found = Steps(cfg, batch), Steps(cfg, batch), []
    full = steps.model.space.full
    plain.model.to(memory_format=torch.contiguous_format)
    plain.clip = plain.clip.contiguous()
    network = torch.compile(steps.model, dynamic=False, backend=backend)
    for width in widths:
        drawn = (Configuration(width, full.spatial, full.temporal),)
        calls = {
            OURS: partial(steps.step, drawn),
            CONTIGUOUS: partial(plain.step, drawn),
            COMPILED: partial(steps.step, drawn, network),
        }
        calls = {name: call for name, call in calls.items() if name in (OURS, *variants)}
        begun = time.perf_counter()
        if COMPILED in calls:
            calls[COMPILED]()
        seconds = time.perf_counter() - begun
        times = paired(calls, rounds)
        for name in variants:
            found.append(ratio_of(f"{cfg.MODEL.ARCH} {drawn[0]}: a pass, {name} / ours", times, name, OURS))
        if COMPILED in calls:
            ours, compiled = (sum(times[name]["clock"]) / rounds for name in (OURS, COMPILED))
            paid = f"paid for after {seconds / (ours - compiled):.0f} passes" if compiled < ours else "never paid for"
            print(f"{drawn[0]}: {seconds:.1f} s to compile, {paid}", flush=True)
    return found


def main() -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=8, help="clips per pass")
    parser.add_argument("--rounds", type=int, default=7, help="paired repetitions")
    parser.add_argument("--widths", nargs="+", type=float, default=[1.0, 0.63])
    parser.add_argument("--variants", nargs="+", choices=(CONTIGUOUS, COMPILED), default=[CONTIGUOUS, COMPILED])
    parser.add_argument("--backend", default="inductor", help="of torch.compile")
    arguments = parse_arguments(parser=parser, require_cfg=False)
    prepare_cpu()
    cfg = mn.load_config(arguments.cfg_files or ["configs/Demo/MN_SLOW_SMALL.yaml"], [*ON_CPU, *arguments.overrides])
    report(measure(cfg, arguments.batch, arguments.rounds, arguments.widths, arguments.variants, arguments.backend))
    return 0


if __name__ == "__main__":
    sys.exit(main())
