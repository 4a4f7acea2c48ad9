"""The videos below a folder that has a sub-folder a class, or train/ and val/ with a sub-folder a class each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutualnet3d.data.file_names import VIDEO_SUFFIXES, is_hidden, is_video
from mutualnet3d.errors import DataError

PARTS = ("train", "val", "test")
_NAMES_OF_PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"} | {
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Video:
    """A file that is called a video.

    Attributes:
        path: below the folder of all, with ``/``.
        label: name of its class.
        within: its path below the folder of its class, without suffix: what sources are told by.
        part: train, val or test where the folder says so, else "".
    """

    path: str
    label: str
    within: str
    part: str = ""


@dataclass(frozen=True)
class FoundVideos:
    """What lies below ``folder``.

    Attributes:
        videos: by path.
        labels: names of the classes, sorted; the place is the label in the lists.
        given: whether the folder itself says what is train, val and test.
        others: how many other files there are, by suffix.
        loose: videos that lie in no folder of a class.
        empty: folders where a class would be, which hold no video.
    """

    folder: Path
    videos: tuple[Video, ...]
    labels: tuple[str, ...]
    given: bool
    others: Counter[str]
    loose: tuple[str, ...]
    empty: tuple[str, ...]


def find_videos(folder: str | os.PathLike) -> FoundVideos:
    """Walk ``folder``, deeper folders and links too. Hidden files and folders, and what macOS adds, do not count.

    Sub-folders of which all are called train, val (valid, validation) or test are parts, with the classes in them;
    others that hold no video do not count.

    Raises:
        DataError: the folder is missing, or holds no two classes with videos; or two classes differ in blanks only.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(f"{root}: is no folder; name the one that holds a sub-folder of videos for each class")
    children, parts = _folders(root), {}
    for child in children:
        part = _NAMES_OF_PARTS.get(child.lower(), "")
        if part or next(_videos_below(root / child, Counter()), None):
            parts[child] = part
    names = list(parts.values())
    given = "train" in names and len(names) > 1 and all(names) and len(set(names)) == len(names)
    if given:
        classes = [(root / child / name, part) for child, part in parts.items() for name in _folders(root / child)]
    else:
        classes = [(root / child, "") for child in children]
    _refuse_equal_labels(classes)
    others: Counter[str] = Counter()
    videos, empty = [], [child for child in children if given and child not in parts]
    for path, part in classes:
        found = sorted(_videos_below(path, others))
        if not found:
            empty.append(path.relative_to(root).as_posix())
        label = _label_of(path)
        videos += [
            Video(file.relative_to(root).as_posix(), label, file.relative_to(path).with_suffix("").as_posix(), part)
            for file in found
        ]
    loose = tuple(
        path.relative_to(root).as_posix()
        for place in [root, *(root / child for child in parts if given)]
        for path in sorted(place.iterdir())
        if path.is_file() and is_video(path)
    )
    labels = tuple(sorted({video.label for video in videos}))
    if len(labels) < 2:
        said = f"{len(loose)} videos lie directly in it" if loose else "it has " + (", ".join(children[:5]) or "none")
        raise DataError(
            f"{root}: {len(labels)} sub-folders hold videos ({said}); at least 2 are needed: a sub-folder for each "
            f"class with its videos in it ({', '.join(sorted(VIDEO_SUFFIXES))})"
        )
    return FoundVideos(root, tuple(videos), labels, given, others, loose, tuple(empty))


def _label_of(folder: Path) -> str:
    return " ".join(folder.name.split())  # one line of classes.txt


def _refuse_equal_labels(classes: Sequence[tuple[Path, str]]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for path, part in classes:
        other = seen.setdefault((part, _label_of(path)), path)
        if other != path:
            raise DataError(
                f"{str(other)!r} and {str(path)!r} would be one class: they differ in blanks only; rename one"
            )


def _folders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not is_hidden(p.name))


def _raise(error: OSError) -> None:
    raise error  # a folder that may not be read: its videos would be missing without a word


def _videos_below(folder: Path, others: Counter[str]) -> Iterator[Path]:
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_raise):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in files:
            path = Path(place) / name
            if is_video(path):
                yield path
            elif not is_hidden(name):
                others[path.suffix.lower() or "without suffix"] += 1
