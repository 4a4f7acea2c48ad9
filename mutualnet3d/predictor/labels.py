"""Which labels an answer names: the most probable ones, those above a threshold, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import torch

from mutualnet3d.errors import DataError

Labels = tuple[tuple[str | int, float], ...]
_TOP_K = 5


@dataclass(frozen=True)
class LabelRule:
    """How many labels are named.

    Attributes:
        top_k: at most so many; None: 5, or with a threshold all above it.
        threshold: those whose probability is at least so much, in [0, 1]; None: whatever it is.

    Raises:
        DataError: a value is out of bounds.
    """

    top_k: int | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        k, least = self.top_k, self.threshold
        if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
            raise DataError(f"top_k {k!r} must be a whole number of at least 1")
        if least is not None and (isinstance(least, bool) or not isinstance(least, Real) or not 0 <= least <= 1):
            raise DataError(f"threshold {least!r} must be a probability in [0, 1]")

    def choose(self, probabilities: torch.Tensor, names: Sequence[str] | None) -> Labels:
        """(name or number, probability) of (K,) probabilities, the most probable first; equals in label order.

        Raises:
            DataError: there are not K names.
        """
        if names is not None and len(names) != len(probabilities):
            raise DataError(
                f"{len(names)} class names for a network of {len(probabilities)} classes; give one for each, in the "
                "order of the labels"
            )
        sort = probabilities.sort(descending=True, stable=True)
        count = len(probabilities) if self.threshold is not None else _TOP_K
        some = list(zip(sort.values.tolist(), sort.indices.tolist(), strict=True))[: self.top_k or count]
        least = 0.0 if self.threshold is None else self.threshold
        return tuple((i if names is None else names[i], p) for p, i in some if p >= least)
