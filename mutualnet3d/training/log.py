"""What a run says: lines for people on the terminal and in ``stdout.log``, JSON lines in ``log.jsonl``."""

from __future__ import annotations

import math
import time
from collections import deque
from pathlib import Path

import simplejson

from mutualnet3d.configuration import Configuration
from mutualnet3d.output_files import LOG_FILE
from mutualnet3d.progress import duration


def write_json_line(output_dir: str | Path, **values) -> None:
    """Append one JSON object to OUTPUT_DIR/log.jsonl; numbers that are not finite become null."""
    line = simplejson.dumps(values, ignore_nan=True)
    with open(Path(output_dir) / LOG_FILE, "a", encoding="utf-8") as file:
        file.write(line + "\n")


class Progress:
    """Losses since the last report, rate and time left of a training run.

    Args:
        iterations_per_epoch, epochs: size of the run.
        clips_per_iteration: for the rate.
        full: the configuration that the first of an iteration is taken for unless a report says otherwise.
    """

    def __init__(self, iterations_per_epoch: int, epochs: int, clips_per_iteration: int, full: Configuration):
        self.per_epoch, self.epochs, self.clips, self._full = iterations_per_epoch, epochs, clips_per_iteration, full
        self._seconds: deque[float] = deque(maxlen=100)
        self._last = time.perf_counter()
        self._correct: list[float] = []
        self._losses: list[tuple[tuple[Configuration, ...], list[float]]] = []

    def skip_time(self) -> None:
        """Do not count what happened since the last iteration (saving, evaluation) towards the rate."""
        self._last = time.perf_counter()

    def add(self, configurations: tuple[Configuration, ...], losses: list[float], correct: float) -> None:
        """One iteration: its configurations (first, smallest, random ones), losses, the first's hits (share, nan)."""
        now = time.perf_counter()
        self._seconds.append(now - self._last)
        self._last = now
        self._losses.append((configurations, losses))
        self._correct.append(correct)

    def report(self, epoch: int, iteration: int, lr: float, grad_norm: float) -> dict:
        """Means since the last report, as plain values; the last random configurations are named.

        ``loss_full`` and ``top1`` are the first configuration's. Where that was not always full, ``configuration``
        names the last one.
        """
        configurations, last = self._losses[-1]
        columns = list(zip(*(losses for _, losses in self._losses), strict=True))
        names = ["full", "smallest", *(f"random{i}" for i in range(1, len(columns) - 1))]
        means = {f"loss_{name}": sum(column) / len(column) for name, column in zip(names, columns, strict=False)}
        randoms = [
            {"configuration": str(c), "loss": loss} for c, loss in zip(configurations[2:], last[2:], strict=True)
        ]
        others = any(first != self._full for (first, *_), _ in self._losses)
        seconds = sum(self._seconds) / len(self._seconds)
        correct = sum(self._correct) / len(self._correct)
        left = (self.epochs - epoch) * self.per_epoch - iteration
        values = {
            "type": "train",
            "epoch": epoch + 1,
            "iteration": iteration,
            **({"configuration": str(configurations[0])} if others else {}),
            **means,
            "random": randoms,
            **({} if math.isnan(correct) else {"top1": 100 * correct}),
            "lr": lr,
            "grad_norm": grad_norm,
            "clips_per_second": self.clips / seconds,
            "eta_seconds": left * seconds,
        }
        self._losses, self._correct = [], []
        return values


def describe(values: dict, per_epoch: int, epochs: int) -> str:
    """A line for people from :meth:`Progress.report`."""
    parts = [f"epoch {values['epoch']}/{epochs} {values['iteration']}/{per_epoch}"]
    parts.append(" ".join(["loss", *filter(None, [values.get("configuration")]), f"{values['loss_full']:.3f}"]))
    if "loss_smallest" in values:
        parts.append(f"smallest {values['loss_smallest']:.3f}")
    parts += [f"{item['configuration']} {item['loss']:.3f}" for item in values["random"]]
    if "top1" in values:
        parts.append(f"top-1 {values['top1']:.0f}%")
    parts += [
        f"lr {values['lr']:.4g}",
        f"{values['clips_per_second']:.1f} clips/s",
        f"left {duration(values['eta_seconds'])}",
    ]
    return " | ".join(parts)
