"""AVA's mAP against the official result of a fixture, PySlowFast's evaluator, and the rules written out plainly."""

import contextlib
import io
import json
import math
import types
from collections import defaultdict

import numpy as np
import pytest
from slowfast.utils.ava_eval_helper import make_image_key, run_evaluation
from slowfast.utils.ava_evaluation import metrics

from mutualnet3d.data.ava_files import (
    AvaBoxes,
    KeyFrame,
    read_detections,
    read_exclusions,
    read_ground_truth,
    read_label_map,
)
from mutualnet3d.errors import DataError
from mutualnet3d.evaluation.ava_map import DetectionAccuracy, ava_map, scored_boxes

LABELS = {1: "stand", 2: "sit", 4: "walk", 9: "swim"}  # 3 is in the files and not here; nobody swims


def rows_to_boxes(rows):
    """From (video, second, box, action, score)."""
    frames = tuple(dict.fromkeys(KeyFrame(*row[:2]) for row in rows))
    return AvaBoxes(
        frames,
        np.array([frames.index(row[:2]) for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[3] for row in rows], np.int64),
        np.array([row[4] for row in rows], np.float64),
        np.full(len(rows), -1),
    )


def random_case(seed, ties):
    """(truth rows, detection rows, excluded): a coarse lattice, so that overlaps are equal and just 0.5, with ``ties``
    also scores; repeated rows, empty and swapped boxes, unlisted actions, key frames in one of the files only."""
    rng = np.random.default_rng(seed)
    frames = [(video, second) for video in ("b", "a,c", "z") for second in range(900, 904)]

    def box(swapped=False):
        x, y = np.sort(rng.choice(9, 2, replace=False)) / 8, np.sort(rng.choice(9, 2, replace=False)) / 8
        x = x[::-1] if swapped else x
        return (x[0], y[0], x[1], y[1])

    truth, detections = [], []
    for frame in frames:
        if rng.random() < 0.8:
            truth += [(*frame, box(), int(rng.integers(1, 5)), 1.0) for _ in range(rng.integers(1, 9))]
        if rng.random() < 0.9:
            near = [(row[2], row[3]) for row in truth if row[:2] == frame]
            for _ in range(rng.integers(0, 30)):
                place, action = box(rng.random() < 0.05), int(rng.integers(1, 5))
                if near and rng.random() < 0.6:
                    place, action = near[rng.integers(len(near))]
                score = rng.integers(8) / 8 if ties else rng.random()
                detections.append((*frame, place, action, float(score)))
    if ties and detections:
        detections += [detections[i] for i in rng.integers(len(detections), size=10)]
    rng.shuffle(detections)
    detections = [(str(v), int(s), tuple(b), int(a), float(p)) for v, s, b, a, p in detections]
    return truth, detections, {frames[i] for i in rng.integers(len(frames), size=2)}


def pyslowfast(truth, detections, excluded, monkeypatch, kind=None):
    """{official key: value} of PySlowFast 1.0; numpy's names of its time are given to it, and a kind of sort."""
    names = {"float": float, "bool": bool, "NAN": math.nan, "argsort": lambda a: np.argsort(a, kind=kind)}
    monkeypatch.setattr(metrics, "np", types.SimpleNamespace(**{**vars(np), **names}))

    def grouped(rows):
        boxes, actions, scores = defaultdict(list), defaultdict(list), defaultdict(list)
        for video, second, (x1, y1, x2, y2), action, score in rows:
            if action in LABELS:
                key = make_image_key(video, second)
                boxes[key].append([y1, x1, y2, x2])
                actions[key].append(action)
                scores[key].append(score)
        return boxes, actions, scores

    categories = [{"id": label, "name": name} for label, name in LABELS.items()]
    with contextlib.redirect_stdout(io.StringIO()):
        return run_evaluation(
            categories, grouped(truth), grouped(detections), {make_image_key(*key) for key in excluded}
        )


def assert_equal(accuracy: DetectionAccuracy, official):
    assert accuracy.map / 100 == pytest.approx(official["PascalBoxes_Precision/mAP@0.5IOU"], abs=1e-12)
    for name, ap in accuracy.per_class.items():
        expected = official[f"PascalBoxes_PerformanceByCategory/AP@0.5IOU/{name}"]
        assert ap / 100 == pytest.approx(expected, abs=1e-12, nan_ok=True)


def highest(rows, limit):
    """What the official reader makes of a file: the highest scores of each key frame, from the highest down."""
    frames = defaultdict(list)
    for row in rows:
        if row[3] in LABELS:
            frames[row[:2]].append(row)
    return [row for key in frames for row in sorted(frames[key], key=lambda row: -row[4])[:limit]]


def plainly(truth, detections, excluded, limit):
    """{name: AP}, by loops."""
    truth = [row for row in truth if row[:2] not in excluded]
    detections = [row for row in highest(detections, limit) if row[:2] not in excluded]
    result = {}
    for label, name in LABELS.items():
        targets = [row for row in truth if row[3] == label]
        claimed, ranked = set(), []
        for place, (*frame, box, action, score) in enumerate(detections):
            if action != label or box[0] >= box[2] or box[1] >= box[3]:
                continue
            best, target = 0.0, None
            for i, other in enumerate(targets):
                if list(other[:2]) == frame and (overlap := iou(box, other[2])) > best:
                    best, target = overlap, i
            hit = best >= 0.5 and target not in claimed
            claimed |= {target} if hit else set()
            ranked.append((score, place, hit))
        ranked.sort(reverse=True)
        hits = [hit for _, _, hit in ranked]
        precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
        area = sum(max(precision[i:]) for i, hit in enumerate(hits) if hit)
        result[name] = area / len(targets) if targets else math.nan
    return result


def iou(a, b):
    width, height = (max(0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in (0, 1))
    return width * height / (sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - width * height)


def test_the_official_result_of_the_fixture(shared_data):
    folder = shared_data / "eval" / "ava_mmaction2"
    accuracy = ava_map(
        read_ground_truth(folder / "gt.csv"),
        read_detections(folder / "pred.csv"),
        read_label_map(folder / "action_list.txt"),
    )
    assert_equal(accuracy, json.loads((folder / "expected.json").read_text()))
    assert str(accuracy) == "mAP 9.39 % over 3 of 3 classes, 12 boxes on 3 key frames (3 with detections)"
    assert accuracy.detections == 30


@pytest.mark.parametrize("limit", [None, 20, 5])
@pytest.mark.parametrize("ties", [False, True])
def test_against_pyslowfast_fed_as_the_official_reader_does(ties, limit, monkeypatch):
    kind = "stable" if ties else None  # equal scores: its own sort leaves their order to the processor
    values = []
    for seed in range(40):
        truth, detections, excluded = random_case(seed, ties)
        official = pyslowfast(truth, highest(detections, limit), excluded, monkeypatch, kind)
        assert_equal(ava_map(rows_to_boxes(truth), rows_to_boxes(detections), LABELS, excluded, limit), official)
        values.append(official["PascalBoxes_Precision/mAP@0.5IOU"])
    assert 0 < min(values) < max(values) < 1


@pytest.mark.parametrize("limit", [None, 5])
def test_against_the_rules_written_plainly(limit):
    for seed in range(100, 130):
        truth, detections, excluded = random_case(seed, ties=True)
        accuracy = ava_map(rows_to_boxes(truth), rows_to_boxes(detections), LABELS, excluded, limit)
        expected = plainly(truth, detections, excluded, limit)
        assert list(accuracy.per_class) == list(expected)
        for name, ap in expected.items():
            assert accuracy.per_class[name] / 100 == pytest.approx(ap, abs=1e-12, nan_ok=True)
        assert accuracy.map / 100 == pytest.approx(np.nanmean(list(expected.values())), abs=1e-12)


HALF, LEFT, FAR = (0.0, 0.0, 0.5, 0.5), (0.0, 0.0, 0.25, 0.5), (0.6, 0.6, 0.9, 0.9)


def of_rows(truth, detections, **options):
    return ava_map(rows_to_boxes(truth), rows_to_boxes(detections), LABELS, **options)


def test_an_overlap_of_just_a_half_counts():
    truth = [("v", 1, HALF, 1, 1.0)]
    assert of_rows(truth, [("v", 1, LEFT, 1, 0.5)]).map == 100
    assert of_rows(truth, [("v", 1, (0.0, 0.0, 0.249, 0.5), 1, 0.5)]).map == 0


def test_the_higher_score_claims_a_box_whatever_the_order_of_the_rows():
    truth = [("v", 1, HALF, 1, 1.0)]
    rows = [("v", 1, HALF, 1, 0.2), ("v", 1, LEFT, 1, 0.8)]
    assert of_rows(truth, rows).map == of_rows(truth, rows[::-1]).map == 100
    assert of_rows(truth, [("v", 1, FAR, 1, 0.9), *rows]).map == 50


def test_a_detection_that_overlaps_a_claimed_box_most_takes_no_other():
    truth = [("v", 1, HALF, 1, 1.0), ("v", 1, (0.0, 0.0, 0.5, 0.4), 1, 1.0)]
    assert of_rows(truth, [("v", 1, HALF, 1, 0.9), ("v", 1, HALF, 1, 0.8)]).map == 50


def test_of_two_boxes_overlapped_alike_the_first_in_the_file_is_claimed():
    left, right, between = (0.0, 0.0, 0.5, 1.0), (0.25, 0.0, 0.75, 1.0), (0.125, 0.0, 0.625, 1.0)
    truth = [("v", 1, left, 1, 1.0), ("v", 1, right, 1, 1.0)]
    rows = [("v", 1, between, 1, 0.9), ("v", 1, left, 1, 0.8)]
    assert of_rows(truth, rows).map == 50
    assert of_rows(truth[::-1], rows).map == 100


def test_fifty_detections_of_a_key_frame_count():
    truth = [("v", 1, HALF, 1, 1.0), ("v", 2, HALF, 1, 1.0)]
    others = [("v", 1, FAR, 2, 0.9)] * 50
    rows = [("v", 1, HALF, 1, 0.8), *others[:49], ("v", 2, HALF, 1, 0.1)]
    assert of_rows(truth, rows).map == 100
    assert of_rows(truth, [*rows, others[0]]).map == 50
    assert of_rows(truth, [*rows, others[0]], limit=None).map == 100
    assert of_rows(truth, [*rows, ("v", 1, FAR, 3, 0.9)]).map == 100  # 3 is not in the label map
    swapped = ("v", 1, (0.5, 0.5, 0.0, 0.0), 2, 0.9)
    assert of_rows(truth, [*rows, swapped]).map == 50  # dropped, but only after the limit


def test_key_frames_of_one_file_only():
    truth = [("v", 1, HALF, 1, 1.0), ("v", 2, HALF, 1, 1.0)]
    rows = [("v", 3, HALF, 1, 0.9), ("v", 2, HALF, 1, 0.8)]
    accuracy = of_rows(truth, rows)
    assert accuracy.map == 25  # one false before it, one missed
    assert (accuracy.key_frames, accuracy.detected_key_frames, accuracy.detections) == (2, 1, 2)
    assert of_rows(truth, rows, excluded={("v", 3)}).map == 50
    assert of_rows(truth, rows, excluded={("v", 1), KeyFrame("v", 3), ("w", 3)}).map == 100


def test_no_detections():
    accuracy = of_rows([("v", 1, HALF, 1, 1.0)], [])
    assert (accuracy.map, accuracy.per_class["stand"], accuracy.detections) == (0, 0, 0)
    assert math.isnan(accuracy.per_class["swim"])


def test_a_truth_without_area_is_missed_by_all():
    assert of_rows([("v", 1, (0.2, 0.2, 0.2, 0.4), 1, 1.0)], [("v", 1, HALF, 1, 1.0)]).map == 0


def test_a_score_of_nan_ranks_last():
    truth = [("v", 1, HALF, 1, 1.0), ("v", 2, HALF, 1, 1.0)]
    assert of_rows(truth, [("v", 1, FAR, 1, math.nan), ("v", 2, HALF, 1, 0.1), ("v", 1, HALF, 1, -5.0)]).map == 100


def test_nothing_to_evaluate():
    for truth in ([], [("v", 1, HALF, 3, 1.0)], [("v", 1, HALF, 0, 1.0)], [("v", 9, HALF, 1, 1.0)]):
        with pytest.raises(DataError, match=f"no ground truth is left of {len(truth)} rows"):
            of_rows(truth, [("v", 1, HALF, 1, 1.0)], excluded={("v", 9)})


def test_a_detectors_boxes_are_refused():
    with pytest.raises(DataError, match="1 of 2 detections name no action"):
        of_rows([("v", 1, HALF, 1, 1.0)], [("v", 1, HALF, 1, 1.0), ("v", 1, HALF, 0, 1.0)])


def test_scores_of_a_network():
    """Every action of every box is a row: as the rows written out, with action k + 1 in column k."""
    rng = np.random.default_rng(0)
    frames = [("v", 2), ("w", 2), ("v", 2), ("v", 1)]
    boxes = np.array([HALF, LEFT, FAR, HALF], np.float32)
    scores = rng.random((4, 5), np.float32)
    rows = [
        (*frames[r], tuple(float(x) for x in boxes[r]), k + 1, float(scores[r, k])) for r in range(4) for k in range(5)
    ]
    ours, expected = scored_boxes(frames, boxes, scores), rows_to_boxes(rows)
    assert ours.frames == expected.frames
    for name in ("frame", "boxes", "actions", "scores", "persons"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(expected, name))
        assert getattr(ours, name).dtype == getattr(expected, name).dtype


def test_real_key_frames_against_pyslowfast(shared_data, monkeypatch):
    """Real boxes, jittered, missed and invented, each with a score for each action."""
    folder = shared_data / "jhmdb_movies" / "ava" / "annotations"
    truth = read_ground_truth(folder / "jm_val_v1.csv")
    people = read_detections(folder / "jm_val_predicted_boxes.csv")
    excluded = read_exclusions(folder / "jm_val_excluded_timestamps_v1.csv")
    scores = np.random.default_rng(0).random((len(people), 8))
    detections = scored_boxes([people.frames[i] for i in people.frame], people.boxes, scores)

    def rows(boxes):
        return [
            (*boxes.frames[boxes.frame[i]], tuple(boxes.boxes[i]), int(boxes.actions[i]), boxes.scores[i])
            for i in range(len(boxes))
        ]

    official = pyslowfast(rows(truth), highest(rows(detections), None), excluded, monkeypatch)
    accuracy = ava_map(truth, detections, LABELS, excluded)
    assert_equal(accuracy, official)
    assert 0 < accuracy.map < 100
