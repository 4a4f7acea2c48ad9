"""tools/predict_net.py: a line for each video, those that cannot be read named, a csv of all."""

import csv
import shutil

import pytest
from tiny import NUM_CLASSES

import mutualnet3d as mn
from mutualnet3d.commands.predict import main


@pytest.fixture
def some(tiny_data, tmp_path):
    """A folder with two videos, one of them below it, and a damaged one between them."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    shutil.copy(tiny_data / "video 8.mp4", tmp_path / "in" / "a, b.MP4")
    (tmp_path / "in" / "bad.mp4").write_bytes(b"no video")
    shutil.copy(tiny_data / "video 9.mp4", tmp_path / "in" / "deep" / "ü.mp4")
    return tmp_path / "in"


def table_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_with_a_damaged_video(tiny_run, some, tmp_path, capsys):
    output = tmp_path / "new" / "predictions.csv"
    words = ["--model", tiny_run, some, "--top-k", NUM_CLASSES, "--output", output, "--threads", 1]
    assert main(list(map(str, words))) == 1
    said = capsys.readouterr().out
    predictor = mn.AdaptivePredictor.load(tiny_run, threads=1)
    found = {row["video"]: row for row in table_of(output)}
    assert list(found) == [str(some / name) for name in ("a, b.MP4", "bad.mp4", "deep/ü.mp4")]
    assert f"{some / 'bad.mp4'}: cannot be read: " in said
    assert "1 of 3 videos cannot be read" in said
    for name in ("a, b.MP4", "deep/ü.mp4"):
        row = found[str(some / name)]
        expected = predictor.predict(some / name, views=(2, 3), top_k=NUM_CLASSES)  # as the run was tested
        assert row["configuration"] == str(expected.configuration)
        for place, (label, probability) in enumerate(expected.labels, start=1):
            assert row[f"label_{place}"] == label
            assert float(row[f"probability_{place}"]) == pytest.approx(probability, abs=2e-6)
        (line,) = [line for line in said.splitlines() if line.startswith(f"{some / name}: ")]
        assert line.startswith(f"{some / name}: {expected.labels[0][0]} {100 * expected.labels[0][1]:.1f} %")
    assert found[str(some / "bad.mp4")]["error"]
    assert found[str(some / "bad.mp4")]["label_1"] == ""


def test_budgets_lists_and_a_model_file(tiny_run, tiny_data, capsys):
    cheapest = mn.QueryTable.load(tiny_run / "query_table.json").entries[0]
    words = ["--model", str(tiny_run / "model.pyth"), str(tiny_data / "test.csv"), "--views", "1x1"]
    for budget in (["--max-gmacs", str(cheapest.gmacs)], ["--configuration", str(cheapest.configuration)]):
        assert main([*words, *budget]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(str(tiny_data))]
        assert len(lines) == 4
        assert all(line.endswith(f"({cheapest.configuration})") for line in lines)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--max-gmacs", "1e-9"], "BudgetError"),
        (["--configuration", "0.5-8-1"], "ConfigurationError"),
        (["--max-latency-ms", "1"], "QueryTableError"),
        (["--top-k", "0"], "DataError: top_k 0"),
        (["nowhere.csv"], "nowhere.csv: cannot be read"),
    ],
)
def test_errors(tiny_run, tiny_data, words, message, capsys):
    assert main(["--model", str(tiny_run), str(tiny_data / "video 8.mp4"), *words]) == 1
    assert message in capsys.readouterr().out


def test_wrong_usage(tiny_run, capsys):
    for words in (["--max-gmacs", "1", "--configuration", "1.0-32-4"], ["--views", "ten"]):
        with pytest.raises(SystemExit, match="2"):
            main(["x.mp4", "--model", str(tiny_run), *words])


def test_inputs_are_kept(tiny_run, some, tmp_path, capsys):
    listed = tmp_path / "list.csv"
    listed.write_text(f"{some / 'a, b.MP4'} 0\n")
    for given, output in ((some, some / "a, b.MP4"), (listed, listed)):
        before = output.read_bytes()
        assert main(["--model", str(tiny_run), str(given), "--output", str(output)]) == 1
        assert "would be overwritten" in "".join(capsys.readouterr())
        assert output.read_bytes() == before
