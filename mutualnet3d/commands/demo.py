"""The command line of ``tools/demo_net.py``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from mutualnet3d.allocator import keep_large_blocks
from mutualnet3d.commands.demo_text import describe_front, print_record
from mutualnet3d.commands.guard import guarded
from mutualnet3d.data.decode import resize
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.deployment import open_deployment
from mutualnet3d.deployment.target import BACKENDS
from mutualnet3d.errors import ConfigError
from mutualnet3d.logs import setup_logging
from mutualnet3d.predictor import AdaptivePredictor
from mutualnet3d.streaming.clips import ClipBuffer
from mutualnet3d.streaming.governor import BudgetGovernor
from mutualnet3d.streaming.load import BusyProcesses
from mutualnet3d.streaming.loop import Listeners, run_stream
from mutualnet3d.streaming.overlay import Overlay
from mutualnet3d.streaming.picture import Picture
from mutualnet3d.streaming.record import StreamRecord
from mutualnet3d.streaming.rehearsal import rehearse
from mutualnet3d.streaming.source import CameraSource, FileSource, open_source
from mutualnet3d.streaming.timeline import Timeline
from mutualnet3d.streaming.writer import VideoWriter
from mutualnet3d.training.interrupt import stop_request

_logger = logging.getLogger(__name__)
_DEFAULT_BUDGET = "150%"


def main(argv: Sequence[str] | None = None) -> int:
    """Classify a stream within a changing latency budget.

    Exit status: 0 done, 1 an error that the message explains, 2 usage, 130 Ctrl-C (the video and the log are whole).
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    _check(parser, arguments)

    def body() -> None:
        setup_logging()
        keep_large_blocks()
        record = _run(arguments)
        print_record(record, Console())
        if not record.clips:
            _logger.warning("%s is shorter than one clip: nothing was classified", arguments.input)
        if record.interrupted:
            raise KeyboardInterrupt

    return guarded(body, "stopped; what was shown until then is written")


def _run(arguments: argparse.Namespace) -> StreamRecord:
    target = {name: getattr(arguments, name) for name in ("backend", "precision", "threads", "device")}
    deployment = open_deployment(arguments.directory, **target)
    predictor = AdaptivePredictor(deployment, max_networks=len(deployment.configurations))
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_source(arguments.input))
        buffer = ClipBuffer(deployment.preprocessing, source.fps, arguments.stride)
        rehearsal = rehearse(predictor, _noise(deployment.preprocessing, source.size))
        _logger.info("%s", describe_front(predictor.table, rehearsal))
        most_ms = rehearsal.points[-1].latency_ms
        budgets = Timeline.parse(arguments.schedule or arguments.budget or _DEFAULT_BUDGET, most_ms)
        governor = BudgetGovernor(rehearsal.points, budgets.at(0.0), rehearsal.spread)
        log = stack.enter_context(_json_lines(arguments.log))
        busy = stack.enter_context(BusyProcesses())
        picture = (
            None if arguments.no_video else stack.enter_context(_picture(arguments.output, source, governor, predictor))
        )
        listeners = _listeners(picture, log, busy, Timeline.parse(arguments.load, before=0.0))
        stop = stack.enter_context(stop_request())
        record = run_stream(
            source,
            source.fps,
            lambda clip, configuration: predictor.predict_clip(clip, configuration=configuration),
            buffer,
            governor,
            budgets,
            listeners,
            lambda: stop.requested,
        )
        log(record.to_dict())
    return record


def _listeners(
    picture: Picture | None, log: Callable[[dict], object], busy: BusyProcesses, load: Timeline
) -> Listeners:
    def second(now: float) -> None:
        count = int(load.at(now))
        if count != len(busy):
            busy.set(count)
            text = f"{count} busy process{'' if count == 1 else 'es'} beside"
            _logger.info("%.1f s: %s", now, text)
            log({"event": "load", "time_s": round(now, 3), "processes": count})
            if picture:
                picture.note(now, text)

    def switch(event) -> None:
        _logger.info("%.1f s: %s: %s -> %s", event.time_s, event.reason, event.before, event.after)
        if picture:
            picture.switch(event)

    if picture is None:
        return Listeners(switch=switch, log=log, second=second)
    return Listeners(picture.frame, picture.clip, switch, log, second)


@contextlib.contextmanager
def _picture(
    path: str, source: FileSource | CameraSource, governor: BudgetGovernor, predictor: AdaptivePredictor
) -> Iterator[Picture]:
    with VideoWriter(path, source.size, source.fps) as writer:
        yield Picture(governor, predictor.table, Overlay(source.size), writer)


@contextlib.contextmanager
def _json_lines(path: str | None) -> Iterator[Callable[[dict], object]]:
    """A function that writes values to the file ``path``, a line each, at once; without a path it does nothing."""
    if path is None:
        yield lambda values: None
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", buffering=1) as file:
        yield lambda values: file.write(json.dumps(values) + "\n")


def _noise(preprocessing: Preprocessing, size: tuple[int, int]) -> np.ndarray:
    """A clip of the size that the stream's frames are scaled to."""
    shape = resize(np.empty((*size, 3), np.uint8), preprocessing.short_side).shape
    count = preprocessing.clip.num_frames
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def _check(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """What argparse cannot express, before anything slow is done."""
    if arguments.budget and arguments.schedule:
        parser.error("--budget and --schedule exclude each other")
    if bool(arguments.output) == arguments.no_video:
        parser.error("give --output FILE, or --no-video")
    for name in ("output", "log"):
        path = getattr(arguments, name)
        if (
            path
            and os.path.exists(path)
            and os.path.exists(arguments.input)
            and os.path.samefile(path, arguments.input)
        ):
            parser.error(f"--{name} {path} is the input itself")
    try:
        Timeline.parse(arguments.schedule or arguments.budget or _DEFAULT_BUDGET, percent_of=1.0)
        load = Timeline.parse(arguments.load, before=0.0)
    except ConfigError as error:
        parser.error(str(error))
    if any(count != int(count) for _, count in load.steps):
        parser.error(f"--load {arguments.load}: processes are counted in whole numbers")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="demo_net.py",
        description="Classify a video or a camera, clip by clip, within a budget of milliseconds that changes on the "
        "way. The latency of a clip is its preprocessing (normalising, subsampling, resizing) and the network; "
        "decoding, scaling of frames, drawing and encoding are not counted. A clip is judged against the budget at its "
        "start.",
    )
    parser.add_argument("directory", metavar="DIRECTORY", help="an export of export_net.py, or a run's OUTPUT_DIR")
    parser.add_argument("--input", required=True, metavar="VIDEO", help="a video file, or the number of a camera: 0")
    parser.add_argument("--output", metavar="FILE.mp4", help="the video that is written")
    parser.add_argument("--no-video", action="store_true", help="write none: the table and the log only")
    parser.add_argument(
        "--budget",
        metavar="B",
        help="ms per clip, or per cent of the most accurate configuration's; default: 150%%",
    )
    parser.add_argument(
        "--schedule", metavar="S:B,...", help="budgets from a second on: 0:80,10:40,20:80 or 0:150%%,10:75%%"
    )
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="torch", help="default: torch")
    parser.add_argument("--precision", default="float32", help="default: float32")
    parser.add_argument("--threads", type=int, metavar="N", help="of the processor; default: torch's number")
    parser.add_argument("--device", metavar="D", help="cpu (default), cuda, cuda:1")
    parser.add_argument("--stride", type=int, metavar="FRAMES", help="from clip to clip; default: a quarter of a clip")
    parser.add_argument("--log", metavar="FILE.jsonl", help="a JSON line per clip and switch, and the summary")
    parser.add_argument(
        "--load",
        default="0",
        metavar="S:N,...",
        help="processes that keep a core busy each: 10:2,20:0 (from a second on)",
    )
    return parser
