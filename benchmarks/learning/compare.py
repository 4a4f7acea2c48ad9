"""One mutually trained network against independent ones, US-Net, and US-Net at one random resolution per iteration.

    python benchmarks/learning/compare.py --output outputs/compare [--study generated] [--seeds 0 1 2] [--small]

Studies: ``generated`` (rendered videos, no data needed), ``mini8`` (real clips, folds) and ``cifar`` (images), whose
data are those of MUTUALNET3D_DATA; and where it is named ``generated_larger``, a larger network for hours. All runs of
a study have the same data, network and number of epochs. ``--arms`` may name variants of mutual training too: ``kl_1``,
``kl_third`` (the weight of the KL terms), ``labels`` (in their place), ``kl_alone`` (without labels before them),
``random_2``, ``smallest_lowest``, ``smallest_full`` (where the smallest runs), ``paper`` (as the paper trains videos).
Finished runs are kept, an interrupted one goes on; the folder of the study then holds ``results.csv``,
``trainings.csv``, ``page.md`` and ``accuracy_gmacs.png``.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from outcomes import read, write_csv
from page import write_page
from runs import finish, in_a_process
from statistics_effect import add_effects
from studies import ARMS, STUDIES, VARIANTS, Study, prepare, small, trials

THREE = ("generated", "mini8", "cifar")


def main(argv: Sequence[str] | None = None, execute=in_a_process) -> int:
    """``execute``: how a run is made; tests pass their own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", choices=STUDIES, nargs="+", default=THREE, help=f"default: {' '.join(THREE)}")
    parser.add_argument("--output", type=Path, required=True, help="folder; each study gets one of its name in it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", choices=(*ARMS, *VARIANTS), nargs="+", default=list(ARMS))
    parser.add_argument("--epochs", type=int, help="of every run, in place of the study's")
    parser.add_argument("--threads", type=int, default=1, help="of the processor, per run")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side; their seconds are then no measure")
    parser.add_argument("--summary", action="store_true", help="train nothing, summarise the seeds that are finished")
    parser.add_argument("--small", action="store_true", help="one epoch on few clips, two budgets: a test")
    arguments = parser.parse_args(argv)
    for name in arguments.study:
        study = small(STUDIES[name]) if arguments.small else STUDIES[name]
        if arguments.epochs:
            study = replace(study, epochs=arguments.epochs)
        compare(study, arguments, execute)
    return 0


def compare(study: Study, arguments: argparse.Namespace, execute) -> None:
    """Make the runs of ``study`` that are not finished and write what they reached."""
    output = arguments.output.resolve() / study.name
    arms = [arm for arm in (*ARMS, *VARIANTS) if arm in arguments.arms]
    data = prepare(study, output)
    wanted = trials(study, arguments.seeds, arms, data)
    if not arguments.summary:
        order = sorted(wanted, key=lambda trial: (trial.seed, trial.arm == "independent"))  # the long ones first
        finish([t.run for t in order], output, threads=arguments.threads, jobs=arguments.jobs, execute=execute)
    lacking = {trial.seed for trial in wanted if not trial.run.is_finished(output)}
    finished = [trial for trial in wanted if trial.seed not in lacking]
    if not finished:
        raise SystemExit(f"{output} holds no seed of which all runs are finished; run without --summary")
    outcomes = read(finished, output)
    add_effects(finished, study.budgets, output, outcomes, threads=arguments.threads, jobs=arguments.jobs)
    write_csv(output / "results.csv", outcomes.results)
    write_csv(output / "trainings.csv", outcomes.trainings)
    print(write_page(study, outcomes, arms, output))


if __name__ == "__main__":
    sys.exit(main())
