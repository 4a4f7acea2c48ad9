"""mAP of videos with several labels: the official rule of Charades, and the macro mean that PySlowFast reports.

Both are the mean over classes of the average precision, the mean over a class's positives of the precision at the rank
of each. They differ in two points. Ties: the official rule ranks equal scores in the order of the videos, so the result
depends on that order; the macro mean (scikit-learn's ``average_precision_score``) gives all positives of a tie the
precision at its end, so it does not. Videos without any label: the official rule ranks them last in every class, the
macro mean where their scores put them. Without ties and such videos the two are equal.

A class without positives has no average precision: nan. The official program divides by zero there and its mean is nan;
here, as in PySlowFast, such classes are left out of the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mutualnet3d.errors import DataError


@dataclass(frozen=True)
class MultiLabelAccuracy:
    """mAP over the videos that could be read.

    Attributes:
        map: per cent, mean over the classes that have a positive.
        weighted_map: per cent, the same weighted by the positives of a class (Charades calls it WAP).
        per_class: average precision of each class in per cent; nan for a class without positives.
        videos: how many videos were scored.
        missing: how many could not be read; they are not in the percentages.
    """

    map: float
    weighted_map: float
    per_class: tuple[float, ...]
    videos: int
    missing: int = 0

    def __str__(self) -> str:
        seen = sum(ap == ap for ap in self.per_class)
        missing = f", {self.missing} videos missing" if self.missing else ""
        return f"mAP {self.map:.2f} % over {seen} of {len(self.per_class)} classes, {self.videos} videos{missing}"


def charades_map(scores: torch.Tensor, labels: torch.Tensor, missing: int = 0) -> MultiLabelAccuracy:
    """mAP by the rule of Charades_v1_classify.

    Args:
        scores: (V, K), of any float type; nan ranks last. A row of -inf stands for a video without a prediction, which
            the official program ranks last and counts.
        labels: (V, K), 1 or True where the video has the label, else 0 or False.
        missing: for the result's ``missing``.

    Raises:
        DataError: the shapes differ, a label is neither 0 nor 1, or no video has a label.
    """
    scores, labels = _check(scores, labels)
    scores = scores.masked_fill(~labels.any(1, keepdim=True), -torch.inf)
    return _accuracy(scores, labels, missing, group_ties=False)


def macro_map(scores: torch.Tensor, labels: torch.Tensor, missing: int = 0) -> MultiLabelAccuracy:
    """mAP as the macro mean of scikit-learn's average precision over the classes that have a positive.

    Arguments and errors are those of ``charades_map``.
    """
    scores, labels = _check(scores, labels)
    return _accuracy(scores, labels, missing, group_ties=True)


def _check(scores: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores as float64 without nan, labels as bool, both on the CPU."""
    scores, labels = scores.detach().cpu().double(), labels.detach().cpu()
    if scores.ndim != 2 or scores.shape != labels.shape:
        raise DataError(
            f"scores are {tuple(scores.shape)} and labels {tuple(labels.shape)}; both must be (videos, classes)"
        )
    wrong = labels[(labels != 0) & (labels != 1)]
    if len(wrong):
        raise DataError(f"a label is {wrong[0].item()}; labels are 1 where a video has the class and 0 elsewhere")
    if not labels.any():
        raise DataError(f"none of {len(labels)} videos has a label, so mAP is undefined; check the list of videos")
    return scores.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf), labels.bool()


def _accuracy(scores: torch.Tensor, labels: torch.Tensor, missing: int, group_ties: bool) -> MultiLabelAccuracy:
    videos = len(scores)
    ranked, order = scores.sort(dim=0, descending=True, stable=True)
    hits = labels.gather(0, order)
    precision = hits.cumsum(0) / torch.arange(1, videos + 1, dtype=torch.float64)[:, None]
    if group_ties:
        precision = precision.gather(0, _ends_of_ties(ranked))
    positives = labels.sum(0).double()
    per_class = 100.0 * (precision * hits).sum(0) / positives  # nan where there is no positive
    weights = positives / positives.sum()
    return MultiLabelAccuracy(
        map=per_class.nanmean().item(),
        weighted_map=(per_class.nan_to_num(nan=0.0) * weights).sum().item(),
        per_class=tuple(per_class.tolist()),
        videos=videos,
        missing=missing,
    )


def _ends_of_ties(ranked: torch.Tensor) -> torch.Tensor:
    """int64 (V, K): for each of the falling scores (V, K) the row in which the last score equal to it stands."""
    rows = torch.arange(len(ranked))[:, None].expand_as(ranked)
    last = torch.ones_like(ranked, dtype=torch.bool)
    last[:-1] = ranked[:-1] != ranked[1:]
    ends = rows.masked_fill(~last, len(ranked))
    return ends.flip(0).cummin(0).values.flip(0)
