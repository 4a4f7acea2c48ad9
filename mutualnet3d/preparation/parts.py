"""Train, val and test: no source in two of them, every class in each in the same proportion."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mutualnet3d.errors import DataError
from mutualnet3d.preparation.folder import Video
from mutualnet3d.preparation.sources import group


@dataclass(frozen=True)
class Parts:
    """Which video is for what.

    Attributes:
        of: train, val or test, by path.
        source: of each video, by path.
        how: the sources were told, in words.
        shared: sources that a given division has in two of its parts; none where this package divided.
    """

    of: dict[str, str]
    source: dict[str, str]
    how: str
    shared: tuple[str, ...] = ()


def divide(videos: Sequence[Video], val_share: float, test_share: float = 0.0, pattern: str | None = None) -> Parts:
    """Divide ``videos`` by source; those whose folders say what they are for stay there.

    The same videos are divided alike whenever and wherever that happens.

    Args:
        val_share, test_share: of the videos of each class; 0 makes no such part.
        pattern: see :func:`mutualnet3d.preparation.sources.group`.

    Raises:
        DataError: a class has too few sources, or is missing in the train part.
    """
    if all(video.part for video in videos):
        return _given(videos, pattern)
    shares = {name: share for name, share in (("test", test_share), ("val", val_share)) if share}
    grouping = group(videos, pattern, parts=1 + len(shares))
    rest, part_of, left = grouping.counts(videos), {}, 1.0
    for number, (name, share) in enumerate(shares.items()):
        taken = _take(rest, share / left, leave=len(shares) - number)
        part_of |= dict.fromkeys(taken, name)
        rest, left = {source: count for source, count in rest.items() if source not in taken}, left - share
    of = {video.path: part_of.get(grouping.source[video.path], "train") for video in videos}
    return Parts(of, grouping.source, grouping.how)


def _given(videos: Sequence[Video], pattern: str | None) -> Parts:
    grouping = group(videos, pattern, parts=1)
    places: dict[str, set[str]] = {}
    for video in videos:
        places.setdefault(grouping.source[video.path], set()).add(video.part)
    labels, trained = {video.label for video in videos}, {video.label for video in videos if video.part == "train"}
    if labels - trained:
        raise DataError(
            f"{len(labels - trained)} classes have no usable video to train on "
            f"({', '.join(sorted(labels - trained)[:5])}); add some below train/, or move the class away"
        )
    if not any(video.part != "train" for video in videos):
        raise DataError("no video below val/ or test/ can be used, so that nothing would be tested; add some there")
    shared = tuple(sorted(source for source, parts in places.items() if len(parts) > 1))
    return Parts({video.path: video.part for video in videos}, grouping.source, grouping.how, shared)


def _take(sources: Mapping[str, Counter[str]], share: float, leave: int) -> set[str]:
    """Sources that hold about ``share`` of the videos of each class, at least one of each class; ``leave`` sources of
    each class stay."""
    total = sum(sources.values(), Counter())
    target = {label: max(1, round(share * count)) for label, count in total.items()}
    staying = Counter(label for count in sources.values() for label in count)
    taken: set[str] = set()
    has: Counter[str] = Counter()

    def take(source: str) -> None:
        taken.add(source)
        has.update(sources[source])
        staying.subtract(sources[source].keys())

    def may_go(source: str) -> bool:
        return all(staying[label] > leave for label in sources[source])

    def better(source: str) -> bool:
        count = sources[source]
        return sum(abs(has[k] + n - target[k]) - abs(has[k] - target[k]) for k, n in count.items()) < 0

    for source in sorted(sources, key=_lot):
        if may_go(source) and better(source):
            take(source)
    for label in sorted(label for label in total if not has[label]):
        able = [source for source in sources if label in sources[source] and source not in taken and may_go(source)]
        if not able:
            raise DataError(
                f"the videos of {label} share their sources with other classes, so that no division leaves every class "
                "in every list; divide them yourself (train/<class>/, val/<class>/), or tell sources by --group-by"
            )
        take(min(able, key=lambda source: (sum(sources[source].values()), _lot(source))))
    return taken


def _lot(source: str) -> bytes:
    """Drawn by the name alone: another video more or less changes little."""
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).digest()
