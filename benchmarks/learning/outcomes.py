"""What finished runs reached and cost: rows for csv files, means over seeds, differences over paired clips."""

import csv
import io
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from studies import Trial

import mutualnet3d as mn
from mutualnet3d.configuration import Configuration
from mutualnet3d.evaluation.accuracy import topk_hits
from mutualnet3d.evaluation.result import GridResult, load_scores
from mutualnet3d.files import write_text
from mutualnet3d.output_files import SCORES_FILE, TABLE_FILE

DRAWS = 4000  # of the bootstrap


class Result(NamedTuple):
    """One configuration of one run. ``right`` of ``videos`` test items were; ``accuracy`` per cent."""

    arm: str
    seed: int
    fold: int
    configuration: str
    gmacs: float
    right: int
    videos: int
    accuracy: float


class Training(NamedTuple):
    """What one run cost: 10^9 multiply-adds of forward passes, seconds of the iterations, clips."""

    arm: str
    seed: int
    fold: int
    network: str
    gmacs: float
    seconds: float
    clips: int


Hits = dict[tuple[str, int, str], dict[str, float]]  # (arm, seed, configuration) -> path of a test item -> 1 or 0


class Outcomes(NamedTuple):
    results: list[Result]
    trainings: list[Training]
    hits: Hits


def read(trials: Sequence[Trial], output: Path) -> Outcomes:
    """Of finished runs. Every test item is in one fold, so the folds of a seed join to one test list."""
    found = Outcomes([], [], defaultdict(dict))
    for trial in trials:
        folder = trial.run.folder(output)
        table = mn.QueryTable.load(folder / TABLE_FILE)
        gmacs = {entry.configuration: entry.gmacs for entry in table.entries}
        add_scores(found, trial.arm, trial, load_scores(folder / SCORES_FILE), gmacs)
        cost = table.provenance["training"]
        network = Path(trial.run.name).name
        found.trainings.append(
            Training(trial.arm, trial.seed, trial.fold, network, cost["gmacs"], cost["seconds"], cost["clips"])
        )
    return found


def add_scores(outcomes: Outcomes, arm: str, trial: Trial, scores: GridResult, gmacs: Mapping[Configuration, float]):
    """Add the configurations in ``gmacs`` of one test to ``outcomes``, as those of ``arm``."""
    for configuration, cost in gmacs.items():
        right = topk_hits(scores.scores_at(configuration), scores.labels, 1).tolist()
        text, count = str(configuration), int(sum(right))
        row = Result(arm, trial.seed, trial.fold, text, cost, count, len(right), 100 * count / len(right))
        outcomes.results.append(row)
        outcomes.hits[arm, trial.seed, text] |= dict(zip(scores.paths, map(float, right), strict=True))


def by_seed(results: Iterable[Result], arm: str, configuration: str) -> list[float]:
    """Accuracy of each seed, per cent, over the test items of all folds."""
    right, videos = defaultdict(int), defaultdict(int)
    for row in results:
        if (row.arm, row.configuration) == (arm, configuration):
            right[row.seed] += row.right
            videos[row.seed] += row.videos
    return [100 * right[seed] / videos[seed] for seed in sorted(right)]


def mean_and_deviation(values: Sequence[float], sign: str = "") -> str:
    """For people; one value has no deviation. ``sign``: "+" shows that of the mean."""
    deviation = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.1f}{deviation}"


class Difference(NamedTuple):
    """Points of top-1, with the middle 95 % of a bootstrap over test items."""

    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        return "better" if self.low > 0 else "worse" if self.high < 0 else "not told apart"


def difference(hits: Hits, one: str, other: str, configurations: Sequence[str]) -> Difference:
    """Accuracy of arm ``one`` minus ``other``, the mean over ``configurations`` and the seeds that both have.

    Both saw the same test items, so items are drawn, each with all that was said of it. The spread between seeds is
    in the interval only as far as it shows in the items; with few seeds it is too narrow rather than too wide.
    """
    seeds = sorted({s for arm, s, _ in hits if arm == one} & {s for arm, s, _ in hits if arm == other})
    pairs = [(hits[one, s, c], hits[other, s, c]) for s in seeds for c in configurations]
    paths = sorted(pairs[0][0])
    each = 100 * np.mean([[a[path] - b[path] for path in paths] for a, b in pairs], axis=0)
    draws = np.random.default_rng(0).integers(0, len(each), (DRAWS, len(each)))
    low, high = np.quantile(each[draws].mean(1), (0.025, 0.975))
    return Difference(float(each.mean()), float(low), float(high))


def cost_by_arm(trainings: Iterable[Training]) -> dict[str, tuple[float, float]]:
    """(10^12 multiply-adds, seconds) of all networks of an arm, per seed."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    seeds: dict[str, set[int]] = defaultdict(set)
    for row in trainings:
        sums[row.arm][0] += row.gmacs / 1000
        sums[row.arm][1] += row.seconds
        seeds[row.arm].add(row.seed)
    return {arm: (macs / len(seeds[arm]), seconds / len(seeds[arm])) for arm, (macs, seconds) in sums.items()}


def write_csv(path: Path, rows: Sequence[NamedTuple]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([type(rows[0])._fields, *rows])
    write_text(path, text.getvalue())
