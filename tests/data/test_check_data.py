"""The checking of videos, and its command."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from image_files import write_folder
from video_files import write_video

from mutualnet3d.data import check
from mutualnet3d.data.names import is_image
from mutualnet3d.errors import DataError

TOOL = Path(__file__).resolve().parents[2] / "tools" / "check_data.py"


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


def run_tool(*arguments):
    command = [sys.executable, "-W", "ignore", str(TOOL), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(TOOL.parents[1])}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)


def test_the_command(videos, broken, tmp_path):
    result = run_tool(videos[0], broken, videos[5], "--workers", 2, "--unusable", tmp_path / "bad.txt")
    reports = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 1, result.stderr
    assert [report["status"] for report in reports] == ["ok", "unusable", "ok"]
    assert [report["path"] for report in reports] == [str(videos[0]), str(broken), str(videos[5])]
    length = reports[0]["seconds"] + reports[2]["seconds"]
    frames = reports[0]["frames"] + reports[2]["frames"]
    assert result.stderr == f"3 files, 1 unusable; {frames} frames, {length / 3600:.2f} hours of video\n"
    assert (tmp_path / "bad.txt").read_text() == f"{broken}\n"


def test_exit_codes(videos, capsys):
    assert check.main([str(videos[0]), "--workers", "1"]) == 0
    assert capsys.readouterr().err.startswith("1 files, 0 unusable; ")
    assert check.main(["nowhere.csv"]) == 2
    assert capsys.readouterr().err.startswith("check_data.py: nowhere.csv: cannot be read")
    with pytest.raises(SystemExit, match="2"):
        check.main([])


def test_images_and_folders_of_them(tmp_path, capsys):
    root = write_folder(tmp_path / "images", {"train": 1}, ("ant", "bee"))
    (root / "train" / "notes.txt").write_text("no image")
    bad = root / "train" / "bee" / "000.jpg"
    os.truncate(bad, bad.stat().st_size - 40)
    assert check.main([str(root), "--workers", "1"]) == 1
    good, other = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (good["path"], good["status"], good["frames"]) == (str(root / "train" / "ant" / "000.jpg"), "ok", 1)
    assert (good["height"], good["width"], good["seconds"]) == (32, 32, None)
    assert (other["path"], other["reason"]) == (str(bad), "the JPEG file is cut off")
    (tmp_path / "empty").mkdir()
    assert check.main([str(tmp_path / "empty")]) == 2
    assert "holds no videos and no images" in capsys.readouterr().err


def test_folders_of_videos(videos, tmp_path, capsys):
    for name in ("b/one.MP4", "a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(videos[5].read_bytes())
    assert check.main([str(tmp_path), "--workers", "1"]) == 0
    said = capsys.readouterr()
    paths = [json.loads(line)["path"] for line in said.out.splitlines()]
    assert paths == [f"{tmp_path}/a.mp4", f"{tmp_path}/b/one.MP4"]
    assert said.err == "2 files, 0 unusable; 50 frames, 0.00 hours of video\n"


def test_folders_stand_for_files_of_a_kind(tmp_path):
    for name in ("a.MP4", "b.png", ".hidden.mp4", "notes.txt", "deep/c.m2ts", "folder.mp4/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    whole = {str(tmp_path / name) for name in ("a.MP4", "deep/c.m2ts", "b.png", "folder.mp4/d.jpg")}
    assert set(check.list_videos([str(tmp_path)])) == whole
    assert set(check.list_videos([str(tmp_path)], kinds=[is_image])) == {p for p in whole if p.endswith(("png", "jpg"))}
    with pytest.raises(DataError, match="deep: holds no images; name files"):
        check.list_videos([str(tmp_path / "deep")], kinds=[is_image])
