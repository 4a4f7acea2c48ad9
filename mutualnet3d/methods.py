"""Methods of training one network: which configurations an iteration trains, and what each of them learns from.

| method | every iteration trains | source |
|---|---|---|
| ``mutual`` | full, the smallest, random ones of any width and resolution | MutualNet, arXiv 2105.07085 |
| ``usnet`` | full, the smallest and random widths, all at full resolution | US-Net, arXiv 1903.05134 |
| ``multiscale`` | as ``usnet``, at one random resolution per iteration | MutualNet, section 4 (ablation) |
| ``independent`` | one fixed configuration: an ordinary network | |
| ``slimmable`` | a list of widths, all at full resolution | S-Net, arXiv 1812.08928 |

The first configuration of an iteration learns the labels. The others, the sub-networks, learn its prediction, or the
labels too: always, or until it knows enough to teach.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.errors import ConfigurationError

METHODS = ("mutual", "usnet", "multiscale", "independent", "slimmable")
TEACHERS = ("auto", "full", "labels")
SMALLEST = ("auto", "lowest", "random", "full")

Resolution = tuple[int, int | None]  # spatial, temporal


@dataclass(frozen=True)
class Slot:
    """A place among the configurations of an iteration; ``None`` is drawn uniformly each time."""

    width: float | None
    resolution: Resolution | None


@dataclass(frozen=True)
class Method:
    """The configurations of each iteration, as a value: they depend on ``seed`` and the iteration alone.

    Args:
        space: the configurations there are.
        seed: of the draws.
        name: one of ``METHODS``.
        num_random: random sub-networks besides the widest and the narrowest; of the first three methods.
        smallest: of ``mutual``, where the narrowest runs: at the ``lowest`` resolution, at a ``random`` one, at the
            ``full`` one; ``auto`` = lowest for videos (the paper's table IV), random for images (table III).
        teacher: what sub-networks learn: the prediction of the first configuration (``full``), or the ``labels``;
            ``auto`` = labels for ``slimmable``, as S-Net was trained, full for the others.
        fixed: of ``independent``, the configuration.
        widths: of ``slimmable``, ascending; the last is the highest of the space.
        label_epochs: epochs at the beginning in which sub-networks learn the labels, whatever ``teacher`` is: a
            network that has learnt nothing teaches nothing. 0 in the paper.

    Raises:
        ConfigurationError: ``fixed`` or one of ``widths`` is missing or outside the space.
    """

    space: ConfigurationSpace
    seed: int = 0
    name: str = "mutual"
    num_random: int = 1
    smallest: str = "auto"
    teacher: str = "auto"
    fixed: Configuration | None = None
    widths: tuple[float, ...] = ()
    label_epochs: float = 0.0

    def __post_init__(self) -> None:
        for given, known in ((self.name, METHODS), (self.smallest, SMALLEST), (self.teacher, TEACHERS)):
            if given not in known:
                raise ConfigurationError(f"{given!r} is not one of {', '.join(known)}")
        if self.name == "independent":
            self.space.check(self._only)
        if self.name == "slimmable":
            full = self.space.full
            for width in self.widths:
                self.space.check(Configuration(width, full.spatial, full.temporal))
            if not self.widths or self.widths[-1] != full.width:
                raise ConfigurationError(
                    f"widths {list(self.widths)} of slimmable must end with the highest of the space, {full.width}"
                )

    @classmethod
    def from_cfg(cls, cfg: Any, space: ConfigurationSpace) -> Method:
        """The method of the node MUTUALNET; without MUTUALNET.ENABLE, plain training of the full network."""
        node = cfg.MUTUALNET
        if not node.ENABLE:
            return cls(space, cfg.RNG_SEED, "independent", fixed=space.full)
        return cls(
            space,
            cfg.RNG_SEED,
            node.METHOD,
            node.NUM_RANDOM,
            node.SMALLEST,
            node.TEACHER,
            Configuration.parse(node.FIXED) if node.FIXED else None,
            tuple(node.WIDTHS_TRAINED),
            node.LABEL_EPOCHS,
        )

    @property
    def _only(self) -> Configuration:
        if self.fixed is None:
            raise ConfigurationError("independent trains one configuration alone: name it with fixed")
        return self.fixed

    @property
    def reference(self) -> Configuration:
        """The configuration that a run is judged by while it trains: full, or the only one that is trained."""
        return self._only if self.name == "independent" else self.space.full

    @property
    def updates_full(self) -> bool:
        """Whether full runs in every iteration, so that its running statistics are those of its weights.

        Otherwise full must be calibrated before it is evaluated, as every other configuration.
        """
        return self.slots[0] == Slot(self.space.full.width, self._full_resolution)

    def learns_labels(self, epoch: float = math.inf) -> bool:
        """Whether sub-networks learn the labels and not the prediction of the first configuration, when ``epoch``
        epochs are done; default: in the end."""
        always = self.teacher == "labels" or (self.teacher == "auto" and self.name == "slimmable")
        return always or epoch < self.label_epochs

    @property
    def slots(self) -> tuple[Slot, ...]:
        """What an iteration trains, the widest first."""
        (low, high), full = self.space.width, self._full_resolution
        if self.name == "independent":
            only = self._only
            return (Slot(only.width, (only.spatial, only.temporal)),)
        if self.name == "slimmable":
            return tuple(Slot(width, full) for width in (high, *self.widths[:-1]))
        if self.name == "usnet":
            return (Slot(high, full), Slot(low, full), *[Slot(None, full)] * self.num_random)
        if self.name == "multiscale":
            return (Slot(high, None), Slot(low, None), *[Slot(None, None)] * self.num_random)
        smallest = self.smallest if self.smallest != "auto" else "lowest" if self.space.temporal else "random"
        lowest = self.space.smallest.spatial, self.space.smallest.temporal
        where = {"lowest": lowest, "random": None, "full": full}[smallest]
        return (Slot(high, full), Slot(low, where), *[Slot(None, None)] * self.num_random)

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """Every (spatial, temporal) that may be drawn, each as likely as any other."""
        return tuple(itertools.product(self.space.spatial, self.space.temporal or (None,)))

    @property
    def drawn_frames(self) -> frozenset[int | None]:
        """Every number of frames (of the Slow pathway) that an iteration may train; None is that of images."""
        drawn = (r for slot in self.slots for r in ((slot.resolution,) if slot.resolution else self.resolutions))
        return frozenset(temporal for _, temporal in drawn)

    @property
    def _full_resolution(self) -> Resolution:
        return self.space.full.spatial, self.space.full.temporal

    def draw(self, iteration: int, among: Sequence[Configuration] | None = None) -> tuple[Configuration, ...]:
        """The configurations of an iteration, the same on every rank and in every resumed run.

        Widths are uniform in the range, rounded to 3 decimals; resolutions uniform in the lists.

        Args:
            among: with ``mutual``, where only some configurations can run (those with statistics, when BatchNorm is
                frozen): random ones are drawn from these, uniformly. The smallest must be one of them.

        Raises:
            ConfigurationError: the smallest is not in ``among``.
        """
        rng, space = random.Random(f"mutual configurations {self.seed} {iteration}"), self.space
        if among is not None:
            if space.smallest not in among:
                raise ConfigurationError(
                    f"the smallest configuration {space.smallest} has no frozen BatchNorm statistics (there are: "
                    f"{', '.join(map(str, among)) or 'none'}); calibrate it first, or set MODEL.FROZEN_BN False"
                )
            return (space.full, space.smallest, *rng.choices(among, k=self.num_random))

        def resolution() -> Resolution:
            return rng.choice(space.spatial), rng.choice(space.temporal) if space.temporal else None

        common = resolution() if self.name == "multiscale" else None

        def fill(slot: Slot) -> Configuration:
            low, high = space.width
            width = slot.width or min(max(round(rng.uniform(low, high), 3), low), high)
            return Configuration(width, *(slot.resolution or common or resolution()))

        return tuple(fill(slot) for slot in self.slots)
