"""From clips to scores at all configurations: what videos and key frames share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.data import KeyFrameItem, TestItem, normalise
from mutualnet3d.errors import ConfigError
from mutualnet3d.evaluation.result import GridResult
from mutualnet3d.models.network import AdaptiveNetwork

Item = TypeVar("Item", TestItem, KeyFrameItem)


class Scorer(ABC):
    """Scores one group of items after another at ``configurations``; batches never span two groups.

    Raises:
        ConfigError, ConfigurationError, NotCalibratedError: on construction, before anything is decoded.
    """

    def __init__(self, model: AdaptiveNetwork, configurations: Sequence[Configuration], cfg):
        self.configurations = tuple(dict.fromkeys(model.space.check(c) for c in configurations))
        for configuration in self.configurations:
            model.require_statistics(configuration)
        self.model, self.cfg = model, cfg
        self._sharing = model.sharing_groups(self.configurations)
        self._device = next(model.parameters()).device
        self._activate = _score_activation(cfg)

    @abstractmethod
    def __call__(self, items: Iterable[TestItem | KeyFrameItem]) -> GridResult:
        """Scores of ``items``; they are taken as they are needed, so that a loader decodes the next ones meanwhile."""

    def score(
        self, clips: torch.Tensor, boxes: torch.Tensor | None = None
    ) -> Iterator[tuple[Configuration, torch.Tensor]]:
        """Scores, (n, K) or (R, K) on the device, at each configuration; what they compute alike is computed once.

        Args:
            clips: uint8 (n, 3, [T,] H, W), stored channels last.
            boxes: float32 (R, 5), clip and box in its pixels.
        """
        if self._device.type == "cuda":
            clips = clips.pin_memory()
        clip = normalise(clips.to(self._device, non_blocking=True), self.cfg.DATA.MEAN, self.cfg.DATA.STD)
        boxes = None if boxes is None else boxes.to(self._device)
        for group in self._sharing:
            shared = self.model.shared_features(clip, group[0])
            for configuration in group:
                yield configuration, self._activate(self.model(clip, configuration, boxes, shared=shared).float())


class Seen:
    """The items that have passed by, without their frames."""

    def __init__(self) -> None:
        self.items: list[TestItem | KeyFrameItem] = []
        self.missing_indices: list[int] = []
        self.missing: list[tuple[str, str]] = []

    def readable(self, items: Iterable[Item]) -> Iterator[Item]:
        """Those that could be read."""
        for item in items:
            if item.error is not None:
                self.missing_indices.append(item.index)
                self.missing.append((item.path, item.error))
                continue
            self.items.append(item.without_frames())
            yield item


def _score_activation(cfg) -> Callable[[torch.Tensor], torch.Tensor]:
    if cfg.MODEL.HEAD_ACT == "softmax":
        return lambda logits: logits.softmax(1)
    if cfg.MODEL.HEAD_ACT == "sigmoid":
        return torch.sigmoid
    raise ConfigError(f"MODEL.HEAD_ACT {cfg.MODEL.HEAD_ACT!r} is not one of softmax, sigmoid")
