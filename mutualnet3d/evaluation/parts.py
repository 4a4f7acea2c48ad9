"""Scores of finished groups of videos on disk, so that an interrupted evaluation loses little."""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from mutualnet3d.configuration import Configuration
from mutualnet3d.distributed import Processes
from mutualnet3d.errors import DataError
from mutualnet3d.evaluation.result import GridResult, join_results, read_scores, save_scores

_NAME = re.compile(r"rank(\d+)_(\d+)\.npz")
_logger = logging.getLogger(__name__)


class ScoreParts:
    """The finished groups of one rank: files ``rank0_000000.npz``, ... in a folder, each whole or absent.

    Args:
        folder: of all ranks of one evaluation.
        facts: what the scores depend on (:func:`~mutualnet3d.evaluation.fingerprint.fingerprint`).
        digests: of the statistics of every configuration that is evaluated.
        processes: whose parts these are.
        period: seconds between writes; :meth:`flush` writes at once.
    """

    def __init__(
        self,
        folder: Path,
        facts: dict[str, str],
        digests: dict[Configuration, str],
        processes: Processes,
        period: float = 30.0,
    ):
        self._folder, self._facts, self._digests, self._period = folder, facts, digests, period
        self._processes, self._number = processes, 0
        self._parts: list[GridResult] = []
        self._pending: list[tuple[int, GridResult]] = []
        self._done: set[tuple[int, Configuration]] = set()
        self._written = time.monotonic()
        self._load()

    def lacking(self, group: int, configurations: Sequence[Configuration]) -> tuple[Configuration, ...]:
        """Those of ``configurations`` at which ``group`` has not been scored."""
        return tuple(c for c in configurations if (group, c) not in self._done)

    def add(self, group: int, result: GridResult) -> None:
        """Keep the scores of a finished group; it is on disk after at most ``period`` seconds and another group."""
        if self._pending and self._pending[0][1].configurations != result.configurations:
            self.flush()
        self._pending.append((group, result))
        if time.monotonic() - self._written >= self._period:
            self.flush()

    def flush(self) -> None:
        """Write what is only in memory."""
        self._written = time.monotonic()
        if not self._pending:
            return
        groups, results = zip(*self._pending, strict=True)
        part = join_results(results, results[0].configurations)
        digests = {str(c): self._digests[c] for c in part.configurations}
        save_scores(
            self._folder / f"rank{self._processes.rank}_{self._number:06d}.npz",
            part,
            fingerprint=self._facts,
            statistics=digests,
            groups=groups,
        )
        self._number += 1
        self._pending = []
        self._keep(part, groups, part.configurations)

    def results(self) -> list[GridResult]:
        """Everything scored so far, in pieces for ``join_results``."""
        self.flush()
        return list(self._parts)

    def remove(self) -> None:
        """Delete the files of this rank, and the folder once it is empty."""
        for path in self._paths():
            path.unlink()
        if not any(_NAME.fullmatch(path.name) for path in self._listed()):
            shutil.rmtree(self._folder, ignore_errors=True)  # what a killed process left half-written goes with it

    def _load(self) -> None:
        for path in self._paths():
            self._number = max(self._number, int(_NAME.fullmatch(path.name)[2]) + 1)
            try:
                result, facts = read_scores(path)
                groups = facts.get("groups")
                if not isinstance(groups, list) or not all(isinstance(group, int) for group in groups):
                    raise DataError(f"{path}: does not say which groups of videos it holds")
            except DataError as error:
                _logger.warning("%s; these videos are scored again", error)
                continue
            if differing := differences(facts.get("fingerprint", {}), self._facts):
                _logger.warning("%s is of another evaluation (%s); starting anew", path, differing)
                path.unlink()
                continue
            known = usable_configurations(result, facts, self._digests)
            self._keep(result, groups, known)
        if self._done:
            groups = {group for group, _ in self._done}
            _logger.info("going on from %s: %d groups of videos are scored", self._folder, len(groups))

    def _keep(self, part: GridResult, groups: Sequence[int], configurations: Sequence[Configuration]) -> None:
        fresh = [c for c in configurations if all((group, c) not in self._done for group in groups)]
        if fresh:
            self._parts.append(join_results([part], fresh))
            self._done.update((group, c) for group in groups for c in fresh)

    def _paths(self) -> list[Path]:
        own = [p for p in self._listed() if (m := _NAME.fullmatch(p.name)) and self._owns(int(m[1]))]
        return sorted(own)

    def _listed(self) -> list[Path]:
        """What is in the folder; nothing before the first part, and once another rank has removed it."""
        try:
            return list(self._folder.iterdir())
        except FileNotFoundError:
            return []

    def _owns(self, rank: int) -> bool:
        """Rank 0 also looks after what ranks left that this run does not have."""
        return rank == self._processes.rank or (self._processes.first and rank >= self._processes.world_size)


def differences(found: dict[str, str], wanted: dict[str, str]) -> str:
    """The topics in which two fingerprints differ, as a text; empty if they are equal."""
    return ", ".join(topic for topic in wanted if found.get(topic) != wanted[topic])


def usable_configurations(
    result: GridResult, facts: dict, digests: dict[Configuration, str]
) -> tuple[Configuration, ...]:
    """The configurations of stored scores whose statistics are still the same."""
    stored = facts.get("statistics", {})
    return tuple(c for c in result.configurations if c in digests and stored.get(str(c)) == digests[c])
