"""AVA's files: the variants that are in use, and what is refused."""

import numpy as np
import pytest

from mutualnet3d.data.ava_files import read_detections, read_exclusions, read_ground_truth, read_label_map
from mutualnet3d.errors import DataError

READERS = {
    "ground truth": read_ground_truth,
    "detections": read_detections,
    "exclusions": read_exclusions,
    "label map": read_label_map,
}


@pytest.fixture
def write(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "a file.csv"
        path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
        return path

    return write


def test_ground_truth_of_both_versions(write):
    rows = read_ground_truth(write("b,0902,0.1,0.2,0.3,0.4,12\na,902,0,0,1,1,3,7\nb,902.0,0.5,0.5,0.5,0.6,80,0\n"))
    assert rows.frames == (("b", 902), ("a", 902))
    assert rows.frame.tolist() == [0, 1, 0]
    assert rows.boxes.tolist() == [[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], [0.5, 0.5, 0.5, 0.6]]
    assert rows.actions.tolist() == [12, 3, 80]
    assert rows.persons.tolist() == [-1, 7, 0]
    assert rows.scores.tolist() == [1, 1, 1]
    assert rows.boxes.dtype == rows.scores.dtype == np.float64
    assert rows.frame.dtype == rows.actions.dtype == rows.persons.dtype == np.int64


def test_key_frames_without_boxes_or_actions(write):
    rows = read_ground_truth(write("a,1\na,2,,,,,\na,3,,,,,,\na,4,0.1,0.1,0.2,0.2,,5\na,4,0.1,0.1,0.2,0.2,-1,5\n"))
    assert [key.second for key in rows.frames] == [1, 2, 3, 4]
    assert (rows.frame.tolist(), rows.actions.tolist(), rows.persons.tolist()) == ([3, 3], [0, 0], [5, 5])


def test_detections_and_detector_boxes(write):
    rows = read_detections(write("a,0902,-0.01,0.2,1.02,0.4,,0.97\na,0903,0.3,0.2,0.3,0.1,4,-2.5\n"))
    assert rows.actions.tolist() == [0, 4]
    assert rows.scores.tolist() == [0.97, -2.5]
    assert rows.boxes[0].tolist() == [-0.01, 0.2, 1.02, 0.4]
    assert rows.persons.tolist() == [-1, -1]


def test_repeated_rows_are_kept(write):
    rows = read_detections(write("a,1,0,0,1,1,2,0.5\n" * 3))
    assert (len(rows), rows.frames) == (3, (("a", 1),))


def test_a_file_without_rows(write):
    for text in ("", "\ufeff", "\r\n \n"):
        rows = read_detections(write(text))
        assert (len(rows), rows.boxes.shape, rows.frames) == (0, (0, 4), ())
        assert read_exclusions(write(text)) == frozenset()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_byte_order_marks_blanks_and_quotes(write, end):
    names = ["-_x.y.mkv", "C:\\films\\a b", "d\u00e9j\u00e0\u2028vu", "one, two", 'say "hi"']
    quoted = [f'"{name.replace(chr(34), chr(34) * 2)}"' if set(name) & set('",') else name for name in names]
    lines = ["\ufeff" + quoted[0] + ", 0902 ", "", *(f" {name} ,0902" for name in quoted[1:3])]
    lines += [f"{name},0902" for name in quoted[3:]]
    assert read_exclusions(write(end.join(lines))) == {(name, 902) for name in names}


@pytest.mark.parametrize(
    ("kind", "line", "message"),
    [
        ("ground truth", "a,902,0.1,0.2,0.3,0.4", "6 columns"),
        ("ground truth", "a,902,0.1,0.2,0.3,0.4,1,2,3", "9 columns"),
        ("ground truth", "a", "1 columns"),
        ("ground truth", ",902,0.1,0.2,0.3,0.4,1", "no video"),
        ("ground truth", "video,second,x1,y1,x2,y2,action", "second 'second' is not a number"),
        ("ground truth", "a,-1,0.1,0.2,0.3,0.4,1", "second '-1' is not a whole number of at least 0"),
        ("ground truth", "a,902.5,0.1,0.2,0.3,0.4,1", "second '902.5' is not a whole number"),
        ("ground truth", "a,inf,0.1,0.2,0.3,0.4,1", "second 'inf' is not a number"),
        ("ground truth", "a,902,nan,0.2,0.3,0.4,1", "the box nan,0.2,0.3,0.4 leaves 0..1"),
        ("ground truth", "a,902,0.1,,0.3,0.4,1", "coordinate '' is not a number"),
        ("ground truth", "a,902,0.1,0.2,0.3,1.001,1", "leaves 0..1"),
        ("ground truth", "a,902,-0.1,0.2,0.3,0.4,1", "leaves 0..1"),
        ("ground truth", "a,902,0.4,0.2,0.3,0.4,1", "x1 <= x2"),
        ("ground truth", "a,902,0.1,0.5,0.3,0.4,1", "y1 <= y2"),
        ("ground truth", "a,902,0.1,0.2,0.3,0.4,0", "action id '0' is not a whole number of at least 1"),
        ("ground truth", "a,902,0.1,0.2,0.3,0.4,99999999999999999999", "and below 2^31"),
        ("ground truth", "a,902,0.1,0.2,0.3,0.4,walk", "action id 'walk' is not a number"),
        ("ground truth", "a,902,0.1,0.2,0.3,0.4,1,-3", "person id '-3'"),
        ("ground truth", '"a,902,0.1,0.2,0.3,0.4,1', "is not csv"),
        ("detections", "a,902,0.1,0.2,0.3,0.4,1", "7 columns"),
        ("detections", "a,902,0.1,0.2,0.3,0.4,1,", "score '' is not a number"),
        ("detections", "a,902,0.1,0.2,0.3,0.4,1,nan", "score 'nan' is not a number"),
        ("detections", "a,902,10,20,130,140,1,0.5", "fractions of the frame, so divide pixels"),
        ("detections", "a,902,0.1,0.2,0.3,0.4,1.5,0.5", "action id '1.5'"),
        ("exclusions", "a,902,1", "3 columns"),
        ("exclusions", "a;902", "1 columns"),
        ("label map", "item { id: 1 }", "needs a name in quotes and an id"),
        ("label map", 'item { name: "x" }', "needs a name in quotes and an id"),
        ("label map", "item { name: x id: 1 }", "needs a name in quotes and an id"),
        ("label map", 'item { name: "x" id: 0 }', "id '0' is not a whole number of at least 1"),
        ("label map", 'item { name: "x" id: 3', "no closing brace"),
        ("label map", "1 walk", "is not a label map"),
        ("label map", 'name: "x" id: 3', "is not a label map"),
        ("label map", 'item { item { name: "x" id: 3 } }', "is not a label map"),
        ("label map", 'item { name: "x" id: 3 } }', "is not a label map"),
        ("label map", 'item { name: "x" id: 7 }', "is there twice"),
        ("label map", 'item { name: "seven" id: 3 }', "is there twice"),
    ],
)
def test_malformed_lines_are_refused_with_file_and_line(write, kind, line, message):
    good = {
        "ground truth": "a,0901,0.1,0.2,0.3,0.4,1",
        "detections": "a,0901,0.1,0.2,0.3,0.4,1,0.5",
        "exclusions": "a,0901",
        "label map": 'item { name: "seven" id: 7 }',
    }[kind]
    path = write(f"{good}\n\n{line}\n")
    with pytest.raises(DataError) as error:
        READERS[kind](path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{path}:3: ")


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_files_that_cannot_be_read(reader, tmp_path, write):
    with pytest.raises(DataError, match=r"missing\.csv: cannot be read: No such file"):
        reader(tmp_path / "missing.csv")
    with pytest.raises(DataError, match="cannot be read"):
        reader(tmp_path)
    with pytest.raises(DataError, match="is not UTF-8 text"):
        reader(write(b"a,0902\n\xff\xfe"))


def test_label_maps_in_all_layouts(write):
    text = """\ufeff# actions
    item {\r\n  name: "bend/bow (at the waist)"\r\n  id: 1\r\n}
    label {
      name: "say \\"hi\\" {now}: \\\\o/"
      label_id: 80
      label_type: PERSON_MOVEMENT
    }
    item:{name:'it # is "so"',id:3;} item
    { id : 2 name : "caf\u00e9" }"""
    assert read_label_map(write(text)) == {
        1: "bend/bow (at the waist)",
        80: 'say "hi" {now}: \\o/',
        3: 'it # is "so"',
        2: "caf\u00e9",
    }


def test_a_label_map_without_entries(write):
    with pytest.raises(DataError, match="no entry found"):
        read_label_map(write("# nothing\n"))


def test_official_files(shared_data):
    ava = shared_data / "annotations" / "ava"
    of_2019 = read_label_map(ava / "ava_action_list_v2.2_for_activitynet_2019.pbtxt")
    every = read_label_map(ava / "ava_action_list_v2.2.pbtxt")
    assert (len(of_2019), len(every)) == (60, 80)
    assert of_2019.items() <= every.items()
    assert every[12] == "stand"
    assert len(read_exclusions(ava / "ava_val_excluded_timestamps_v2.2.csv")) == 37
    rows = read_ground_truth(ava / "ava_val_v2.2_excerpt.csv")
    assert (len(rows), len(rows.frames), rows.frames[0]) == (43, 13, ("1j20qq1JyX4", 902))
    boxes = read_detections(shared_data / "jhmdb_movies/ava/annotations/jm_val_predicted_boxes.csv")
    assert (len(boxes), set(boxes.actions)) == (133, {0})
