"""The page of a study: accuracy at every budget, differences, cost of training, a chart, and what holds."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from outcomes import Outcomes, by_seed, cost_by_arm, difference, mean_and_deviation
from statistics_effect import NAMES as STATISTICS
from studies import Study, at_full

from mutualnet3d.files import write_text
from mutualnet3d.visualization.drawing import COLOURS, cost_and_accuracy_axes, new_figure, save_png

NAMES = {
    "independent": "independent networks",
    "mutual": "mutual",
    "usnet": "US-Net+",  # evaluated at resolutions that it was not trained for
    "multiscale": "US-Net, one random resolution",
    "at full": "US-Net (full resolution)",
    "kl_1": "mutual, KL terms x 1",
    "kl_third": "mutual, KL terms x 0.33",
    "labels": "mutual, labels in place of KL",
    "kl_alone": "mutual, KL terms from the first epoch",
    "random_2": "mutual, 2 random sub-networks",
    "smallest_lowest": "mutual, the smallest at the lowest resolution",
    "smallest_full": "mutual, the smallest at full resolution",
    "paper": "mutual, KL terms x 1, the smallest at the lowest resolution",
}
MARKERS = "osD^vP*<>"


def write_page(study: Study, outcomes: Outcomes, arms: Sequence[str], output: Path) -> str:
    """Write ``page.md`` and ``accuracy_gmacs.png``; the page's text."""
    seeds = sorted({row.seed for row in outcomes.results})
    items = {c: sum(r.videos for r in outcomes.results if (r.arm, r.seed, r.configuration) == (arms[0], seeds[0], c))
             for c in study.budgets}  # fmt: skip
    folds = f", each in one of {study.folds} folds" if study.folds else ""
    text = [
        f"# {study.name}: one network for all budgets, or one for each\n",
        f"{study.recipe}, {study.epochs} epochs in every run, seeds {', '.join(map(str, seeds))}; "
        f"{items[study.budgets[0]]} test items{folds}. Top-1 in per cent, mean ± standard deviation of the seeds.\n",
        accuracy_table(study, outcomes, arms),
        "![accuracy against multiply-adds](accuracy_gmacs.png)\n",
        cost_table(outcomes, arms),
        statistics_table(study, outcomes),
        *([what_holds(study, outcomes, arms)] if "independent" in arms and "mutual" in arms else []),
    ]
    draw(study, outcomes, arms, output / "accuracy_gmacs.png")
    write_text(output / "page.md", "\n".join(text))
    return "\n".join(text)


def accuracy_table(study: Study, outcomes: Outcomes, arms: Sequence[str]) -> str:
    """A row for each budget, a column for each arm; below them US-Net's own configurations."""
    gmacs = {row.configuration: row.gmacs for row in outcomes.results}
    lines = [f"| configuration | GMACs | {' | '.join(NAMES[arm] for arm in arms)} |", "|---|--:|" + "--:|" * len(arms)]
    for text in study.budgets:
        cells = [mean_and_deviation(by_seed(outcomes.results, arm, text)) for arm in arms]
        lines.append(f"| {text} | {gmacs[text]:.4g} | {' | '.join(cells)} |")
    if "usnet" in arms:
        for text in at_full(study):
            if text not in study.budgets:
                own = mean_and_deviation(by_seed(outcomes.results, "usnet", text))
                cells = [own if arm == "usnet" else "" for arm in arms]
                lines.append(f"| {text} (widths alone) | {gmacs[text]:.4g} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cost_table(outcomes: Outcomes, arms: Sequence[str]) -> str:
    """Sums over the networks of an arm, per seed."""
    costs = cost_by_arm(outcomes.trainings)
    lines = ["| training, per seed | 10^12 multiply-adds (forward passes) | seconds |", "|---|--:|--:|"]
    lines += [f"| {NAMES[arm]} | {costs[arm][0]:.4g} | {costs[arm][1]:.0f} |" for arm in arms]
    return "\n".join(lines) + "\n"


def statistics_table(study: Study, outcomes: Outcomes) -> str:
    """The mutual network beside the same weights with other statistics, and beside an ordinary network cut."""
    found = {arm for arm, _, _ in outcomes.hits}
    arms = {arm: name for arm, name in {"mutual": NAMES["mutual"], **STATISTICS}.items() if arm in found}
    if len(arms) < 2:
        return ""
    lines = ["## What calibration is worth\n", f"| configuration | {' | '.join(arms.values())} |"]
    lines.append("|---|" + "--:|" * len(arms))
    for text in study.budgets:
        cells = [mean_and_deviation(by_seed(outcomes.results, arm, text)) for arm in arms]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def what_holds(study: Study, outcomes: Outcomes, arms: Sequence[str]) -> str:
    """Mutual against every other arm, in points with 95 % intervals over paired test items."""
    others = [arm for arm in arms if arm != "mutual"]
    lines = [
        "## What holds\n",
        "Mutual minus the other, points of top-1 [95 % of a bootstrap over test items]; *better* or *worse* where the "
        "interval excludes 0. The seeds' own spread is not in the interval.\n",
        f"| configuration | {' | '.join(NAMES[arm] for arm in others)} |",
        "|---|" + "---|" * len(others),
    ]
    for label, chosen in [*((text, (text,)) for text in study.budgets), ("mean", study.budgets)]:
        found = [difference(outcomes.hits, "mutual", arm, chosen) for arm in others]
        cells = [f"{d.mean:+.1f} [{d.low:+.1f}, {d.high:+.1f}] {d.verdict}" for d in found]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    mean = difference(outcomes.hits, "mutual", "independent", study.budgets)
    costs = cost_by_arm(outcomes.trainings)
    preposition = "from" if mean.verdict == "not told apart" else "than"
    share = 100 * costs["mutual"][0] / costs["independent"][0]
    lines.append(
        f"\nOn average over the budgets one mutual network is {mean.verdict} {preposition} the "
        f"{len(study.budgets)} independent ones ({mean.mean:+.1f} points) and took {share:.0f} % of their "
        "multiply-adds of training.\n"
    )
    return "\n".join(lines)


def draw(study: Study, outcomes: Outcomes, arms: Sequence[str], path: Path) -> None:
    """Top-1 against GMACs: means as marks, seeds as dots."""
    curves = [(arm, arm, study.budgets) for arm in arms]
    if "usnet" in arms:
        curves.append(("at full", "usnet", at_full(study)))
    gmacs = {row.configuration: row.gmacs for row in outcomes.results}
    points = defaultdict(list)
    for name, arm, configurations in curves:
        for text in configurations:
            points[name].append((gmacs[text], by_seed(outcomes.results, arm, text)))
    figure = new_figure(8.0, 5.0)
    axes = figure.add_axes((0.085, 0.11, 0.89, 0.81))
    every = [(cost, value) for found in points.values() for cost, values in found for value in values]
    cost_and_accuracy_axes(axes, [cost for cost, _ in every], [value for _, value in every])
    for number, (name, found) in enumerate(points.items()):
        colour, line = COLOURS[number % len(COLOURS)], "--" if name == "at full" else "-"
        found.sort()
        for cost, values in found:
            axes.plot([cost] * len(values), values, ".", color=colour, alpha=0.5, markersize=4)
        means = [(cost, statistics.mean(values)) for cost, values in found]
        axes.plot(
            *zip(*means, strict=True), line, marker=MARKERS[number % len(MARKERS)], color=colour, label=NAMES[name]
        )
    axes.set_xlabel("GMACs per view (multiply-adds)")
    axes.set_ylabel("top-1 (%)")
    axes.set_title(f"{study.name}: {study.epochs} epochs each", fontsize=11, loc="left")
    axes.legend(fontsize=8, loc="best")
    save_png(figure, path)
