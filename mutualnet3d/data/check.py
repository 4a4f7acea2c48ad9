"""Decode videos and images from end to end and say of each one whether it can be used."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutualnet3d.data.file_names import is_image, is_video
from mutualnet3d.data.frames import FrameReader
from mutualnet3d.data.images import open_media
from mutualnet3d.data.kinetics_list import read_csv
from mutualnet3d.errors import DataError, VideoError


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
