"""The command line of ``tools/demo_net.py``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import signal
from collections.abc import Iterator, Sequence

import numpy as np

from mutualnet3d.commands.demo_detection import add_options, check_options, log_of, run_detection
from mutualnet3d.commands.demo_text import print_points, print_report
from mutualnet3d.commands.target_options import add_class_names, add_target_options, open_named
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.errors import ConfigError, DataError, DeploymentError
from mutualnet3d.files import refuse_overwriting, write_text
from mutualnet3d.guard import guarded
from mutualnet3d.help import tool_parser
from mutualnet3d.logs import setup_logging
from mutualnet3d.predictor import AdaptivePredictor
from mutualnet3d.streaming.busy import BusyProcesses
from mutualnet3d.streaming.clips import ClipBuffer
from mutualnet3d.streaming.governor import BudgetGovernor
from mutualnet3d.streaming.overlay import Overlay
from mutualnet3d.streaming.player import Pace, StreamPlayer
from mutualnet3d.streaming.records import StreamReport
from mutualnet3d.streaming.rehearsal import candidates, rehearse
from mutualnet3d.streaming.source import CameraSource, FileSource, open_source
from mutualnet3d.streaming.timeline import Timeline
from mutualnet3d.streaming.writer import VideoWriter

_logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a stream. Exit status: 0 done, 1 an error that the message explains, 2 usage, 130 stopped by Ctrl-C.

    However it ends, the video and the log hold what was done by then.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        Timeline.parse(_budgets(arguments), percent_of=1.0, above_zero=True)
        Timeline.parse(arguments.busy or "0")
    except ConfigError as error:
        parser.error(str(error))
    setup_logging()

    def body() -> None:
        prepare_cpu()
        with _stop_signal() as stop:
            _run(arguments, stop)
            if stop:
                raise KeyboardInterrupt

    return guarded(body, "stopped; the video and the log are complete up to here")


def _run(arguments: argparse.Namespace, stop: list) -> None:
    refuse_overwriting([arguments.output, log_of(arguments)], [arguments.input, arguments.boxes, arguments.class_names])
    deployment = open_named(arguments.directory, arguments)
    if deployment.preprocessing.clip is None:
        raise DeploymentError(
            f"{arguments.directory}: a network of images; the stream's clips need one of videos. Of single frames "
            "AdaptivePredictor.predict(frame) says what they show"
        )
    check_options(arguments, deployment.detects)
    if deployment.detects:
        run_detection(arguments, deployment, stop)
        return
    predictor = AdaptivePredictor(deployment, max_networks=len(candidates(deployment.table)))
    with open_source(arguments.input) as source:
        buffer = ClipBuffer(deployment.preprocessing, source.fps, arguments.stride)
        points = rehearse(predictor, np.zeros((deployment.preprocessing.clip.num_frames, *source.size, 3), np.uint8))
        most_accurate = max(points, key=lambda point: (point.accuracy, -point.latency_ms))
        budgets = Timeline.parse(_budgets(arguments), percent_of=most_accurate.latency_ms)
        governor = BudgetGovernor(points, budgets.at(0))
        print_points(governor.front, predictor.switching)
        _stream(arguments, stop, source, StreamPlayer(predictor, governor, buffer, budgets))


def _budgets(arguments: argparse.Namespace) -> str:
    return arguments.schedule or arguments.budget_ms or "100%"


def _stream(arguments: argparse.Namespace, stop: list, source: FileSource | CameraSource, player: StreamPlayer) -> None:
    overlay = Overlay(source.size)
    pace = Pace(real_time=arguments.realtime and not source.live)
    try:
        with (
            VideoWriter(arguments.output, source.size, source.fps) as writer,
            BusyProcesses(Timeline.parse(arguments.busy or "0")) as busy,
        ):
            for frame, screen in player.play(source, source.fps, pace):
                writer.write(overlay.draw(frame.image, screen), frame.number)
                busy.at(frame.time_s)
                if stop or (arguments.seconds is not None and frame.time_s >= arguments.seconds):
                    break
    finally:
        report = player.report()
        _write(arguments, report)
        print_report(report)
    if not (report.clips or stop):
        raise DataError(
            f"{arguments.input}: {report.frames} frames are fewer than one clip spans; nothing was predicted"
        )


def _write(arguments: argparse.Namespace, report: StreamReport) -> None:
    log = log_of(arguments)
    summary = log.with_suffix(".summary.json")
    write_text(log, "".join(json.dumps(line) + "\n" for line in report.lines()))
    write_text(summary, json.dumps({"options": vars(arguments), **report.summary()}, indent=2) + "\n")
    _logger.info("written: %s, %s, %s", arguments.output, log, summary)


@contextlib.contextmanager
def _stop_signal() -> Iterator[list]:
    """A list that the first Ctrl-C makes true; the second interrupts at once."""
    pressed: list[int] = []

    def note(number: int, _frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


EXAMPLE = """
python tools/demo_net.py outputs/deploy --input long.mp4 --output out.mp4 --budget-ms 50%
python tools/demo_net.py outputs/people --input movie.mp4 --output out.mp4 --boxes people.csv
""".strip()
HELP = """
The latency of a clip is its preprocessing (crop, normalise, resize for the configuration) and the
network; reading frames, drawing and writing the video are not in it.
"""


def _parser() -> argparse.ArgumentParser:
    parser = tool_parser(
        "Classify a video or a camera within a latency budget; with a detection network, what people do.",
        "demo_net",
        EXAMPLE,
        HELP,
    )
    parser.add_argument("directory", help="an export of tools/export_net.py, or the OUTPUT_DIR of a run")
    add = parser.add_argument_group("files").add_argument
    add("--input", required=True, metavar="VIDEO", help="a video file, or the number of a camera")
    add("--output", required=True, metavar="FILE", help="the video to write (mp4)")
    add("--log", metavar="FILE", help="JSON lines of clips and switches; default: beside the output")
    add_class_names(add)
    add("--seconds", type=float, metavar="S", help="stop after this time of the video; default: at its end")
    add = parser.add_argument_group("how the network runs").add_argument
    add_target_options(add)
    group = parser.add_argument_group("classification networks", "clip by clip, within a budget that may change")
    budget = group.add_mutually_exclusive_group()
    text = "per clip, or in %% of the most accurate network's latency; default: 100%%"
    budget.add_argument("--budget-ms", metavar="B", help=text)
    text = "budgets over the seconds of the video: 0:80,10:40,20:80 or 0:150%%,10:75%%; default: --budget-ms"
    budget.add_argument("--schedule", metavar="S:B,...", help=text)
    text = "processes that load the machine, over the seconds: 0:0,10:2,20:0; default: none"
    group.add_argument("--busy", metavar="S:N,...", help=text)
    text = "frames between clips; default: a quarter of what a clip spans"
    group.add_argument("--stride", type=int, metavar="N", help=text)
    pace = group.add_mutually_exclusive_group()
    pace.add_argument("--every-clip", action="store_true", help="predict every clip, however long it takes; default")
    text = "play at the video's speed; leave out clips that are late"
    pace.add_argument("--realtime", action="store_true", help=text)
    add_options(parser)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
