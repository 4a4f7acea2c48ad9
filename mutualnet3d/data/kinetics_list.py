"""Kinetics-format lists: ``path label`` on every line, no header."""

import os
from pathlib import Path
from typing import NamedTuple

from mutualnet3d.data.decode import VideoReader, open_video
from mutualnet3d.errors import DataError


class VideoEntry(NamedTuple):
    """One line of a list: the path of a video and its class."""

    path: str
    label: int

    def open(self, backend: str) -> VideoReader:
        """The open video. Raises VideoError."""
        return open_video(self.path, backend)

    def clip_label(self, first: int, last: int, fps: float) -> int:
        """Every clip of the video has its label."""
        return self.label


def read_list(cfg, split: str, prefix: str | None = None) -> list[VideoEntry]:
    """Read ``{split}.csv`` in DATA.PATH_TO_DATA_DIR.

    Whether the videos exist is not asked here: one that does not is an unreadable video when it is decoded.

    Args:
        cfg: DATA.PATH_TO_DATA_DIR, PATH_LABEL_SEPARATOR, PATH_PREFIX and MODEL.NUM_CLASSES are read.
        split: "train", "val" or "test".
        prefix: folder that the paths are relative to; None: DATA.PATH_PREFIX.

    Raises:
        DataError: naming file and line: no such list, nothing in it, a label that is no integer or out of range.
    """
    path = Path(cfg.DATA.PATH_TO_DATA_DIR) / f"{split}.csv"
    prefix = cfg.DATA.PATH_PREFIX if prefix is None else prefix
    entries = []
    for number, (video, label) in read_csv(path, cfg.DATA.PATH_LABEL_SEPARATOR):
        if label is None:
            raise DataError(
                f"{path}:{number}: {video!r} has no label; write path, separator, label (DATA.PATH_LABEL_SEPARATOR is "
                f"{cfg.DATA.PATH_LABEL_SEPARATOR!r})"
            )
        if not 0 <= label < cfg.MODEL.NUM_CLASSES:
            raise DataError(
                f"{path}:{number}: the label is {label}; with MODEL.NUM_CLASSES {cfg.MODEL.NUM_CLASSES} it must be "
                f"in 0..{cfg.MODEL.NUM_CLASSES - 1}"
            )
        entries.append(VideoEntry(os.path.join(prefix, video), label))
    return entries


def read_csv(path: str | os.PathLike, separator: str = " ") -> list[tuple[int, tuple[str, int | None]]]:
    """(line number, (video path as written, label or None)) of every line that is not blank.

    Raises:
        DataError: the file is missing, not text, holds no video, or has a malformed line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; a list in Kinetics format is expected there, one video per "
            "line: path, separator, label. DATA.PATH_TO_DATA_DIR names its folder"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}); save the list as UTF-8"
        ) from error
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1)]
    rows = [(number, _parse(line, separator, f"{path}:{number}")) for number, line in lines if line]
    if not rows:
        raise DataError(f"{path}: the list holds no video; write one per line: path, separator, label")
    return rows


def _parse(line: str, separator: str, where: str) -> tuple[str, int | None]:
    """Split from the right, so that a path may hold the separator. A path alone has no label; between path and label
    a frame count may stand (and is not used) unless the separator is a blank."""
    path, found, label = line.rpartition(separator)
    if not found:
        return line, None
    try:
        number = int(label)
    except ValueError:
        raise DataError(
            f"{where}: the label is {label.strip()!r}, which is no integer; write 'path{separator}label' "
            f"(DATA.PATH_LABEL_SEPARATOR is {separator!r})"
        ) from None
    if separator.strip():
        before, found, count = path.rpartition(separator)
        if found and count.strip().isdigit():
            path = before
    path = path.strip()
    if not path:
        raise DataError(f"{where}: there is no path before the label {number}")
    return path, number
