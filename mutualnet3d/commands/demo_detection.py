"""What ``tools/demo_net.py`` does with a detection network: people and what they do, drawn over a video."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import statistics
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mutualnet3d.configuration import Configuration
from mutualnet3d.deployment import Deployment
from mutualnet3d.errors import ConfigError
from mutualnet3d.files import write_text
from mutualnet3d.predictor import AdaptivePredictor, Detections, FileBoxes, PersonDetector
from mutualnet3d.predictor.people import MIN_SCORE
from mutualnet3d.streaming.people import detection_video

_logger = logging.getLogger(__name__)
_STREAM_ONLY = ("budget_ms", "schedule", "busy", "stride", "realtime", "every_clip")
_OWN = (
    *("boxes", "detector", "download", "min_score", "start_second", "name", "every"),
    *("max_gmacs", "max_latency_ms", "configuration", "top_k", "threshold"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of detection networks."""
    group = parser.add_argument_group("detection networks", "people in boxes; the budget holds for the whole video")
    who = group.add_mutually_exclusive_group()
    who.add_argument("--boxes", metavar="FILE", help="csv of AVA: a detector's, or ground truth; default: none")
    who.add_argument(
        "--detector",
        nargs="?",
        const="",
        metavar="WEIGHTS",
        help="torchvision's Faster R-CNN finds people; default: none; its weights: torch.hub's cache",
    )
    group.add_argument(
        "--download", action="store_true", default=None, help="fetch the detector's weights if missing; default: off"
    )
    group.add_argument("--min-score", type=float, metavar="P", help=f"of boxes; default: {MIN_SCORE}")
    group.add_argument("--start-second", type=int, metavar="N", help="what --boxes calls the first frame; default: 0")
    group.add_argument(
        "--name", metavar="V", help="of the video in --boxes; default: the input's name without its ending"
    )
    group.add_argument("--every", type=float, metavar="S", help="seconds between key frames of --detector; default: 1")
    group.add_argument("--max-gmacs", type=float, metavar="G", help="per key frame; default: no limit")
    group.add_argument(
        "--max-latency-ms", type=float, metavar="MS", help="per key frame, as the query table has it; default: none"
    )
    group.add_argument(
        "--configuration", type=Configuration.parse, metavar="C", help="such as 0.63-142-3; default: by the budget"
    )
    group.add_argument("--top-k", type=int, metavar="K", help="labels a box; default: 3, or all above --threshold")
    group.add_argument("--threshold", type=float, metavar="P", help="least probability of a label; default: 0")


def check_options(arguments: argparse.Namespace, detects: bool) -> None:
    """ConfigError for an option that is for the other kind of network, or where nobody says who the people are."""
    wrong = [name for name in (_STREAM_ONLY if detects else _OWN) if _given(arguments, name)]
    if wrong:
        kind, other = ("detects", "classify") if detects else ("classifies", "detect")
        options = ", ".join("--" + name.replace("_", "-") for name in wrong)
        raise ConfigError(f"{arguments.directory} {kind}; {options} is for networks that {other}")
    if detects and arguments.boxes is None and arguments.detector is None:
        raise ConfigError(
            f"{arguments.directory} detects: say where people are with --boxes FILE, or let --detector find them"
        )
    unread = ("download",) if arguments.boxes is not None else ("start_second", "name")
    if detects and (idle := [name for name in unread if _given(arguments, name)]):
        source, other = ("--boxes", "--detector") if arguments.boxes is not None else ("--detector", "--boxes")
        options = ", ".join("--" + name.replace("_", "-") for name in idle)
        raise ConfigError(f"{options} is for {other}, and {source} is given; leave it out")


def log_of(arguments: argparse.Namespace) -> Path:
    """Where the log goes: --log, or beside --output."""
    return Path(arguments.log or Path(arguments.output).with_suffix(".jsonl"))


def _given(arguments: argparse.Namespace, name: str) -> bool:
    value = getattr(arguments, name)
    return value is not None and value is not False


def run_detection(arguments: argparse.Namespace, deployment: Deployment, stop: Sequence) -> None:
    """Write the video, and a JSON line per key frame; both hold what was done by the time it stops."""
    predictor = AdaptivePredictor(deployment)
    budget = {name: getattr(arguments, name) for name in ("max_gmacs", "max_latency_ms", "configuration")}
    options = {"every": arguments.every, "seconds": arguments.seconds, "threshold": arguments.threshold}
    top_k = 3 if arguments.top_k is None and arguments.threshold is None else arguments.top_k
    _logger.info("running %s", predictor.choose(**budget).configuration)
    found: list[Detections] = []
    video = detection_video(
        predictor, arguments.input, arguments.output, _people(arguments), top_k=top_k, stop=stop, **options, **budget
    )
    try:
        with contextlib.closing(video):
            for each in video:
                found.append(each)
    finally:
        if found:
            _write(arguments, found)
            _print(found)
    if not found:
        _logger.warning("written: %s; no key frame lies in it, so nothing was predicted", arguments.output)


def _people(arguments: argparse.Namespace) -> FileBoxes | PersonDetector:
    min_score = MIN_SCORE if arguments.min_score is None else arguments.min_score
    if arguments.boxes is not None:
        name = arguments.name or Path(arguments.input).stem
        return FileBoxes.read(arguments.boxes, name, arguments.start_second or 0, min_score)
    return PersonDetector.load(
        arguments.detector or None,
        min_score=min_score,
        device=arguments.device or "cpu",
        download=bool(arguments.download),
    )


def _write(arguments: argparse.Namespace, found: Sequence[Detections]) -> None:
    log = log_of(arguments)
    lines = [
        {
            "second": each.second,
            "configuration": str(each.configuration),
            "gmacs": each.entry.gmacs,
            "latency_ms": each.times.latency_ms,
            "detector_ms": each.times.detector_ms,
            "people": [
                {"box": box, "labels": labels} for box, labels in zip(each.boxes.tolist(), each.labels, strict=True)
            ],
        }
        for each in found
    ]
    write_text(log, "".join(json.dumps(line) + "\n" for line in lines))
    _logger.info("written: %s, %s", arguments.output, log)


def _print(found: Sequence[Detections]) -> None:
    people = sum(len(each.boxes) for each in found)
    median = statistics.median(each.times.latency_ms for each in found)
    entry = found[0].entry
    Console().print(
        f"{len(found)} key frames, {people} boxes, at {entry.configuration} ({entry.gmacs:.3g} GMACs): "
        f"{median:.1f} ms a key frame (median; preprocessing and network)",
        highlight=False,
    )
