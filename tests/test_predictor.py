"""A budget and a video in, classes out: against the evaluation's own scores and views cut by hand."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from tiny import CROP, SHORT_SIDE, cut_views, tiny_cfg

import mutualnet3d as mn
from mutualnet3d.deployment.clips import parity_clips
from mutualnet3d.deployment.export import ExportPlan, export
from mutualnet3d.deployment.trained import TrainedNetwork
from mutualnet3d.errors import (
    BudgetError,
    ConfigError,
    ConfigurationError,
    DataError,
    DeploymentError,
    QueryTableError,
    VideoError,
)
from mutualnet3d.pipeline import run
from mutualnet3d.predictor import AdaptivePredictor

FULL = mn.Configuration(1.0, CROP, 4)
SMALLEST = mn.Configuration(0.63, 20, 2)
VIEWS = (2, 3)


@pytest.fixture(scope="module")
def run_folder(tiny_data, tmp_path_factory):
    """The output folder of a run that was tested with 2 x 3 views; its data has class names."""
    (tiny_data / "classes.txt").write_text("red\ngreen\nblue\n")
    output = tmp_path_factory.mktemp("a run") / "output"
    places = ["DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(output)]
    shape = ["TEST.NUM_ENSEMBLE_VIEWS", VIEWS[0], "TEST.NUM_SPATIAL_CROPS", VIEWS[1], "SOLVER.MAX_EPOCH", 1]
    run(tiny_cfg(*places, *shape))
    yield output
    (tiny_data / "classes.txt").unlink()


@pytest.fixture(scope="module")
def export_folder(run_folder, tmp_path_factory):
    output = tmp_path_factory.mktemp("an export") / "export"
    trained = TrainedNetwork(run_folder)
    table = trained.table()
    plan = ExportPlan(tuple(entry.configuration for entry in table.entries), latency=False)
    export(trained, table, output, plan, parity_clips([], trained.cfg, trained.describe(FULL).preprocessing))
    return output


@pytest.fixture(scope="module", params=["run_folder", "export_folder"])
def predictor(request):
    return AdaptivePredictor.load(request.getfixturevalue(request.param), max_networks=8)


@pytest.fixture(scope="module")
def scores(run_folder):
    return np.load(run_folder / "test_scores.npz")


def all_frames(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_scores_are_those_of_the_evaluation(predictor, scores):
    for row, text in enumerate(scores["configurations"].tolist()):
        for column, path in enumerate(scores["paths"].tolist()):
            found = predictor.predict(path, configuration=mn.Configuration.parse(text), views=VIEWS)
            np.testing.assert_allclose(found.scores.numpy(), scores["scores"][row, column], rtol=2e-4, atol=1e-5)
            assert sum(p for _, p in found.labels) == pytest.approx(1.0, abs=1e-5)
            assert found.labels[0][1] == pytest.approx(float(found.scores.max()) / 6, rel=1e-5)


def test_one_view_against_the_trained_network(predictor, run_folder, scores):
    model, path = mn.load_model(run_folder / "model.pyth"), scores["paths"][1]
    (view,) = cut_views(path, 1, 1, tiny_cfg())
    for configuration in (FULL, SMALLEST, mn.Configuration(0.63, CROP, 2)):
        with torch.no_grad():
            expected = model(view, configuration).softmax(1)[0]
        found = predictor.predict(path, configuration=configuration)
        torch.testing.assert_close(found.scores, expected, rtol=2e-4, atol=1e-5)
        assert found.configuration == configuration == found.entry.configuration
        assert found.entry == predictor.table[configuration]


def test_frames_in_memory_are_the_same_video(predictor, scores):
    path = scores["paths"][2]
    frames = all_frames(path)
    from_file = predictor.predict(path, configuration=SMALLEST, views=(3, 1))
    for source in (frames, torch.from_numpy(frames)):
        found = predictor.predict(source, configuration=SMALLEST, views=(3, 1))
        assert torch.equal(found.scores, from_file.scores)
        assert found.times.decode_ms == 0.0 < found.times.preprocess_ms
    slower = predictor.predict(frames, configuration=SMALLEST, views=(3, 1), fps=10.0)  # a clip then spans fewer frames
    assert not torch.equal(slower.scores, from_file.scores)


def test_a_clip_is_exactly_its_frames(run_folder, scores):
    predictor = AdaptivePredictor.load(run_folder)
    model, cfg = mn.load_model(run_folder / "model.pyth"), tiny_cfg()
    frames = all_frames(scores["paths"][0])
    for length in (1, 3, 4, 7):
        found = predictor.predict_clip(frames[:length], configuration=SMALLEST)
        clip = _centre(frames[:length], cfg)
        with torch.no_grad():
            expected = model(clip, SMALLEST).softmax(1)[0]
        torch.testing.assert_close(found.scores, expected, rtol=2e-4, atol=1e-5)


def _centre(frames, cfg):
    """Normalised centre crop of 60 x 48 frames, scaled by OpenCV."""
    import cv2

    wide = 60 * SHORT_SIDE // 48
    scaled = np.stack([cv2.resize(f, (wide, SHORT_SIDE), interpolation=cv2.INTER_LINEAR) for f in frames])
    top, left = -((CROP - SHORT_SIDE) // 2), -((CROP - wide) // 2)
    window = torch.from_numpy(scaled[:, top : top + CROP, left : left + CROP]).permute(3, 0, 1, 2).float() / 255
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (cfg.DATA.MEAN, cfg.DATA.STD))
    return ((window - mean) / std)[None]


def test_budgets_choose_as_the_table_does(predictor, scores):
    path, table = scores["paths"][0], predictor.table
    middle = table.entries[len(table.entries) // 2]
    for budget in ({"max_gmacs": middle.gmacs}, {"min_accuracy": middle.accuracy}, {}):
        found = predictor.predict(path, **budget)
        assert found.entry == table.best(**budget)
        assert found.configuration == found.entry.configuration
    assert predictor.choose().accuracy == max(entry.accuracy for entry in table.entries)


def test_latency_budgets(run_folder, scores):
    predictor = AdaptivePredictor.load(run_folder)
    with pytest.raises(QueryTableError, match=r"max_latency_ms 5: .*no latencies of this target, '.*torch float32"):
        predictor.predict(scores["paths"][0], max_latency_ms=5)
    entries = tuple(
        replace(entry, latency_ms=float(10 + number), accuracy=50.0 + number)
        for number, entry in enumerate(predictor.table.entries)
    )
    timed = replace(predictor.deployment, table=replace(predictor.table, entries=entries))
    found = AdaptivePredictor(timed).predict(scores["paths"][0], max_latency_ms=12.5)
    assert found.entry == entries[2]
    with pytest.raises(BudgetError, match=r"at most 9 ms"):
        AdaptivePredictor(timed).predict(scores["paths"][0], max_latency_ms=9)


def test_labels(predictor, run_folder, scores):
    path = scores["paths"][0]
    found = predictor.predict(path, configuration=FULL, top_k=2)
    order = found.scores.argsort(descending=True).tolist()
    assert [name for name, _ in found.labels] == [("red", "green", "blue")[i] for i in order[:2]]
    assert len(predictor.predict(path, configuration=FULL, top_k=99).labels) == 3
    nameless = AdaptivePredictor(replace(predictor.deployment, classes=None))
    assert [name for name, _ in nameless.predict(path, configuration=FULL).labels] == order


def test_switching_is_counted(run_folder, scores):
    predictor, path = AdaptivePredictor.load(run_folder, max_networks=2), scores["paths"][0]
    assert predictor.switching.built == 0
    first, again = (predictor.predict(path, configuration=FULL) for _ in range(2))
    assert first.times.switch_ms > 0.0 == again.times.switch_ms
    for times in (first.times, again.times):
        assert min(times.decode_ms, times.preprocess_ms, times.network_ms) > 0
        assert times.latency_ms == times.preprocess_ms + times.network_ms
    predictor.warm([SMALLEST, FULL])
    assert predictor.predict(path, configuration=SMALLEST).times.switch_ms == 0.0
    assert (predictor.switching.built, predictor.switching.dropped) == (2, 0)
    predictor.warm([mn.Configuration(0.63, CROP, 2)])
    assert (predictor.switching.built, predictor.switching.dropped) == (3, 1)


def test_many_threads(run_folder, scores):
    """8 threads, 4 configurations, room for 2: the very scores of one thread, and forward passes side by side."""
    predictor = AdaptivePredictor.load(run_folder, max_networks=2, threads=1)
    jobs = [(path, e.configuration) for path in scores["paths"].tolist() for e in predictor.table.entries[::2]]
    alone = [predictor.predict(path, configuration=c, views=VIEWS).scores for path, c in jobs]
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(predictor.predict, path, configuration=c, views=VIEWS) for path, c in jobs]
        together = [future.result(timeout=120).scores for future in futures]
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)


def test_forward_passes_are_not_serialised(run_folder, scores):
    predictor = AdaptivePredictor.load(run_folder)
    meeting, build = threading.Barrier(2), predictor.deployment.build

    def meet(configuration):
        runner = build(configuration)

        class Meeting:
            description = runner.description

            def __call__(self, views):
                meeting.wait(timeout=30)  # BrokenBarrierError unless the other one is inside too
                return runner(views)

        return Meeting()

    held = AdaptivePredictor(replace(predictor.deployment, _build=meet))
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(held.predict, scores["paths"][0], configuration=FULL) for _ in range(2)]
        assert len({float(future.result().scores[0]) for future in futures}) == 1


def test_what_is_refused(predictor, scores, tmp_path):
    path, clip = scores["paths"][0], np.zeros((4, 48, 60, 3), np.uint8)
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    for error, message, source, options in (
        (VideoError, r"text\.mp4", text, {}),
        (VideoError, r"none\.mp4", tmp_path / "none.mp4", {}),
        (BudgetError, r"at most 1e-09 GMACs", path, {"max_gmacs": 1e-9}),
        (BudgetError, r"no configuration within", path, {"min_accuracy": 101}),
        (BudgetError, r"1\.0-32-4 and max_gmacs were given", path, {"configuration": FULL, "max_gmacs": 1.0}),
        (
            ConfigurationError,
            r"0\.7.* is not .* in the query table; it has",
            path,
            {"configuration": mn.Configuration(0.7, 20, 2)},
        ),
        (ConfigurationError, r"'1\.0-32-4'", path, {"configuration": "1.0-32-4"}),
        (DataError, r"top_k 0", path, {"top_k": 0}),
        (DataError, r"top_k True", path, {"top_k": True}),
        (DataError, r"top_k 2\.0", path, {"top_k": 2.0}),
        (DataError, r"float32 of shape", clip.astype(np.float32), {}),
        (DataError, r"uint8 of shape \(4, 48, 60\)", clip[..., 0], {}),
        (DataError, r"shape \(4, 48, 60, 4\)", np.zeros((4, 48, 60, 4), np.uint8), {}),
        (DataError, r"shape \(0, 48, 60, 3\)", clip[:0], {}),
        (DataError, r"a list; give a path", [clip], {}),
        (DataError, r"fps 0", clip, {"fps": 0}),
        (DataError, r"fps nan", clip, {"fps": float("nan")}),
        (ConfigError, r"NUM_SPATIAL_CROPS is 2", path, {"views": (1, 2)}),
        (ConfigError, r"NUM_ENSEMBLE_VIEWS is 0", clip, {"views": (0, 1)}),
    ):
        with pytest.raises(error, match=message):
            predictor.predict(source, **options)
    for frames in (clip[:0], clip[0], clip.astype(float), str(path)):
        with pytest.raises(DataError):
            predictor.predict_clip(frames)
    with pytest.raises(ConfigurationError, match="not a Configuration"):
        predictor.warm([mn.Configuration(0.7, 20, 2)])


def test_clips_too_short_for_the_slow_pathway(predictor):
    pathways = replace(predictor.deployment.pathways, alpha=4)
    slow = AdaptivePredictor(replace(predictor.deployment, pathways=pathways))
    with pytest.raises(DataError, match="a clip of 3 frames is too short: the Slow pathway needs at least 4"):
        slow.predict_clip(np.zeros((3, 48, 60, 3), np.uint8))


def test_detection_networks_are_refused(run_folder, scores):
    deployment = AdaptivePredictor.load(run_folder).deployment
    build = deployment.build

    def detecting(configuration):
        runner = build(configuration)
        runner.description = replace(runner.description, detects=True)
        return runner

    with pytest.raises(DeploymentError, match="is a detection network"):
        AdaptivePredictor(replace(deployment, _build=detecting)).predict(scores["paths"][0])


def test_neither_a_run_nor_an_export(tmp_path):
    with pytest.raises(DeploymentError, match="neither an export"):
        AdaptivePredictor.load(tmp_path)
