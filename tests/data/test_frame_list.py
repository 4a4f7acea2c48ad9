"""PySlowFast's frame lists."""

import pickle
import time

import pytest
from movies import frame_lines, write_list

from mutualnet3d.data.frame_list import read_frame_lists
from mutualnet3d.errors import DataError


def test_frames_and_labels_of_each_video(tmp_path):
    one = frame_lines("one", 0, 4, lambda i: ["", "3", "3,17", "5"][i])
    two = frame_lines("two", 1, 2, lambda i: ["0", ""][i])
    frames = read_frame_lists([write_list(tmp_path / "train.csv", *one, *two)], "/data", 20)
    assert frames.videos == ("one", "two")
    assert [frames.num_frames(video) for video in (0, 1)] == [4, 2]
    assert frames.path(0, 3) == "/data/one/one_000004.jpg"
    assert frames.path(1, 0) == "/data/two/two_000001.jpg"
    assert frames.labels(0) == [3, 5, 17]
    assert [frames.labels(0, *span) for span in ((0, 0), (1, 1), (1, 2), (2, 3))] == [[], [3], [3, 17], [3, 5, 17]]
    assert [frames.labels(1, *span) for span in ((0, 1), (1, 1))] == [[0], []]


def test_lines_of_a_video_need_not_stand_together_and_lists_join(tmp_path):
    one, two = frame_lines("one", 0, 4, str), frame_lines("two", 1, 3, lambda i: str(10 + i))
    mixed = [line for pair in zip(one, two, strict=False) for line in pair]
    lists = [write_list(tmp_path / "a.csv", *mixed), write_list(tmp_path / "b.csv", one[3])]
    frames = read_frame_lists(lists, "", 20)
    whole = read_frame_lists([write_list(tmp_path / "c.csv", *one, *two)], "", 20)
    for video, count in ((0, 4), (1, 3)):
        assert frames.num_frames(video) == count
        assert [frames.path(video, i) for i in range(count)] == [whole.path(video, i) for i in range(count)]
        assert [frames.labels(video, i, i) for i in range(count)] == [whole.labels(video, i, i) for i in range(count)]


def test_quotes_blank_lines_byte_order_mark_and_line_ends(tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(
        b"\xef\xbb\xbforiginal_vido_id video_id frame_id path labels\r\n"
        b'a 0 0 a/1.jpg 1,2\r\n\r\na\t0\t1\ta/2.jpg\t""""\r\n  \na 0 5 \xc3\xa4/3.jpg "2"'
    )
    frames = read_frame_lists([path], "", 3)
    assert [frames.labels(0, i, i) for i in range(3)] == [[1, 2], [], [2]]
    assert frames.path(0, 2) == "ä/3.jpg"


def test_labels_are_not_looked_at_without_classes(tmp_path):
    frames = read_frame_lists([write_list(tmp_path / "list.csv", 'a 0 0 a/1.jpg "walk"\n')])
    assert frames.labels(0) == []


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a 0 0 a/1.jpg\n"], r"list\.csv:2: 'a 0 0 a/1\.jpg' is not .* five columns"),
        (['a 0 0 a/1.jpg ""\n', 'a 0 1 my pictures/2.jpg ""\n'], r"list\.csv:3: .*five columns without blanks"),
        (['a 0 first a/1.jpg ""\n'], r"list\.csv:2: .*integer as frame_id"),
        (['a 0 0 a/1.jpg ""\n', "\n", 'a 0 0 a/1.jpg ""\n'], r"list\.csv:4: frame_id 0 of a follows 0"),
        (['a 0 0 a/1.jpg "walk"\n'], r"list\.csv:2: the labels are 'walk'"),
        (['a 0 0 a/1.jpg "1,"\n'], r"list\.csv:2: the labels are '1,'"),
        (['a 0 0 a/1.jpg "7"\n'], r"list\.csv:2: the label is 7; with MODEL\.NUM_CLASSES 7 it must be in 0\.\.6"),
        (['a 0 0 a/1.jpg "-1"\n'], r"list\.csv:2: the label is -1"),
        ([], r"list\.csv: holds no frame"),
    ],
)
def test_malformed_lines_are_named(tmp_path, lines, message):
    path = write_list(tmp_path / "list.csv", *lines)
    with pytest.raises(DataError, match=message):
        read_frame_lists([path], "", 7)


def test_what_is_no_frame_list(tmp_path):
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read: No such file"):
        read_frame_lists([tmp_path / "gone.csv"])
    (tmp_path / "kinetics.csv").write_text("a.mp4 1\n")
    with pytest.raises(DataError, match=r"kinetics\.csv:1: the header .* is expected, not 'a\.mp4 1'"):
        read_frame_lists([tmp_path / "kinetics.csv"])
    (tmp_path / "latin.csv").write_bytes(b'original_vido_id video_id frame_id path labels\n\xff 0 0 a.jpg ""\n')
    with pytest.raises(DataError, match=r"latin\.csv:2: is not UTF-8"):
        read_frame_lists([tmp_path / "latin.csv"])
    with pytest.raises(DataError, match="an empty list of files: holds no frame"):
        read_frame_lists([])


def test_long_lists_are_quick_and_small(tmp_path):
    """A tenth of AVA's: 2.8 s for 1.6 million lines, measured on one idle core; here with room for a busy one."""
    count = 27_000
    lines = [
        line for n in range(6) for line in frame_lines(f"{n}j20qq1JyX4", n, count, lambda i: "3,17" * (i % 7 == 0))
    ]
    path = write_list(tmp_path / "list.csv", *lines)
    start = time.perf_counter()
    frames = read_frame_lists([path], "/data", 80)
    assert time.perf_counter() - start < 5
    size = len(pickle.dumps(frames))
    assert size < 1.5 * path.stat().st_size
    assert frames.labels(5, 1, 6) == []
    assert frames.labels(5, 1, 7) == [3, 17]
