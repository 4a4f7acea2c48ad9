"""Lists in Kinetics format, with all that people write into them."""

import pytest

from mutualnet3d.data.kinetics_list import VideoEntry, read_csv, read_list
from mutualnet3d.errors import DataError


@pytest.fixture
def write(tmp_path, cfg):
    """write(bytes or text) -> the entries that read_list makes of it."""

    def read(content, **data):
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / "train.csv").write_bytes(content)
        cfg.DATA.PATH_TO_DATA_DIR = str(tmp_path)
        for key, value in data.items():
            cfg.DATA[key] = value
        return [tuple(entry) for entry in read_list(cfg, "train")]

    return read


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a.mp4 1\nb.mp4 3\n", [("a.mp4", 1), ("b.mp4", 3)]),
        ("a.mp4 1\r\nb.mp4 3\r\n", [("a.mp4", 1), ("b.mp4", 3)]),
        (b"\xef\xbb\xbfa.mp4 1\n", [("a.mp4", 1)]),
        ("a.mp4 1  \n\n   \n b.mp4   2", [("a.mp4", 1), ("b.mp4", 2)]),
        ("my dir/my video (1).mp4 2\n", [("my dir/my video (1).mp4", 2)]),
        ("größe.mp4 1\n", [("größe.mp4", 1)]),
    ],
)
def test_blank_as_separator(write, content, expected):
    assert write(content) == expected


@pytest.mark.parametrize(
    ("content", "separator", "expected"),
    [
        ("a b.mp4,1\n", ",", ("a b.mp4", 1)),
        ("a,b.mp4, 1\n", ",", ("a,b.mp4", 1)),
        ("a.mp4,250,1\n", ",", ("a.mp4", 1)),
        ("a.mp4\t2\n", "\t", ("a.mp4", 2)),
        ("a.mp4;;2\n", ";;", ("a.mp4", 2)),
    ],
)
def test_other_separators(write, content, separator, expected):
    assert write(content, PATH_LABEL_SEPARATOR=separator) == [expected]


def test_prefix(write):
    assert write("a.mp4 1\n/abs/b.mp4 1\n", PATH_PREFIX="videos") == [("videos/a.mp4", 1), ("/abs/b.mp4", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no video"),
        (" \n\n\r\n", "holds no video"),
        ("a.mp4 1\nb.mp4 x\n", r"train\.csv:2: the label is 'x', which is no integer"),
        ("\n\nmy video.mp4\n", r"train\.csv:3: the label is 'video.mp4'"),
        ("a.mp4 1.0\n", "which is no integer"),
        ("a.mp4 4\n", r"train\.csv:1: the label is 4; with MODEL.NUM_CLASSES 4 it must be in 0\.\.3"),
        ("a.mp4 -1\n", r"the label is -1"),
        (b"\xff\xfe\x00a", "not UTF-8"),
    ],
)
def test_malformed_lists_name_file_and_line(write, content, message):
    with pytest.raises(DataError, match=message):
        write(content)


def test_no_path_before_the_label(write):
    with pytest.raises(DataError, match=r"train\.csv:1: there is no path"):
        write(",3\n", PATH_LABEL_SEPARATOR=",")


def test_a_missing_list_is_named(cfg, tmp_path):
    cfg.DATA.PATH_TO_DATA_DIR = str(tmp_path)
    with pytest.raises(DataError, match=r"test\.csv: cannot be read: No such file.*DATA\.PATH_TO_DATA_DIR"):
        read_list(cfg, "test")


def test_missing_videos_are_no_error_here(write):
    assert write("does/not/exist.mp4 0\n") == [("does/not/exist.mp4", 0)]


def test_real_lists(shared_data, cfg):
    cfg.MODEL.NUM_CLASSES = 8
    cfg.DATA.PATH_TO_DATA_DIR = str(shared_data / "jhmdb" / "splits" / "mini8")
    counts = [len(read_list(cfg, split)) for split in ("train", "val", "test")]
    assert counts == [229, 42, 110]
    assert isinstance(read_list(cfg, "val")[0], VideoEntry)
    assert read_csv(shared_data / "jhmdb" / "splits" / "mini8" / "val.csv")[0][0] == 1
