"""The comparison of methods: what a study trains, that its runs are made once, and what its page says."""

import os
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from mutualnet3d.commands.run import main as run_net
from mutualnet3d.config import load_config
from mutualnet3d.config.command_line import parse_arguments
from tests.data.image_files import write_folder
from tests.data.video_files import write_video
from tests.docs.doc_blocks import ROOT, commands_of

LEARNING = Path(__file__).resolve().parents[2] / "benchmarks" / "learning"
sys.path.insert(0, str(LEARNING))

import compare  # noqa: E402
import outcomes  # noqa: E402
import page  # noqa: E402
import runs  # noqa: E402
import studies  # noqa: E402
from studies import ARMS, GENERATED, MINI8, STUDIES  # noqa: E402

FOLD = [("DATA.PATH_TO_DATA_DIR", "data")]


def cfg_of(trial):
    arguments = parse_arguments(trial.run.command(Path("out")))
    return load_config(arguments.cfg_files, arguments.overrides)


@pytest.mark.parametrize(
    "study", [study for study in STUDIES.values() if (runs.ROOT / "configs/Demo" / study.recipe).exists()]
)
@pytest.mark.parametrize("kept", ["whole", "small"])
def test_arms_differ_in_the_method_alone(study, kept):
    study = studies.small(study) if kept == "small" else study
    made = studies.trials(study, [5], ARMS, FOLD)
    assert [trial.arm for trial in made] == ["independent"] * len(study.budgets) + ["mutual", "usnet", "multiscale"]
    assert len({trial.run.name for trial in made}) == len(made)
    cfgs = [cfg_of(trial) for trial in made]
    for trial, cfg in zip(made, cfgs, strict=True):
        assert (trial.arm, 5, study.epochs) == (cfg.MUTUALNET.METHOD, cfg.RNG_SEED, cfg.SOLVER.MAX_EPOCH)
        assert tuple(cfg.QUERY_TABLE.CONFIGURATIONS) == trial.evaluated
        assert Path(cfg.OUTPUT_DIR) == Path("out") / trial.run.name
        cfg.MUTUALNET.METHOD, cfg.MUTUALNET.FIXED, cfg.QUERY_TABLE.CONFIGURATIONS, cfg.OUTPUT_DIR = "mutual", "", [], ""
        assert ("random" if trial.arm == "mutual" else "auto") == cfg.MUTUALNET.SMALLEST
        assert (0 if trial.arm == "independent" else study.label_epochs) == cfg.MUTUALNET.LABEL_EPOCHS
        cfg.MUTUALNET.SMALLEST, cfg.MUTUALNET.LABEL_EPOCHS = "auto", 0.0
    assert len({cfg.dump() for cfg in cfgs}) == 1
    for name, words in studies.VARIANTS.items():
        (trial,) = studies.trials(study, [5], [name], FOLD)
        node = cfg_of(trial).MUTUALNET
        assert (node.METHOD, node[words[0].split(".")[1]]) == ("mutual", words[1])
    (usnet,) = [trial for trial in made if trial.arm == "usnet"]
    assert set(usnet.evaluated) == {*study.budgets, *studies.at_full(study)}


@pytest.fixture(autouse=True)
def environment():
    """Runs set variables for the processes that they start; other tests must not see them."""
    with mock.patch.dict(os.environ):
        yield


def test_folds_keep_films_apart_and_test_every_clip_once(shared_data):
    lists = [(shared_data / "jhmdb" / "splits" / "mini8" / f"{part}.csv").read_text() for part in studies.LISTS]
    lines = "".join(lists).splitlines()
    folds = studies.split_by_film(lines, MINI8.folds)
    assert sorted(line for _, test in folds for line in test) == sorted(lines)
    assert len(lines) == 381
    for train, test in folds:
        assert sorted(train + test) == sorted(lines)
        films = [{Path(line.split()[0]).stem.rpartition("_c")[0] for line in part} for part in (train, test)]
        assert not films[0] & films[1]
        assert len(test) == pytest.approx(381 / MINI8.folds, abs=12)
        assert {line.split()[1] for line in test} == {str(label) for label in range(8)}


def made_up(right_of, arms=ARMS):
    """Outcomes of two seeds and two folds; ``right_of(arm, configuration, path)`` -> probability of a hit."""
    rng, results, hits = np.random.default_rng(0), [], {}
    for arm in arms:
        texts = [*MINI8.budgets, *studies.at_full(MINI8)] if arm == "usnet" else MINI8.budgets
        for seed in (0, 1):
            for text in dict.fromkeys(texts):
                hits[arm, seed, text] = {}
                for fold in (0, 1):
                    new = {f"{fold}/{i}": float(rng.random() < right_of(arm, text)) for i in range(100)}
                    right = int(sum(new.values()))
                    gmacs = 0.1 * float(text.split("-")[0]) * int(text.split("-")[1]) / 64
                    results.append(outcomes.Result(arm, seed, fold, text, gmacs, right, 100, float(right)))
                    hits[arm, seed, text] |= new
    trainings = [outcomes.Training(arm, s, f, "n", 500.0, 7.0, 10) for arm in arms for s in (0, 1) for f in (0, 1)]
    return outcomes.Outcomes(results, trainings, hits)


def test_folds_are_pooled_by_seed():
    found = made_up(lambda arm, text: 0.5)
    for seed, accuracy in enumerate(outcomes.by_seed(found.results, "mutual", MINI8.budgets[0])):
        assert accuracy == pytest.approx(100 * np.mean(list(found.hits["mutual", seed, MINI8.budgets[0]].values())))
    assert outcomes.cost_by_arm(found.trainings)["usnet"] == (1.0, 14.0)  # two folds of a seed


def test_differences_against_plain_arithmetic():
    found = made_up(lambda arm, text: 0.8 if arm == "mutual" else 0.5)
    text = MINI8.budgets[2]
    gap = outcomes.difference(found.hits, "mutual", "independent", [text])
    means = [np.mean([list(found.hits[arm, s, text].values()) for s in (0, 1)]) for arm in ("mutual", "independent")]
    assert gap.mean == pytest.approx(100 * (means[0] - means[1]))
    # the difference of two means of 200 items and 2 seeds: sqrt((0.8 * 0.2 + 0.5 * 0.5) / 400) = 3.2 points
    assert gap.high - gap.low == pytest.approx(2 * 1.96 * 3.2, rel=0.15)
    assert gap.verdict == "better"
    assert outcomes.difference(found.hits, "independent", "mutual", [text]).verdict == "worse"
    assert outcomes.difference(found.hits, "usnet", "independent", MINI8.budgets).verdict == "not told apart"


def test_page(tmp_path):
    text = page.write_page(MINI8, made_up(lambda arm, text: 0.8 if arm == "mutual" else 0.5), ARMS, tmp_path)
    assert (tmp_path / "page.md").read_text() == text
    assert (tmp_path / "accuracy_gmacs.png").read_bytes()[-8:-4] == b"IEND"
    assert "one mutual network is better than the 4 independent ones" in text
    assert "took 100 % of their multiply-adds" in text
    assert "| mutual | 1 | 14 |" in text
    assert "| 0.8-48-8 (widths alone) |" in text
    assert text.count(" better |") >= 10


def test_page_of_every_variant(tmp_path):
    arms = ("usnet", *studies.VARIANTS)
    text = page.write_page(MINI8, made_up(lambda arm, text: 0.5, arms), arms, tmp_path)
    titles = [page.NAMES[arm] for arm in arms]
    assert len(set(titles)) == len(arms)
    assert all(f"\n| {title} | 1 | 14 |" in text for title in titles)


def words_of_the_page(number: int, output: Path) -> list[str]:
    """Of that command of docs/learning.md, for a test."""
    page_file = ROOT / "docs" / "learning.md"
    commands = [each for each in commands_of(page_file) if each.program == "benchmarks/learning/compare.py"]
    assert len(commands) == 3
    words = [str(output) if word == "outputs/compare" else word for word in commands[number].words]
    return [*words, "--seeds", "0", "--small", "--jobs", "1"]


def test_a_small_study_is_made_once(tmp_path, capsys):
    words = [*words_of_the_page(1, tmp_path), "--arms", "independent", "mutual"]
    commands = []

    def in_this_process(command, folder, threads):
        commands.append(folder.name)
        assert run_net([*command, "RESNET.WIDTH_PER_GROUP", "8"]) == 0

    assert compare.main(words, in_this_process) == 0
    assert commands == ["mutual", "independent_1.0-48-8", "independent_0.63-32-3"]
    rows = (tmp_path / "generated" / "results.csv").read_text().splitlines()
    assert rows[0].startswith("arm,seed,fold,configuration,gmacs,right,videos")
    found = {tuple(row.split(",")[i] for i in (0, 3)) for row in rows[1:]}
    both = ("independent", "mutual", "uncalibrated", "switched")
    assert found == {(arm, text) for arm in both for text in ("1.0-48-8", "0.63-32-3")}
    assert len(rows) == 9
    page_text = (tmp_path / "generated" / "page.md").read_text()
    assert "| configuration | mutual | mutual, full's statistics | independent full, calibrated |" in page_text
    full = {row.split(",")[0]: row.split(",")[5] for row in rows if ",1.0-48-8," in row}
    assert full["mutual"] == full["uncalibrated"]  # the same weights, and full's own statistics
    assert full["independent"] == full["switched"]
    assert len((tmp_path / "generated" / "trainings.csv").read_text().splitlines()) == 4
    (tmp_path / "generated/seed_0/fold_0/mutual" / runs.DONE).unlink()
    assert compare.main(words, in_this_process) == 0
    assert commands[3:] == ["mutual"]
    assert compare.main([*words, "--summary"], None) == 0
    assert "not told apart" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=r"holds another run.*choose another --output"):
        compare.main([*words, "--epochs", "2"], None)


def test_all_studies_of_the_page(tmp_path, monkeypatch):
    """On few images and clips, which have the folders and lists of the real ones."""
    data = tmp_path / "data"
    write_folder(data / "cifar10_jpeg_mini", {"train": 7, "test": 2}, [str(number) for number in range(10)])
    lines = []
    for label in range(8):
        for number in range(6):
            path = data / "jhmdb" / f"{label}" / f"film{label}{number}_c1.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, 24, (64, 64))
            lines.append(f"{path.relative_to(data / 'jhmdb')} {label}\n")
    (data / "jhmdb/splits/mini8").mkdir(parents=True)
    for part, chosen in (("train", lines[::2]), ("val", lines[1::4]), ("test", lines[3::4])):
        (data / "jhmdb/splits/mini8" / f"{part}.csv").write_text("".join(chosen))
    monkeypatch.setenv("MUTUALNET3D_DATA", str(data))

    def in_this_process(command, folder, threads):
        assert run_net([*command, "DATA_LOADER.NUM_WORKERS", "0"]) == 0

    every = tmp_path / "every"
    assert compare.main([*words_of_the_page(0, every), "--arms", "mutual", "usnet"], in_this_process) == 0
    rows = (every / "mini8/results.csv").read_text().splitlines()[1:]
    assert sum(int(row.split(",")[6]) for row in rows if row.startswith("mutual,0,") and ",1.0-48-8," in row) == len(
        lines
    )
    assert (every / "generated/page.md").exists()
    assert "1.0-32" in (every / "cifar/page.md").read_text()
    assert compare.main(words_of_the_page(2, tmp_path / "variants"), in_this_process) == 0
    text = (tmp_path / "variants/cifar/page.md").read_text()
    assert all(page.NAMES[arm] in text for arm in ("mutual", "kl_1", "labels"))


def test_runs_that_fail_say_why(tmp_path):
    run = runs.Run("broken", studies.ROOT / "configs/Demo" / GENERATED.recipe, ("MODEL.NUM_CLASES", 2))
    with pytest.raises(SystemExit, match=r"status 1:\n(.*\n)*.*NUM_CLASSES"):
        runs.finish([run], tmp_path)
    assert not run.is_finished(tmp_path)


def test_one_that_fails_stops_those_that_have_not_begun(tmp_path):
    begun = []

    def fail(command, folder, threads):
        begun.append(folder.name)
        if len(begun) > 1:  # had begun before the failure was noticed
            time.sleep(1)
        raise SystemExit("broken")

    several = [runs.Run(name, studies.ROOT / "configs/Demo" / GENERATED.recipe, ()) for name in ("a", "b", "c")]
    with pytest.raises(SystemExit, match="broken"):
        runs.finish(several, tmp_path, execute=fail)
    assert len(begun) < 3
