"""What a run shows in TensorBoard, as PySlowFast's TENSORBOARD keys ask for it.

Steps are iterations that are done, over all epochs. A run that goes on counts on; what an earlier part wrote of
later steps, because it was killed after its last checkpoint, is left out by TensorBoard (``purge_step``).
"""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator
from torchvision.utils import make_grid

from mutualnet3d.configuration import Configuration
from mutualnet3d.data.class_names import read_class_names, read_names
from mutualnet3d.distributed import ALONE, Processes
from mutualnet3d.errors import ConfigError
from mutualnet3d.evaluation.result import GridResult
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.query_table import QueryTable
from mutualnet3d.query_table.text import to_markdown
from mutualnet3d.visualization.drawing import COLOURS, new_figure, plain, tidy

MOST_CLIPS, MOST_FRAMES = 4, 8  # rows and columns of the pictures of clips
_TRAIN = {
    "top1": "train/top1",
    "lr": "train/learning_rate",
    "grad_norm": "train/gradient_norm",
    "clips_per_second": "train/clips_per_second",
}


def require_tensorboard(cfg: Any) -> None:
    """ConfigError if TENSORBOARD.ENABLE asks for what is not installed."""
    if cfg.TENSORBOARD.ENABLE and importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(
            "TENSORBOARD.ENABLE is True, and the package tensorboard is not installed: "
            'pip install -e ".[tensorboard]", or set it to False'
        )


def board_folder(cfg: Any) -> Path:
    """TENSORBOARD.LOG_DIR within OUTPUT_DIR; where it is empty ``runs-`` and the name of the training set."""
    return Path(cfg.OUTPUT_DIR) / (cfg.TENSORBOARD.LOG_DIR or f"runs-{cfg.TRAIN.DATASET}")


class Board:
    """Writes a run's events on rank 0; without TENSORBOARD.ENABLE, and on other ranks, does nothing.

    Args:
        step: the first that is written now; events of earlier parts of the run from there on are left out.
    """

    def __init__(self, cfg: Any, step: int, processes: Processes = ALONE):
        self.cfg, self.step = cfg, step
        self._writer = None
        if cfg.TENSORBOARD.ENABLE and processes.first:
            from torch.utils.tensorboard import SummaryWriter  # an extra

            self._subset = _subset(cfg)
            self._writer = SummaryWriter(str(board_folder(cfg)), purge_step=step, flush_secs=30)
            self._writer.add_custom_scalars({"loss": {"all": ["Multiline", ["loss/.*"]]}})  # in one chart
        self._clips_wait = self._writer is not None

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def log(self, values: dict, step: int) -> None:
        """The scalars of a line of ``log.jsonl``, of training or of validation; nan is left out."""
        if self._writer is None:
            return
        for name, value in values.items():
            if values["type"] == "train":
                tag = f"loss/{name.removeprefix('loss_')}" if name.startswith("loss_") else _TRAIN.get(name)
            else:
                tag = None if name == "epoch" else f"validation/{name}"
            if tag and isinstance(value, (int, float)) and not math.isnan(value):
                self._writer.add_scalar(tag, value, step)

    def add_clips(self, model: AdaptiveNetwork, clip: torch.Tensor) -> None:
        """Frames of ``clip`` (N, 3, [T,] H, W), normalised, as every pathway gets them at full and at the smallest
        configuration: a row for each clip, of the first batch that this process trains on; others are not shown."""
        if self._writer is None or not self._clips_wait:
            return
        self._clips_wait = False
        for name, configuration in (("full", model.space.full), ("smallest", model.space.smallest)):
            with torch.no_grad():
                views = model.pathways(clip[:MOST_CLIPS], configuration)
            for pathway, view in zip(("slow", "fast"), views, strict=False):
                tag = f"clips/{name}_{configuration}" + (f"_{pathway}" if len(views) > 1 else "")
                grid = frames_grid(view.float().cpu(), self.cfg.DATA.MEAN, self.cfg.DATA.STD)
                self._writer.add_image(tag, grid, self.step)

    def add_predictions(self, result: GridResult, configuration: Configuration, step: int) -> None:
        """TENSORBOARD.HISTOGRAM: of each class (or those of SUBSET_PATH), the TOPK classes that are predicted most."""
        options = self.cfg.TENSORBOARD.HISTOGRAM
        if self._writer is None or not options.ENABLE or result.labels.ndim > 1:
            return
        names, _ = read_class_names(self.cfg, self.cfg.MODEL.NUM_CLASSES)
        names = names or tuple(map(str, range(self.cfg.MODEL.NUM_CLASSES)))
        predicted = result.scores_at(configuration).argmax(1)
        for label in sorted(set(result.labels.tolist())):
            if self._subset is None or names[label] in self._subset:
                counts = torch.bincount(predicted[result.labels == label], minlength=len(names))
                picture = _histogram(names, label, counts, options.TOPK, options.FIGSIZE)
                tag = f"predicted_classes/{plain(names[label])}"
                self._writer.add_image(tag, picture, step, dataformats="HWC")

    def add_table(self, table: QueryTable) -> None:
        """The accuracy of every configuration, and the table as text."""
        if self._writer is None:
            return
        for entry in table.entries:
            self._writer.add_scalar(f"query_table_{table.metric}/{entry.configuration}", entry.accuracy, self.step)
        self._writer.add_text("query_table", to_markdown(table), self.step)


def frames_grid(view: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
    """Pictures of what a network gets: (N, 3, T, H, W), or images (N, 3, H, W), to (3, height, width) in 0..1.

    A row for each clip, with at most ``MOST_FRAMES`` of its frames, evenly spread; images stand in one row.
    """
    colours = (1, 3) + (1,) * (view.ndim - 2)
    pixels = (view * torch.tensor(std).view(colours) + torch.tensor(mean).view(colours)).clamp(0, 1)
    if view.ndim == 4:
        return make_grid(pixels, nrow=len(pixels), pad_value=1.0)
    count = min(MOST_FRAMES, view.shape[2])
    shown = pixels[:, :, torch.linspace(0, view.shape[2] - 1, count).long()]
    return make_grid(shown.transpose(1, 2).flatten(0, 1), nrow=count, pad_value=1.0)


def _subset(cfg: Any) -> tuple[str, ...] | None:
    path = cfg.TENSORBOARD.HISTOGRAM.SUBSET_PATH if cfg.TENSORBOARD.HISTOGRAM.ENABLE else ""
    return read_names(path) if path else None


def _histogram(names: tuple[str, ...], label: int, counts: torch.Tensor, most: int, size: list[float]) -> np.ndarray:
    """Bars of the ``most`` highest ``counts``, the true class in another colour: uint8 (H, W, 3)."""
    values, classes = counts.topk(min(most, len(names)))
    figure = new_figure(*size)
    figure.set_dpi(80)
    axes = figure.add_subplot()
    colours = [COLOURS[0] if each == label else COLOURS[1] for each in classes.tolist()]
    axes.barh(range(len(classes)), values.tolist(), color=colours)
    axes.set_yticks(range(len(classes)), [plain(names[each], 30) for each in classes.tolist()])
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("predictions")
    axes.set_title(f"true class {plain(names[label])}: {int(counts[label])} of {int(counts.sum())} right")
    tidy(axes)
    figure.tight_layout()
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
