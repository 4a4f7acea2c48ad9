"""Evaluation of a list of videos that may be interrupted, and that several processes may share."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from mutualnet3d.architectures import items_name
from mutualnet3d.configuration import Configuration
from mutualnet3d.data import Entries, test_dataset, video_loader
from mutualnet3d.distributed import ALONE, Processes
from mutualnet3d.errors import DataError
from mutualnet3d.evaluation.fingerprint import fingerprint, statistics_digest
from mutualnet3d.evaluation.grid import build_scorer, refuse_nothing
from mutualnet3d.evaluation.parts import ScoreParts, differences, usable_configurations
from mutualnet3d.evaluation.result import GridResult, join_results, read_scores, save_scores
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.progress import show_progress

_logger = logging.getLogger(__name__)


def evaluate_list(
    model: AdaptiveNetwork,
    entries: Entries,
    configurations: Sequence[Configuration],
    cfg,
    path: str | os.PathLike,
    processes: Processes = ALONE,
) -> GridResult | None:
    """Score the views of TEST of ``entries`` at all ``configurations`` and write them to ``path`` (``.npz``).

    Every rank takes each ``world_size``-th video; rank 0 writes and returns the result, the others return None.
    Meanwhile finished groups of TEST.BATCH_SIZE videos are kept in a folder beside ``path``. The same call goes on
    from them and gives the same bits as one that was never interrupted; scores of configurations that ``path`` holds
    already are taken from there. Both only if weights, statistics, videos, views and number of processes are the same.

    Raises:
        NotCalibratedError: a configuration other than full has no statistics; before any video is decoded.
        DataError: no video could be read.
    """
    path = Path(path)
    configurations = build_scorer(model, configurations, cfg).configurations
    facts = fingerprint(model, entries, cfg, processes.world_size)
    digests = {c: statistics_digest(model, c) for c in configurations}
    finished = _finished(path, facts, digests) if processes.first else None
    known = processes.broadcast(finished.configurations if finished else ())
    wanted = tuple(c for c in configurations if c not in known)
    parts = ScoreParts(path.with_suffix(""), facts, digests, processes)
    _score_groups(model, entries, wanted, cfg, parts, processes)
    gathered = processes.gather(parts.results())
    if gathered is not None:
        pieces = [part for of_rank in gathered for part in of_rank]
        result = join_results([finished, *pieces] if finished else pieces, configurations)
        if len(result.labels):
            save_scores(
                path,
                result,
                fingerprint=facts,
                statistics={str(c): digest for c, digest in digests.items()},
                ensemble_method=cfg.DATA.ENSEMBLE_METHOD,
                activation=cfg.MODEL.HEAD_ACT,
                views=[cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS],
            )
    processes.broadcast(None)  # nobody deletes a part before the whole is written
    parts.remove()
    if gathered is None:
        return None
    refuse_nothing(result, cfg)
    return result


def _score_groups(
    model: AdaptiveNetwork,
    entries: Entries,
    configurations: tuple[Configuration, ...],
    cfg,
    parts: ScoreParts,
    processes: Processes,
) -> None:
    """Score what ``parts`` lack of this rank's videos."""
    own, size = processes.share_of(len(entries)), cfg.TEST.BATCH_SIZE
    groups = [own[start : start + size] for start in range(0, len(own), size)]
    lacking = {number: parts.lacking(number, configurations) for number in range(len(groups))}
    lacking = {number: wanted for number, wanted in lacking.items() if wanted}
    if not lacking:
        return
    scorers = {wanted: build_scorer(model, wanted, cfg) for wanted in set(lacking.values())}
    videos = test_dataset(entries, cfg, cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS)
    order = [index for number in lacking for index in groups[number]]
    with show_progress("testing", len(order), items_name(cfg)) as steps:
        items = steps.over(video_loader(videos, cfg, order))
        try:
            for number, wanted in lacking.items():
                parts.add(number, scorers[wanted](islice(items, len(groups[number]))))
        finally:
            parts.flush()


def _finished(path: Path, facts: dict[str, str], digests: dict[Configuration, str]) -> GridResult | None:
    """What the file of an earlier evaluation holds of this one."""
    if not path.is_file():
        return None
    try:
        result, stored = read_scores(path)
    except DataError as error:
        _logger.warning("%s; starting anew", error)
        return None
    if differing := differences(stored.get("fingerprint", {}), facts):
        _logger.info("%s is of another evaluation (%s); starting anew", path, differing)
        return None
    known = usable_configurations(result, stored, digests)
    if not known:
        return None
    _logger.info("scores at %d of %d configurations are taken from %s", len(known), len(digests), path)
    return join_results([result], known)
