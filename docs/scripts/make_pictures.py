"""The pictures of the concept pages: python docs/scripts/make_pictures.py

Shapes, costs and draws are asked of the package's own networks and methods; the accuracies of calibration.png are those
of docs/pictures/calibration.json (measure_calibration.py). A minute on one core; the same files every time.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

import mutualnet3d as mn
from mutualnet3d.counting import complexities
from mutualnet3d.layers import make_divisible
from mutualnet3d.methods import Method
from mutualnet3d.models.fusion import AdaptiveFusion
from mutualnet3d.visualization.drawing import COLOURS, FAINT, GRID, INK, new_figure, save_png, tidy

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "pictures"
BLUE, ORANGE, PURPLE, GREEN, RED = COLOURS[:5]
TEST_CROP = 256


def network(name: str):
    """(config, network) of a recipe for Kinetics."""
    cfg = mn.load_config(ROOT / "configs" / "Kinetics" / f"{name}.yaml")
    return cfg, mn.build_model(cfg)


def pale(colour: str) -> tuple[float, ...]:
    return tuple(0.78 + 0.22 * part for part in to_rgb(colour))


def box(axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str = BLUE, **options) -> None:
    """A rounded box around a text, in data coordinates of ``axes``; (x, y) is its middle."""
    patch = FancyBboxPatch(
        (x - width / 2, y - height / 2),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.12",
        facecolor=pale(colour),
        edgecolor=colour,
        linewidth=1.3,
    )
    axes.add_patch(patch)
    axes.text(x, y, text, ha="center", va="center", color=INK, **{"fontsize": 8.5, "linespacing": 1.35} | options)


def arrow(axes: Axes, start: tuple, end: tuple, colour: str = INK, **options) -> None:
    look = {"arrowstyle": "-|>", "color": colour, "lw": 1.2, "shrinkA": 1, "shrinkB": 1} | options
    axes.annotate("", end, start, arrowprops=look)


def canvas(figure: Figure, place: list, width: float, height: float) -> Axes:
    """Axes without ticks whose unit is the same in both directions."""
    axes = figure.add_axes(place)
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.axis("off")
    return axes


def draw_configurations() -> Figure:
    """Three configurations of Slow 8x8: channels, frames, and what they cost."""
    _, model = network("MN_SLOW_8x8")
    space, channels, divisor = model.space, 64, model.space.divisor
    shown = (space.full, mn.Configuration(0.81, 178, 5), space.smallest)
    costs = complexities(model, shown, crop=TEST_CROP)
    figure = new_figure(9.0, 4.3)
    axes = canvas(figure, [0.01, 0.0, 0.98, 1.0], 27, 12.9)
    for x, text in (
        (5.6, "width: channels of each layer"),
        (15.0, "spatial x temporal: frames"),
        (23.6, "cost at test crop 256"),
    ):
        axes.text(x, 12.3, text, ha="center", fontsize=9.5, color=INK, weight="bold")
    for row, configuration in enumerate(shown):
        y, cost = 10.0 - 4.0 * row, costs[configuration]
        axes.text(0.1, y + 1.3, str(configuration), fontsize=10.5, color=INK, weight="bold")
        active = make_divisible(channels * configuration.width, divisor)
        for each in range(channels // 4):
            colour = BLUE if 4 * each < active else GRID
            axes.add_patch(Rectangle((0.2 + 0.6 * each, y - 0.6), 0.45, 1.2, color=colour))
        axes.text(0.2, y - 1.4, f"{active} of {channels} in the first layer", fontsize=8, color=FAINT)
        side = 2.3 * configuration.spatial / space.full.spatial
        for frame in reversed(range(configuration.temporal)):
            place = (12.0 + 0.62 * frame, y - side / 2 + 0.06 * frame)
            axes.add_patch(Rectangle(place, side, side, facecolor=pale(ORANGE), edgecolor=ORANGE, linewidth=0.9))
        size, number = configuration.spatial, configuration.temporal
        axes.text(12.0, y - 1.75, f"{number} frames of {size} x {size}", fontsize=8, color=FAINT)
        length = 6.0 * cost.gmacs / costs[space.full].gmacs
        axes.add_patch(Rectangle((20.2, y - 0.35), length, 0.7, color=GREEN))
        text = f"{cost.gmacs:.1f} GMACs, {cost.mparams:.1f} M parameters"
        axes.text(20.2, y - 1.1, text, fontsize=8, color=FAINT)
    return figure


def draw_costs() -> Figure:
    """The grid of Slow 8x8 in GMACs: a panel a temporal resolution."""
    _, model = network("MN_SLOW_8x8")
    space, widths = model.space, (0.63, 0.72, 0.81, 0.9, 1.0)
    costs = {c: cost.gmacs for c, cost in complexities(model, space.grid(widths), crop=TEST_CROP).items()}
    figure, most = new_figure(9.0, 2.5), max(costs.values())
    panels = figure.subplots(1, len(space.temporal), sharey=True)
    figure.subplots_adjust(left=0.08, right=0.99, top=0.9, bottom=0.17, wspace=0.06)
    for axes, temporal in zip(panels, space.temporal, strict=True):
        grid = [[costs[mn.Configuration(w, s, temporal)] for w in widths] for s in space.spatial]
        axes.imshow([[value**0.5 for value in row] for row in grid], "YlGnBu", vmin=0, vmax=most**0.5, origin="lower")
        for (row, values), column in itertools.product(enumerate(grid), range(len(widths))):
            dark = values[column] > 0.34 * most
            text = f"{values[column]:.1f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=8.5, color="white" if dark else INK)
        axes.set_title(f"temporal {temporal}", fontsize=9.5)
        axes.set_xticks(range(len(widths)), map(str, widths), fontsize=8)
        axes.set_yticks(range(len(space.spatial)), map(str, space.spatial), fontsize=8)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    panels[0].set_ylabel("spatial", fontsize=9)
    panels[1].set_xlabel("width", fontsize=9)
    return figure


def draw_mutual_step() -> Figure:
    """What one iteration does, and what iterations cost against plain training."""
    cfg, model = network("MN_SLOW_8x8")
    method = Method.from_cfg(cfg, model.space)
    draws = [method.draw(iteration) for iteration in range(200)]
    costs = {c: cost.gmacs for c, cost in complexities(model, {c for draw in draws for c in draw}).items()}
    full = costs[model.space.full]
    figure = new_figure(9.0, 4.1)
    axes = canvas(figure, [0.0, 0.0, 0.64, 1.0], 20, 14.2)
    third = draws[0][2]
    rows = ((11.6, "full", draws[0][0], BLUE), (7.4, "smallest", draws[0][1], ORANGE), (3.2, "random", third, PURPLE))
    box(axes, 1.8, 7.4, 2.9, 3.0, "a batch of\nclips at full\nresolution", FAINT)
    for y, name, configuration, colour in rows:
        text = f"{name}\n{configuration}\n{costs[configuration] / full:.3f} of the cost"
        box(axes, 8.0, y, 5.2, 2.7, text, colour)
        arrow(axes, (3.3, 7.4), (5.4, y), FAINT)
    box(axes, 16.4, 11.6, 5.4, 2.0, "cross-entropy\nwith the labels", BLUE)
    box(axes, 16.4, 7.4, 5.4, 2.0, "KL divergence to\nfull's prediction", ORANGE)
    box(axes, 16.4, 3.2, 5.4, 2.0, "KL divergence to\nfull's prediction", PURPLE)
    for y, _, _, colour in rows:
        arrow(axes, (10.6, y), (13.7, y), colour)
    for y in (8.4, 4.2):
        arrow(axes, (10.6, 10.6), (13.9, y), FAINT, linestyle="--")
    axes.text(12.95, 9.0, "detached", fontsize=7.5, color=FAINT, rotation=-33, ha="center")
    axes.text(10.0, 0.55, "gradients add up in the shared weights: one step", ha="center", fontsize=9, color=INK)
    chart = figure.add_axes([0.69, 0.15, 0.26, 0.72])
    shown = draws[:24]
    bottom = [0.0] * len(shown)
    for part, (label, colour) in enumerate((("full", BLUE), ("smallest", ORANGE), ("random", PURPLE))):
        heights = [costs[draw[part]] / full for draw in shown]
        chart.bar(range(len(shown)), heights, bottom=bottom, color=colour, width=0.8, label=label)
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    mean = sum(costs[c] for draw in draws for c in draw) / len(draws) / full
    chart.axhline(mean, color=INK, linestyle="--", linewidth=1)
    chart.text(len(shown) + 0.2, mean, f"mean\n{mean:.2f}", va="center", fontsize=8, color=INK)
    chart.set(xlabel="iteration", ylabel="cost over plain training", ylim=(0, 2.05), xlim=(-0.8, len(shown)))
    chart.legend(loc="upper center", ncols=3, fontsize=7.5, frameon=False, columnspacing=1.0, handlelength=1.0)
    chart.xaxis.label.set_size(8.5)
    chart.yaxis.label.set_size(8.5)
    chart.tick_params(labelsize=8)
    tidy(chart)
    return figure


def fused_at(configuration: mn.Configuration) -> dict[str, torch.Size]:
    """Shapes (N, C, T, H, W) around the first fusion of SlowFast 4x16 for a training clip."""
    cfg, model = network("MN_SLOWFAST_4x16")
    fusion = next(module for module in model.modules() if isinstance(module, AdaptiveFusion))
    seen = {}

    def note(_, inputs, output):
        seen.update(slow=inputs[0].shape, lateral=inputs[1].shape, fused=output.shape)

    fusion.register_forward_hook(note)
    fusion.conv_f2s.register_forward_hook(lambda _, inputs, output: seen.update(fast=inputs[0].shape))
    clip = torch.zeros(1, 3, cfg.DATA.NUM_FRAMES, *[cfg.DATA.TRAIN_CROP_SIZE] * 2)
    with torch.no_grad():
        model.train()(clip, configuration)
    return seen


def features(axes: Axes, x: float, y: float, shape: torch.Size, colour: str, parts: tuple = ()) -> None:
    """A feature as a stack of frames whose size is in proportion; ``parts`` colours its channels in a bar below."""
    side, frames = 3.0 * shape[3] / 56, min(shape[2], 8)
    for frame in reversed(range(frames)):
        corner = (x - side / 2 + 0.22 * frame, y - side / 2 + 0.10 * frame)
        axes.add_patch(Rectangle(corner, side, side, facecolor=pale(colour), edgecolor=colour, linewidth=0.9))
    left = x - 1.8
    for count, shade in parts:
        axes.add_patch(Rectangle((left, y - 2.75), count / 22, 0.45, facecolor=shade, edgecolor="white", linewidth=0.6))
        left += count / 22
    _, channels, number, height, width = shape
    text = f"{channels} channels, {number} x {height} x {width}"
    axes.text(x - 1.8, y - 3.5, text, fontsize=8, color=INK)


def draw_fusion() -> Figure:
    """The first lateral connection of SlowFast 4x16 at full and at the smallest configuration."""
    _, model = network("MN_SLOWFAST_4x16")
    figure = new_figure(9.0, 5.4)
    for row, configuration in enumerate((model.space.full, model.space.smallest)):
        axes = canvas(figure, [0.0, 0.5 - 0.5 * row, 1.0, 0.5], 27, 8.1)
        shapes = fused_at(configuration)
        slow, lateral = shapes["slow"][1], shapes["lateral"][1]
        axes.text(0.2, 7.4, str(configuration), fontsize=10.5, weight="bold", color=INK)
        for x, text, colour in ((4.9, "Fast", ORANGE), (13.5, "lateral", ORANGE), (24.0, "Slow, fused", BLUE)):
            axes.text(x, 7.4, text, ha="center", fontsize=9, color=colour, weight="bold")
        features(axes, 4.0, 4.6, shapes["fast"], ORANGE, ((shapes["fast"][1], ORANGE),))
        box(axes, 9.4, 4.6, 3.1, 2.4, "conv 5 x 1 x 1,\nstride 8 in time,\nBN, ReLU", FAINT, fontsize=7.5)
        features(axes, 13.4, 4.6, shapes["lateral"], ORANGE, ((lateral, ORANGE),))
        same = configuration == model.space.full
        text = "nothing to\ndrop or resize" if same else "keep the frames\nof Slow, resize\nto its size"
        box(axes, 18.6, 4.6, 3.1, 2.4, text, FAINT if same else GREEN, fontsize=7.5)
        features(axes, 23.6, 4.6, shapes["fused"], BLUE, ((slow, BLUE), (lateral, ORANGE)))
        for start, end in ((7.1, 7.8), (11.0, 11.8), (15.7, 17.0), (20.2, 21.9)):
            arrow(axes, (start, 4.6), (end, 4.6), FAINT)
        axes.text(21.8, 0.45, f"{slow} of Slow, then {lateral} of Fast", fontsize=8, color=FAINT)
    return figure


def draw_calibration() -> Figure:
    """Accuracy of every configuration with its own statistics, and with those of full; a panel a run."""
    runs = json.loads((FOLDER / "calibration.json").read_text())
    figure = new_figure(9.0, 3.4 * len(runs))
    for axes, (name, rows) in zip(figure.subplots(len(runs), 1, squeeze=False)[:, 0], runs.items(), strict=True):
        for x, row in enumerate(rows):
            axes.plot([x, x], [row["of_full"], row["own"]], color=GRID, linewidth=3, zorder=1)
        for key, colour, label in (("own", BLUE, "its own statistics"), ("of_full", RED, "the statistics of full")):
            axes.plot([row[key] for row in rows], "o", color=colour, markersize=5.5, label=label, zorder=2)
        axes.set_xticks(range(len(rows)), [row["configuration"] for row in rows], rotation=70, fontsize=7.5)
        axes.set(ylabel="top-1 (%)", ylim=(0, 100 if max(row["own"] for row in rows) > 60 else 60))
        axes.set_title(name, fontsize=9.5, loc="left")
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=2, frameon=False, fontsize=8.5)
        axes.margins(x=0.02)
        tidy(axes)
    figure.tight_layout()
    return figure


PICTURES = {
    "configurations": draw_configurations,
    "costs": draw_costs,
    "mutual_step": draw_mutual_step,
    "adaptive_fusion": draw_fusion,
    "calibration": draw_calibration,
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        save_png(draw(), FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
