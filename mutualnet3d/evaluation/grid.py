"""All configurations in one pass over the videos: each is decoded once and its views are cut once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import torch

from mutualnet3d.architectures import items_name
from mutualnet3d.configuration import Configuration
from mutualnet3d.data import KeyFrameItem, TestItem
from mutualnet3d.distributed import ALONE, Processes
from mutualnet3d.errors import ConfigError, DataError
from mutualnet3d.evaluation.detection import KeyFrameScorer
from mutualnet3d.evaluation.result import GridResult, join_results
from mutualnet3d.evaluation.scoring import Scorer, Seen
from mutualnet3d.layers import eval_mode
from mutualnet3d.models.network import AdaptiveNetwork

__all__ = ["GridResult", "VideoScorer", "build_scorer", "evaluate_grid", "refuse_nothing"]


def evaluate_grid(
    model: AdaptiveNetwork,
    videos: Iterable[TestItem | KeyFrameItem],
    configurations: Sequence[Configuration],
    cfg,
    processes: Processes = ALONE,
) -> GridResult | None:
    """Score ``videos`` at all ``configurations``; the model's mode is restored.

    Of several processes each passes its own share of the videos; rank 0 gets the result of all, the others None.

    The scores of a view are softmax probabilities (MODEL.HEAD_ACT); those of a video their sum, or with
    DATA.ENSEMBLE_METHOD ``max`` their maximum, over its views. Views of neighbouring videos share a forward pass of up
    to TEST.BATCH_SIZE views; what configurations compute alike (SlowFast's Fast pathway) is computed once.

    Raises:
        NotCalibratedError: a configuration other than full has no statistics; before any video is decoded.
        DataError: no video could be read.
    """
    score = build_scorer(model, configurations, cfg)
    items, parts = iter(videos), []
    while not parts or len(parts[-1].labels) + len(parts[-1].missing):
        parts.append(score(islice(items, cfg.TEST.BATCH_SIZE)))
    shares = processes.gather(join_results(parts, score.configurations))
    if shares is None:
        return None
    result = join_results(shares, score.configurations)
    refuse_nothing(result, cfg)
    return result


def build_scorer(model: AdaptiveNetwork, configurations: Sequence[Configuration], cfg) -> Scorer:
    """What scores the items of the data set: videos, or key frames with boxes (DETECTION.ENABLE)."""
    return (KeyFrameScorer if cfg.DETECTION.ENABLE else VideoScorer)(model, configurations, cfg)


def refuse_nothing(result: GridResult, cfg) -> None:
    """DataError if no item of the list, which ``cfg`` names, could be read."""
    if len(result.labels) == 0:
        shown = "; ".join(f"{path}: {reason}" for path, reason in result.missing[:3]) or "the list is empty"
        raise DataError(
            f"none of {len(result.missing)} {items_name(cfg)} could be read ({shown}); "
            "run tools/check_data.py on the list"
        )


class VideoScorer(Scorer):
    """The forward passes of one group of videos after another, at all configurations.

    Batches never span two groups: the scores of a group are the same bits whatever was scored before. A group
    of TEST.BATCH_SIZE videos fills its batches, however many views a video has.
    """

    def __init__(self, model: AdaptiveNetwork, configurations: Sequence[Configuration], cfg):
        super().__init__(model, configurations, cfg)
        self._ensemble = _ensemble(cfg)

    @torch.no_grad()
    def __call__(self, items: Iterable[TestItem]) -> GridResult:
        """Scores of ``items``, which must have equally many views; those that could not be read are missing.

        ``items`` are taken as their views are needed, so that a loader decodes the next ones meanwhile.
        """
        seen = Seen()
        views: dict[Configuration, list[torch.Tensor]] = {c: [] for c in self.configurations}
        with eval_mode(self.model):
            for clips in view_batches(seen.readable(items), self.cfg.TEST.BATCH_SIZE):
                for configuration, scores in self.score(clips.movedim(-1, 1)):
                    views[configuration].append(scores)
        labels = [torch.as_tensor(item.label) for item in seen.items]
        return GridResult(
            configurations=self.configurations,
            scores=torch.stack([self._of_videos(views[c], len(seen.items)) for c in self.configurations]),
            labels=torch.stack(labels) if labels else self._no_labels(),
            indices=torch.tensor([item.index for item in seen.items], dtype=torch.int64),
            missing=tuple(seen.missing),
            paths=tuple(item.path for item in seen.items),
            missing_indices=tuple(seen.missing_indices),
        )

    def _of_videos(self, batches: list[torch.Tensor], videos: int) -> torch.Tensor:
        """Scores of views, in batches (n, K), to those of ``videos`` (videos, K) on the CPU."""
        if not videos:
            return torch.zeros(0, self.cfg.MODEL.NUM_CLASSES)
        scores = torch.cat(batches)
        return self._ensemble(scores.unflatten(0, (videos, -1))).cpu()

    def _no_labels(self) -> torch.Tensor:
        if self.cfg.DATA.MULTI_LABEL:
            return torch.zeros(0, self.cfg.MODEL.NUM_CLASSES)
        return torch.zeros(0, dtype=torch.int64)


def view_batches(items: Iterable[TestItem], size: int) -> Iterator[torch.Tensor]:
    """The views of ``items`` in their order, in batches of ``size``, the last one smaller: uint8 (n, [T,] H, W, 3)."""
    views = (view for item in items for view in item.views().stored())
    while batch := list(islice(views, size)):
        yield torch.stack(batch)


def _ensemble(cfg) -> Callable[[torch.Tensor], torch.Tensor]:
    """(videos, views, K) to (videos, K)."""
    if cfg.DATA.ENSEMBLE_METHOD == "sum":
        return lambda scores: scores.sum(1)
    if cfg.DATA.ENSEMBLE_METHOD == "max":
        return lambda scores: scores.amax(1)
    raise ConfigError(f"DATA.ENSEMBLE_METHOD {cfg.DATA.ENSEMBLE_METHOD!r} is not one of sum, max")
