"""Decode videos and images from end to end and say of each one whether it can be used: ``tools/check_data.py``."""

import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from mutualnet3d.data.decode import BACKENDS
from mutualnet3d.data.frames import FrameReader
from mutualnet3d.data.images import open_media
from mutualnet3d.data.kinetics_list import read_csv
from mutualnet3d.data.names import is_image, is_video
from mutualnet3d.errors import ConfigError, DataError, VideoError
from mutualnet3d.files import write_text
from mutualnet3d.help import tool_parser


@dataclass(frozen=True)
class VideoReport:
    """What is known of one video, or of an image, which has 1 frame: ``frames`` that decode, ``fps``, the ``seconds``
    that they last (None for an image), ``width`` and ``height`` after rotation.

    ``status`` is "ok" or "unusable"; ``reason`` says why it is unusable, ``note`` what is odd about a usable one.
    """

    path: str
    status: str
    frames: int | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    reason: str | None = None
    note: str | None = None
    seconds: float | None = None


def check_video(path: str, backend: str = "pyav") -> VideoReport:
    """Decode a whole file in this process."""
    try:
        with open_media(path, backend=backend) as video:
            frames = video.count_decodable()
            if frames == 0:
                raise VideoError(path, "no frame can be decoded")
            promised = video.promised_frames or video.num_frames
            note = None if promised == frames else f"the container promises {promised} frames, {frames} decode"
            seconds = None if isinstance(video, FrameReader) else round(frames / video.fps, 3)
            size = video.width, video.height
            return VideoReport(path, "ok", frames, round(video.fps, 3), *size, note=note, seconds=seconds)
    except VideoError as error:
        return VideoReport(path, "unusable", reason=error.reason)


def check_videos(
    paths: list[str], backend: str = "pyav", workers: int = 1, time_limit: float = 300.0
) -> Iterator[VideoReport]:
    """Check files in parallel, each in a process of its own, and yield reports in the order of ``paths``.

    A file that takes more than ``time_limit`` seconds, or that kills its process, is unusable.
    """
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload([__name__])
    with ThreadPoolExecutor(max(1, workers)) as pool:
        yield from pool.map(lambda path: _check_apart(context, path, backend, time_limit), paths)


def _check_apart(context, path: str, backend: str, time_limit: float) -> VideoReport:
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_report, args=(sender, path, backend), daemon=True)
    process.start()
    sender.close()
    try:
        if receiver.poll(time_limit):
            return receiver.recv()
        reason = f"decoding takes more than {time_limit:g} seconds"
    except EOFError:
        process.join()
        reason = f"the decoder crashed (exit code {process.exitcode})"
    finally:
        process.kill()
        process.join()
        receiver.close()
    return VideoReport(path, "unusable", reason=reason)


def _send_report(sender, path: str, backend: str) -> None:
    sender.send(check_video(path, backend))


def list_videos(
    arguments: Sequence[str],
    prefix: str | None = None,
    separator: str = " ",
    kinds: Sequence[Callable[[Path], bool]] = (is_video, is_image),
) -> list[str]:
    """Files that the arguments name: a ``.csv`` stands for the videos in it, a folder for those of ``kinds`` below it.

    Their paths are relative to ``prefix``; without one to the folder of the csv, or one or two folders above it if the
    first video of the list is found there, or else to the current folder.

    Raises:
        DataError: a csv is missing or malformed, or a folder holds neither.
    """
    videos = []
    for argument in arguments:
        if os.path.isdir(argument):
            videos += _files_below(Path(argument), kinds)
            continue
        if Path(argument).suffix.lower() != ".csv":
            videos.append(argument)
            continue
        listed = [video for _, (video, _) in read_csv(argument, separator)]
        base = _base_folder(Path(argument), listed) if prefix is None else prefix
        videos.extend(os.path.join(base, video) for video in listed)
    return videos


def _files_below(folder: Path, kinds: Sequence[Callable[[Path], bool]]) -> list[str]:
    found = sorted(str(path) for path in folder.rglob("*") if any(kind(path) for kind in kinds) and path.is_file())
    if not found:
        wanted = " and no ".join(f"{kind.__name__.removeprefix('is_')}s" for kind in kinds)
        raise DataError(f"{folder}: holds no {wanted}; name files, or a .csv of them")
    return found


def _base_folder(csv: Path, listed: list[str]) -> str:
    folder = csv.absolute().parent
    candidates = [folder, folder.parent, folder.parent.parent]
    for candidate in candidates:
        if any((candidate / video).exists() for video in listed):
            return os.path.relpath(candidate)
    return ""


HELP = """
A folder stands for the videos and images below it, a .csv (lines 'path label') for the videos in
it. Their paths are relative to --prefix; without it to the folder of the csv, or the one above, or
the one above that, whichever holds one of the videos first; or else to the current folder.
"""


def main(arguments: list[str] | None = None) -> int:
    """Command line. Returns 0 if all videos are usable, 1 if any is not, 2 if the command cannot be carried out."""
    parser = tool_parser(
        "Decode videos and images from end to end; print one JSON line for each.",
        "check_data",
        "python tools/check_data.py train.csv val.csv --prefix /videos",
        HELP,
        "exit status: 0 all can be used, 1 one cannot, 2 wrong usage, or a list cannot be read",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="videos, images, lists of videos, folders of either")
    lists = parser.add_argument_group("lists")
    text = "folder that the paths in a csv are relative to (DATA.PATH_PREFIX); default: see below"
    lists.add_argument("--prefix", metavar="DIR", help=text)
    text = "between path and label (DATA.PATH_LABEL_SEPARATOR); default: a blank"
    lists.add_argument("--separator", default=" ", metavar="S", help=text)
    work = parser.add_argument_group("work")
    text = "files at a time; default: all cores"
    work.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help=text)
    work.add_argument("--backend", default="pyav", choices=BACKENDS, help="decoder")
    work.add_argument("--time-limit", type=float, default=300.0, metavar="S", help="seconds per file")
    text = "file for the paths of those that cannot be used, one a line; default: only printed"
    work.add_argument("--unusable", metavar="LIST", help=text)
    options = parser.parse_args(arguments)
    frames, seconds, unusable = 0, 0.0, []
    try:
        videos = list_videos(options.files, options.prefix, options.separator)
        for report in check_videos(videos, options.backend, options.workers, options.time_limit):
            print(json.dumps(asdict(report)), flush=True)
            frames, seconds = frames + (report.frames or 0), seconds + (report.seconds or 0)
            if report.status != "ok":
                unusable.append(report.path)
        if options.unusable:
            write_text(options.unusable, "".join(f"{path}\n" for path in unusable))
    except (DataError, ConfigError) as error:
        print(f"check_data.py: {error}", file=sys.stderr)
        return 2
    length = f"{frames} frames, {seconds / 3600:.2f} hours of video"
    print(f"{len(videos)} files, {len(unusable)} unusable; {length}", file=sys.stderr)
    return 1 if unusable else 0
