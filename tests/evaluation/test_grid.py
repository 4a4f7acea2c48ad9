"""The grid of all configurations against one forward pass per view, cut from the file by hand."""

import pytest
import torch
from tiny import ROOT, cut_views, tiny_cfg
from torch import nn

import mutualnet3d as mn
from mutualnet3d import data
from mutualnet3d.data import TestVideos, VideoEntry, build_entries
from mutualnet3d.errors import ConfigError, ConfigurationError, DataError, NotCalibratedError
from mutualnet3d.evaluation.grid import evaluate_grid

SMALL, MIDDLE, FULL = (mn.Configuration(*c) for c in ((0.63, 20, 2), (0.8, 32, 2), (1.0, 32, 4)))


@pytest.fixture
def cfg(tiny_data):
    return tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data))


def calibrated(model):
    """Everything random, so that no two views, frames or configurations could be mixed up unnoticed."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5)
    nn.init.normal_(model.head.projection.weight, std=0.1)
    clips = torch.randn(4, 3, model.num_frames, 32, 32)
    mn.calibrate(model, [clips], [SMALL, MIDDLE, FULL])
    return model


@pytest.fixture(scope="module")
def model():
    return calibrated(mn.build_model(tiny_cfg()))


def evaluate(model, cfg, configurations, views=1, crops=1, entries=None):
    entries = build_entries(cfg, "test") if entries is None else entries
    return evaluate_grid(model, data.video_loader(TestVideos(entries, cfg, views, crops), cfg), configurations, cfg)


def brute_force(model, cfg, configuration, views, crops, method="sum", activation="softmax"):
    rows = []
    model.eval()
    with torch.no_grad():
        for entry in build_entries(cfg, "test"):
            scores = []
            for view in cut_views(entry.path, views, crops, cfg):
                logits = model(view, configuration)[0]
                scores.append(logits.softmax(0) if activation == "softmax" else 1 / (1 + (-logits).exp()))
            stacked = torch.stack(scores)
            rows.append(stacked.sum(0) if method == "sum" else stacked.amax(0))
    return torch.stack(rows)


@pytest.mark.parametrize("method", ["sum", "max"])
@pytest.mark.parametrize(("views", "crops"), [(1, 1), (10, 1), (10, 3), (3, 3), (1, 3)])
def test_scores_equal_one_forward_pass_per_view(model, cfg, views, crops, method):
    cfg.DATA.ENSEMBLE_METHOD = method
    result = evaluate(model, cfg, [FULL, SMALL, MIDDLE], views, crops)
    assert result.configurations == (FULL, SMALL, MIDDLE)
    assert result.scores.shape == (3, 4, 3)
    assert result.scores.dtype == torch.float32
    for configuration, scores in zip(result.configurations, result.scores, strict=True):
        expected = brute_force(model, cfg, configuration, views, crops, method)
        torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(result.scores[0], result.scores[1], atol=1e-2)
    assert result.labels.tolist() == [entry.label for entry in build_entries(cfg, "test")]
    assert result.indices.tolist() == [0, 1, 2, 3]
    assert result.missing == ()


def test_sigmoid_scores(model, cfg):
    cfg.MODEL.HEAD_ACT = "sigmoid"
    expected = brute_force(model, cfg, SMALL, 2, 1, activation="sigmoid")
    torch.testing.assert_close(evaluate(model, cfg, [SMALL], 2).scores[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_the_batch_size_does_not_matter(model, cfg, size):
    expected = evaluate(model, cfg, [SMALL, FULL], 2, 3).scores
    cfg.TEST.BATCH_SIZE = size
    torch.testing.assert_close(evaluate(model, cfg, [SMALL, FULL], 2, 3).scores, expected, rtol=1e-4, atol=1e-5)


def test_slowfast(cfg, tiny_data):
    """Its Fast pathway is computed once for all configurations."""
    overrides = [
        *("DATA.PATH_TO_DATA_DIR", str(tiny_data), "RESNET.WIDTH_PER_GROUP", 8, "MODEL.NUM_CLASSES", 3),
        *("DATA.TRAIN_CROP_SIZE", 32, "DATA.TEST_CROP_SIZE", 32, "DATA.TRAIN_JITTER_SCALES", [36, 44]),
        *("MUTUALNET.SPATIAL", [20, 32], "MUTUALNET.TEMPORAL", [2, 4], "DATA_LOADER.NUM_WORKERS", 0),
    ]
    two = mn.load_config(ROOT / "configs" / "Demo" / "MN_SLOWFAST_SMALL.yaml", overrides)
    model = calibrated(mn.build_model(two))
    mn.calibrate(model, [torch.randn(4, 3, 16, 32, 32) + 1], [MIDDLE])  # other Fast statistics than the rest
    videos = TestVideos(build_entries(two, "test"), two, 2, 3)
    result = evaluate_grid(model, data.video_loader(videos, two), [SMALL, MIDDLE, FULL], two)
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (two.DATA.MEAN, two.DATA.STD))
    with torch.no_grad():
        for configuration, scores in zip(result.configurations, result.scores, strict=True):
            for number, row in enumerate(scores):
                views = [(view.float() / 255 - mean) / std for view in videos[number].views()]
                expected = sum(model.eval()(view[None], configuration).softmax(1)[0] for view in views)
                torch.testing.assert_close(row, expected, rtol=1e-4, atol=1e-5)


def test_accuracies(model, cfg):
    result = evaluate(model, cfg, [SMALL, FULL])
    for configuration, accuracy in result.accuracies().items():
        scores = brute_force(model, cfg, configuration, 1, 1)
        hits = sum(int(row.argmax()) == label for row, label in zip(scores, result.labels.tolist(), strict=True))
        assert (accuracy.top1, accuracy.top5, accuracy.videos, accuracy.missing) == (25 * hits, 100.0, 4, 0)


def test_an_unreadable_video_is_counted_by_name_and_never_replaced(model, cfg, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    whole = build_entries(cfg, "test")
    entries = [whole[0], VideoEntry(str(broken), 1), whole[2], VideoEntry("gone.mp4", 0), whole[3]]
    result = evaluate(model, cfg, [SMALL, FULL], 2, 1, entries)
    assert [path for path, _ in result.missing] == [str(broken), "gone.mp4"]
    assert "not a readable video" in result.missing[0][1]
    assert result.indices.tolist() == [0, 2, 4]
    assert result.labels.tolist() == [whole[0].label, whole[2].label, whole[3].label]
    expected = brute_force(model, cfg, SMALL, 2, 1)[[0, 2, 3]]
    torch.testing.assert_close(result.scores[0], expected, rtol=1e-4, atol=1e-5)
    assert {(a.videos, a.missing) for a in result.accuracies().values()} == {(3, 2)}


def test_nothing_but_unreadable_videos(model, cfg):
    with pytest.raises(DataError, match=r"none of 2 videos could be read \(gone\.mp4: cannot be opened.*check_data"):
        evaluate(model, cfg, [FULL], entries=[VideoEntry("gone.mp4", 0), VideoEntry("lost.mp4", 1)])
    with pytest.raises(DataError, match="the list is empty"):
        evaluate(model, cfg, [FULL], entries=[])


def test_every_video_is_decoded_once(model, cfg, opened):
    evaluate(model, cfg, [SMALL, MIDDLE, FULL], 10, 3)
    assert opened == [entry.path for entry in build_entries(cfg, "test")]


def test_refusals_come_before_decoding(model, cfg, opened):
    with pytest.raises(NotCalibratedError, match=r"0\.7-20-2 has no BatchNorm statistics"):
        evaluate(model, cfg, [FULL, mn.Configuration(0.7, 20, 2)])
    with pytest.raises(ConfigurationError, match=r"spatial 24"):
        evaluate(model, cfg, [mn.Configuration(0.7, 24, 2)])
    cfg.DATA.ENSEMBLE_METHOD = "median"
    with pytest.raises(ConfigError, match="median"):
        evaluate(model, cfg, [FULL])
    assert opened == []


def test_the_mode_is_restored(model, cfg):
    model.train()
    model.s1.eval()
    evaluate(model, cfg, [SMALL])
    assert (model.training, model.s2.training, model.s1.training) == (True, True, False)
    assert not any(p.grad is not None for p in model.parameters())
