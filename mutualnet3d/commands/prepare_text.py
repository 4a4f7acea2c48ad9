"""What ``tools/prepare_data.py`` says at its end: the videos, how they were divided, and what to do next."""

from __future__ import annotations

import shlex
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mutualnet3d.data.check import VideoReport
from mutualnet3d.logs import visible
from mutualnet3d.output_files import CONFIG_FILE
from mutualnet3d.preparation import Checked, FoundVideos, Parts, Plan
from mutualnet3d.preparation.folder import PARTS
from mutualnet3d.preparation.writing import TABLE
from mutualnet3d.summary import print_plain

_MOST = 20  # lines of one kind
_FEW = 10  # training videos of a class, from which it is named


def print_summary(
    found: FoundVideos, checked: Checked, parts: Parts, plan: Plan, output: Path, run: Path, trust_pickle: bool
) -> None:
    """Everything that a user must know before training."""
    console = Console()

    def say(text: str = "") -> None:
        print_plain(console, visible(text))

    console.print(_classes(found, checked, parts))
    say(_measures([report for _, report in checked.usable]))
    _name(say, f"{len(checked.left_out)} videos cannot be used and are left out", checked.left_out)
    _name(say, f"{len(checked.odd)} are used as far as they go", checked.odd)
    _name(say, "in no folder of a class, and not used", ((path, "") for path in found.loose))
    _name(say, "folders without a video, which make no class", ((path, "") for path in found.empty))
    if found.others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in found.others.most_common(5))
        say(f"not looked at: {sum(found.others.values())} files that are called no video ({kinds})")
    _division(say, found, parts)
    say()
    say(f"Written to {output}: the lists, the classes' names, {TABLE} (where each video went) and {CONFIG_FILE}:")
    settings = {setting.key: setting for setting in plan.settings}
    for key in ("SOLVER.MAX_EPOCH", "TRAIN.BATCH_SIZE", "DATA.SAMPLING_RATE", "TEST.NUM_ENSEMBLE_VIEWS", "NUM_GPUS"):
        say(f"  {key} {settings[key].value}   # {settings[key].why}")
    say(
        f"  the network: configs/{plan.recipe}"
        + (", from your weights" if "TRAIN.CHECKPOINT_FILE_PATH" in settings else ", from scratch")
    )
    say()
    say("Next, train and then predict:")
    trust = " --trust-pickle" if trust_pickle else ""
    say(f"  python tools/run_net.py --cfg {shlex.quote(str(output / CONFIG_FILE))}{trust}")
    say(f"  python tools/predict_net.py --model {shlex.quote(str(run))} VIDEO ...")


def _name(say, title: str, items: Iterable[tuple[str, str]]) -> None:
    items = list(items)
    if not items:
        return
    say(f"{title}:")
    for path, why in items[:_MOST]:
        say(f"  {path}" + (f": {why}" if why else ""))
    if len(items) > _MOST:
        say(f"  ... and {len(items) - _MOST} more; {TABLE} names them")


def _classes(found: FoundVideos, checked: Checked, parts: Parts) -> Table:
    """A row a class; of many classes those with the fewest training videos."""
    of = Counter((video.label, parts.of[video.path]) for video, _ in checked.usable)
    sources: dict[str, set[str]] = {}
    for video, _ in checked.usable:
        sources.setdefault(video.label, set()).add(parts.source[video.path])
    labels: Sequence[str] = found.labels
    title = f"{len(checked.usable)} videos of {len(labels)} classes"
    if len(labels) > 2 * _MOST:
        labels = sorted(sorted(labels, key=lambda label: (of[label, "train"], label))[:_MOST])
        title += f"; the {_MOST} classes with the fewest to train on"
    used = [part for part in PARTS if part in parts.of.values()]
    table = Table(title=title, title_justify="left")
    for name in ("label", "class", "videos", "sources", *used, "seconds"):
        table.add_column(Text(name), justify="left" if name == "class" else "right", overflow="fold")
    for label in labels:
        seconds = [report.seconds or 0.0 for video, report in checked.usable if video.label == label]
        numbers = [str(of[label, part]) for part in used]
        row = [str(found.labels.index(label)), Text(visible(label)), str(len(seconds)), str(len(sources[label]))]
        table.add_row(*row, *numbers, f"{min(seconds):.1f} .. {max(seconds):.1f}")
    return table


def _measures(reports: Sequence[VideoReport]) -> str:
    seconds = [report.seconds or 0.0 for report in reports]
    rates = Counter(f"{report.fps:g}" for report in reports)
    sizes = Counter(f"{report.width} x {report.height}" for report in reports)
    return (
        f"in all {sum(seconds):.0f} s, median {statistics.median(seconds):.2g} s; "
        f"{_listed(rates)} frames per second; {_listed(sizes)} pixels"
    )


def _listed(counts: Counter[str]) -> str:
    shown = ", ".join(name if len(counts) == 1 else f"{name} ({count})" for name, count in counts.most_common(3))
    return shown + (f" and {len(counts) - 3} more" if len(counts) > 3 else "")


def _division(say, found: FoundVideos, parts: Parts) -> None:
    count = Counter(parts.of.values())
    said = ", ".join(f"{count[part]} {part}" for part in PARTS if count[part])
    if found.given:
        say(f"divided as the folders say: {said}")
        if parts.shared:
            say(
                f"WARNING: {len(parts.shared)} sources are in two lists, so accuracies may be too good "
                f"({', '.join(parts.shared[:5])}); sources were told by {parts.how}"
            )
    else:
        count_of_sources = len(set(parts.source.values()))
        say(f"divided by source, so that no film is in two lists: {said}; {count_of_sources} sources, told by")
        say(f"  {parts.how}")
    if not count["test"]:
        say("test.csv is val.csv: there is no third part. Accuracies are those of videos that you may have tuned on")
    elif not count["val"]:
        say("val.csv is test.csv: there is no third part. Tune nothing by it")
    train = Counter(video.label for video in found.videos if parts.of.get(video.path) == "train")
    few = [label for label in found.labels if train[label] < _FEW]
    if few:
        some = ", ".join(f"{label} ({train[label]})" for label in few[:5]) + (" ..." if len(few) > 5 else "")
        say(f"WARNING: {len(few)} classes have fewer than {_FEW} videos to train on: {some}")
    absent = {part: _lacking(found, parts, part) for part in PARTS[1:] if count[part]}
    for part, labels in absent.items():
        if labels:
            say(f"WARNING: {part}.csv has no video of {', '.join(labels[:5])}: nothing will be known of these classes")


def _lacking(found: FoundVideos, parts: Parts, part: str) -> list[str]:
    there = {video.label for video in found.videos if parts.of.get(video.path) == part}
    return [label for label in found.labels if label not in there]
