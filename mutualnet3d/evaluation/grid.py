"""All configurations in one pass over the videos: each is decoded once and its views are cut once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.data import TestItem, normalise
from mutualnet3d.errors import ConfigError, DataError
from mutualnet3d.evaluation.result import GridResult, join_results
from mutualnet3d.layers import eval_mode
from mutualnet3d.models.network import AdaptiveNetwork

__all__ = ["GridResult", "VideoScorer", "evaluate_grid", "refuse_nothing"]


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
    score = VideoScorer(model, configurations, cfg)
    items, parts = iter(videos), []
    while not parts or len(parts[-1].labels) + len(parts[-1].missing):
        parts.append(score(islice(items, cfg.TEST.BATCH_SIZE)))
    result = join_results(parts, score.configurations)
    refuse_nothing(result)
    return result


def refuse_nothing(result: GridResult) -> None:
    """DataError if no video could be read."""
    if len(result.labels) == 0:
        shown = "; ".join(f"{path}: {reason}" for path, reason in result.missing[:3]) or "the list is empty"
        raise DataError(
            f"none of {len(result.missing)} videos could be read ({shown}); run tools/check_data.py on the list"
        )


class VideoScorer:
    """The forward passes of one group of videos after another, at all configurations.

    Batches never span two groups: the scores of a group are the same bits whatever was scored before. A group
    of TEST.BATCH_SIZE videos fills its batches, however many views a video has.

    Raises:
        ConfigError, ConfigurationError, NotCalibratedError: on construction, as :func:`evaluate_grid`.
    """

    def __init__(self, model: AdaptiveNetwork, configurations: Sequence[Configuration], cfg):
        self.configurations = tuple(dict.fromkeys(model.space.check(c) for c in configurations))
        for configuration in self.configurations:
            model.require_statistics(configuration)
        self._model, self._cfg = model, cfg
        self._sharing = model.sharing_groups(self.configurations)
        self._device = next(model.parameters()).device
        self._activate, self._ensemble = _score_activation(cfg), _ensemble(cfg)

    @torch.no_grad()
    def __call__(self, items: Iterable[TestItem]) -> GridResult:
        """Scores of ``items``, which must have equally many views; those that could not be read are missing.

        ``items`` are taken as their views are needed, so that a loader decodes the next ones meanwhile.
        """
        seen = _Seen()
        views: dict[Configuration, list[torch.Tensor]] = {c: [] for c in self.configurations}
        with eval_mode(self._model):
            for clips in view_batches(seen.readable(items), self._cfg.TEST.BATCH_SIZE):
                if self._device.type == "cuda":
                    clips = clips.pin_memory()
                clips = clips.to(self._device, non_blocking=True)
                clip = normalise(clips.permute(0, 4, 1, 2, 3), self._cfg.DATA.MEAN, self._cfg.DATA.STD)
                for group in self._sharing:
                    shared = self._model.shared_features(clip, group[0])
                    for configuration in group:
                        logits = self._model(clip, configuration, shared=shared)
                        views[configuration].append(self._activate(logits.float()))
        return GridResult(
            configurations=self.configurations,
            scores=torch.stack([self._of_videos(views[c], len(seen.labels)) for c in self.configurations]),
            labels=torch.tensor(seen.labels, dtype=torch.int64),
            indices=torch.tensor(seen.indices, dtype=torch.int64),
            missing=tuple(seen.missing),
            paths=tuple(seen.paths),
            missing_indices=tuple(seen.missing_indices),
        )

    def _of_videos(self, batches: list[torch.Tensor], videos: int) -> torch.Tensor:
        """Scores of views, in batches (n, K), to those of ``videos`` (videos, K) on the CPU."""
        if not videos:
            return torch.zeros(0, self._cfg.MODEL.NUM_CLASSES)
        scores = torch.cat(batches)
        return self._ensemble(scores.unflatten(0, (videos, -1))).cpu()


class _Seen:
    """What is known of the videos that have passed by."""

    def __init__(self) -> None:
        self.indices: list[int] = []
        self.labels: list[int] = []
        self.paths: list[str] = []
        self.missing_indices: list[int] = []
        self.missing: list[tuple[str, str]] = []

    def readable(self, items: Iterable[TestItem]) -> Iterator[TestItem]:
        for item in items:
            if item.error is not None:
                self.missing_indices.append(item.index)
                self.missing.append((item.path, item.error))
                continue
            self.indices.append(item.index)
            self.labels.append(item.label)
            self.paths.append(item.path)
            yield item


def view_batches(items: Iterable[TestItem], size: int) -> Iterator[torch.Tensor]:
    """The views of ``items`` in their order, in batches of ``size``, the last one smaller: uint8 (n, T, H, W, 3)."""
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


def _score_activation(cfg) -> Callable[[torch.Tensor], torch.Tensor]:
    if cfg.MODEL.HEAD_ACT == "softmax":
        return lambda logits: logits.softmax(1)
    if cfg.MODEL.HEAD_ACT == "sigmoid":
        return torch.sigmoid
    raise ConfigError(f"MODEL.HEAD_ACT {cfg.MODEL.HEAD_ACT!r} is not one of softmax, sigmoid")
