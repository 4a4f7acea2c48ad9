"""``tools/check_data.py``; the checking itself: test_check_data.py."""

import json
import os
import re
import subprocess
import sys

import pytest
from image_files import write_folder
from tiny import ROOT

from mutualnet3d.commands import check_data
from mutualnet3d.commands.check_data import main
from mutualnet3d.data.check import check_video

TOOL = ROOT / "tools" / "check_data.py"


def run_tool(*arguments):
    command = [sys.executable, "-W", "ignore", str(TOOL), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
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


def test_exit_codes(videos, broken, tmp_path, capsys, caplog):
    assert main([str(videos[0]), "--workers", "1"]) == 0
    assert capsys.readouterr().err.startswith("1 files, 0 unusable; ")
    assert main(["nowhere.csv"]) == 1
    assert caplog.messages.pop().startswith("DataError: nowhere.csv: cannot be read")
    assert main([str(broken), "--workers", "1", "--unusable", str(broken / "bad.txt")]) == 1
    assert re.match(r"\w+Error: .*text\.mp4", caplog.messages.pop())
    with pytest.raises(SystemExit, match="2"):
        main([])


def test_ctrl_c_keeps_what_was_found(broken, tmp_path, monkeypatch, capsys):
    def stopped(*arguments):
        yield check_video(str(broken))
        raise KeyboardInterrupt

    monkeypatch.setattr(check_data, "check_videos", stopped)
    assert main([str(broken), "later.mp4", "--unusable", str(tmp_path / "bad.txt")]) == 130
    assert json.loads(capsys.readouterr().out)["path"] == str(broken)
    assert (tmp_path / "bad.txt").read_text() == f"{broken}\n"


def test_images_and_folders_of_them(tmp_path, capsys, caplog):
    root = write_folder(tmp_path / "images", {"train": 1}, ("ant", "bee"))
    (root / "train" / "notes.txt").write_text("no image")
    bad = root / "train" / "bee" / "000.jpg"
    os.truncate(bad, bad.stat().st_size - 40)
    assert main([str(root), "--workers", "1"]) == 1
    good, other = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (good["path"], good["status"], good["frames"]) == (str(root / "train" / "ant" / "000.jpg"), "ok", 1)
    assert (good["height"], good["width"], good["seconds"]) == (32, 32, None)
    assert (other["path"], other["reason"]) == (str(bad), "the JPEG file is cut off")
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / "empty")]) == 1
    assert "holds no videos and no images" in caplog.text


def test_folders_of_videos(videos, tmp_path, capsys):
    for name in ("b/one.MP4", "a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(videos[5].read_bytes())
    assert main([str(tmp_path), "--workers", "1"]) == 0
    said = capsys.readouterr()
    paths = [json.loads(line)["path"] for line in said.out.splitlines()]
    assert paths == [f"{tmp_path}/a.mp4", f"{tmp_path}/b/one.MP4"]
    assert said.err == "2 files, 0 unusable; 50 frames, 0.00 hours of video\n"


def test_a_list_is_kept(videos, tmp_path, caplog):
    listed = tmp_path / "list.csv"
    listed.write_text(f"{videos[0]} 0\n")
    assert main([str(listed), "--workers", "1", "--unusable", str(listed)]) == 1
    assert "would be overwritten" in caplog.text
    assert listed.read_text() == f"{videos[0]} 0\n"
