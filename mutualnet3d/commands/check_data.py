"""The command line of ``tools/check_data.py``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from mutualnet3d.data.check import VideoReport, check_videos, list_videos
from mutualnet3d.data.decode import BACKENDS
from mutualnet3d.files import refuse_overwriting, write_text
from mutualnet3d.guard import DONE, FAILED, guarded
from mutualnet3d.help import tool_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Check files. Exit status: 0 all can be used, 1 one cannot or an error that the message explains, 2 usage, 130
    stopped by Ctrl-C.

    However it ends, --unusable lists what was found by then.
    """
    arguments = _parser().parse_args(argv)
    unusable: list[str] = []
    status = guarded(lambda: _check(arguments, unusable))
    return FAILED if status == DONE and unusable else status


def _check(arguments: argparse.Namespace, unusable: list[str]) -> None:
    """Print a line for each file and add those that cannot be used to ``unusable``."""
    files = list_videos(arguments.files, arguments.prefix, arguments.separator)
    refuse_overwriting([arguments.unusable], [*arguments.files, *files])
    reports: list[VideoReport] = []
    try:
        for report in check_videos(files, arguments.backend, arguments.workers, arguments.time_limit):
            print(json.dumps(asdict(report)), flush=True)
            reports.append(report)
            if report.status != "ok":
                unusable.append(report.path)
    finally:
        if arguments.unusable:
            write_text(arguments.unusable, "".join(f"{path}\n" for path in unusable))
    frames, hours = sum(report.frames or 0 for report in reports), sum(report.seconds or 0 for report in reports) / 3600
    length = f"{frames} frames, {hours:.2f} hours of video"
    print(f"{len(files)} files, {len(unusable)} unusable; {length}", file=sys.stderr)


HELP = """
A folder stands for the videos and images below it, a .csv (lines 'path label') for the videos in
it. Their paths are relative to --prefix; without it to the folder of the csv, or the one above, or
the one above that, whichever holds one of the videos first; or else to the current folder.
"""


def _parser() -> argparse.ArgumentParser:
    parser = tool_parser(
        "Decode videos and images from end to end; print one JSON line for each.",
        "check_data",
        "python tools/check_data.py train.csv val.csv --prefix /videos",
        HELP,
        "exit status: 0 all can be used, 1 one cannot, or an error, 2 wrong usage, 130 stopped by Ctrl-C",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="videos, images, lists of videos, folders of either")
    add = parser.add_argument_group("lists").add_argument
    text = "folder that the paths in a csv are relative to (DATA.PATH_PREFIX); default: see below"
    add("--prefix", metavar="DIR", help=text)
    text = "between path and label (DATA.PATH_LABEL_SEPARATOR); default: a blank"
    add("--separator", default=" ", metavar="S", help=text)
    add = parser.add_argument_group("work").add_argument
    text = "files at a time; default: all cores"
    add("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help=text)
    add("--backend", default="pyav", choices=BACKENDS, help="decoder")
    add("--time-limit", type=float, default=300.0, metavar="S", help="seconds per file")
    text = "file for the paths of those that cannot be used, one a line; default: only printed"
    add("--unusable", metavar="LIST", help=text)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
