"""mAP of several labels against loops written out, and scikit-learn."""

import math
import random

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from mutualnet3d.errors import DataError
from mutualnet3d.evaluation.charades_map import MultiLabelAccuracy, charades_map, macro_map


def random_case(seed, ties, empty_rows=True):
    """Scores and labels of 60 videos and 7 classes, of which the last has no positive."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(6, size=(60, 7)) / 6 if ties else rng.random((60, 7))
    labels = rng.random((60, 7)) < rng.random(7)
    labels[:, 6] = False
    labels[0, :6] = True
    labels[np.arange(60), rng.integers(6, size=60)] = True
    if empty_rows:
        labels[1::4] = False
    return scores, labels


def official(scores, labels):
    """(AP of each class, mAP, weighted mAP) by Charades' rule, in plain Python."""
    videos, classes = len(scores), len(scores[0])
    average = []
    for k in range(classes):
        column = [scores[v][k] if any(labels[v]) else -math.inf for v in range(videos)]
        ranked = sorted(range(videos), key=lambda v: -column[v])  # stable, as Matlab's sort
        found, total = 0, 0.0
        for rank, v in enumerate(ranked, start=1):
            if labels[v][k]:
                found += 1
                total += found / rank
        average.append(total / found if found else math.nan)
    counts = [sum(row[k] for row in labels) for k in range(classes)]
    seen = [k for k in range(classes) if counts[k]]
    weighted = sum(average[k] * counts[k] for k in seen) / sum(counts)
    return average, sum(average[k] for k in seen) / len(seen), weighted


def as_tensors(*arrays):
    return [torch.as_tensor(array) for array in arrays]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("empty_rows", [False, True])
def test_charades_against_loops(ties, empty_rows):
    for seed in range(20):
        scores, labels = random_case(seed, ties, empty_rows)
        accuracy = charades_map(*as_tensors(scores, labels))
        average, mean, weighted = official(scores.tolist(), labels.tolist())
        assert accuracy.per_class == pytest.approx([100 * ap for ap in average], abs=1e-10, nan_ok=True)
        assert accuracy.map == pytest.approx(100 * mean, abs=1e-10)
        assert accuracy.weighted_map == pytest.approx(100 * weighted, abs=1e-10)
        assert math.isnan(accuracy.per_class[6])


@pytest.mark.parametrize("ties", [False, True])
def test_macro_against_scikit_learn(ties):
    for seed in range(20):
        scores, labels = random_case(seed, ties)
        accuracy = macro_map(*as_tensors(scores, labels))
        expected = average_precision_score(labels[:, :6], scores[:, :6], average=None)
        assert np.array(accuracy.per_class[:6]) / 100 == pytest.approx(expected, abs=1e-12)
        assert accuracy.map / 100 == pytest.approx(expected.mean(), abs=1e-12)
        weighted = average_precision_score(labels[:, :6], scores[:, :6], average="weighted")
        assert accuracy.weighted_map / 100 == pytest.approx(weighted, abs=1e-12)
        assert math.isnan(accuracy.per_class[6])


def test_the_two_differ_in_ties_and_videos_without_labels_only():
    scores, labels = as_tensors(*random_case(0, ties=False, empty_rows=False))
    assert charades_map(scores, labels).per_class[:6] == pytest.approx(macro_map(scores, labels).per_class[:6])
    for ties, empty_rows in ((True, False), (False, True)):
        scores, labels = as_tensors(*random_case(0, ties, empty_rows))
        assert abs(charades_map(scores, labels).map - macro_map(scores, labels).map) > 0.5


def test_order_of_videos_matters_to_the_official_rule_where_scores_are_equal():
    scores = torch.tensor([[0.5], [0.5], [0.5]])
    first, last = torch.tensor([[1], [0], [0]]), torch.tensor([[0], [0], [1]])
    scores, first, last = (torch.cat([x, torch.ones_like(x)], 1) for x in (scores, first, last))  # no empty rows
    assert charades_map(scores, first).per_class[0] == 100
    assert charades_map(scores, last).per_class[0] == pytest.approx(100 / 3)
    assert macro_map(scores, first).per_class[0] == macro_map(scores, last).per_class[0] == pytest.approx(100 / 3)


@pytest.mark.parametrize("rule", [charades_map, macro_map])
def test_by_hand(rule):
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]])
    labels = torch.tensor([[1, 0], [0, 1], [1, 1]])
    accuracy = rule(scores, labels)
    assert accuracy.per_class == pytest.approx((100 * (1 + 2 / 3) / 2, 100))
    assert (accuracy.videos, accuracy.missing) == (3, 0)


@pytest.mark.parametrize("rule", [charades_map, macro_map])
def test_types_of_scores_and_labels(rule):
    scores, labels = as_tensors(*random_case(3, ties=True))
    expected = rule(scores, labels)
    for dtype in (torch.float32, torch.int64, torch.uint8):
        assert rule(scores, labels.to(dtype)).map == expected.map
    scores = (scores * 6).round()
    for dtype in (torch.float32, torch.bfloat16, torch.int64):
        assert rule(scores.to(dtype), labels).map == expected.map
    assert rule(scores.clone().requires_grad_(), labels).map == expected.map


@pytest.mark.parametrize("rule", [charades_map, macro_map])
def test_nan_and_infinite_scores(rule):
    nan, inf = math.nan, math.inf
    labels = torch.tensor([[0, 1], [1, 0], [1, 0]])
    accuracy = rule(torch.tensor([[nan, 0.0], [inf, 0.0], [-9.0, -inf]]), labels)
    assert accuracy.per_class[0] == 100
    accuracy = rule(torch.tensor([[0.0, 0.0], [nan, 0.0], [1.0, 0.0]]), labels)
    assert accuracy.per_class[0] == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_a_row_of_minus_infinity_is_a_video_without_a_prediction():
    scores, labels = random_case(5, ties=False, empty_rows=False)
    scores[10:15] = -np.inf
    accuracy = charades_map(*as_tensors(scores, labels))
    assert accuracy.map == pytest.approx(100 * official(scores.tolist(), labels.tolist())[1])


@pytest.mark.parametrize("rule", [charades_map, macro_map])
@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(3, 2), "none of 3 videos has a label"),
        (torch.zeros(0, 2), torch.zeros(0, 2), "none of 0 videos has a label"),
        (torch.zeros(3, 2), torch.ones(2, 3), r"scores are \(3, 2\) and labels \(2, 3\)"),
        (torch.zeros(3), torch.ones(3), r"scores are \(3,\)"),
        (torch.zeros(1, 2), torch.tensor([[0, 3]]), "a label is 3;"),
        (torch.zeros(1, 2), torch.tensor([[0.5, 1]]), "a label is 0.5;"),
        (torch.zeros(1, 2), torch.tensor([[math.nan, 1]]), "a label is nan;"),
    ],
)
def test_refusals(rule, scores, labels, message):
    with pytest.raises(DataError, match=message):
        rule(scores, labels)


def test_a_perfect_network_and_a_constant_one():
    labels = torch.tensor([[random.Random(v * 9 + k).random() < 0.3 for k in range(9)] for v in range(50)])
    assert macro_map(labels.float(), labels).map == pytest.approx(100)
    share = 100 * labels.double().mean(0)
    assert macro_map(torch.zeros(50, 9), labels).per_class == pytest.approx(share.tolist())


def test_text():
    accuracy = MultiLabelAccuracy(25.126, 30.0, (50.0, math.nan, 0.252), 8, 2)
    assert str(accuracy) == "mAP 25.13 % over 2 of 3 classes, 8 videos, 2 videos missing"
    scores, labels = as_tensors(*random_case(0, ties=True))
    assert charades_map(scores, labels, missing=4).missing == macro_map(scores, labels, 4).missing == 4
