"""The lists of Charades: PySlowFast's, with labels per frame, or the data set's own, with segments in seconds."""

import csv
import os
import re
from pathlib import Path

from mutualnet3d.data.charades import ListedVideo, SegmentedVideo
from mutualnet3d.data.frame_list import read_frame_lists
from mutualnet3d.errors import ConfigError, DataError

_LONGEST = 1e9  # seconds, 30 years
_ACTION = re.compile(r"c(\d+) +(\S+) +(\S+)")


def read_charades(cfg, split: str) -> list[ListedVideo] | list[SegmentedVideo]:
    """The videos of ``split``; "val" and "test" are the same list, as in PySlowFast.

    CHARADES.LISTS frames: PySlowFast's ``train.csv`` or ``val.csv`` in DATA.PATH_TO_DATA_DIR; the frames are pictures
    relative to DATA.PATH_PREFIX. CHARADES.LISTS segments: CHARADES.TRAIN_FILE or TEST_FILE, csv files with the
    columns ``id`` and ``actions`` (``c092 11.90 21.20;c147 0.00 12.60``: class, first and last second); the videos are
    ``<id>.mp4`` in DATA.PATH_PREFIX. With either, DATA.SAMPLING_RATE counts the frames that
    are there: PySlowFast's lists name 24 a second, videos have their own rate.

    Raises:
        ConfigError: no such kind of list.
        DataError: naming file and line: a list is missing, empty or malformed, or a label out of range.
    """
    path, num_classes = charades_list(cfg, split), cfg.MODEL.NUM_CLASSES
    if cfg.CHARADES.LISTS == "frames":
        frames = read_frame_lists([path], cfg.DATA.PATH_PREFIX, num_classes)
        return [ListedVideo(frames, video, num_classes) for video in range(len(frames.videos))]
    return read_segments(path, cfg.DATA.PATH_PREFIX, num_classes)


def charades_list(cfg, split: str) -> Path:
    """The file that lists ``split``; "val" and "test" are the same. ConfigError for an unknown CHARADES.LISTS."""
    kind, training = cfg.CHARADES.LISTS, split == "train"
    if kind not in ("frames", "segments"):
        raise ConfigError(f"CHARADES.LISTS is {kind!r}; it must be one of frames, segments")
    if kind == "frames":
        name = "train.csv" if training else "val.csv"
    else:
        name = cfg.CHARADES.TRAIN_FILE if training else cfg.CHARADES.TEST_FILE
    return Path(cfg.DATA.PATH_TO_DATA_DIR) / name


def read_segments(path: str | os.PathLike, prefix: str, num_classes: int) -> list[SegmentedVideo]:
    """Read one csv file with segments. Raises DataError as :func:`read_charades` does."""
    videos: dict[str, SegmentedVideo] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            missing = {"id", "actions"} - set(rows.fieldnames or ())
            if missing:
                raise DataError(
                    f"{path}:1: the header has no column {' and no column '.join(sorted(missing))}; Charades' own "
                    "csv is expected. For PySlowFast's frame lists set CHARADES.LISTS frames"
                )
            for row in rows:
                where, name = f"{path}:{rows.line_num}", (row["id"] or "").strip()
                if not name or row["actions"] is None or None in row:
                    raise DataError(f"{where}: does not have the columns of the header: {', '.join(rows.fieldnames)}")
                if name in videos:
                    raise DataError(f"{where}: {name} is listed twice; put all its actions into one line")
                segments = _parse_actions(row["actions"], num_classes, where)
                videos[name] = SegmentedVideo(os.path.join(prefix, f"{name}.mp4"), segments, num_classes)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; Charades' csv is expected there (DATA.PATH_TO_DATA_DIR, "
            "CHARADES.TRAIN_FILE, CHARADES.TEST_FILE)"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise DataError(f"{path}:{rows.reader.line_num}: is not csv: {error}") from error
    if not videos:
        raise DataError(f"{path}: the list holds no video")
    return list(videos.values())


def _parse_actions(text: str, num_classes: int, where: str) -> tuple[tuple[int, float, float], ...]:
    segments = []
    for action in filter(None, map(str.strip, text.split(";"))):
        try:
            label, start, end = _ACTION.fullmatch(action).groups()
            label, start, end = int(label), float(start), float(end)
        except (AttributeError, ValueError):
            raise DataError(
                f"{where}: the action {action!r} is not a class, a first and a last second, such as 'c092 11.90 21.20'"
            ) from None
        if not -_LONGEST < start <= end < _LONGEST:
            raise DataError(f"{where}: the action {action!r} ends before it starts, or never")
        if label >= num_classes:
            raise DataError(
                f"{where}: the action {action!r} is class {label}; with MODEL.NUM_CLASSES {num_classes} it must be in "
                f"0..{num_classes - 1}"
            )
        segments.append((label, start, end))
    return tuple(segments)
