"""Which videos come from the same film or recording: told by their names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mutualnet3d.errors import DataError
from mutualnet3d.preparation.folder import Video

_SEPARATOR = r"[\s_.\-]+"
_PIECE = re.compile(
    rf"{_SEPARATOR}(c|clip|part|pt|seg|segment|scene|shot|chunk|cut)[\s_\-]*\d+$"  # film_c01, film-clip 3
    rf"|{_SEPARATOR}\d{{1,6}}(\.\d+)?s?[_\-]\d{{1,6}}(\.\d+)?s?$"  # film_000010_000020, film_12.5-20
    rf"|{_SEPARATOR}t?(\d+h)?(\d+m)?\d+(\.\d+)?s$",  # film_1m30s
    re.IGNORECASE,
)
_NUMBER = re.compile(rf"{_SEPARATOR}\d+$|\s*\(\d+\)$")  # film_3, film (3)
_DATE = re.compile(  # 20240229_235959, 2024-02-29 23.59: a recording of its own
    r"(?<!\d)(19|20)\d\d[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])([\s_.T\-]*[0-2]\d[-_.:h]?[0-5]\d([-_.:m]?[0-5]\d)?)?"
)
_NO_NAMES = frozenset(  # of films: cameras and programs call files so, and number them
    (
        *("clip", "dji", "dsc", "file", "film", "gopr", "gp", "img", "mov", "movie", "mvi", "output", "pxl", "rec"),
        *("recording", "sample", "trim", "vid", "video"),
    )
)
_LARGEST = 0.6  # of a class that comes from one source, if numbers are to be parts of films

Rule = Callable[[Video], str]


@dataclass(frozen=True)
class Grouping:
    """The source of every video, by path, and in words how it was told."""

    source: dict[str, str]
    how: str

    def counts(self, videos: Sequence[Video]) -> dict[str, Counter[str]]:
        """Videos of each class, by source."""
        table: dict[str, Counter[str]] = defaultdict(Counter)
        for video in videos:
            table[self.source[video.path]][video.label] += 1
        return dict(table)


def group(videos: Sequence[Video], pattern: str | None, parts: int) -> Grouping:
    """Tell the sources of ``videos``: by ``pattern``, or by the coarsest of the usual rules that leaves enough of them.

    The rules: the sub-folder of the class's folder; the name without its last piece ("_c01", "_clip3", "_10_20",
    "_1m30s") or number ("_3", " (3)"); the name without its last piece. Numbers count as pieces of films unless they
    follow a camera's or the class's name ("IMG_0042", "golf_7"), and unless one source then has most of a class.

    Args:
        pattern: a regular expression, searched in the path below the class's folder, without suffix; its first group,
            or all that it finds, is the source.
        parts: into which the videos will be divided: each class needs as many sources. 1: they are divided already.

    Raises:
        DataError: the pattern is none, or finds nothing in a name; a class has fewer sources than ``parts``.
    """
    if pattern is not None:
        chosen = Grouping(_by_pattern(videos, pattern), f"--group-by {pattern!r}")
    elif parts == 1:
        chosen = Grouping(
            _by_rule(videos, _without_piece), "the name without a last piece (_c01, _clip3, _10_20, _1m30s)"
        )
    else:
        chosen = _coarsest(videos, parts)
    few = _too_few(videos, chosen, parts)
    if few:
        shown = "; ".join(f"{label}: {sources} ({clips} videos)" for label, (sources, clips) in list(few.items())[:5])
        raise DataError(
            f"{len(few)} classes come from fewer than {parts} sources each, so that they cannot be in {parts} lists "
            f"without sharing one ({shown}). Sources were told by {chosen.how}. Tell them apart otherwise, as with "
            "--group-by '.*' where every file is a recording of its own; add videos; move a class away; or divide the "
            "videos yourself: train/<class>/ and val/<class>/"
        )
    return chosen


def _coarsest(videos: Sequence[Video], parts: int) -> Grouping:
    rules: list[tuple[Rule, str]] = [
        (_without_number, "the name without a last piece or number (_c01, _clip3, _10_20, _1m30s, _3)"),
        (_without_piece, "the name without a last piece (_c01, _clip3, _10_20, _1m30s)"),
    ]
    if any("/" in video.within for video in videos):
        rules.insert(0, (_folder_else_name, "the sub-folder, else the name without a last piece or number"))
    for rule, how in rules[:-1]:
        grouping = Grouping(_by_rule(videos, rule), how)
        if not _too_few(videos, grouping, parts) and _largest_share(videos, grouping) <= _LARGEST:
            return grouping
    return Grouping(_by_rule(videos, rules[-1][0]), rules[-1][1])


def _too_few(videos: Sequence[Video], grouping: Grouping, parts: int) -> dict[str, tuple[int, int]]:
    """(sources, videos) of the classes that have fewer than ``parts`` sources."""
    sources, clips = defaultdict(set), Counter(video.label for video in videos)
    for video in videos:
        sources[video.label].add(grouping.source[video.path])
    return {label: (len(sources[label]), clips[label]) for label in sorted(clips) if len(sources[label]) < parts}


def _largest_share(videos: Sequence[Video], grouping: Grouping) -> float:
    clips = Counter(video.label for video in videos)
    counts = grouping.counts(videos).values()
    return max(count / clips[label] for each in counts for label, count in each.items())


def _by_rule(videos: Sequence[Video], rule: Rule) -> dict[str, str]:
    return {video.path: rule(video) for video in videos}


def _by_pattern(videos: Sequence[Video], pattern: str) -> dict[str, str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError(f"--group-by {pattern!r} is no regular expression: {error}") from error
    found = {video.path: compiled.search(video.within) for video in videos}
    without = [path for path, match in found.items() if match is None]
    if without:
        raise DataError(
            f"--group-by {pattern!r} finds nothing in {len(without)} of {len(found)} names, such as {without[0]}; it "
            "is searched in the path below the class's folder, without suffix"
        )
    return {p: (m[1] or "" if compiled.groups else m[0]) for p, m in found.items() if m is not None}


def _name(video: Video) -> str:
    return video.within.rpartition("/")[2]


def _without_piece(video: Video) -> str:
    name = _name(video)
    date = _DATE.search(name)
    first = date.end() if date else 1  # something of the name stays
    while (match := _PIECE.search(name)) and match.start() >= first:
        name = name[: match.start()]
    return _with_folder(video, name)


def _without_number(video: Video) -> str:
    name = _without_piece(video).rpartition("/")[2]
    date, match = _DATE.search(name), _NUMBER.search(name)
    if match is None or match.start() < (date.end() if date else 1):
        return _with_folder(video, name)
    before = name[: match.start()]
    words = re.sub(r"[\W\d_]+", " ", before).strip().lower()
    label = re.sub(r"[\W\d_]+", " ", video.label).strip().lower()
    return _with_folder(video, name if not words or words in _NO_NAMES or words == label else before)


def _with_folder(video: Video, name: str) -> str:
    folder = video.within.rpartition("/")[0]
    return f"{folder}/{name}" if folder else name


def _folder_else_name(video: Video) -> str:
    return video.within.rpartition("/")[0] or _without_number(video)
