"""The files that a training needs: lists, names of the classes, recipe and config; and a table of all videos."""

from __future__ import annotations

import csv
import io
import itertools
import json
from pathlib import Path
from typing import Any

from mutualnet3d.config import load_config
from mutualnet3d.errors import DataError
from mutualnet3d.files import write_text
from mutualnet3d.output_files import CONFIG_FILE
from mutualnet3d.preparation.checking import Checked
from mutualnet3d.preparation.folder import PARTS, FoundVideos
from mutualnet3d.preparation.parts import Parts
from mutualnet3d.preparation.settings import Plan, Setting

RECIPE, CLASSES, TABLE = "recipe.yaml", "classes.txt", "videos.csv"


def check_free(output: Path, force: bool) -> None:
    """DataError if ``output`` holds one of the files already and ``force`` does not allow to replace them."""
    there = [
        name
        for name in (*(f"{each}.csv" for each in PARTS), CLASSES, RECIPE, CONFIG_FILE, TABLE)
        if (output / name).exists()
    ]
    if there and not force:
        raise DataError(
            f"{output} holds {', '.join(there)} already; name another folder, or add --force to replace these files "
            "(trainings below it stay)"
        )


def run_folder(output: Path) -> Path:
    """Where the training will write: ``run`` below ``output``, or run2, run3 ... beside what is there."""
    names = itertools.chain(["run"], (f"run{number}" for number in itertools.count(2)))
    return next(output / name for name in names if not (output / name).exists())


def write_all(
    output: Path, found: FoundVideos, checked: Checked, parts: Parts, plan: Plan, configs: Path, head: str, run: Path
) -> None:
    """Write everything, each file whole or not at all; the config last. It is loaded before anything is written.

    Args:
        head: a line that says what the config is for.
        run: where the training will write.
    """
    places = (
        Setting("DATA.PATH_TO_DATA_DIR", str(output.resolve()), "the lists"),
        Setting("DATA.PATH_PREFIX", str(found.folder.resolve()), "the folder that their paths are below"),
        Setting("OUTPUT_DIR", str(run.resolve()), "the trained network, its table and its report"),
        Setting("TRAIN.DATASET", "kinetics"),
        Setting("TEST.DATASET", "kinetics"),
        Setting("TEST.ENABLE", True),
    )
    plan = Plan(plan.recipe, (*places, *plan.settings))
    recipe = (configs / plan.recipe).read_text(encoding="utf-8")
    load_config(configs / plan.recipe, plan.overrides())
    label_of = {name: number for number, name in enumerate(found.labels)}
    for part in PARTS:
        source = part if part in parts.of.values() else ("val", "test")[part == "val"]
        lines = [_line(v.path, label_of[v.label]) for v, _ in checked.usable if parts.of[v.path] == source]
        write_text(output / f"{part}.csv", "".join(lines))
    write_text(output / CLASSES, "".join(f"{name}\n" for name in found.labels))
    write_text(output / TABLE, _table(found, checked, parts))
    write_text(output / RECIPE, recipe)
    write_text(output / CONFIG_FILE, _config_text(plan, head))


def _line(path: str, label: int) -> str:
    return f"{'./' if path[:1].isspace() else ''}{path} {label}\n"  # the list's reader strips blanks at the ends


def _table(found: FoundVideos, checked: Checked, parts: Parts) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["path", "class", "list", "source", "frames", "fps", "width", "height", "note"])
    notes, left_out = dict(checked.odd), dict(checked.left_out)
    reports = {video.path: report for video, report in checked.usable}
    for video in found.videos:
        report = reports.get(video.path)
        if report is None:
            path = video.path.encode("utf-8", "backslashreplace").decode()
            rows.writerow([path, video.label, "", "", "", "", "", "", f"left out: {left_out[video.path]}"])
            continue
        measured = [report.frames, report.fps, report.width, report.height]
        place = [parts.of[video.path], parts.source[video.path]]
        rows.writerow([video.path, video.label, *place, *measured, notes.get(video.path, "")])
    return text.getvalue()


def _config_text(plan: Plan, head: str) -> str:
    """YAML in which every setting stands with its reason."""
    nodes: dict[str, list[tuple[str, Setting]]] = {}
    for setting in plan.settings:
        node, _, name = setting.key.rpartition(".")
        nodes.setdefault(node, []).append((name, setting))
    lines = [f"# {head}", f"_BASE_: {RECIPE}   # a copy of configs/{plan.recipe}, the network; this file comes on top"]
    for node, settings in nodes.items():
        lines += [f"{node}:"] if node else []
        for name, setting in settings:
            text = f"{'  ' if node else ''}{name}: {_yaml(setting.value)}"
            lines.append(f"{text:<34} # {setting.why}" if setting.why else text)
    return "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    return json.dumps(value, ensure_ascii=not (isinstance(value, str) and value.isprintable()))
