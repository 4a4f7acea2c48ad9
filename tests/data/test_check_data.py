"""The checking of videos; its command: test_check_data_command.py."""

import multiprocessing
import os
import re
import signal
import time

import pytest
from video_files import write_video

from mutualnet3d.data import check
from mutualnet3d.data.file_names import is_image
from mutualnet3d.errors import DataError


def test_a_good_video(videos):
    report = check.check_video(str(videos[5]))
    assert (report.status, report.frames, report.fps, report.seconds) == ("ok", 25, 30.0, 0.833)
    assert (report.height, report.width) == (64, 48)
    assert report.reason is None
    assert report.note is None


def test_a_cut_off_video_is_usable_with_a_note(tmp_path):
    options = {"options": {"g": "12"}, "container_options": {"movflags": "faststart"}}
    data = write_video(tmp_path / "video.mp4", 60, **options).read_bytes()
    (tmp_path / "video.mp4").write_bytes(data[: len(data) * 2 // 3])
    report = check.check_video(str(tmp_path / "video.mp4"))
    assert report.status == "ok"
    assert report.note == f"the container promises 60 frames, {report.frames} decode"


def test_a_bad_video(broken):
    report = check.check_video(str(broken))
    assert (report.status, report.frames) == ("unusable", None)
    assert "not a readable video" in report.reason


def crash(sender, path, backend):
    os.kill(os.getpid(), signal.SIGKILL)


def hang(sender, path, backend):
    time.sleep(60)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    ("stand_in", "reason"), [(crash, r"crashed \(exit code -9\)"), (hang, "takes more than 1 seconds")]
)
def test_a_decoder_that_crashes_or_hangs(monkeypatch, videos, stand_in, reason):
    monkeypatch.setattr(check, "_send_report", stand_in)
    report = check._check_apart(multiprocessing.get_context("fork"), str(videos[0]), "pyav", time_limit=1)
    assert report.status == "unusable"
    assert re.search(reason, report.reason)


def test_paths_of_a_csv(tmp_path, videos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists" / "mini").mkdir(parents=True)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a b.mp4").write_bytes(videos[0].read_bytes())
    csv = tmp_path / "lists" / "mini" / "train.csv"
    csv.write_text("videos/a b.mp4 0\nvideos/gone.mp4 1\n")
    assert check.list_videos([str(csv), "c.mp4"]) == ["./videos/a b.mp4", "./videos/gone.mp4", "c.mp4"]
    assert check.list_videos([str(csv)], prefix="/p") == ["/p/videos/a b.mp4", "/p/videos/gone.mp4"]
    (tmp_path / "x.csv").write_text("gone.mp4,0\n")
    assert check.list_videos(["x.csv"], separator=",") == ["gone.mp4"]
    with pytest.raises(DataError):
        check.list_videos(["missing.csv"])


def test_folders_stand_for_files_of_a_kind(tmp_path):
    for name in ("a.MP4", "b.png", ".hidden.mp4", "notes.txt", "deep/c.m2ts", "folder.mp4/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    whole = {str(tmp_path / name) for name in ("a.MP4", "deep/c.m2ts", "b.png", "folder.mp4/d.jpg")}
    assert set(check.list_videos([str(tmp_path)])) == whole
    assert set(check.list_videos([str(tmp_path)], kinds=[is_image])) == {p for p in whole if p.endswith(("png", "jpg"))}
    with pytest.raises(DataError, match="deep: holds no images; name files"):
        check.list_videos([str(tmp_path / "deep")], kinds=[is_image])
