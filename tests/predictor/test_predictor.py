"""AdaptivePredictor on runs and exports: the evaluation's scores, budgets, frames in memory, refusals."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from data.video_files import decode_all, write_video
from tiny import CROP, NUM_FRAMES, RATE, ROOT, tiny_cfg, write_export

import mutualnet3d as mn
from mutualnet3d.calibration import discard_statistics
from mutualnet3d.deployment import open_deployment
from mutualnet3d.errors import BudgetError, ConfigurationError, DataError, DeploymentError, QueryTableError, VideoError
from mutualnet3d.evaluation.result import load_scores
from mutualnet3d.files import sha256
from mutualnet3d.models.artefact import save_model
from mutualnet3d.pipeline import run
from mutualnet3d.query_table import QueryTable

FULL, SMALLEST = mn.Configuration(1.0, CROP, NUM_FRAMES), mn.Configuration(0.63, 20, 2)


@pytest.fixture(scope="module", params=["run", "export"])
def directory(request):
    return request.getfixturevalue(f"tiny_{request.param}")


@pytest.fixture(scope="module")
def predictor(directory):
    return mn.AdaptivePredictor.load(directory, threads=1, max_networks=8)


@pytest.fixture(scope="module")
def video(tiny_data):
    return tiny_data / "video 9.mp4"


def retest(tiny_run, tiny_data, output, *overrides):
    """Another test of the same network, into ``output``."""
    places = ["DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(output), "TRAIN.ENABLE", False]
    weights = ["TEST.CHECKPOINT_FILE_PATH", str(tiny_run / "model.pyth")]
    run(tiny_cfg(*places, *weights, "TEST.NUM_ENSEMBLE_VIEWS", 2, "TEST.NUM_SPATIAL_CROPS", 3, *overrides))
    return output


def check_scores(predictor, output, views):
    result = load_scores(output / "test_scores.npz")
    assert len(result.paths) == 4
    assert len(result.configurations) == 8
    for configuration, scores in zip(result.configurations, result.scores, strict=True):
        for path, expected in zip(result.paths, scores, strict=True):
            prediction = predictor.predict(path, configuration=configuration, views=views)
            assert prediction.configuration == configuration
            torch.testing.assert_close(prediction.scores, expected, atol=1e-5, rtol=1e-5)


def test_scores_are_those_of_the_evaluation(predictor, tiny_run):
    check_scores(predictor, tiny_run, (2, 3))


@pytest.mark.parametrize("method", ["sum", "max"])
def test_many_views_are_joined_over_passes(method, predictor, tiny_run, tiny_data, tmp_path):
    """12 views make two passes."""
    extra = ["TEST.NUM_ENSEMBLE_VIEWS", 4, "DATA.ENSEMBLE_METHOD", method]
    output = retest(tiny_run, tiny_data, tmp_path / "again", *extra)
    check_scores(mn.AdaptivePredictor.load(output, max_networks=8), output, (4, 3))


def test_sigmoid_networks_give_sigmoids(tiny_run, tiny_data, tmp_path):
    output = retest(tiny_run, tiny_data, tmp_path / "sigmoid", "MODEL.HEAD_ACT", "sigmoid")
    check_scores(mn.AdaptivePredictor.load(output, max_networks=8), output, (2, 3))
    export = write_export(output, tmp_path / "export", latency=False)
    check_scores(mn.AdaptivePredictor.load(export, max_networks=8), output, (2, 3))


def test_labels_are_mean_probabilities_by_name(predictor, video):
    one = predictor.predict(video, configuration=FULL, top_k=2)
    assert torch.isclose(one.scores.sum(), torch.tensor(1.0))
    many = predictor.predict(video, configuration=FULL, top_k=9, views=(2, 3))
    assert torch.isclose(many.scores.sum(), torch.tensor(6.0))
    for prediction, views, count in ((one, 1, 2), (many, 6, 3)):
        order = prediction.scores.argsort(descending=True).tolist()[:count]
        assert [name for name, _ in prediction.labels] == [("red", "green", "blue")[i] for i in order]
        expected = [float(prediction.scores[i]) / views for i in order]
        assert [p for _, p in prediction.labels] == pytest.approx(expected)


def test_labels_are_maxima_where_the_evaluation_took_them(tiny_run, tiny_data, tmp_path, video):
    output = retest(tiny_run, tiny_data, tmp_path / "max", "DATA.ENSEMBLE_METHOD", "max")
    prediction = mn.AdaptivePredictor.load(output).predict(video, views=(2, 3), top_k=1)
    assert prediction.labels[0][1] == pytest.approx(float(prediction.scores.max()))
    assert prediction.labels[0][1] <= 1.0


def test_an_unknown_ensembling_is_refused(tiny_export):
    deployment = open_deployment(tiny_export)
    table = replace(deployment.table, provenance={**deployment.table.provenance, "ensemble": "median"})
    with pytest.raises(QueryTableError, match="'median' in the query table is not one of sum, max"):
        mn.AdaptivePredictor(replace(deployment, table=table))


def described(deployment, **changes):
    return replace(deployment, description=replace(deployment.description, **changes))


def test_what_is_for_the_other_kind_of_network_is_refused(tiny_export, video):
    deployment = open_deployment(tiny_export)
    with pytest.raises(DeploymentError, match=r"classifies whole videos and knows no boxes: use predict\(source\)"):
        mn.AdaptivePredictor(deployment).detect(video, [[0, 0, 9, 9]])
    detector = mn.AdaptivePredictor(described(deployment, detects=True))
    for predict in (detector.predict, detector.predict_clip):
        with pytest.raises(DeploymentError, match=r"use detect\(source, boxes\)"):
            predict(np.zeros((4, 32, 32, 3), np.uint8))


def test_other_class_names_are_counted(tiny_export, video):
    deployment = open_deployment(tiny_export)
    named = mn.AdaptivePredictor(deployment.with_classes(["a", "b", "c"])).predict(video)
    assert {name for name, _ in named.labels} == {"a", "b", "c"}
    with pytest.raises(DataError, match="2 class names for a network of 3 classes"):
        mn.AdaptivePredictor(deployment.with_classes(["a", "b"])).predict(video)


def test_a_threshold_names_what_reaches_it(predictor, video):
    scores = predictor.predict(video, configuration=FULL).scores
    second = float(scores.sort(descending=True).values[1])
    assert len(predictor.predict(video, configuration=FULL, threshold=second).labels) == 2
    assert len(predictor.predict(video, configuration=FULL, threshold=second, top_k=1).labels) == 1
    assert predictor.predict(video, configuration=FULL, threshold=1.0).labels == ()


def test_budgets_choose_as_the_table_does(predictor, video):
    table = predictor.table
    for budget in sorted(entry.gmacs for entry in table.entries):
        assert predictor.predict(video, max_gmacs=budget).entry == table.best(max_gmacs=budget)
    assert predictor.choose() == table.best()
    lowest = min(entry.accuracy for entry in table.entries)
    assert predictor.predict(video, min_accuracy=lowest).entry == table.best(min_accuracy=lowest)
    assert predictor.choose(configuration=SMALLEST).configuration == SMALLEST


def test_budgets_that_cannot_be_met(predictor, video):
    cheapest = predictor.table.entries[0]
    with pytest.raises(BudgetError, match=f"cheapest is {cheapest.configuration} at"):
        predictor.predict(video, max_gmacs=cheapest.gmacs / 2)
    with pytest.raises(BudgetError, match=r"configuration 1.0-32-4 and max_gmacs, min_accuracy were given"):
        predictor.predict(video, max_gmacs=1.0, min_accuracy=1.0, configuration=FULL)
    for wrong in (mn.Configuration(0.7, 20, 2), "1.0-32-4"):
        with pytest.raises(ConfigurationError, match=r"not a Configuration in the query table; it has 0.63-20-2"):
            predictor.predict(video, configuration=wrong)


def test_latency_budgets_need_latencies_of_this_target(tiny_run, tiny_export, video):
    slowest = max(mn.AdaptivePredictor.load(tiny_export, threads=1).table.entries, key=lambda e: e.latency_ms)
    measured = mn.AdaptivePredictor.load(tiny_export, threads=1).predict(video, max_latency_ms=slowest.latency_ms)
    assert measured.entry.latency_ms <= slowest.latency_ms
    for directory, threads in ((tiny_run, 1), (tiny_export, 2)):  # never measured; measured with another number
        with pytest.raises(QueryTableError, match="no latencies that were measured with this backend"):
            mn.AdaptivePredictor.load(directory, threads=threads).predict(video, max_latency_ms=1e6)


def test_a_table_that_was_measured_in_part_has_no_latencies(tiny_export, tmp_path, video):
    """A budget must not silently leave out what nobody measured."""
    partly = shutil.copytree(tiny_export, tmp_path / "partly")
    table = QueryTable.load(partly / "query_table.json")
    first = replace(table.entries[0], latency_ms=None, latencies=())
    replace(table, entries=(first, *table.entries[1:])).save(partly / "query_table.json")
    predictor = mn.AdaptivePredictor.load(partly, threads=1)
    with pytest.raises(QueryTableError, match="give max_gmacs"):
        predictor.choose(max_latency_ms=1e6)
    assert predictor.choose(max_gmacs=1e6) == predictor.table.best()


def test_uncalibrated_and_other_directories(tiny_run, tmp_path):
    model, cfg = mn.load_model(tiny_run / "model.pyth"), tiny_cfg()
    discard_statistics(model, [SMALLEST])
    save_model(tmp_path / "model.pyth", model, cfg)
    table = QueryTable.load(tiny_run / "query_table.json")
    provenance = table.provenance | {"model_sha256": sha256(tmp_path / "model.pyth")}
    replace(table, provenance=provenance).save(tmp_path / "query_table.json")
    with pytest.raises(mn.NotCalibratedError, match=str(SMALLEST)):
        mn.AdaptivePredictor.load(tmp_path)
    with pytest.raises(DeploymentError, match="neither an export"):
        mn.AdaptivePredictor.load(tmp_path / "nowhere")


def test_videos_that_cannot_be_read_are_named(predictor, tmp_path):
    text, empty = tmp_path / "text.mp4", tmp_path / "empty.mp4"
    text.write_text("no video\n" * 99)
    empty.touch()
    for path in (text, empty, tmp_path / "absent.mp4"):
        with pytest.raises(VideoError, match=path.name):
            predictor.predict(path)


def test_frames_in_memory_equal_the_file(predictor, video):
    frames = decode_all(video)
    with_file = predictor.predict(video, configuration=FULL, views=(3, 3))
    assert with_file.times.decode_ms > 0
    mirrored = frames[:, :, ::-1].copy()[:, :, ::-1]  # the same pixels with a negative stride
    for source in (frames, torch.from_numpy(frames), mirrored):
        in_memory = predictor.predict(source, configuration=FULL, views=(3, 3))
        assert torch.equal(in_memory.scores, with_file.scores)
        assert in_memory.times.decode_ms == 0
    assert not torch.equal(predictor.predict(frames, configuration=FULL, fps=90.0).scores, with_file.scores)


def test_other_rates_follow_the_file(predictor, tmp_path):
    path = write_video(tmp_path / "50.mp4", 60, fps=50)
    expected = predictor.predict(path, configuration=FULL, views=(2, 1)).scores
    assert torch.equal(predictor.predict(decode_all(path), configuration=FULL, views=(2, 1), fps=50).scores, expected)


def test_a_single_frame_is_enough(predictor, video):
    frames = decode_all(video)[:1]
    still = np.repeat(frames, NUM_FRAMES, axis=0)
    one = predictor.predict(frames, configuration=FULL).scores
    torch.testing.assert_close(one, predictor.predict_clip(still, configuration=FULL).scores)


def test_a_clip_is_the_centre_view(predictor, video):
    """The first view of a video takes frames floor(linspace(0, span - 1, T))."""
    frames = decode_all(video)
    chosen = frames[np.floor(np.linspace(0, RATE * NUM_FRAMES - 1, NUM_FRAMES)).astype(int)]
    expected = predictor.predict(video, configuration=FULL)
    clip = predictor.predict_clip(torch.from_numpy(chosen), max_gmacs=1e6, top_k=1)
    assert clip.entry == predictor.table.best(max_gmacs=1e6)
    clip = predictor.predict_clip(chosen, configuration=FULL)
    torch.testing.assert_close(clip.scores, expected.scores)
    longer = predictor.predict_clip(frames[: 2 * NUM_FRAMES], configuration=SMALLEST)  # temporal scales with it
    assert torch.isfinite(longer.scores).all()


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.zeros((4, 32, 32, 3), np.float32), "float32 of shape"),
        (torch.zeros(4, 32, 32, 3, dtype=torch.bfloat16), "bfloat16 of shape"),
        (np.zeros((4, 3, 32, 32), np.uint8), r"give uint8 \(T, H, W, 3\)"),
        (np.zeros((32, 32, 3), np.uint8), r"\(32, 32, 3\)"),
        (np.zeros((0, 32, 32, 3), np.uint8), r"\(0, 32, 32, 3\)"),
        (np.zeros((4, 0, 32, 3), np.uint8), r"\(4, 0, 32, 3\)"),
        ([[0]], "frames are a list"),
    ],
)
def test_other_frames_are_refused(predictor, frames, said):
    for predict in (predictor.predict, predictor.predict_clip):
        with pytest.raises(DataError, match=said):
            predict(frames)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"top_k": k} for k in (0, -1, 1.0, True, "5")),
        *({"threshold": t} for t in (-0.1, 1.1, float("nan"), "0.5", True)),
        *({"fps": fps} for fps in (0, -1.0, float("nan"), float("inf"), "30", None, True)),
        *({"views": views} for views in ((0, 1), (1, 2), (1, 0), (1,), 3, (1.0, 1), (True, 1), None)),
    ],
)
def test_arguments_out_of_bounds_are_named(predictor, wrong):
    (name,) = wrong
    with pytest.raises(DataError, match=name):
        predictor.predict(np.zeros((4, 32, 32, 3), np.uint8), **wrong)


def test_too_short_a_clip_for_the_slow_pathway(tiny_export):
    deployment = open_deployment(tiny_export)
    predictor = mn.AdaptivePredictor(described(deployment, pathways=replace(deployment.pathways, alpha=4)))
    with pytest.raises(DataError, match="a clip of 3 frames is too short: the Slow pathway needs at least 4"):
        predictor.predict_clip(np.zeros((3, 32, 32, 3), np.uint8))


def test_the_door(directory, video):
    p = mn.AdaptivePredictor.load(directory)
    cheapest = p.table.entries[0].gmacs
    prediction = p.predict(str(video), max_gmacs=max(5.0, cheapest), top_k=5)
    assert len(prediction.labels) == 3
    assert prediction.times.latency_ms == prediction.times.preprocess_ms + prediction.times.network_ms > 0
    assert prediction.times.switch_ms > 0
    assert p.predict(video, max_gmacs=5.0).times.switch_ms == 0
    assert p.switching.built == 1


def test_exports_need_neither_pyslowfast_nor_fvcore(tiny_export, video):
    code = f"""
import sys
blocked = ("slowfast", "fvcore", "pytorchvideo", "iopath", "matplotlib", "mutualnet3d.models", "mutualnet3d.training")
class Block:
    def find_spec(self, name, path=None, target=None):
        if name in blocked or name.startswith(tuple(b + "." for b in blocked)):
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Block())
import mutualnet3d as mn
import mutualnet3d.predictor
p = mn.AdaptivePredictor.load({str(tiny_export)!r})
print(p.predict({str(video)!r}, max_gmacs=5.0, top_k=1).labels[0][0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("red", "green", "blue")
