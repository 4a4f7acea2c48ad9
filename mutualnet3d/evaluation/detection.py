"""Scores of the boxes of key frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, islice

import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.data import KeyFrameItem
from mutualnet3d.evaluation.result import GridResult
from mutualnet3d.evaluation.scoring import Scorer, Seen
from mutualnet3d.layers import eval_mode


class KeyFrameScorer(Scorer):
    """The forward passes of one group of key frames after another, at all configurations.

    Frames are not cropped, so neighbours share a batch, of up to TEST.BATCH_SIZE, where their sizes are equal.
    """

    @torch.no_grad()
    def __call__(self, items: Iterable[KeyFrameItem]) -> GridResult:
        seen = Seen()
        scores: dict[Configuration, list[torch.Tensor]] = {c: [] for c in self.configurations}
        with eval_mode(self.model):
            for batch in same_size_batches(seen.readable(items), self.cfg.TEST.BATCH_SIZE):
                clips = torch.stack([item.clip.permute(1, 2, 3, 0) for item in batch]).permute(0, 4, 1, 2, 3)
                boxes = torch.cat([torch.nn.functional.pad(b.boxes, (1, 0), value=i) for i, b in enumerate(batch)])
                for configuration, found in self.score(clips, boxes):
                    scores[configuration].append(found.cpu())
        counts = torch.tensor([len(item.boxes) for item in seen.items], dtype=torch.int64)
        indices = torch.tensor([item.index for item in seen.items], dtype=torch.int64)
        rows = int(counts.sum())
        empty = torch.zeros(0, self.cfg.MODEL.NUM_CLASSES)
        return GridResult(
            configurations=self.configurations,
            scores=torch.stack([torch.cat([empty, *scores[c]]) for c in self.configurations]),
            labels=torch.zeros(rows, 0),
            indices=indices.repeat_interleave(counts),
            missing=tuple(seen.missing),
            paths=tuple(f"{item.video},{item.second}" for item in seen.items for _ in range(len(item.boxes))),
            missing_indices=tuple(seen.missing_indices),
            boxes=torch.cat([torch.zeros(0, 4, dtype=torch.float64), *(item.normalised_boxes for item in seen.items)]),
        )


def same_size_batches(items: Iterable[KeyFrameItem], size: int) -> Iterator[list[KeyFrameItem]]:
    """Neighbours of equal size in batches of at most ``size``."""
    for _, run in groupby(items, key=lambda item: item.clip.shape):
        while batch := list(islice(run, size)):
            yield batch
