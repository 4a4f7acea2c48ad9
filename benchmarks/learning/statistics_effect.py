"""What BatchNorm statistics are worth: finished networks tested again, without another step of training.

``uncalibrated``: the mutual network at every budget with full's statistics. ``switched``: the independent full network,
calibrated at every budget as the mutual one was: what one gets of an ordinary network by cutting it.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from outcomes import Outcomes, add_scores
from runs import copies
from studies import Trial

import mutualnet3d as mn
from mutualnet3d.config import load_config
from mutualnet3d.configuration import Configuration
from mutualnet3d.data import build_entries, test_dataset, video_loader
from mutualnet3d.evaluation.grid import evaluate_grid
from mutualnet3d.evaluation.result import load_scores, save_scores
from mutualnet3d.layers import use_statistics_of_full
from mutualnet3d.output_files import CONFIG_FILE, MODEL_FILE
from mutualnet3d.training.statistics import calibrate_on_list

NAMES = {"uncalibrated": "mutual, full's statistics", "switched": "independent full, calibrated"}


def add_effects(
    trials: Sequence[Trial], budgets: Sequence[str], output: Path, outcomes: Outcomes, *, threads: int, jobs: int
) -> None:
    """Add the arms of ``NAMES`` to ``outcomes``; scores are kept beside those of the run and made once, ``jobs`` at a
    time."""
    named = [(trial, name) for trial in trials if (name := _effect(trial, budgets))]
    lacking = [(t.run.folder(output), name) for t, name in named if not _scores(t.run.folder(output), name).exists()]
    if lacking:
        with ProcessPoolExecutor(jobs, mp_context=copies(threads)) as pool:
            for made in [pool.submit(_make, folder, name, budgets) for folder, name in lacking]:
                made.result()
    gmacs = {Configuration.parse(row.configuration): row.gmacs for row in outcomes.results}
    at_budgets = {c: gmacs[c] for c in map(Configuration.parse, budgets)}
    for trial, name in named:
        add_scores(outcomes, name, trial, load_scores(_scores(trial.run.folder(output), name)), at_budgets)


def _effect(trial: Trial, budgets: Sequence[str]) -> str | None:
    """Which of ``NAMES`` the network of ``trial`` shows."""
    if trial.arm == "mutual":
        return "uncalibrated"
    return "switched" if trial.evaluated == (budgets[0],) else None


def _scores(folder: Path, name: str) -> Path:
    return folder / f"{name}_scores.npz"


def _make(folder: Path, name: str, budgets: Sequence[str]) -> None:
    """What a process does: test the network in ``folder`` again."""
    save_scores(_scores(folder, name), _test(folder, budgets, _uncalibrate if name == "uncalibrated" else _calibrate))


def _test(folder: Path, budgets: Sequence[str], prepare):
    cfg = load_config(folder / CONFIG_FILE)
    model = mn.load_model(folder / MODEL_FILE)
    configurations = [Configuration.parse(text) for text in budgets]
    prepare(model, cfg, configurations)
    items = test_dataset(build_entries(cfg, "test"), cfg, cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS)
    return evaluate_grid(model, video_loader(items, cfg), configurations, cfg)


def _uncalibrate(model, cfg, configurations: Sequence[Configuration]) -> None:
    use_statistics_of_full(model, configurations)


def _calibrate(model, cfg, configurations: Sequence[Configuration]) -> None:
    calibrate_on_list(model, cfg, build_entries(cfg, "train"), [c for c in configurations if c != model.space.full])
