"""All configurations in one pass over the videos: each is decoded once and its views are cut once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.data import TestItem, normalise
from mutualnet3d.errors import ConfigError, DataError
from mutualnet3d.evaluation.accuracy import Accuracy, topk_accuracy
from mutualnet3d.layers import eval_mode
from mutualnet3d.models.network import AdaptiveNetwork


@dataclass(frozen=True)
class GridResult:
    """Scores of every video at every configuration.

    Attributes:
        configurations: in the order that they were asked for.
        scores: float32 (configurations, videos, K), ensembled over the views of a video.
        labels: int64 (videos,).
        indices: int64 (videos,), positions in the list.
        missing: (path, reason) of the videos that could not be read; they have no scores.
    """

    configurations: tuple[Configuration, ...]
    scores: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor
    missing: tuple[tuple[str, str], ...]

    def accuracies(self) -> dict[Configuration, Accuracy]:
        """Top-1 and top-5 of each configuration."""
        return {
            configuration: Accuracy(
                topk_accuracy(scores, self.labels, 1),
                topk_accuracy(scores, self.labels, 5),
                len(self.labels),
                len(self.missing),
            )
            for configuration, scores in zip(self.configurations, self.scores, strict=True)
        }


@torch.no_grad()
def evaluate_grid(
    model: AdaptiveNetwork, videos: Iterable[TestItem], configurations: Sequence[Configuration], cfg
) -> GridResult:
    """Score ``videos`` at all ``configurations``; the model's mode is restored.

    The scores of a view are softmax probabilities (MODEL.HEAD_ACT); those of a video their sum, or with
    DATA.ENSEMBLE_METHOD ``max`` their maximum, over its views. Views of neighbouring videos share a forward pass of up
    to TEST.BATCH_SIZE views; what configurations compute alike (SlowFast's Fast pathway) is computed once.

    Raises:
        NotCalibratedError: a configuration other than full has no statistics; before any video is decoded.
        DataError: no video could be read.
    """
    configurations = tuple(dict.fromkeys(model.space.check(c) for c in configurations))
    for configuration in configurations:
        model.require_statistics(configuration)
    groups = model.sharing_groups(configurations)
    device = next(model.parameters()).device
    activate = _score_activation(cfg)
    totals: dict[Configuration, dict[int, torch.Tensor]] = {c: {} for c in configurations}
    labels: dict[int, int] = {}
    missing: list[tuple[str, str]] = []
    with eval_mode(model):
        for clips, owners in _view_batches(videos, cfg.TEST.BATCH_SIZE, labels, missing):
            clip = normalise(clips.to(device, non_blocking=True), cfg.DATA.MEAN, cfg.DATA.STD)
            for group in groups:
                shared = model.shared_features(clip, group[0])
                for configuration in group:
                    scores = activate(model(clip, configuration, shared=shared)).float().cpu()
                    total = totals[configuration]
                    for owner, score in zip(owners, scores, strict=True):
                        total[owner] = _ensemble(cfg.DATA.ENSEMBLE_METHOD, total.get(owner), score)
    if not labels:
        shown = "; ".join(f"{path}: {reason}" for path, reason in missing[:3]) or "the list is empty"
        raise DataError(f"none of {len(missing)} videos could be read ({shown}); run tools/check_data.py on the list")
    order = sorted(labels)
    return GridResult(
        configurations,
        torch.stack([torch.stack([totals[c][i] for i in order]) for c in configurations]),
        torch.tensor([labels[i] for i in order]),
        torch.tensor(order),
        tuple(missing),
    )


def _view_batches(
    videos: Iterable[TestItem], size: int, labels: dict[int, int], missing: list[tuple[str, str]]
) -> Iterator[tuple[torch.Tensor, list[int]]]:
    """uint8 (up to ``size``, 3, T, H, W) with the video of each view; fills in labels and unreadable videos."""
    clips: list[torch.Tensor] = []
    owners: list[int] = []
    for item in videos:
        if item.error is not None:
            missing.append((item.path, item.error))
            continue
        labels[item.index] = item.label
        for view in item.views():
            clips.append(view)
            owners.append(item.index)
            if len(clips) == size:
                yield torch.stack(clips), owners
                clips, owners = [], []
    if clips:
        yield torch.stack(clips), owners


def _ensemble(method: str, total: torch.Tensor | None, score: torch.Tensor) -> torch.Tensor:
    if total is None:
        return score
    return torch.maximum(total, score) if method == "max" else total + score


def _score_activation(cfg):
    if cfg.DATA.ENSEMBLE_METHOD not in ("sum", "max"):
        raise ConfigError(f"DATA.ENSEMBLE_METHOD {cfg.DATA.ENSEMBLE_METHOD!r} is not one of sum, max")
    if cfg.MODEL.HEAD_ACT == "softmax":
        return lambda logits: logits.float().softmax(1)
    if cfg.MODEL.HEAD_ACT == "sigmoid":
        return lambda logits: logits.float().sigmoid()
    raise ConfigError(f"MODEL.HEAD_ACT {cfg.MODEL.HEAD_ACT!r} is not one of softmax, sigmoid")
