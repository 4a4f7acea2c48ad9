"""Top-k accuracy against counting by hand."""

import math
import random

import pytest
import torch

from mutualnet3d.evaluation.accuracy import Accuracy, topk_accuracy


def test_by_hand():
    scores = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    labels = torch.tensor([1, 1, 0, 0])
    assert topk_accuracy(scores, labels, 1) == 50.0
    assert topk_accuracy(scores, labels, 2) == 75.0
    assert topk_accuracy(scores, labels, 3) == 100.0


@pytest.mark.parametrize("k", [1, 2, 5, 7])
def test_against_sorting(k):
    """Ties go to the lower class, as in a stable sort by falling score."""
    rng = random.Random(k)
    scores = [[rng.randrange(4) / 4 for _ in range(7)] for _ in range(200)]
    labels = [rng.randrange(7) for _ in range(200)]
    hits = 0
    for row, label in zip(scores, labels, strict=True):
        ranked = sorted(range(7), key=lambda c: (-row[c], c))
        hits += label in ranked[:k]
    assert topk_accuracy(torch.tensor(scores), torch.tensor(labels), k) == pytest.approx(100 * hits / 200)
    assert 0 < hits <= 200


def test_a_network_that_answers_the_same_everywhere_is_right_once_per_class():
    labels = torch.arange(10)
    assert topk_accuracy(torch.zeros(10, 10), labels, 1) == 10.0
    assert topk_accuracy(torch.zeros(10, 10), labels, 5) == 50.0


def test_fewer_classes_than_k():
    assert topk_accuracy(torch.eye(3), torch.tensor([1, 2, 0]), 5) == 100.0


@pytest.mark.parametrize("k", [1, 5])
def test_a_network_that_answers_nan_is_never_right(k):
    scores = torch.full((4, 3), float("nan"))
    assert topk_accuracy(scores, torch.tensor([0, 1, 2, 0]), k) == 0.0
    assert topk_accuracy(torch.tensor([[0.5, float("nan"), 0.1]]), torch.tensor([1]), k) == 0.0


def test_no_videos():
    assert math.isnan(topk_accuracy(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), 1))


def test_text():
    assert str(Accuracy(12.5, 50.0, 8)) == "top-1 12.50 %, top-5 50.00 % of 8 videos"
    assert str(Accuracy(25.0, 50.0, 8, 2)) == "top-1 25.00 %, top-5 50.00 % of 8 videos, 2 videos missing"
