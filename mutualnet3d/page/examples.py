"""Videos that a page offers."""

from __future__ import annotations

import os
from pathlib import Path

from mutualnet3d.data.file_names import is_video
from mutualnet3d.errors import DataError

MOST = 60


def example_videos(folder: str | os.PathLike) -> tuple[str, ...]:
    """Absolute paths of the videos that lie in ``folder``, by their suffix, sorted; DataError: there are none."""
    try:
        found = sorted(each for each in Path(folder).resolve().iterdir() if each.is_file() and is_video(each))
    except OSError as error:
        raise DataError(f"--examples {folder}: {error.strerror}; name a folder of videos") from error
    if not found:
        raise DataError(f"--examples {folder}: holds no video (.mp4, .webm, .avi, ...); name a folder that does")
    return tuple(map(str, found[:MOST]))
