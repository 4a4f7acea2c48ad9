"""Which of the files can be used: those that decode, once each, under names that a list can hold."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutualnet3d.data.check import VideoReport, check_videos
from mutualnet3d.files import sha256
from mutualnet3d.preparation.folder import PARTS, FoundVideos, Video
from mutualnet3d.progress import show_progress


@dataclass(frozen=True)
class Checked:
    """The files of a folder, sorted by whether they are used.

    Attributes:
        usable: videos and what decoding them told.
        left_out: (path, why) of the others.
        odd: (path, note) of usable videos about which there is something to say, such as a cut-off end.
    """

    usable: tuple[tuple[Video, VideoReport], ...]
    left_out: tuple[tuple[str, str], ...]
    odd: tuple[tuple[str, str], ...]


def check_files(found: FoundVideos, workers: int = 1, time_limit: float = 300.0) -> Checked:
    """Decode every video from end to end, each in a process of its own, and find files of equal content.

    Of equal files in one class the one with the shortest name is used ("film.mp4", not "Copy of film.mp4"); of those in
    several parts the one of test, else of val. A file that lies in two classes is used in neither.
    """
    nameless = {v.path: why for v in found.videos if (why := _unlistable(v.path))}
    videos = [video for video in found.videos if video.path not in nameless]
    reports = []
    with show_progress("checking", len(videos), "videos") as steps:
        for report in check_videos([str(found.folder / v.path) for v in videos], "pyav", workers, time_limit):
            reports.append(report)
            steps.advance()
    pairs = list(zip(videos, reports, strict=True))
    left_out = {**nameless, **{v.path: r.reason or "an image" for v, r in pairs if r.seconds is None}}
    pairs = [(video, report) for video, report in pairs if video.path not in left_out]
    left_out |= _repeated(found.folder, [video for video, _ in pairs])
    pairs = [(video, report) for video, report in pairs if video.path not in left_out]
    odd = tuple((video.path, report.note) for video, report in pairs if report.note)
    return Checked(tuple(pairs), tuple(sorted(left_out.items())), odd)


def _unlistable(path: str) -> str:
    if "\n" in path or "\r" in path:
        return "the name holds a line break; rename it"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "the name is not UTF-8; rename it"
    return ""


def _repeated(folder: Path, videos: Sequence[Video]) -> dict[str, str]:
    """Why files whose content another one has are not used. Only files of equal size are read."""
    by_size = defaultdict(list)
    for video in videos:
        by_size[os.path.getsize(folder / video.path)].append(video)
    by_content = defaultdict(list)
    for some in by_size.values():
        if len(some) > 1:
            for video in some:
                by_content[sha256(folder / video.path)].append(video)
    why = {}
    for same in by_content.values():
        labels = sorted({video.label for video in same})
        kept, *others = sorted(same, key=lambda v: (-PARTS.index(v.part) if v.part else 0, len(v.path), v.path))
        if len(labels) > 1:
            why |= {v.path: f"the same file lies in the classes {', '.join(labels)}; it is used in none" for v in same}
        else:
            why |= {video.path: f"the same file as {kept.path}" for video in others}
    return why
