"""The training loop: wiring of data, step, schedule, log and checkpoints."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from mutualnet3d.architectures import items_name
from mutualnet3d.calibration import calibrate, discard_statistics
from mutualnet3d.configuration import Configuration
from mutualnet3d.data import (
    DetectionBatch,
    Entries,
    EpochSampler,
    TrainBatch,
    UnreadableVideos,
    build_entries,
    normalise,
    test_dataset,
    train_dataset,
    train_loader,
    video_loader,
)
from mutualnet3d.distributed import ALONE, Processes
from mutualnet3d.errors import TrainingError
from mutualnet3d.evaluation.grid import evaluate_grid
from mutualnet3d.evaluation.measures import measures
from mutualnet3d.methods import Method
from mutualnet3d.models.artefact import check_space
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.progress import show_progress
from mutualnet3d.training.board import Board
from mutualnet3d.training.checkpoint import Position, check_method, newest_readable, restore, save_checkpoint
from mutualnet3d.training.cost import training_provenance
from mutualnet3d.training.device import build_autocast, build_scaler, choose_device, to_device
from mutualnet3d.training.exchange import exchange_gradients, share_of_batch
from mutualnet3d.training.interrupt import StopRequest, stop_request
from mutualnet3d.training.log import Progress, describe, write_json_line
from mutualnet3d.training.losses import build_loss
from mutualnet3d.training.optimizer import build_optimizer, clip_gradients, set_learning_rate
from mutualnet3d.training.schedule import learning_rate
from mutualnet3d.training.statistics import calibrate_on_list, statistics_source, training_batches
from mutualnet3d.training.step import mutual_backward

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lists:
    """The videos of a run; ``val`` is read only where it is evaluated."""

    train: Entries
    val: Entries

    @classmethod
    def from_cfg(cls, cfg) -> Lists:
        return cls(build_entries(cfg, "train"), build_entries(cfg, "val"))


def train(model: AdaptiveNetwork, cfg, lists: Lists | None = None, processes: Processes = ALONE) -> None:
    """Train ``model`` in place as ``cfg`` says; checkpoints and logs go to OUTPUT_DIR.

    Of several processes each takes its share of every batch, and all end with the same weights and statistics.
    TRAIN.BATCH_SIZE counts the clips of one machine, as PySlowFast's. Rank 0 writes.

    With TRAIN.AUTO_RESUME the newest checkpoint in OUTPUT_DIR is gone on from, with the very clips, configurations and
    random numbers that an uninterrupted run would have seen. Ctrl-C or SIGTERM ends the iteration and saves.

    Raises:
        KeyboardInterrupt: after such a stop.
        TrainingError: a loss or its gradient is not finite.
        CheckpointError: what lies in OUTPUT_DIR belongs to another config.
        ConfigError, DataError: the config or a list is wrong.
    """
    lists = lists or Lists.from_cfg(cfg)
    Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
    run = _Run(model, cfg, lists, processes)
    start = run.resume()
    with Board(cfg, run.iterations(start) + 1, processes) as run.board, stop_request() as stop:
        for epoch in range(start.epoch, cfg.SOLVER.MAX_EPOCH):
            run.train_epoch(epoch, start.iteration if epoch == start.epoch else 0, stop)
            run.finish_epoch(epoch)
            run.stop_if_asked(stop, Position(epoch + 1))


class _Run:
    """One run's parts, so that the functions below need no dozen arguments."""

    def __init__(self, model: AdaptiveNetwork, cfg, lists: Lists, processes: Processes):
        self.cfg, self.lists, self.processes = cfg, lists, processes
        self.device = choose_device(cfg)
        self.model = to_device(model, cfg)
        self.exchanging = exchange_gradients(self.model, cfg, processes)
        self.optimizer, self.scaler = build_optimizer(model, cfg), build_scaler(cfg, self.device)
        self.autocast, self.loss = build_autocast(cfg, self.device), build_loss(cfg)
        self.method, self.seconds = Method.from_cfg(cfg, model.space), 0.0
        self.board: Board  # set while train() has it open
        self.unreadable = UnreadableVideos(cfg.OUTPUT_DIR, _logger)
        clips = train_dataset(lists.train, cfg, cfg.RNG_SEED)
        size, rank, world_size = share_of_batch(cfg, processes), processes.rank, processes.world_size
        self.sampler = EpochSampler(len(clips), cfg.RNG_SEED, 0, size, rank=rank, world_size=world_size)
        self.loader = train_loader(clips, self.sampler, cfg)
        self.per_epoch = self.sampler.num_batches
        names = "\n".join(os.path.basename(entry.path) for entry in lists.train)  # the folder may move
        self.order = hashlib.sha256(os.fsencode(f"{cfg.RNG_SEED}\n{names}")).hexdigest()
        self.progress = Progress(self.per_epoch, cfg.SOLVER.MAX_EPOCH, size * world_size, model.space.full)

    def resume(self) -> Position:
        found = newest_readable(self.cfg.OUTPUT_DIR) if self.cfg.TRAIN.AUTO_RESUME else None
        torch.manual_seed(self.cfg.RNG_SEED + self.processes.rank)
        position = Position(0)
        if found:
            path, entries = found
            check_space(entries, self.model, path)
            check_method(entries, self.method, self.cfg, self.progress.clips, path, self.order)
            position = restore(path, entries, self.model, self.optimizer, self.scaler, self.processes)
            self.seconds = self.model.training_provenance.get("seconds", math.nan)
            _logger.info("going on from %s: %d epochs and %d iterations done", path, position.epoch, position.iteration)
        return position

    def iterations(self, position: Position) -> int:
        """How many are done at ``position``."""
        return position.epoch * self.per_epoch + position.iteration

    def save(self, position: Position) -> Path:
        iterations = self.iterations(position)
        clips = iterations * self.progress.clips
        self.model.training_provenance = training_provenance(self.cfg, self.method, iterations, clips, self.seconds)
        path = save_checkpoint(
            self.cfg.OUTPUT_DIR, self.model, self.optimizer, self.scaler, self.cfg, position, self.processes, self.order
        )
        self.processes.wait()  # nobody ends, and so ends the others, while rank 0 writes
        return path

    def configurations(self, iteration: int) -> tuple[Configuration, ...]:
        frozen = self.cfg.MODEL.FROZEN_BN and self.cfg.MUTUALNET.ENABLE
        among = tuple(c for c in self.model.calibrated if c != self.model.space.full) if frozen else None
        return self.method.draw(iteration, among)

    def train_epoch(self, epoch: int, start: int, stop: StopRequest) -> None:
        self.model.train()
        if self.cfg.MODEL.FROZEN_BN:
            freeze_batch_norm(self.model)
        if not (self.cfg.MODEL.FROZEN_BN and self.cfg.MUTUALNET.ENABLE):
            discard_statistics(self.model)  # of the weights that training changes
        self.sampler.set_epoch(epoch, start)
        self.progress.skip_time()
        before, clips = time.perf_counter(), self.progress.clips
        name = f"epoch {epoch + 1}/{self.cfg.SOLVER.MAX_EPOCH}"
        with show_progress(name, self.per_epoch * clips, "clips", done=start * clips, lines=False) as steps:
            for iteration, batch in enumerate(self.loader, start=start):
                lr = learning_rate(self.cfg, epoch + iteration / self.per_epoch)
                loss = self.train_iteration(epoch, iteration, batch, lr)
                now = time.perf_counter()
                self.seconds, before = self.seconds + now - before, now
                steps.advance(clips, f"loss {loss:.3f}")
                self.stop_if_asked(stop, Position(epoch, iteration + 1))

    def stop_if_asked(self, stop: StopRequest, position: Position) -> None:
        """Save and raise KeyboardInterrupt, on every rank, if any of them was asked to stop."""
        if not self.processes.mean(torch.tensor(float(stop.requested))):
            return
        path = self.save(position)
        _logger.warning("stopped; saved %s; run the same command again to go on", path)
        raise KeyboardInterrupt

    def train_iteration(self, epoch: int, iteration: int, batch: TrainBatch | DetectionBatch, lr: float) -> float:
        """One step of the optimizer; the loss of the iteration's first configuration, the mean over all ranks.

        That is full's, but with the methods ``multiscale`` (the widest) and ``independent`` (the only one).
        """
        set_learning_rate(self.optimizer, lr)
        self.optimizer.zero_grad(set_to_none=True)
        batch_on_device = batch.to(self.device)
        clip = normalise(batch_on_device.clips, self.cfg.DATA.MEAN, self.cfg.DATA.STD)
        self.board.add_clips(self.model, clip)
        configurations = self.configurations(epoch * self.per_epoch + iteration)
        share = self.share_of_labels(len(batch.labels))
        losses, logits = mutual_backward(
            self.exchanging,
            clip,
            batch_on_device.labels,
            configurations,
            self.loss,
            boxes=batch_on_device.boxes if self.cfg.DETECTION.ENABLE else None,
            distill_weight=self.cfg.MUTUALNET.DISTILL_WEIGHT,
            learn_labels=self.method.learns_labels(epoch + iteration / self.per_epoch),
            autocast=self.autocast,
            scale=lambda loss: self.scaler.scale(share * loss),
        )
        self.scaler.unscale_(self.optimizer)
        norm = clip_gradients(self.model, self.cfg)
        right = _share_right(logits, batch_on_device.labels)
        failed = losses.new_tensor(float(len(batch.failures)))
        measured = torch.cat([share * losses, norm.view(1), right.view(1), failed.view(1)])
        *values, norm, correct, failed = self.processes.mean(measured).tolist()
        if failed:
            self.unreadable.add(failure for part in self.processes.all_gather(batch.failures) for failure in part)
        judged = values if self.scaler.is_enabled() else [*values, norm]  # the scaler skips a step that overflowed
        if not all(map(math.isfinite, judged)):
            self._refuse_loss(epoch, iteration, configurations, values, norm, batch)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.progress.add(configurations, values, correct)
        done = iteration + 1
        if done % self.cfg.LOG_PERIOD == 0 or done == self.per_epoch:
            report = self.progress.report(epoch, done, lr, norm)
            _logger.info(describe(report, self.per_epoch, self.cfg.SOLVER.MAX_EPOCH))
            self.write_log(report, Position(epoch, done))
        return values[0]

    def write_log(self, values: dict, position: Position) -> None:
        if self.processes.first:
            write_json_line(self.cfg.OUTPUT_DIR, **values)
            self.board.log(values, self.iterations(position))

    def share_of_labels(self, count: int) -> float:
        """What a mean over this rank's ``count`` labels weighs in the mean over all: not 1 where boxes are counted."""
        if not (self.cfg.DETECTION.ENABLE and self.processes.world_size > 1):
            return 1.0
        mean = float(self.processes.mean(torch.tensor(float(count))))
        return count / mean if mean else 1.0

    def _refuse_loss(self, epoch, iteration, configurations, values, norm, batch) -> None:
        shown = ", ".join(f"{c}: {v}" for c, v in zip(configurations, values, strict=True))
        indices = [i for part in self.processes.all_gather(batch.indices.tolist()) for i in part]
        files = "; ".join(self.lists.train[i].path for i in indices)
        raise TrainingError(
            f"the loss or its gradient is not finite at epoch {epoch + 1}, iteration {iteration + 1} ({shown}; norm of "
            f"the gradient: {norm}); the last checkpoint is untouched. Lower SOLVER.BASE_LR or set "
            f"SOLVER.CLIP_GRAD_L2NORM. Clips of the batch: {files}"
        )

    def finish_epoch(self, epoch: int) -> None:
        """Precise BatchNorm, checkpoint, evaluation: each at its period and after the last epoch."""
        cfg, last = self.cfg, epoch + 1 == self.cfg.SOLVER.MAX_EPOCH
        save = last or (epoch + 1) % cfg.TRAIN.CHECKPOINT_PERIOD == 0
        evaluate = last or (epoch + 1) % cfg.TRAIN.EVAL_PERIOD == 0
        precise = cfg.BN.USE_PRECISE_STATS and cfg.BN.NUM_BATCHES_PRECISE and not cfg.MODEL.FROZEN_BN
        self.processes.overwrite(self.model.buffers())  # running statistics, where each rank had its own
        if (save or evaluate) and not self.method.updates_full:  # what is judged has no running statistics
            calibrate_on_list(self.model, cfg, self.lists.train, [self.method.reference], self.processes)
        elif (save or evaluate) and precise:
            batches = min(cfg.BN.NUM_BATCHES_PRECISE, self.per_epoch)
            clips = training_batches(cfg, self.lists.train, batches, epoch, share=self.processes)
            source = statistics_source(cfg, self.lists.train) | {"epoch": epoch}
            calibrate(self.model, clips, [self.model.space.full], source=source, processes=self.processes)
        if save:
            _logger.info("saved %s", self.save(Position(epoch + 1)))
        if evaluate:
            self.evaluate(epoch)

    def evaluate(self, epoch: int) -> None:
        """Full, or the only configuration that is trained, on the validation list: the centre view of each video, or
        the key frames."""
        reference, full = self.method.reference, self.model.space.full
        items = test_dataset(self.lists.val, self.cfg, num_views=1, num_crops=1)
        share = self.processes.share_of(len(items))
        with show_progress("validation", len(share), items_name(self.cfg)) as steps:
            videos = steps.over(video_loader(items, self.cfg, share))
            result = evaluate_grid(self.model, videos, [reference], self.cfg, self.processes)
        if result is None:
            return
        measure = measures(result, self.cfg, "val")[reference]
        name = "full" if reference == full else reference
        _logger.info("epoch %d: validation of %s: %s", epoch + 1, name, measure.text)
        end = Position(epoch + 1)
        self.write_log({"type": "val", "epoch": epoch + 1, "metric": measure.metric, **measure.values}, end)
        self.board.add_predictions(result, reference, self.iterations(end))


def _share_right(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The share of clips whose label is the highest score; nan where a clip has several labels."""
    if labels.ndim > 1:
        return logits.new_tensor(float("nan"))
    return (logits.argmax(1) == labels).float().mean()


def freeze_batch_norm(model: torch.nn.Module) -> None:
    """BatchNorm layers of ``model`` to eval mode: each configuration then uses its own stored statistics."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
