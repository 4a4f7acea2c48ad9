"""What the report says in words and numbers: the configurations it singles out, their costs, where all comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mutualnet3d.configuration import Configuration
from mutualnet3d.output_files import MODEL_FILE
from mutualnet3d.query_table import Entry, QueryTable
from mutualnet3d.visualization.latencies import Latencies
from mutualnet3d.visualization.points import axes_of, chart_points, front_of, largest, smallest
from mutualnet3d.visualization.run_folder import RunFolder


@dataclass(frozen=True)
class KeyConfiguration:
    """A configuration that the report follows: full, smallest, or the best at a budget halfway between them."""

    role: str
    configuration: Configuration


def key_configurations(run: RunFolder) -> tuple[KeyConfiguration, ...]:
    """full, halfway, smallest: each once, those that exist. Full is first; without test results there are none."""
    if run.table is not None:
        entries = run.table.entries
        full, least = largest(entries), smallest(entries)
        found = [("full", full), ("halfway", run.table.best(max_gmacs=halfway_budget(run.table))), ("smallest", least)]
        roles = [KeyConfiguration(role, entry.configuration) for role, entry in found]
    elif run.scores is not None:
        roles = [KeyConfiguration("full", max(run.scores.configurations, key=axes_of))]
    else:
        return ()
    seen: dict[Configuration, KeyConfiguration] = {}
    for key in (roles[0], *roles[:0:-1]):  # full and smallest are called so, even where halfway finds them too
        seen.setdefault(key.configuration, key)
    return tuple(key for key in roles if seen[key.configuration] is key)


def halfway_budget(table: QueryTable) -> float:
    """GMACs: the geometric mean of the cheapest entry's and full's, however it is rounded never below the cheapest."""
    least = table.entries[0].gmacs
    return max(least, math.sqrt(least) * math.sqrt(largest(table.entries).gmacs))


def summarise(run: RunFolder, keys: Sequence[KeyConfiguration]) -> str:
    """Full against smallest and against a budget halfway, with the ratios of their costs; "" without a table."""
    table = run.table
    if table is None:
        return ""
    metric = table.metric_name
    by_role = {key.role: table[key.configuration] for key in keys}
    full = by_role["full"]
    parts = [f"Full ({full.configuration}) reaches {full.accuracy:.1f} % {metric} at {full.gmacs:.4g} GMACs per view."]
    if least := by_role.get("smallest"):
        parts.append(
            f"The smallest ({least.configuration}) reaches {least.accuracy:.1f} % at {_times(full, least)} fewer."
        )
    if (middle := by_role.get("halfway")) is not None:
        parts.append(
            f"A budget of {halfway_budget(table):.4g} GMACs, halfway between them, buys {middle.configuration}: "
            f"{middle.accuracy:.1f} %, {_times(full, middle)} cheaper than full."
        )
    videos = table.provenance.get("videos")
    if isinstance(videos, int) and videos > 0 and table.metric == "top1":
        share = full.accuracy / 100
        error = 100 * math.sqrt(share * (1 - share) / videos)
        parts.append(f"Of {videos} test videos; the standard error of full's accuracy is {error:.1f} points.")
    return " ".join(parts)


def tiles(run: RunFolder, keys: Sequence[KeyConfiguration]) -> list[dict]:
    """What the large numbers at the top show."""
    if run.table is None:
        return []
    full = largest(run.table.entries)
    shown = []
    for key in keys:
        entry = run.table[key.configuration]
        role = f"best within {halfway_budget(run.table):.4g} GMACs" if key.role == "halfway" else key.role
        shown.append(
            {
                "role": role,
                "accuracy": entry.accuracy,
                "configuration": entry.configuration,
                "cost": f"{entry.gmacs:.4g} GMACs, {entry.mparams:.3g} M parameters",
                "saving": "" if entry == full else f"{_times(full, entry)} cheaper",
            }
        )
    return shown


def facts(run: RunFolder) -> list[tuple[str, str]]:
    """Where the numbers come from: name, value."""
    known = run.table.provenance if run.table is not None else {}
    cfg = run.cfg
    found = {
        "architecture": known.get("architecture") or (cfg and cfg.MODEL.ARCH),
        "data": known.get("data") or (cfg and cfg.DATA.PATH_TO_DATA_DIR),
        "date": str(known.get("date") or "").replace("T", " ").replace("+00:00", " UTC"),
        "test videos": known.get("videos") if known else run.scores and len(run.scores.labels),
        **({"key frames": f"{known['key_frames']}, with {known['boxes']} boxes"} if "key_frames" in known else {}),
        "test clips": views_text(run),
        "training": run.log and f"{run.log.epoch[-1]:.4g} epochs of {run.log.per_epoch} iterations",
        **({"method": _method(known["training"])} if isinstance(known.get("training"), dict) else {}),
        "versions": ", ".join(f"{name} {known[name]}" for name in ("mutualnet3d", "torch") if name in known),
        f"SHA-256 of {MODEL_FILE}": known.get("model_sha256"),
    }
    return [(name, str(value) if value else "not recorded") for name, value in found.items()]


def _method(training: dict) -> str:
    """How the weights were trained and what it cost, as far as the query table says."""
    parts = [str(training.get("method")), f"sub-networks learn {training.get('teacher')}"]
    if "gmacs" in training:
        parts.append(f"{training['gmacs'] / 1000:.3g} x 10^12 multiply-adds forward")
    if "seconds" in training:
        parts.append(f"{training['seconds']:.0f} s")
    return ", ".join(parts)


def precision_rows(run: RunFolder, keys: Sequence[KeyConfiguration]) -> dict | None:
    """Average precision of each class at the key configurations, in the order of the file; None where there is none."""
    columns = [(key.role, key.configuration) for key in keys if key.configuration in run.precisions]
    columns = columns or [("largest tested", c) for c in sorted(run.precisions, key=axes_of)[-1:]]
    if not columns:
        return None
    classes = list(run.precisions[columns[0][1]])
    names = run.class_names if run.class_names and len(run.class_names) == len(classes) else classes
    rows = [
        (number, names[number] if label == str(number) else label, [run.precisions[c].get(label) for _, c in columns])
        for number, label in enumerate(classes)
    ]
    return {"columns": columns, "rows": rows}


def views_text(run: RunFolder) -> str:
    """``10 x 3 views of 8 frames, 256 x 256 pixels``, of detection what its frames are; "" where it is not recorded."""
    known = run.table.provenance if run.table is not None else {}
    crop, frames = known.get("crop"), known.get("frames")
    if "key_frames" in known:
        return f"{frames} frames around a key frame, shorter side {crop} pixels, not cropped"
    if "frames" in known and frames is None:
        return f"one centre view, {crop} x {crop} pixels"
    recorded = known.get("views")
    views = (recorded.get("temporal"), recorded.get("spatial")) if isinstance(recorded, dict) else None
    if run.scores is not None:
        views = run.scores.views
    shape = f" of {frames} frames, {crop} x {crop} pixels" if frames and crop else ""
    return f"{views[0]} x {views[1]} views{shape}" if views else ""


def table_rows(table: QueryTable, latencies: Sequence[Latencies], keys: Sequence[KeyConfiguration]) -> dict:
    """The rows of the query table by rising GMACs, and which columns they have."""
    full = largest(table.entries)
    front = {p.configuration for p in front_of(chart_points(table.entries, "gmacs", "query table"))}
    roles = {key.configuration: key.role for key in keys}
    measured = [{e.configuration: e.latency_ms for e in each.entries} for each in latencies]
    rows = [
        {
            "entry": e,
            "front": e.configuration in front,
            "role": roles.get(e.configuration, ""),
            "share": 100 * e.gmacs / full.gmacs,
            "latencies": [of.get(e.configuration) for of in measured],
        }
        for e in table.entries
    ]
    return {
        "rows": rows,
        "temporal": full.configuration.temporal is not None,
        "top5": any(e.top5 is not None for e in table.entries),
        "devices": [f"ms, {each.name}" if each.name else "ms" for each in latencies],
    }


def _times(full: Entry, other: Entry) -> str:
    return f"{full.gmacs / other.gmacs:.3g}x"
