"""Which videos come from one film."""

import pytest

from mutualnet3d.errors import DataError
from mutualnet3d.preparation.folder import Video
from mutualnet3d.preparation.sources import group


def videos(**names):
    return [Video(f"{label}/{name}.mp4", label, name) for label, some in names.items() for name in some]


def films(*names):
    """The names and those of two other films, so that every rule has enough sources."""
    return [*names, "other one_c01", "other two_c01"]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("v_golf_g042_c01", "v_golf_g042_c02", True),
        ("v_golf_g042_c01", "v_golf_g043_c01", False),
        ("Film-clip 1", "Film-clip 12", True),
        ("film_part3", "film.PART4", True),
        ("--0bs1Y5Sc4_000012_000022", "--0bs1Y5Sc4_000100_000110", True),
        ("film_12.5-20", "film_30-41.5", True),
        ("film_0m30s", "film_1h02m30s", True),
        ("April_09_brush_hair_goo_0", "April_09_brush_hair_goo_1", True),
        ("goal (2)", "goal", True),
        ("video (2)", "video (3)", False),
        ("IMG_0042", "IMG_0043", False),
        ("walk_1", "walk_2", False),
        ("VID_20240229_235959", "VID_20240301_000000", False),
        ("cam1_2024-02-29_12-30-00", "cam1_2024-03-01_12-30-00", False),
        ("20240229_235959_clip1", "20240229_235959_clip2", True),
        ("001", "002", False),
        ("clip_001", "clip_002", False),
        ("müller_c1", "müller_c2", True),
    ],
)
def test_names(first, second, same):
    source = group(videos(walk=films(first, second), run=films("a_c01", "b_c01")), None, parts=2).source
    assert (source[f"walk/{first}.mp4"] == source[f"walk/{second}.mp4"]) is same


def test_sub_folders_are_films():
    some = videos(walk=["monday/1", "monday/2", "tuesday/1", "tuesday/2"], run=["monday/9", "friday/1"])
    grouping = group(some, None, parts=2)
    assert grouping.source["walk/monday/1.mp4"] == grouping.source["run/monday/9.mp4"] == "monday"
    assert "sub-folder" in grouping.how


def test_numbers_are_no_pieces_where_one_source_would_have_most_of_a_class():
    some = videos(walk=[f"hall_{i}" for i in range(9)] + ["yard_1"], run=[f"hall_{i}" for i in range(20, 25)])
    grouping = group(some, None, parts=2)
    assert len(set(grouping.source.values())) == 15
    assert "number" not in grouping.how


def test_a_pattern():
    some = videos(walk=["anna-1", "anna-2", "bob-1"], run=["anna-3", "bob-2"])
    assert set(group(some, "^([a-z]+)", parts=2).source.values()) == {"anna", "bob"}
    assert len(set(group(some, ".*", parts=2).source.values())) == 5
    with pytest.raises(DataError, match=r"finds nothing in 3 of 5 names, such as walk/anna-1.mp4"):
        group(some, "bob", parts=2)
    with pytest.raises(DataError, match="no regular expression"):
        group(some, "(", parts=2)


def test_a_class_of_one_film_cannot_be_divided():
    some = videos(walk=["hall_c01", "hall_c02"], run=["a_c1", "b_c1"])
    with pytest.raises(DataError, match=r"walk: 1 \(2 videos\).*--group-by '\.\*'"):
        group(some, None, parts=2)
    assert group(some, None, parts=1).source["walk/hall_c01.mp4"] == "hall"
