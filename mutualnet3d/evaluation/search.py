"""Search: the whole grid on few videos, so that only promising configurations are evaluated on all of them."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

from mutualnet3d.configuration import Configuration
from mutualnet3d.data import VideoEntry
from mutualnet3d.evaluation.accuracy import topk_hits
from mutualnet3d.evaluation.result import GridResult

STANDARD_ERRORS = 2.0
RULE = (
    "kept unless a configuration of at most the same GMACs is right on more of the drawn videos by over "
    f"{STANDARD_ERRORS:g} standard errors of the paired difference; full and smallest always"
)


def draw_videos(entries: Sequence[VideoEntry], count: int, seed: int) -> list[int]:
    """``count`` ascending positions of ``entries``, drawn by ``seed`` and stratified by class.

    The list is ordered by class, cut into ``count`` runs of nearly equal length, and one video is drawn from each:
    every class gets its share to within one video or so, the same on every rank and in every run.
    """
    order = sorted(range(len(entries)), key=lambda i: (entries[i].label, i))
    count, rng = min(count, len(order)), random.Random(f"search videos {seed}")
    bounds = [len(order) * i // count for i in range(count + 1)]
    return sorted(order[rng.randrange(low, high)] for low, high in itertools.pairwise(bounds))


def choose_candidates(
    result: GridResult, gmacs: dict[Configuration, float], always: Sequence[Configuration], total_videos: int
) -> tuple[Configuration, ...]:
    """The configurations that may lie on the Pareto front of all ``total_videos``, judged by a sample of them.

    The reference of a configuration is the most accurate one that costs at most as much. Both saw the same videos, so
    their difference d (1, 0 or -1 a video) has the standard error sqrt(var(d) / n * (1 - n / total)): far less than
    that of either accuracy, because most videos are right or wrong for both. A configuration is dropped if its
    reference leads by more than ``STANDARD_ERRORS`` of it. One that is as good as its reference is thus wrongly
    dropped in about 1 case of 44 (one-sided). The Pareto front of the sample always stays.
    """
    hits = {c: topk_hits(result.scores_at(c), result.labels, 1).double() for c in result.configurations}
    kept = []
    for configuration in result.configurations:
        affordable = [c for c in result.configurations if gmacs[c] <= gmacs[configuration]]
        reference = max(affordable, key=lambda c: (hits[c].sum().item(), -gmacs[c]))
        lead = hits[reference] - hits[configuration]
        sampled = len(lead)
        error = math.sqrt(lead.var(correction=0).item() / sampled * max(0.0, 1 - sampled / total_videos))
        if configuration in always or lead.mean().item() <= STANDARD_ERRORS * error:
            kept.append(configuration)
    return tuple(kept)
