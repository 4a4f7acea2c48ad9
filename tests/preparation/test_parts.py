"""Train, val and test: by source, every class in each."""

import random
from collections import Counter

import pytest

from mutualnet3d.errors import DataError
from mutualnet3d.preparation.folder import Video
from mutualnet3d.preparation.parts import divide

SHARES = [(0.2, 0.0), (0.5, 0.0), (0.2, 0.1), (0.05, 0.05)]


def some_videos(seed):
    """8 classes with 3 to 25 films of 1 to 9 clips; some films show two classes."""
    rng, videos = random.Random(seed), []
    for label in map(str, range(8)):
        for film in range(rng.randint(3, 25)):
            name = f"both{film}" if rng.random() < 0.1 else f"{label}of{film}"
            videos += [Video(f"{label}/{name}_c{c}.mp4", label, f"{name}_c{c}") for c in range(rng.randint(1, 9))]
    return videos


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("seed", range(5))
def test_no_source_is_in_two_lists_and_no_class_is_missing(seed, shares):
    videos = some_videos(seed)
    parts = divide(videos, *shares)
    wanted = {"train": 1 - sum(shares), "val": shares[0], "test": shares[1]}
    wanted = {name: share for name, share in wanted.items() if share}
    assert set(parts.of) == {video.path for video in videos}
    lists_of = {}
    for video in videos:
        lists_of.setdefault(video.within.rpartition("_")[0], set()).add(parts.of[video.path])
    assert {len(lists) for lists in lists_of.values()} == {1}
    for label in map(str, range(8)):
        count = Counter(parts.of[video.path] for video in videos if video.label == label)
        assert set(count) == set(wanted)
    count = Counter(parts.of.values())
    for name, share in wanted.items():
        assert count[name] / len(videos) == pytest.approx(share, abs=0.08)


def test_the_order_of_the_files_does_not_matter():
    videos = some_videos(9)
    mixed = random.Random(1).sample(videos, len(videos))
    assert divide(videos, 0.2, 0.1).of == divide(mixed, 0.2, 0.1).of


def test_a_given_division_stays_and_shared_films_are_told():
    names = {"train": ["a_c1", "b_c1", "IMG_1"], "val": ["a_c2", "d_c1", "IMG_2"]}
    videos = [
        Video(f"{part}/{k}/{name}.mp4", k, name, part) for part, some in names.items() for name in some for k in "xy"
    ]
    parts = divide(videos, 0.2)
    assert all(parts.of[video.path] == video.part for video in videos)
    assert parts.shared == ("a",)
    videos.append(Video("val/z/e.mp4", "z", "e", "val"))
    with pytest.raises(DataError, match=r"1 classes have no usable video to train on \(z\)"):
        divide(videos, 0.2)
