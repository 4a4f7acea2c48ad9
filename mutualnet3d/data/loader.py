"""From datasets to batches: the order of an epoch, the workers, the collation."""

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from mutualnet3d.data.ava import DetectionClips, KeyFrames
from mutualnet3d.data.detection import KeyFrameItem, collate_detections
from mutualnet3d.data.kinetics import TestVideos, TrainClips, TrainItem
from mutualnet3d.errors import ConfigError


@dataclass(frozen=True)
class TrainBatch:
    """N training clips.

    Attributes:
        clips: uint8 (N, 3, T, H, W), of images (N, 3, H, W), stored channels last (``torch.channels_last_3d``,
            ``torch.channels_last``).
        labels: int64 (N,), or float32 (N, K) with several labels.
        indices: int64 (N,), the entries that the clips come from.
        failures: (path, reason) of the unreadable videos met on the way.
    """

    clips: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor
    failures: tuple[tuple[str, str], ...] = ()

    def pin_memory(self) -> "TrainBatch":
        """A copy in pinned memory."""
        return replace(self, clips=self.clips.pin_memory(), labels=self.labels.pin_memory())

    def to(self, device, non_blocking: bool = True) -> "TrainBatch":
        """A copy with clips and labels on ``device``."""
        move = {"device": device, "non_blocking": non_blocking}
        return replace(self, clips=self.clips.to(**move), labels=self.labels.to(**move))


class EpochSampler(Sampler):
    """Keys (epoch, index) of one epoch, shuffled by (seed, epoch); the same on every machine.

    The last partial batch is dropped. Every rank gets the same number of whole batches.

    Args:
        num_entries: size of the dataset.
        batch_size: clips per batch and rank.
        start_batch: batches of this epoch that an interrupted run has behind it.
        rank: of this process, which sees its part of the epoch.
        world_size: processes.

    Raises:
        ConfigError: the dataset is smaller than one batch.
    """

    def __init__(
        self,
        num_entries: int,
        seed: int,
        epoch: int,
        batch_size: int,
        start_batch: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.batch_size = batch_size
        self._num_entries, self._seed, self._rank, self._world_size = num_entries, seed, rank, world_size
        if batch_size < 1:
            raise ConfigError(f"TRAIN.BATCH_SIZE gives {batch_size} clips per process; it must be at least 1")
        if not 0 <= rank < world_size:
            raise ConfigError(f"rank {rank} is not in 0..{world_size - 1}")
        self.num_batches = num_entries // (batch_size * world_size)
        if self.num_batches == 0:
            raise ConfigError(
                f"the list has {num_entries} items, fewer than one batch of {batch_size * world_size}: no iteration "
                f"would run; lower TRAIN.BATCH_SIZE to at most {num_entries}"
            )
        self.set_epoch(epoch, start_batch)

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Go to another epoch; the loader and its workers stay as they are."""
        if not 0 <= start_batch <= self.num_batches:
            raise ConfigError(f"start_batch is {start_batch}; an epoch has {self.num_batches} batches")
        self.epoch, self.start_batch = epoch, start_batch

    def __len__(self) -> int:
        return (self.num_batches - self.start_batch) * self.batch_size

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self._seed, self.epoch]).permutation(self._num_entries)
        mine = order[self._rank :: self._world_size][: self.num_batches * self.batch_size]
        for index in mine[self.start_batch * self.batch_size :].tolist():
            yield self.epoch, index


def train_loader(dataset: TrainClips | DetectionClips, sampler: EpochSampler, cfg) -> DataLoader:
    """Loader of :class:`TrainBatch`; from :class:`DetectionClips` of :class:`DetectionBatch`. Use one for all epochs,
    with ``sampler.set_epoch`` between them."""
    return DataLoader(
        dataset,
        batch_size=sampler.batch_size,
        sampler=sampler,
        collate_fn=collate_detections if isinstance(dataset, DetectionClips) else collate_clips,
        drop_last=True,
        **_worker_options(cfg),
    )


def video_loader(
    dataset: TestVideos | KeyFrames, cfg, order: Sequence[int] | None = None
) -> "DataLoader | KeyFrameLoader":
    """Loader of single :class:`TestItem`; from :class:`KeyFrames` of :class:`KeyFrameItem`. ``order``: positions in
    the list, default all of them as they stand there."""
    order = range(len(dataset)) if order is None else order
    if isinstance(dataset, KeyFrames):
        return KeyFrameLoader(dataset, cfg, order)
    return DataLoader(dataset, batch_size=None, sampler=order, collate_fn=_as_it_is, **_worker_options(cfg))


class KeyFrameLoader:
    """Iterates over :class:`KeyFrameItem`. A worker reads runs of 8 neighbours, whose clips share frames."""

    _RUN = 8

    def __init__(self, dataset: KeyFrames, cfg, order: Sequence[int]):
        runs = [order[start : start + self._RUN] for start in range(0, len(order), self._RUN)]
        self._length = len(order)
        self._loader = DataLoader(
            _Runs(dataset), batch_size=None, sampler=runs, collate_fn=_as_it_is, **_worker_options(cfg)
        )

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[KeyFrameItem]:
        for items in self._loader:
            yield from items


class _Runs(Dataset):
    """Key frames by runs of indices."""

    def __init__(self, dataset: KeyFrames):
        self._dataset = dataset

    def __getitem__(self, run: Sequence[int]) -> list[KeyFrameItem]:
        return self._dataset.read(run)


def collate_clips(items: list[TrainItem]) -> TrainBatch:
    """Stack clips, which stay stored channels last: no pixel is moved twice."""
    return TrainBatch(
        clips=torch.stack([item.clip.movedim(0, -1) for item in items]).movedim(-1, 1),
        labels=default_collate([item.label for item in items]),
        indices=torch.tensor([item.index for item in items]),
        failures=tuple(failure for item in items for failure in item.failures),
    )


def _worker_options(cfg) -> dict:
    workers = cfg.DATA_LOADER.NUM_WORKERS
    return {
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "worker_init_fn": _start_worker,
        "generator": torch.Generator(),  # items draw by their keys; the global random numbers stay untouched
        "pin_memory": bool(cfg.DATA_LOADER.PIN_MEMORY and cfg.NUM_GPUS > 0 and torch.cuda.is_available()),
    }


def _start_worker(worker: int) -> None:
    """Workers are the parallelism: each of them uses one thread. Ctrl-C is the main process's to handle.

    So is SIGTERM: torchrun and job systems send it to the process group, and the main process needs its workers until
    it has saved. In a group of their own they end with it all the same: torch's workers look for their parent.
    """
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _as_it_is(item):
    return item
