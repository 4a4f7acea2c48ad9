"""Scores as a value and as a file."""

import dataclasses

import numpy as np
import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.errors import ConfigurationError, DataError
from mutualnet3d.evaluation.result import GridResult, join_results, load_scores, read_scores, save_scores

A, B = mn.Configuration(0.63, 20, 2), mn.Configuration(1.0, 32, 4)


def result_of(indices, configurations=(A, B), missing=()):
    torch.manual_seed(sum(indices))
    return GridResult(
        configurations=tuple(configurations),
        scores=torch.randn(len(configurations), len(indices), 4),
        labels=torch.tensor([i % 3 for i in indices], dtype=torch.int64),
        indices=torch.tensor(indices, dtype=torch.int64),
        missing=tuple((f"video {i}", "gone") for i in missing),
        paths=tuple(f"video {i}" for i in indices),
        missing_indices=tuple(missing),
    )


def equal(one, other):
    for name in ("scores", "labels", "indices"):
        a, b = getattr(one, name), getattr(other, name)
        assert torch.equal(a, b), name
        assert a.dtype == b.dtype
    for name in ("configurations", "missing", "paths", "missing_indices"):
        assert getattr(one, name) == getattr(other, name), name


@pytest.mark.parametrize("missing", [(), (1, 4)])
def test_a_file_holds_the_whole_result(tmp_path, missing):
    result = result_of([0, 2, 3, 5], missing=missing)
    save_scores(tmp_path / "scores.npz", result, views=[10, 3], ensemble_method="max")
    equal(load_scores(tmp_path / "scores.npz"), result)
    assert read_scores(tmp_path / "scores.npz")[1] == {"views": [10, 3], "ensemble_method": "max"}
    assert load_scores(tmp_path / "scores.npz").accuracies() == result.accuracies()


def test_files_that_are_no_scores(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    save_scores(tmp_path / "cut.npz", result_of([0, 1]))
    whole = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    np.savez(tmp_path / "other.npz", scores=np.zeros(3))
    for name in ("text.npz", "cut.npz", "other.npz", "none.npz"):
        with pytest.raises(DataError, match=rf"{name}: cannot be read as scores"):
            load_scores(tmp_path / name)


@pytest.mark.parametrize(
    "labels",
    [torch.tensor([0, -1]), torch.tensor([0, 4]), torch.tensor([0.0, 1.0]), torch.zeros(2, 3), torch.zeros(2, 1, 1)],
    ids=["negative", "beyond", "fractions", "of three", "three dimensions"],
)
def test_labels_of_other_classes_are_refused(tmp_path, labels):
    """There are four; ``accuracies()`` would end in an error of torch."""
    save_scores(tmp_path / "a.npz", dataclasses.replace(result_of([0, 1]), labels=labels))
    with pytest.raises(DataError, match=r"a\.npz: cannot be read as scores.*its labels are not of its 4 classes"):
        load_scores(tmp_path / "a.npz")


def test_joining_videos_and_configurations():
    left, right = result_of([3, 0], missing=(2,)), result_of([1, 4])
    joined = join_results([left, right], (B, A))
    assert joined.configurations == (B, A)
    assert joined.indices.tolist() == [0, 1, 3, 4]
    assert joined.missing == (("video 2", "gone"),)
    assert joined.paths == ("video 0", "video 1", "video 3", "video 4")
    for number, (part, row) in enumerate([(left, 1), (right, 0), (left, 0), (right, 1)]):
        assert torch.equal(joined.scores[:, number], part.scores[[1, 0], row])
        assert joined.labels[number] == part.labels[row]
    one, other = join_results([joined], (A,)), join_results([joined], (B,))
    equal(join_results([other, one], (B, A)), joined)


def test_a_video_that_is_missing_in_one_piece_is_missing():
    joined = join_results([result_of([0, 1, 2], (A,)), result_of([0, 2], (B,), missing=(1,))], (A, B))
    assert joined.indices.tolist() == [0, 2]
    assert joined.missing_indices == (1,)


def test_scores_of_what_was_not_evaluated():
    with pytest.raises(ConfigurationError, match=r"0\.8-20-2 was not evaluated"):
        result_of([0, 1]).scores_at(mn.Configuration(0.8, 20, 2))
