"""The draw of videos and the rule that keeps configurations."""

from collections import Counter

import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.data import VideoEntry
from mutualnet3d.evaluation.result import GridResult
from mutualnet3d.evaluation.search import choose_candidates, draw_videos

CONFIGURATIONS = [mn.Configuration(width, 32, 4) for width in (0.6, 0.7, 0.8, 0.9, 1.0)]
GMACS = {c: c.width for c in CONFIGURATIONS}


def entries_of(counts):
    return [VideoEntry(f"{label}-{i}", label) for i in range(max(counts)) for label, n in enumerate(counts) if i < n]


@pytest.mark.parametrize("seed", range(5))
def test_classes_get_their_shares(seed):
    entries = entries_of([40, 20, 20, 120])
    drawn = draw_videos(entries, 50, seed)
    assert drawn == sorted(set(drawn))
    assert len(drawn) == 50
    share = Counter(entries[i].label for i in drawn)
    assert {label: share[label] for label in range(4)} == {0: 10, 1: 5, 2: 5, 3: 30}


def test_draws_follow_the_seed_and_reach_every_video():
    entries = entries_of([7, 8])
    assert draw_videos(entries, 4, 3) == draw_videos(entries, 4, 3)
    assert set().union(*(draw_videos(entries, 4, seed) for seed in range(200))) == set(range(15))
    assert draw_videos(entries, 99, 0) == list(range(15))


def result_of(hits):
    """``hits``: one string a configuration, of 1 and 0 a video."""
    right = torch.tensor([[int(c) for c in row] for row in hits])
    scores = torch.stack([right, 1 - right], dim=2).float()
    videos = right.shape[1]
    return GridResult(
        tuple(CONFIGURATIONS[: len(hits)]), scores, torch.zeros(videos, dtype=torch.int64), torch.arange(videos)
    )


def kept(hits, always=(), total=10**9):
    return [c.width for c in choose_candidates(result_of(hits), GMACS, always, total)]


def test_the_front_stays_and_the_clearly_worse_goes():
    assert kept(["1" * 50 + "0" * 50, "0" * 100, "1" * 60 + "0" * 40]) == [0.6, 0.8]
    assert kept(["1" * 50 + "0" * 50, "0" * 100], always=[CONFIGURATIONS[1]]) == [0.6, 0.7]


def test_only_cheaper_ones_are_references():
    assert kept(["0" * 100, "1" * 100]) == [0.6, 0.7]


def test_the_margin_is_two_standard_errors_of_the_paired_difference():
    """All of n differing videos in favour of the reference: kept while n <= 2 sqrt(n - n^2 / N), that is up to 3."""
    for differing, stays in ((1, True), (3, True), (4, False), (10, False)):
        hits = ["1" * 100, "0" * differing + "1" * (100 - differing)]
        assert (0.7 in kept(hits)) is stays, differing
    # 10 for one and 4 for the other: lead 6, standard error sqrt(14 - 0.36), twice that 7.4
    assert kept(["1" * 10 + "0" * 4 + "1" * 86, "0" * 10 + "1" * 4 + "1" * 86]) == [0.6, 0.7]
    # 10 for one and 2 for the other: lead 8, twice the standard error 6.7
    assert kept(["1" * 10 + "0" * 2 + "1" * 88, "0" * 10 + "1" * 2 + "1" * 88]) == [0.6]


def test_a_sample_of_everything_has_no_error():
    assert kept(["1" * 10, "0" + "1" * 9], total=10) == [0.6]
    assert kept(["1" * 10, "0" + "1" * 9], total=100) == [0.6, 0.7]


def test_equals_stay():
    assert kept(["1010", "1010", "1010"]) == [0.6, 0.7, 0.8]


def test_how_often_the_front_is_lost():
    """Two equally good networks with independent errors: the dearer one is dropped in about 1 draw of 44."""
    torch.manual_seed(0)
    dropped = 0
    for _ in range(1000):
        right = (torch.rand(2, 400) < 0.7).int()
        dropped += len(kept(["".join(map(str, row)) for row in right.tolist()])) == 1
    assert 8 <= dropped <= 42
