"""One table of what this package costs: every ratio paired and repeated, in one command.

    python benchmarks/table.py [--quick] [--json new.json] [--compare old.json] [--only step switching]

Steps, loaders, switching, calibration, deployed networks, counting and grid evaluation, within 10 minutes on 2 idle
cores; --quick runs everything in small shapes, for a test. Videos are made of the clips below MUTUALNET3D_DATA/jhmdb,
or rendered without that variable. Memory is allocated as the tools do. Numbers taken while other work runs are worth
nothing: look at the spread.

--json keeps the versions, the machine and the times of every round; --compare prints what changed against such a file,
and marks the medians that left the range that the rounds had there.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import calibrating
import counting
import cv2
import deployed
import grid_evaluation
import mutual_step
import switched
import torch
import train_loader
import view_loader
from pairs import ON_CPU, Ratio, markdown
from source_video import frames_of, write_video

import mutualnet3d as mn
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.data import VideoEntry
from mutualnet3d.files import write_text
from mutualnet3d.latency import device_name

FORMAT = 1
CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SLOW, SMALL = str(CONFIGS / "Kinetics" / "MN_SLOW_8x8.yaml"), str(CONFIGS / "Demo" / "MN_SLOW_SMALL.yaml")
SMALL_FAST = str(CONFIGS / "Demo" / "MN_SLOWFAST_SMALL.yaml")
TINY = [
    *("RESNET.WIDTH_PER_GROUP", 8, "DATA.TRAIN_CROP_SIZE", 32, "DATA.TEST_CROP_SIZE", 32),
    *("DATA.TRAIN_JITTER_SCALES", [32, 40], "MUTUALNET.SPATIAL", [20, 32]),
]
BFLOAT16 = ["TRAIN.MIXED_PRECISION", True, "TRAIN.MIXED_PRECISION_DTYPE", "bfloat16"]
PACKAGES = ("mutualnet3d", "torch", "torchvision", "numpy", "av", "opencv-python-headless", "pyslowfast", "openvino")
PACKAGES += ("onnxruntime",)


class Sections:
    """What the table is made of; a method a section. ``videos``: frames from key frame to key frame -> a video."""

    def __init__(self, videos: dict[int, Path], quick: bool):
        self.videos, self.quick = videos, quick

    def step(self) -> list[Ratio]:
        if self.quick:
            return mutual_step.measure(mn.load_config(SMALL_FAST, TINY), 2, 2, "small SlowFast")
        small = mutual_step.measure(mn.load_config(SMALL_FAST, []), 8, 5, "small SlowFast, 8 clips")
        slow = (("float32", []), ("bfloat16", BFLOAT16))
        whole = [
            mutual_step.measure(mn.load_config(SLOW, [*ON_CPU, *o]), 2, 5, f"Slow 8x8, 2 clips, {name}")
            for name, o in slow
        ]
        return [*(ratio for part in whole for ratio in part), *small]

    def training_loader(self) -> list[Ratio]:
        items, rounds = (2, 2) if self.quick else (30, 5)
        return [r for gop, path in self.videos.items() for r in train_loader.measure(path, items, rounds, f"GOP {gop}")]

    def view_loader(self) -> list[Ratio]:
        rounds = 1 if self.quick else 5
        return [r for gop, path in self.videos.items() for r in view_loader.measure(path, rounds, f"GOP {gop}")]

    def switching(self) -> list[Ratio]:
        if self.quick:
            return switched.measure([SMALL], TINY, [0.63], 1, 2)
        counts = sorted({1, torch.get_num_threads()})
        return [r for count in counts for r in switched.measure([SLOW], [], [0.63, 0.8], count, 8)]

    def calibration(self) -> list[Ratio]:
        if self.quick:
            return calibrating.measure(mn.load_config(SMALL, TINY), 3, 1, 2, 2)
        return calibrating.measure(mn.load_config(SMALL, []), 9, 2, 16, 7)

    def inference(self) -> list[Ratio]:
        if self.quick:
            return deployed.measure("x3d", ["DATA.TEST_CROP_SIZE", 64], [0.63], 1, 1, ("torch",))
        return deployed.measure("slow", ["DATA.TEST_CROP_SIZE", 224], [0.63], torch.get_num_threads(), 8)

    def complexity(self) -> list[Ratio]:
        if self.quick:
            return counting.measure("ImageNet/MN_MOBILENET_V1", 1, crop=64, widths=2, sample=1)
        return counting.measure("Kinetics/MN_SLOW_8x8", 3)

    def evaluation(self) -> list[Ratio]:
        path = str(next(iter(self.videos.values())))
        if self.quick:
            overrides = [*TINY, "TEST.NUM_ENSEMBLE_VIEWS", 1, "DATA_LOADER.NUM_WORKERS", 0]
            return grid_evaluation.measure(mn.load_config(SMALL, overrides), [VideoEntry(path, 0)] * 2, [2], 1)
        cfg = mn.load_config(SMALL, grid_evaluation.VIEWS)
        return grid_evaluation.measure(cfg, [VideoEntry(path, 0)] * 24, [3, 9], 2)


SECTIONS = (
    *("step", "training_loader", "view_loader", "switching", "calibration", "inference", "complexity"),
    "evaluation",
)


def measure_all(names: list[str], quick: bool) -> list[Ratio]:
    """The ratios of the sections ``names``, in order; progress goes to stderr."""
    data = os.environ.get("MUTUALNET3D_DATA")
    frames, found = frames_of(Path(data) / "jhmdb" if data and not quick else None), []
    with tempfile.TemporaryDirectory() as folder:
        videos = {gop: Path(folder) / f"gop{gop}.mp4" for gop in ((30,) if quick else (30, 250))}
        for gop, path in videos.items():
            write_video(path, frames, gop)
        sections = Sections(videos, quick)
        for name in names:
            start = time.perf_counter()
            section: Callable[[], list[Ratio]] = getattr(sections, name)
            found += section()
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return found


def setting(quick: bool) -> dict:
    """Where and with what it was measured."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "quick": quick,
        "cpu": device_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": versions,
    }


def read(path: Path) -> dict:
    """What --json wrote. SystemExit, with the reason, where it is something else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: {error}; give a file that --json wrote") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise SystemExit(f"{path} is not a table of format {FORMAT}; give a file that --json wrote")
    return record


def comparison(old: dict, new: dict) -> str:
    """A table of the changes of the medians, and what stands on one side only or was measured elsewhere."""
    lines = [
        f"{key}: {old['setting'].get(key)} then, {value} now: the two may not be comparable"
        for key, value in new["setting"].items()
        if old["setting"].get(key) != value
    ]
    then, now = ({ratio["name"]: ratio for ratio in record["ratios"]} for record in (old, new))
    lines += ["", "| what | then | now | change | |", "|---|---|---|---|---|"]
    for name in [name for name in now if name in then]:
        a, b = then[name], now[name]
        left = "" if a["low"] <= b["value"] <= a["high"] else f"outside {a['low']:.3f} .. {a['high']:.3f}"
        change = 100 * (b["value"] / a["value"] - 1)
        lines.append(f"| {name} | {a['value']:.3f} | {b['value']:.3f} | {change:+.1f} % | {left} |")
    lines += [f"only then: {name}" for name in then if name not in now]
    lines += [f"only now: {name}" for name in now if name not in then]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small shapes: shows that it runs, measures nothing")
    parser.add_argument("--json", type=Path, help="file to write the ratios and every round to")
    parser.add_argument("--compare", type=Path, help="file of --json to compare with")
    parser.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), metavar="SECTION", help="of them"
    )
    arguments = parser.parse_args()
    old = read(arguments.compare) if arguments.compare else None
    prepare_cpu()
    cv2.setNumThreads(0)
    begun = time.perf_counter()
    ratios = measure_all(arguments.only, arguments.quick)
    record = {"format": FORMAT, "setting": setting(arguments.quick), "seconds": time.perf_counter() - begun}
    record["ratios"] = [asdict(ratio) for ratio in ratios]
    print(f"{record['setting']['cpu']}, {record['setting']['threads']} thread(s), {record['seconds']:.0f} s\n")
    print(markdown(ratios))
    if arguments.json:
        write_text(arguments.json, json.dumps(record, indent=1) + "\n")
    if old:
        print(comparison(old, record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
