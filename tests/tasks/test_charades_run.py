"""Several labels from the lists to the table, against loops written out."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from task_runs import CLASSES, TABLE, charades_cfg, normalised

import mutualnet3d as mn
from mutualnet3d.data import build_entries
from mutualnet3d.data import test_dataset as dataset_of
from mutualnet3d.errors import ConfigError, DataError
from mutualnet3d.evaluation.charades_map import charades_map
from mutualnet3d.pipeline import run


def brute_force(model, cfg, configuration, views=10, crops=3):
    """The maximum over the views of one video after another: scores and labels (V, K)."""
    scores, labels = [], []
    for item in dataset_of(build_entries(cfg, "test"), cfg, views, crops):
        cut = [normalised(view.permute(3, 0, 1, 2), cfg) for view in item.views().stored()]
        assert len(cut) == views * crops
        with torch.no_grad():
            scores.append(torch.cat([model(view, configuration).sigmoid() for view in cut]).amax(0))
        labels.append(item.label)
    return torch.stack(scores), torch.stack(labels)


def test_values_are_those_of_a_loop_over_views(charades_run):
    model, cfg = mn.load_model(charades_run.output / "model.pyth"), charades_run.cfg
    results = json.loads((charades_run.output / "test_results.json").read_text())
    stored = np.load(charades_run.output / "test_scores.npz")
    assert charades_run.table.metric == results["metric"] == "map"
    assert (results["videos"], results["missing"], results["views"]) == (4, [], [10, 3])
    table = charades_run.table
    for configuration in (model.space.full, model.space.smallest):
        scores, labels = brute_force(model, cfg, configuration)
        number = stored["configurations"].tolist().index(str(configuration))
        np.testing.assert_allclose(stored["scores"][number], scores, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(stored["labels"], labels)
        official = charades_map(scores, labels)
        assert table[configuration].accuracy == pytest.approx(official.map, abs=1e-6)
        per_class = results["per_class"][str(configuration)]
        assert list(per_class.values()) == pytest.approx(official.per_class, abs=1e-6, nan_ok=True)
        macro = average_precision_score(labels, scores, average="macro")
        values = results["accuracies"][str(configuration)]
        assert values["macro_map"] == pytest.approx(100 * macro, abs=1e-6)
        assert set(values) == {"map", "weighted_map", "macro_map"}
    assert {e.configuration for e in table.entries} == set(map(mn.Configuration.parse, TABLE))


def test_log_and_report(charades_run):
    lines = [json.loads(line) for line in (charades_run.output / "log.jsonl").read_text().splitlines()]
    (line,) = [line for line in lines if line["type"] == "val"]
    assert (line["metric"], line["epoch"]) == ("map", 2)
    cfg = charades_run.cfg
    scores, labels = brute_force(mn.load_model(charades_run.output / "model.pyth"), cfg, None, 1, 1)
    assert line["map"] == pytest.approx(charades_map(scores, labels).map, abs=1e-6)
    assert all("top1" not in line for line in lines)
    page = (charades_run.output / "report.html").read_text()
    for text in ("mAP", "Average precision of each class", "10 x 3 views of 4 frames", "Classes are numbers"):
        assert text in page
    for text in ("top-1", "test_scores.npz cannot be read", "Test videos</a>", "None", "key frames"):
        assert text not in page


def test_names_of_the_classes_are_in_the_report(charades_run):
    from mutualnet3d.visualization import write_report

    path = charades_run.output / "named.html"
    names = charades_run.output / "names.json"
    names.write_text(json.dumps({name: label for label, name in enumerate(CLASSES)}))
    config = charades_run.output / "config.yaml"
    before = config.read_text()
    config.write_text(before.replace("CLASS_NAMES_PATH: ''", f"CLASS_NAMES_PATH: {names}"))
    page = write_report(charades_run.output, path).read_text()
    config.write_text(before)
    assert all(f">{name}</td>" in page for name in CLASSES)
    assert "Classes are numbers" not in page


def test_plain_training(charades_data, tmp_path):
    words = ["MUTUALNET.ENABLE", False, "SOLVER.MAX_EPOCH", 1, "TEST.NUM_ENSEMBLE_VIEWS", 2]
    cfg = charades_cfg("slowfast", charades_data, tmp_path / "plain", "frames", *words)
    (entry,) = run(cfg).entries
    model = mn.load_model(tmp_path / "plain" / "model.pyth")
    assert model.calibrated == (model.space.full,)
    assert entry.accuracy == pytest.approx(charades_map(*brute_force(model, cfg, None, 2)).map, abs=1e-6)


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["QUERY_TABLE.SEARCH_VIDEOS", 2], ConfigError, "which mAP does not allow"),
        (["MODEL.LOSS_FUNC", "cross_entropy"], ConfigError, "set bce or bce_logit, and sigmoid"),
        (["MODEL.HEAD_ACT", "softmax"], ConfigError, "set bce or bce_logit, and sigmoid"),
        (
            ["DATA.MULTI_LABEL", False, "MODEL.LOSS_FUNC", "cross_entropy", "MODEL.HEAD_ACT", "softmax"],
            ConfigError,
            "be True",
        ),
        (["CHARADES.TEST_FILE", "none.csv"], DataError, r"none\.csv: cannot be read"),
        (["CHARADES.TEST_FILE", "unlabelled.csv"], DataError, "none of the 1 videos of the val list has a label"),
    ],
)
def test_refused_before_training(charades_data, tmp_path, monkeypatch, overrides, error, message):
    (charades_data / "unlabelled.csv").write_text("id,actions\nv9,\n")
    monkeypatch.setattr("mutualnet3d.pipeline.train", lambda *_: pytest.fail("training began"))
    with pytest.raises(error, match=message):
        run(charades_cfg("slow", charades_data, tmp_path / "new", "segments", *overrides))
