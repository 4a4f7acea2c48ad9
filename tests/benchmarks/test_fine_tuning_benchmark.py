"""benchmarks/learning/fine_tuning.py on a part of the real data: what it trains on, what it writes, what it keeps."""

import csv
import sys
from pathlib import Path

import fine_tuning
import movie_data
import pytest

from mutualnet3d.data.charades_list import read_segments
from mutualnet3d.data.decode import open_video
from mutualnet3d.errors import DataError
from tests.docs.doc_blocks import ROOT, commands_of


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("fine tuning")


def start(monkeypatch, shared_data, output, *words):
    monkeypatch.setenv("MUTUALNET3D_DATA", str(shared_data))
    monkeypatch.setattr(sys, "argv", ["fine_tuning.py", "--output", str(output), "--seeds", "0", *words])
    return fine_tuning.main()


def test_everything_is_trained_once(shared_data, output, monkeypatch, capsys):
    """By the two commands of docs/fine_tuning.md."""
    training, summary = (
        [each for each in command.words if each not in ("--output", "outputs/fine_tuning")]
        for command in commands_of(ROOT / "docs/fine_tuning.md")
        if command.program == "benchmarks/learning/fine_tuning.py"
    )
    assert (training, summary) == ([], ["--summary"])
    assert start(monkeypatch, shared_data, output, "--small", *training) == 0
    printed = capsys.readouterr().out
    assert "| detection | random scores |" in printed
    assert "| detection | slow | adaptive at full - plain |" in printed
    with (output / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for task in fine_tuning.TASKS:
        for arm in fine_tuning.SMALL.arms:
            found = [row for row in rows if (row["task"], row["arm"]) == (task, arm)]
            assert len(found) == (8 if arm == "adaptive" else 1)
            assert all(0 <= float(row["map"]) <= 100 for row in found)
    assert (output / "map_gmacs.png").read_bytes().startswith(b"\x89PNG")

    before = (output / "table.md").read_text()
    monkeypatch.setattr(fine_tuning, "run", lambda cfg: pytest.fail(f"{cfg.OUTPUT_DIR} is trained again"))
    for words in (training, summary):
        assert start(monkeypatch, shared_data, output, "--small", *words) == 0
        assert (output / "table.md").read_text() == before


def test_parts_have_the_labels_of_the_movies(shared_data, output):
    """The segments of a part, moved back to the movie's time, are the movie's."""
    movies = {video.path: video for video in read_segments(shared_data / "jhmdb_movies/charades/segments.csv", "", 8)}
    for split in movie_data.PARTS:
        parts = read_segments(output / "data" / "parts" / f"{split}.csv", str(output / "data" / "parts"), 8)
        assert len(parts) == {"train": 11, "val": 6}[split] * fine_tuning.SMALL.amount.movies
        for part in parts:
            name, _, first = Path(part.path).stem.rpartition("_")
            begin = (movie_data.FIRST_FRAME + movie_data.SLOT * int(first)) / movie_data.FPS
            moved = [(label, start + begin, end + begin) for label, start, end in part.segments]
            whole = movies[f"{name}.mp4"].segments[int(first) : int(first) + 2]
            for found, expected in zip(moved, whole, strict=True):
                assert found == pytest.approx(expected, abs=0.011)
            with open_video(part.path, "pyav") as video:
                assert (video.num_frames, min(video.height, video.width)) == (120, movie_data.SHORT_SIDE)


def test_a_film_on_both_sides_is_refused(shared_data):
    """The movies' own test clips are of other films than the single-label lists; any clip of those lists is not."""
    slots = movie_data.read_slots(shared_data / "jhmdb_movies" / "slots.csv")
    tested = [slot.clip for name, of in slots.items() if "_val_" in name for slot in of]
    assert len(tested) == 108
    movie_data.check_films(shared_data, tested)
    first, _ = next(movie_data.read_list(shared_data / "jhmdb/splits/mini8/train.csv"))
    with pytest.raises(DataError, match="is of a film that the test movies show"):
        movie_data.check_films(shared_data, [*tested, first])


def test_nothing_to_summarise(shared_data, monkeypatch, tmp_path, capsys):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "complete").write_text(str(fine_tuning.SMALL.amount))
    assert start(monkeypatch, shared_data, tmp_path, "--summary", "--small") == 1
    assert "holds no finished run of these seeds" in "".join(capsys.readouterr())


def test_data_and_runs_of_another_plan_are_refused(shared_data, monkeypatch, output, tmp_path, capsys):
    assert start(monkeypatch, shared_data, output) == 1
    assert "holds Amount(movies=2, clips=16), wanted is Amount(movies=None" in "".join(capsys.readouterr())
    cfg = fine_tuning.source_cfg("slow", fine_tuning.SMALL, output)
    cfg.SOLVER.MAX_EPOCH += 1
    with pytest.raises(DataError, match="holds a run of another config"):
        fine_tuning.run_once(cfg)
