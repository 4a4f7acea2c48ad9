"""The command line ``python -m mutualnet3d.evaluation.ava_map``: AVA's official evaluation, with its arguments."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence

from mutualnet3d.data.ava_files import read_detections, read_exclusions, read_ground_truth, read_label_map
from mutualnet3d.evaluation.ava_map.metric import MATCHING_IOU, OFFICIAL_LIMIT, DetectionAccuracy, ava_map
from mutualnet3d.files import refuse_overwriting, write_text
from mutualnet3d.guard import guarded


def main(argv: Sequence[str] | None = None) -> int:
    """Print the result as JSON. Exit status: 0 done, 1 an error that the message explains, 130 stopped by Ctrl-C."""
    arguments = _parser().parse_args(argv)

    def body() -> None:
        refuse_overwriting(
            [arguments.output],
            [arguments.groundtruth, arguments.detections, arguments.labelmap, arguments.exclusions],
        )
        accuracy = ava_map(
            read_ground_truth(arguments.groundtruth),
            read_detections(arguments.detections),
            read_label_map(arguments.labelmap),
            read_exclusions(arguments.exclusions) if arguments.exclusions else frozenset(),
            arguments.limit or None,
        )
        text = json.dumps(official_metrics(accuracy), indent=2, ensure_ascii=False)
        if arguments.output:
            write_text(arguments.output, text + "\n")
        print(text)

    return guarded(body)


def official_metrics(accuracy: DetectionAccuracy) -> dict[str, float | int | None]:
    """The result under the official evaluation's keys, as fractions; None for a class without ground truth."""
    mean = accuracy.map / 100
    metrics: dict[str, float | int | None] = {
        f"mAP@{MATCHING_IOU}IOU": mean,
        f"PascalBoxes_Precision/mAP@{MATCHING_IOU}IOU": mean,
    }
    for name, ap in accuracy.per_class.items():
        key = f"PascalBoxes_PerformanceByCategory/AP@{MATCHING_IOU}IOU/{name}"
        metrics[key] = None if math.isnan(ap) else ap / 100
    for name in ("truths", "detections", "key_frames", "detected_key_frames"):
        metrics[name] = getattr(accuracy, name)
    return metrics


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mutualnet3d.evaluation.ava_map",
        description="mAP at IoU 0.5 of AVA, by the official rules, as JSON. Exit code 1 if a file cannot be used.",
    )
    add = parser.add_argument
    add("-g", "--groundtruth", required=True, metavar="CSV", help="video,second,x1,y1,x2,y2,action[,person]")
    add("-d", "--detections", required=True, metavar="CSV", help="video,second,x1,y1,x2,y2,action,score")
    add("-l", "--labelmap", required=True, metavar="PBTXT", help="names and ids of the actions to evaluate")
    add("-e", "--exclusions", metavar="CSV", help="video,second of key frames to leave out")
    limit = f"detections that count in a key frame, those of the highest scores; officially {OFFICIAL_LIMIT}; 0: all"
    add("--limit", type=_limit, default=OFFICIAL_LIMIT, metavar="N", help=limit)
    add("-o", "--output", metavar="JSON", help="write the result to this file too")
    return parser


def _limit(text: str) -> int:
    limit = int(text)
    if limit < 0:
        raise argparse.ArgumentTypeError(f"{limit} is below 0")
    return limit


if __name__ == "__main__":
    raise SystemExit(main())
