"""What takes the place of a training clip that cannot be read."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from mutualnet3d.errors import DataError, VideoError

_MAX_TRIES = 100
Clip = TypeVar("Clip")


def first_readable(
    index: int, paths: Callable[[int], str], count: int, read: Callable[[int], Clip], rng: np.random.Generator
) -> tuple[Clip, int, tuple[tuple[str, str], ...]]:
    """Read entry ``index``, or where it cannot be read another one that ``rng`` draws.

    Args:
        paths: from an entry to the name of its video.
        count: entries to draw from.
        read: from an entry to what is wanted; raises VideoError.

    Returns:
        What was read, its entry, and (path, reason) of every video that was tried before.

    Raises:
        DataError: 100 videos in a row cannot be read.
    """
    failures = []
    while len(failures) < _MAX_TRIES:
        try:
            return read(index), index, tuple(failures)
        except VideoError as error:
            failures.append((paths(index), reason_within(error, paths(index))))
            index = int(rng.integers(count))
    first = "; ".join(f"{path}: {reason}" for path, reason in failures[:3])
    raise DataError(
        f"{_MAX_TRIES} videos in a row cannot be read ({first}; ...); check DATA.PATH_PREFIX and "
        "DATA.PATH_LABEL_SEPARATOR (of AVA: AVA.FRAME_DIR or AVA.VIDEO_DIR), and run tools/check_data.py on the list"
    )


def reason_within(error: VideoError, path: str) -> str:
    """Why the video ``path`` cannot be read; names the file where that is one of its frames."""
    return error.reason if error.path == path else str(error)
