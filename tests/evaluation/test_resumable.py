"""An interrupted evaluation reaches the very bits of one that was not, and never mixes two evaluations."""

import logging
import shutil
from pathlib import Path

import pytest
import torch
from test_grid import FULL, MIDDLE, SMALL, brute_force, calibrated
from test_result import equal
from tiny import tiny_cfg

import mutualnet3d as mn
from mutualnet3d.data import VideoEntry, build_entries
from mutualnet3d.distributed import Processes
from mutualnet3d.errors import DataError, NotCalibratedError
from mutualnet3d.evaluation import parts
from mutualnet3d.evaluation.grid import VideoScorer
from mutualnet3d.evaluation.result import load_scores, read_scores
from mutualnet3d.evaluation.resumable import evaluate_list

CONFIGURATIONS = (SMALL, FULL)


@pytest.fixture
def model():
    return calibrated(mn.build_model(tiny_cfg()))


@pytest.fixture
def cfg(tiny_data):
    """Batches of 3 views of videos with 2: they span videos, and groups have an incomplete last batch."""
    return tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data), "TEST.BATCH_SIZE", 3, "TEST.NUM_ENSEMBLE_VIEWS", 2)


@pytest.fixture
def entries(cfg, tmp_path):
    """11 videos, 3 of them unreadable: groups of 3, 3, 3 and 2, the second with nothing to read at its end."""
    whole = build_entries(cfg, "test")
    gone = VideoEntry(str(tmp_path / "gone.mp4"), 1)
    return [*whole, gone, gone, *whole[::-1], gone]


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, logger="mutualnet3d")
    return caplog


def stopping_after(monkeypatch, groups):
    """Ctrl-C at the beginning of group number ``groups``."""
    original = VideoScorer.__call__
    left = [groups]

    def call(self, items):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return original(self, items)

    monkeypatch.setattr(VideoScorer, "__call__", call)


def interrupted(model, entries, cfg, path, groups, configurations=CONFIGURATIONS):
    with pytest.MonkeyPatch.context() as patch:
        stopping_after(patch, groups)
        with pytest.raises(KeyboardInterrupt):
            evaluate_list(model, entries, configurations, cfg, path)


def test_scores_are_those_of_one_forward_pass_per_view(model, cfg, tmp_path):
    result = evaluate_list(model, build_entries(cfg, "test"), CONFIGURATIONS, cfg, tmp_path / "scores.npz")
    for configuration in CONFIGURATIONS:
        expected = brute_force(model, cfg, configuration, 2, 1)
        torch.testing.assert_close(result.scores_at(configuration), expected, rtol=1e-4, atol=1e-5)
    equal(load_scores(tmp_path / "scores.npz"), result)
    facts = read_scores(tmp_path / "scores.npz")[1]
    assert (facts["views"], facts["ensemble_method"]) == ([2, 1], "sum")
    assert [path.name for path in tmp_path.iterdir()] == ["scores.npz"]


@pytest.mark.parametrize("groups", [0, 1, 2, 3])
@pytest.mark.parametrize("period", [0.0, 1000.0])
def test_an_interrupted_evaluation_reaches_the_same_bits(
    model,
    cfg,
    entries,
    tmp_path,
    groups,
    period,
    opened,
    monkeypatch,
    said,
):
    monkeypatch.setattr(parts.ScoreParts.__init__, "__defaults__", (period,))
    expected = evaluate_list(model, entries, CONFIGURATIONS, cfg, tmp_path / "whole.npz")
    assert len(expected.missing) == 3
    opened.clear()
    path = tmp_path / "scores.npz"
    interrupted(model, entries, cfg, path, groups)
    assert opened == [entry.path for entry in entries[: 3 * groups]]
    assert not path.exists()
    equal(evaluate_list(model, entries, CONFIGURATIONS, cfg, path), expected)
    assert opened == [entry.path for entry in entries]
    equal(load_scores(path), expected)
    assert not path.with_suffix("").exists()
    assert ("going on from" in said.text) == (groups > 0)


def test_interrupted_again_and_again(model, cfg, entries, tmp_path):
    expected = evaluate_list(model, entries, CONFIGURATIONS, cfg, tmp_path / "whole.npz")
    for _ in range(3):
        interrupted(model, entries, cfg, tmp_path / "scores.npz", 1)
    equal(evaluate_list(model, entries, CONFIGURATIONS, cfg, tmp_path / "scores.npz"), expected)


def test_what_a_power_cut_leaves(model, cfg, entries, tmp_path, said):
    """A file half-written under a temporary name, and one that the disk damaged."""
    expected = evaluate_list(model, entries, CONFIGURATIONS, cfg, tmp_path / "whole.npz")
    path = tmp_path / "scores.npz"
    for _ in range(2):
        interrupted(model, entries, cfg, path, 1)
    _, second = sorted(path.with_suffix("").iterdir())
    second.write_bytes(second.read_bytes()[:500])
    (path.with_suffix("") / ".rank0_000002.npz.abc").write_bytes(b"half")
    equal(evaluate_list(model, entries, CONFIGURATIONS, cfg, path), expected)
    assert f"{second}: cannot be read" in said.text
    assert not path.with_suffix("").exists()


@pytest.mark.parametrize("listing", [1, 2])
def test_another_rank_removes_the_folder_first(tmp_path, monkeypatch, listing):
    """Ranks remove their parts at the same time: the last look of one may find the folder gone."""
    folder, original, number = tmp_path / "scores", Path.iterdir, [0]
    folder.mkdir()
    mine = parts.ScoreParts(folder, {}, {}, Processes(0, 2))

    def iterdir(path):
        number[0] += 1
        if number[0] == listing:
            shutil.rmtree(folder)
        return original(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    mine.remove()
    assert number[0] == 2
    assert not folder.exists()


@pytest.mark.parametrize(
    ("change", "topic"),
    [
        ("weights", "the weights"),
        ("running statistics", "the weights"),
        ("list", "the videos"),
        ("file", "the videos"),
        ("views", "the views"),
        ("processes", "the number of processes"),
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_another_evaluation_starts_anew_and_says_so(model, cfg, tmp_path, change, topic, finished, said):
    path = tmp_path / "scores.npz"
    entries = build_entries(cfg, "test")
    copy = VideoEntry(shutil.copy(entries[0].path, tmp_path / "copy.mp4"), 0)
    entries = [copy, *entries[1:]]
    processes = Processes(0, 1)
    if finished:
        evaluate_list(model, entries, CONFIGURATIONS, cfg, path)
    else:
        interrupted(model, entries, cfg, path, 1)
    with torch.no_grad():
        if change == "weights":
            model.head.projection.bias[0] += 1
        elif change == "running statistics":
            model.s1.pathway0_stem.bn.running_mean[0] += 1
    if change == "list":
        entries[0] = VideoEntry(copy.path, 1)
    elif change == "file":
        shutil.copy(entries[1].path, copy.path)
    elif change == "views":
        cfg.DATA.ENSEMBLE_METHOD = "max"
    elif change == "processes":
        processes = _Pretended(0, 2)
    said.clear()
    found = evaluate_list(model, entries, CONFIGURATIONS, cfg, path, processes)
    assert f"is of another evaluation ({topic}); starting anew" in said.text
    expected = evaluate_list(model, entries, CONFIGURATIONS, cfg, tmp_path / "fresh.npz", processes)
    equal(found, expected)


class _Pretended(Processes):
    """Two processes of which the other one has nothing to say."""

    def gather(self, value):
        return [value]

    def broadcast(self, value):
        return value


@pytest.mark.parametrize("finished", [False, True])
def test_new_statistics_of_one_configuration_redo_that_one(model, cfg, tmp_path, finished):
    path, entries = tmp_path / "scores.npz", build_entries(cfg, "test")
    if finished:
        before = evaluate_list(model, entries, CONFIGURATIONS, cfg, path)
    else:
        interrupted(model, entries, cfg, path, 1)
        before = None
    mn.calibrate(model, [torch.randn(4, 3, 4, 32, 32) * 2 + 1], [SMALL])
    counted = count_forwards(model)
    after = evaluate_list(model, entries, CONFIGURATIONS, cfg, path)
    # 2 groups (3 + 1 videos) of 2 + 1 batches; full is done at all of them, or at the first
    assert counted == {SMALL: 3, **({} if finished else {FULL: 1})}
    equal(after, evaluate_list(model, entries, CONFIGURATIONS, cfg, tmp_path / "fresh.npz"))
    if before:
        assert not torch.equal(before.scores_at(SMALL), after.scores_at(SMALL))


def count_forwards(model):
    counted = {}

    def hook(module, arguments):
        counted[arguments[1]] = counted.get(arguments[1], 0) + 1

    model.register_forward_pre_hook(hook)
    return counted


@pytest.mark.parametrize("groups", [1, 3, 4])
def test_added_configurations_run_alone(model, cfg, entries, tmp_path, groups):
    path = tmp_path / "scores.npz"
    if groups < 4:
        interrupted(model, entries, cfg, path, groups, (SMALL,))
    else:
        evaluate_list(model, entries, [SMALL], cfg, path)
    counted = count_forwards(model)
    found = evaluate_list(model, entries, [FULL, SMALL, MIDDLE], cfg, path)
    assert counted[FULL] == counted[MIDDLE] == 6  # groups of 3, 1, 3, 1 readable videos of 2 views, 3 to a batch
    assert counted.get(SMALL, 0) == {1: 4, 3: 1, 4: 0}[groups]
    equal(found, evaluate_list(model, entries, [FULL, SMALL, MIDDLE], cfg, tmp_path / "fresh.npz"))


def test_a_finished_evaluation_is_not_repeated(model, cfg, entries, tmp_path, opened, said):
    first = evaluate_list(model, entries, CONFIGURATIONS, cfg, tmp_path / "scores.npz")
    opened.clear()
    equal(evaluate_list(model, entries, CONFIGURATIONS, cfg, tmp_path / "scores.npz"), first)
    assert opened == []
    assert "scores at 2 of 2 configurations are taken from" in said.text


def test_fewer_configurations_of_a_finished_evaluation(model, cfg, entries, tmp_path):
    first = evaluate_list(model, entries, CONFIGURATIONS, cfg, tmp_path / "scores.npz")
    fewer = evaluate_list(model, entries, [FULL], cfg, tmp_path / "scores.npz")
    assert torch.equal(fewer.scores[0], first.scores_at(FULL))
    assert load_scores(tmp_path / "scores.npz").configurations == (FULL,)


def test_refusals(model, cfg, tmp_path, opened):
    gone = [VideoEntry("gone.mp4", 0), VideoEntry("lost.mp4", 1)]
    with pytest.raises(DataError, match=r"none of 2 videos could be read \(gone\.mp4"):
        evaluate_list(model, gone, CONFIGURATIONS, cfg, tmp_path / "scores.npz")
    assert list(tmp_path.iterdir()) == []
    opened.clear()
    with pytest.raises(NotCalibratedError, match=r"0\.7-20-2"):
        evaluate_list(model, gone, [mn.Configuration(0.7, 20, 2)], cfg, tmp_path / "scores.npz")
    assert opened == []
