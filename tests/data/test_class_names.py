"""Names of classes from each kind of file, and why there are none."""

import pytest
from tiny import tiny_cfg

from mutualnet3d.data.class_names import read_class_names, read_names
from mutualnet3d.errors import DataError


def test_names_of_files(tmp_path):
    (tmp_path / "names.txt").write_text("\ufeffröd\n\n  green \nblue\n", encoding="utf-8")
    (tmp_path / "names.json").write_text('{"green": 1, "red": 0}')
    assert read_names(tmp_path / "names.txt") == ("röd", "green", "blue")
    assert read_names(tmp_path / "names.json") == read_names(tmp_path / "names.json", as_json=True) == ("red", "green")


@pytest.mark.parametrize(
    ("content", "as_json", "said"),
    [
        (b"\n \n", False, "is empty; write one name a line"),
        (b"{}", True, "is empty"),
        (b"\xff\xfe", False, "cannot be read"),
        (b"[1]", True, "cannot be read"),
        (b'{"a": 1}', True, r"cannot be read \(the labels are not 0, 1, 2, ...\)"),
        (None, False, r"cannot be read \(No such file"),
    ],
)
def test_files_without_names(tmp_path, content, as_json, said):
    path = tmp_path / "names"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_names(path, as_json)


def test_actions_are_named_by_their_label_map(tmp_path):
    (tmp_path / "labels.pbtxt").write_text('item { name: "sit" id: 1 } item { name: "run" id: 3 }')
    cfg = tiny_cfg("DETECTION.ENABLE", True, "AVA.ANNOTATION_DIR", str(tmp_path), "AVA.LABEL_MAP_FILE", "labels.pbtxt")
    assert read_class_names(cfg, 4) == (("sit", "action 2", "run", "action 4"), "")
    names, why = read_class_names(cfg, 2)
    assert names is None
    assert why.endswith("labels.pbtxt names action 3, the scores have 2 classes.")
    cfg.AVA.LABEL_MAP_FILE = "absent.pbtxt"
    names, why = read_class_names(cfg, 4)
    assert names is None
    assert "absent.pbtxt: cannot be read" in why
