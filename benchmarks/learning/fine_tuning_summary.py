"""What the finished runs of ``fine_tuning.py`` reached, beside what networks that learnt nothing would."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from outcomes import mean_and_deviation, write_csv

import mutualnet3d as mn
from mutualnet3d.data import build_entries
from mutualnet3d.data.ava_files import KeyFrame, read_detections, read_exclusions, read_ground_truth, read_label_map
from mutualnet3d.data.ava_list import box_lists, evaluation_files
from mutualnet3d.errors import DataError
from mutualnet3d.evaluation.ava_map import ava_map, scored_boxes
from mutualnet3d.evaluation.charades_map import charades_map
from mutualnet3d.files import write_text
from mutualnet3d.visualization.drawing import COLOURS, FAINT, cost_ticks, new_figure, save_png, tidy

DRAWS = 200  # of random scores


class Found(NamedTuple):
    """One configuration of one run; ``map`` in per cent."""

    arch: str
    task: str
    arm: str
    seed: int
    configuration: str
    gmacs: float
    map: float


class Chance(NamedTuple):
    """mAP in per cent, mean and standard deviation of random scores; and of scores that only follow the boxes."""

    mean: float
    deviation: float
    boxes: float | None = None


def summarise(output: Path, finished: Sequence, cfg_of: Callable) -> str:
    """Write ``runs.csv``, ``table.md`` and ``map_gmacs.png`` of the trials ``finished``; the table's text.

    Raises DataError where no run is finished."""
    if not finished:
        raise DataError(f"{output} holds no finished run of these seeds; run without --summary")
    found = [row for trial in finished for row in _read(trial, Path(cfg_of(trial).OUTPUT_DIR))]
    chances = {task: chance(cfg_of(trial)) for task, trial in {trial.task: trial for trial in finished}.items()}
    write_csv(output / "runs.csv", found)
    text = table(found, chances) + "\n" + differences(found)
    write_text(output / "table.md", text)
    draw(found, chances, output / "map_gmacs.png")
    return text


def _read(trial, folder: Path) -> Iterable[Found]:
    for entry in mn.QueryTable.load(folder / "query_table.json").entries:
        what = (trial.arch, trial.task, trial.arm, trial.seed, str(entry.configuration))
        yield Found(*what, round(entry.gmacs, 4), round(entry.accuracy, 2))


def chance(cfg) -> Chance:
    """The mAP of random scores on the test list of ``cfg``. With boxes also of scores that are the detector's own, the
    same for all actions. (A class's frequency alone, the same score for every box or video, ranks nothing.)"""
    draws = np.random.default_rng(0)
    if not cfg.DETECTION.ENABLE:
        labels = torch.stack([entry.label for entry in build_entries(cfg, "test")])
        scores = (torch.from_numpy(draws.random(labels.shape)) for _ in range(DRAWS))
        values = [charades_map(random, labels).map for random in scores]
        return Chance(statistics.mean(values), statistics.stdev(values))
    files, entries = evaluation_files(cfg), build_entries(cfg, "test")
    frames = [KeyFrame(entry.video, entry.second) for entry in entries for _ in entry.boxes]
    boxes = np.concatenate([entry.boxes for entry in entries])
    truth, names, excluded = files.ground_truth, files.label_map, files.exclusions
    truth, names, excluded = read_ground_truth(truth), read_label_map(names), read_exclusions(excluded)

    def value(scores: np.ndarray) -> float:
        return ava_map(truth, scored_boxes(frames, boxes, scores), names, excluded).map

    values = [value(draws.random((len(boxes), len(names)))) for _ in range(DRAWS)]
    detected = read_detections(box_lists(cfg, "test")[1][0])
    own = {
        (detected.frames[f], *box): score
        for f, box, score in zip(detected.frame, detected.boxes.tolist(), detected.scores, strict=True)
    }
    detector = np.array([own[(frame, *box)] for frame, box in zip(frames, boxes.tolist(), strict=True)])
    return Chance(statistics.mean(values), statistics.stdev(values), value(np.repeat(detector[:, None], len(names), 1)))


def table(found: Sequence[Found], chances: dict[str, Chance]) -> str:
    """Markdown: of every arm full, and of the adaptive one its other configurations; mean, spread, each seed."""
    groups: dict[tuple, list[Found]] = defaultdict(list)
    for row in found:
        groups[row.task, row.arch, row.arm, row.configuration, row.gmacs].append(row)
    lines = [
        "| task | network | arm | configuration | GMACs | mAP, mean ± s.d. | each seed |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, by_chance in chances.items():
        boxes = "" if by_chance.boxes is None else f"; the detector's own scores {by_chance.boxes:.1f}"
        lines.append(f"| {task} | random scores | | | | {by_chance.mean:.1f} ± {by_chance.deviation:.1f}{boxes} | |")
        for key, rows in groups.items():
            if key[0] != task:
                continue
            values = [row.map for row in sorted(rows, key=lambda row: row.seed)]
            each = ", ".join(f"{value:.1f}" for value in values)
            lines.append(f"| {' | '.join(map(str, key))} | {mean_and_deviation(values)} | {each} |")
    return "\n".join(lines) + "\n"


def differences(found: Sequence[Found]) -> str:
    """Markdown: points of mAP between two arms with equal seeds, at full and for the adaptive arm also at smallest."""
    values: dict[tuple, dict[int, float]] = defaultdict(dict)
    for row in sorted(found, key=lambda row: row.gmacs):  # of a run the cheapest comes first, and full last
        values[row.task, row.arch, row.arm][row.seed] = row.map
        if row.arm == "adaptive":
            values[row.task, row.arch, "smallest"].setdefault(row.seed, row.map)
    pairs = {
        "plain - scratch": ("plain", "scratch"),
        "adaptive at full - plain": ("adaptive", "plain"),
        "adaptive at smallest - plain": ("smallest", "plain"),
        "plain - longer": ("plain", "longer"),
    }
    lines = ["| task | network | difference | points, mean ± s.d. | each seed |", "|---|---|---|---|---|"]
    for task, arch in dict.fromkeys((row.task, row.arch) for row in found):
        for name, (one, other) in pairs.items():
            more, less = values[task, arch, one], values[task, arch, other]
            if both := sorted(more.keys() & less.keys()):
                points = [more[seed] - less[seed] for seed in both]
                each = ", ".join(f"{value:+.1f}" for value in points)
                lines.append(f"| {task} | {arch} | {name} | {mean_and_deviation(points, '+')} | {each} |")
    return "\n".join(lines) + "\n"


def draw(found: Sequence[Found], chances: dict[str, Chance], path: Path) -> None:
    """mAP against GMACs, a chart for each task and network: seeds as dots, means as marks, chance as a line."""
    tasks, archs = list(chances), list(dict.fromkeys(row.arch for row in found))
    figure = new_figure(5.2 * len(archs), 3.7 * len(tasks))
    for number, (task, arch) in enumerate((task, arch) for task in tasks for arch in archs):
        axes = figure.add_subplot(len(tasks), len(archs), number + 1)
        shown = [row for row in found if (row.task, row.arch) == (task, arch)]
        for index, arm in enumerate(dict.fromkeys(row.arm for row in shown)):
            colour = COLOURS[index]
            costs: dict[float, list[float]] = defaultdict(list)
            for row in shown:
                if row.arm == arm:
                    costs[row.gmacs * (1 + 0.06 * (index - 1))].append(row.map)  # beside one another at full
            for cost, values in costs.items():
                axes.plot([cost, cost], [min(values), max(values)], color=colour, linewidth=1.2)
                axes.plot([cost] * len(values), values, ".", color=colour, markersize=4)
            means = sorted((cost, statistics.mean(values)) for cost, values in costs.items())
            axes.plot(
                *zip(*means, strict=True), linestyle="", marker="osD^"[index], mfc="none", ms=8, color=colour, label=arm
            )
        level = chances[task]
        axes.axhspan(level.mean - level.deviation, level.mean + level.deviation, color=FAINT, alpha=0.2, linewidth=0)
        axes.axhline(level.mean, color=FAINT, linestyle="--", linewidth=1, label="random scores")
        axes.set(xscale="log", ylim=(level.mean - 10, None), xlabel="GMACs per view", ylabel="mAP (%)")
        axes.set_title(f"{task}, {arch}", fontsize=10, loc="left")
        cost_ticks(axes, [row.gmacs for row in shown])
        axes.legend(fontsize=7, loc="center right")
        tidy(axes)
    figure.tight_layout()
    save_png(figure, path)
