"""The record of unreadable videos."""

import json
import logging

from mutualnet3d.data.unreadable import UnreadableVideos


def lines(folder):
    return [json.loads(line) for line in (folder / "unreadable_videos.jsonl").read_text().splitlines()]


def test_each_video_is_counted_warned_of_and_listed_once(tmp_path, caplog):
    record = UnreadableVideos(tmp_path / "run", logging.getLogger("test"))
    record.add([])
    assert not (tmp_path / "run").exists(), "nothing is written before the first failure"
    record.add([("a b.mp4", "the file is empty"), ("ü.mp4", "damaged")])
    record.add([("a b.mp4", "the file is empty")])
    assert record.counts == {"a b.mp4": 2, "ü.mp4": 1}
    assert len(record) == 2
    assert [entry.levelname for entry in caplog.records] == ["WARNING", "WARNING"]
    assert "a b.mp4: the file is empty" in caplog.text
    assert lines(tmp_path / "run") == [
        {"path": "a b.mp4", "reason": "the file is empty"},
        {"path": "ü.mp4", "reason": "damaged"},
    ]


def test_a_resumed_run_lists_nothing_twice(tmp_path, caplog):
    UnreadableVideos(tmp_path).add([("a.mp4", "damaged")])
    with open(tmp_path / "unreadable_videos.jsonl", "a") as file:
        file.write('{"path": "cut o')  # the earlier run was killed here
    resumed = UnreadableVideos(tmp_path)
    caplog.clear()
    resumed.add([("a.mp4", "damaged"), ("b.mp4", "damaged")])
    assert resumed.counts == {"a.mp4": 1, "b.mp4": 1}
    assert len(caplog.records) == 1
    assert lines(tmp_path) == [{"path": name, "reason": "damaged"} for name in ("a.mp4", "b.mp4")]
