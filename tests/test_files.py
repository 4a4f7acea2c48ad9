"""Folders that are either whole or absent."""

import os

import pytest

from mutualnet3d import files
from mutualnet3d.errors import DataError
from mutualnet3d.files import atomic_directory, refuse_overwriting


def contents(folder):
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_appears_when_it_is_done(tmp_path):
    with atomic_directory(tmp_path / "deep" / "out") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "deep" / "out").exists()
    assert contents(tmp_path) == {"deep/out/a": "1"}
    with atomic_directory(tmp_path / "deep" / "out") as folder:
        (folder / "b").write_text("2")
        assert contents(tmp_path / "deep" / "out") == {"a": "1"}
    assert contents(tmp_path) == {"deep/out/b": "2"}


def test_a_path_that_leads_elsewhere_is_where_it_leads(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    (target / "inner").mkdir(parents=True)
    (target / "a").write_text("1")
    link.symlink_to(target)
    with atomic_directory(link) as folder:
        (folder / "b").write_text("2")
    assert link.is_symlink()
    assert contents(target) == {"b": "2"}
    (tmp_path / "deep" / "inner").mkdir(parents=True)
    with atomic_directory(tmp_path / "deep" / "inner" / "..") as folder:
        (folder / "c").write_text("3")
    assert contents(tmp_path / "deep") == {"c": "3"}
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "new")
    with atomic_directory(dangling) as folder:
        (folder / "d").write_text("4")
    assert contents(tmp_path / "new") == {"d": "4"}
    assert sorted(os.listdir(tmp_path)) == ["dangling", "deep", "link", "new", "target"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(error, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("1")

    def stopped():
        with atomic_directory(tmp_path / "out") as folder:
            (folder / "b").write_text("2")
            raise error

    with pytest.raises(error):
        stopped()
    assert contents(tmp_path) == {"out/a": "1"}
    assert os.listdir(tmp_path) == ["out"]


def test_a_rename_that_fails_puts_back_what_was_there(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("1")
    replace, calls = os.replace, []

    def failing(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError("no room")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", failing)
    with pytest.raises(OSError, match="no room"), atomic_directory(tmp_path / "out"):
        pass
    assert contents(tmp_path) == {"out/a": "1"}
    assert os.listdir(tmp_path) == ["out"]


def test_what_is_read_is_not_written(tmp_path):
    (tmp_path / "in.mp4").write_bytes(b"a video")
    (tmp_path / "link").symlink_to(tmp_path)
    refuse_overwriting([tmp_path / "out.mp4", None], [tmp_path / "in.mp4", None, "0"])
    for outputs in (["in.mp4"], ["out.csv", "link/in.mp4"], ["out.mp4", "link/out.mp4"]):
        with pytest.raises(DataError, match=r"\.mp4: would be overwritten, .* (reads|writes) it; name another"):
            refuse_overwriting([tmp_path / name for name in outputs], [tmp_path / "in.mp4"])
