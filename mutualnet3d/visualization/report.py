"""A run as one HTML file: pictures inlined, no other file and no network needed.

Class names, paths and the config are of unknown origin: the template escapes all of them, and the page's own policy
allows no script but the one that sorts its tables.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

import mutualnet3d
from mutualnet3d.files import write_text
from mutualnet3d.output_files import REPORT_FILE, SCORES_FILE
from mutualnet3d.query_table import metric_name
from mutualnet3d.visualization.classes import (
    MOST_COUNTED,
    MOST_DRAWN,
    class_rows,
    confusion,
    draw_confusion,
    top_confusions,
)
from mutualnet3d.visualization.comparison import compare_runs
from mutualnet3d.visualization.curves import draw_accuracy_cost
from mutualnet3d.visualization.drawing import plain, to_svg
from mutualnet3d.visualization.html import data_uri, templates_of
from mutualnet3d.visualization.latencies import Latencies, measured_latencies
from mutualnet3d.visualization.points import axes_of, chart_points, metric_label
from mutualnet3d.visualization.report_text import (
    KeyConfiguration,
    facts,
    key_configurations,
    precision_rows,
    summarise,
    table_rows,
    tiles,
    views_text,
)
from mutualnet3d.visualization.run_folder import RunFolder, TestScores, read_run
from mutualnet3d.visualization.sample_videos import KINDS, sample_videos
from mutualnet3d.visualization.training_curves import draw_training

MOODS = dict(zip(KINDS, ("good", "mixed", "bad"), strict=True))


@dataclass(frozen=True)
class Picture:
    """An inlined picture: a data URI, what it shows for those who cannot see it, and a caption."""

    src: str
    alt: str
    caption: str = ""


def write_report(
    output_dir: str | os.PathLike, path: str | os.PathLike | None = None, compare: Sequence[str | os.PathLike] = ()
) -> Path:
    """Write the report of what a run left in ``output_dir``; what the folder lacks is said in it.

    Args:
        output_dir: OUTPUT_DIR of a run: query table, test scores, training log, config, model; each may be absent.
        path: file to write; None = ``report.html`` in ``output_dir``.
        compare: OUTPUT_DIRs of other runs whose Pareto fronts are drawn beside this one's.

    Returns:
        The file.

    Raises:
        DataError: ``output_dir`` is not of a run; or it has no query table to compare, or one of another metric.
        QueryTableError: that of a run to compare is missing or malformed.
    """
    run = read_run(output_dir)
    path = run.folder / REPORT_FILE if path is None else Path(path)
    templates = templates_of("mutualnet3d.visualization")
    script, _, _ = templates.loader.get_source(templates, "report.js")
    page = templates.get_template("report.html").render(
        **_content(run, compare),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        version=mutualnet3d.__version__,
    )
    write_text(path, page.encode("utf-8", "replace").decode("utf-8"))  # names of files need not be Unicode
    return path


def _content(run: RunFolder, compare: Sequence[str | os.PathLike]) -> dict:
    keys = key_configurations(run)
    architecture = "network" if run.cfg is None else run.cfg.MODEL.ARCH
    count = len(run.table.entries) if run.table else len(run.scores.configurations) if run.scores else 0
    title = f"{architecture}: " + ("one configuration" if count == 1 else f"one network, {count} configurations")
    latencies = measured_latencies(run.table)
    content = {
        "run": run,
        "title": title if count else f"{architecture}: trained, not tested",
        "summary": summarise(run, keys),
        "tiles": tiles(run, keys),
        "facts": facts(run),
        "metric": metric_name(run.table.metric if run.table else "top1"),
        "views": views_text(run),
        "curves": _curves(run, latencies, title),
        "comparison": None,
        "table": run.table and table_rows(run.table, latencies, keys),
        "training": run.log
        and Picture(_svg(draw_training(run.log)), "losses, accuracy and learning rate over the epochs"),
        "classes": run.scores and _classes(run, keys),
        "precisions": precision_rows(run, keys),
        "detection": run.cfg is not None and run.cfg.DETECTION.ENABLE,
        "videos": run.scores and _videos(run, keys),
        "score_text": run.scores and _score_text(run.scores),
    }
    if compare:
        found = compare_runs(run, compare)
        pictures = [Picture(_svg(figure), alt) for figure, alt in found.figures]
        content["comparison"] = {"charts": pictures, "names": found.names, "rows": found.rows, "notes": found.notes}
    content["sections"] = _sections(content)
    return content


def _sections(content: dict) -> list[tuple[str, str]]:
    named = {
        "curves": "Accuracy against cost",
        "comparison": "Comparison",
        "table": "Query table",
        "training": "Training",
        "classes": "Classes",
        "precisions": "Classes",
        "videos": "Test videos",
    }
    found = [(key, name) for key, name in named.items() if content[key]]
    notes = [("notes", "Missing or doubtful")] if content["run"].notes else []
    config = [("config", "Config")] if content["run"].config_text else []
    return [*notes, *found, ("unreadable", "Unreadable videos"), *config]


def _curves(run: RunFolder, latencies: Sequence[Latencies], title: str) -> list[Picture]:
    if run.table is None:
        return []
    metric, videos = metric_label(run.table.metric), run.table.provenance.get("videos")
    videos = videos if isinstance(videos, int) and run.table.metric == "top1" else None
    look = {"metric": metric, "videos": videos}
    points = chart_points(run.table.entries, "gmacs", run.folder)
    pictures = [
        Picture(_svg(draw_accuracy_cost(points, title=plain(title), **look)), f"{metric} against GMACs per view")
    ]
    for latency in latencies:
        points = chart_points(latency.entries, "latency_ms", run.folder)
        named = f"{title}, on {latency.name}" if latency.name else title
        figure = draw_accuracy_cost(points, title=plain(named, 80), cost="latency_ms", **look)
        missing = len(run.table.entries) - len(latency.entries)
        caption = f"{missing} configurations have no latency measured." if missing else ""
        pictures.append(Picture(_svg(figure), f"{metric} against latency per view {latency.name}", caption))
    return pictures


def _classes(run: RunFolder, keys: Sequence[KeyConfiguration]) -> dict:
    names = _names(run)
    scored = [key for key in keys if key.configuration in run.scores.configurations]
    columns = [(key.role, key.configuration) for key in scored]
    columns = columns or [("largest tested", max(run.scores.configurations, key=axes_of))]
    counts = confusion(run.scores, columns[0][1])
    rows = class_rows(run.scores, [configuration for _, configuration in columns], names)
    beside = len(names) <= MOST_COUNTED or len(names) > MOST_DRAWN  # the picture of the others needs the whole width
    content = {"columns": columns, "rows": rows, "picture": None, "beside": beside}
    if len(names) > MOST_DRAWN:
        mistakes = top_confusions(counts, 20)
        return content | {"mistakes": [(names[i], names[j], count) for i, j, count in mistakes]}
    caption = f"What {columns[0][0]} ({columns[0][1]}) took the videos of each class for."
    return content | {"picture": Picture(_svg(draw_confusion(counts, names)), "confusion of the classes", caption)}


def _videos(run: RunFolder, keys: Sequence[KeyConfiguration]) -> list[dict]:
    names = _names(run)
    videos = []
    for sample in sample_videos(run.scores):
        told = {
            p.configuration: {
                "configuration": p.configuration,
                "name": names[p.label],
                "right": p.label == sample.label,
                "percent": min(100.0 * p.score, 100.0) if run.scores.ensemble else None,
            }
            for p in sample.predictions
        }
        videos.append(
            {
                "path": sample.path,
                "name": "/".join(Path(sample.path).parts[-2:]),
                "label": names[sample.label],
                "kind": sample.kind,
                "mood": MOODS[sample.kind],
                "src": sample.strip and data_uri("image/jpeg", sample.strip),
                "error": sample.error,
                "main": [told[key.configuration] | {"role": key.role} for key in keys if key.configuration in told],
                "all": list(told.values()),
                "count": sum(each["right"] for each in told.values()),
            }
        )
    return videos


def _score_text(scores: TestScores) -> str:
    if not scores.ensemble:
        return f"How the scores of a video's views were joined is not recorded in {SCORES_FILE}, so they are not shown."
    how = "highest" if scores.ensemble == "max" else "mean"
    return f"Numbers are per cent: the {how} score of the predicted class over a video's views."


def _names(run: RunFolder) -> tuple[str, ...]:
    return run.class_names or tuple(f"class {label}" for label in range(run.scores.classes))


def _svg(figure: Figure) -> str:
    return data_uri("image/svg+xml", to_svg(figure))
