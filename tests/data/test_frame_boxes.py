"""Boxes of frames from csv files, and the errors that name the line."""

import numpy as np
import pytest

from mutualnet3d.data.frame_boxes import FrameBoxes
from mutualnet3d.errors import DataError

HEADER = "video,frame,x1,y1,x2,y2,width,height,label\n"
GOOD = "golf/a.b,0,80,60,160,240,320,240,2\n"


def read(tmp_path, text, **options):
    path = tmp_path / "boxes.csv"
    path.write_text(text, encoding="utf-8")
    return FrameBoxes(path, **options)


def test_boxes_by_video_and_frame(tmp_path):
    boxes = read(
        tmp_path, HEADER + GOOD + "golf/a.b,0,0,0,320,24,320,240,2\ngolf/a.b,3,0,0,32,24,320,240,2\na,1,1,1,2,2,4,4,0\n"
    )
    assert len(boxes) == 2
    for video in ("golf/a.b.mp4", "/data/videos/golf/a.b.avi", "videos/golf/a.b.mp4"):
        found = boxes.of(video)
        assert sorted(found) == [0, 3]
        np.testing.assert_allclose(found[0], [[0.25, 0.25, 0.5, 1], [0, 0, 1, 0.1]])
    assert boxes.of("tennis/a.b.mp4") == {}
    assert sorted(boxes.of("x/a.mp4")) == [1]


def test_columns_in_any_order(tmp_path):
    boxes = read(tmp_path, "height,width,y2,x2,y1,x1,frame,video\n10,20,10,20,5,10,7,v\n")
    np.testing.assert_allclose(boxes.of("v.mp4")[7], [[0.5, 0.5, 1, 1]])


def test_images(tmp_path):
    """One column names them; frame 0 is theirs; the suffix may stand there."""
    boxes = read(tmp_path, "image,x1,y1,x2,y2,width,height\npie/1.jpg,1,0,2,2,4,4\npie/2,0,0,2,2,4,4\n", images=True)
    np.testing.assert_allclose(boxes.of("/food/test/pie/1.jpg")[0], [[0.25, 0, 0.5, 0.5]])
    assert sorted(boxes.of("pie/2.png")) == [0]
    assert boxes.of("cake/1.jpg") == {}
    with pytest.raises(DataError, match=r"boxes\.csv:1: the header has no image; it must name image,x1"):
        read(tmp_path, HEADER + GOOD, images=True)
    with pytest.raises(DataError, match=r"boxes\.csv:2: image ''"):
        read(tmp_path, "image,x1,y1,x2,y2,width,height\n,1,0,2,2,4,4\n", images=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,frame,x1,y1\n", r"boxes\.csv:1: the header has no x2, y2, width, height"),
        ("", r"boxes\.csv:1: the header has no video"),
        (HEADER, r"holds no box"),
        (HEADER + GOOD + "golf/a,zero,1,1,2,2,4,4,0\n", r"boxes\.csv:3: .*'zero'"),
        (HEADER + "golf/a,0,1,1,2\n", r"boxes\.csv:2: "),
        (HEADER + GOOD + GOOD + "golf/a,0,1,1,nan,2,4,4,0\n", r"boxes\.csv:4: box 1, 1, nan, 2 must"),
        (HEADER + "golf/a,0,2,1,1,2,4,4,0\n", r"boxes\.csv:2: box 2, 1, 1, 2 must have x1 < x2"),
        (HEADER + "golf/a,0,0,0,5,2,4,4,0\n", r"boxes\.csv:2: box 0, 0, 5, 2 .* within 4 x 4"),
        (HEADER + "golf/a,0,0,0,5,2,inf,4,0\n", r"boxes\.csv:2: box"),
        (HEADER + "golf/a,-1,0,0,1,2,4,4,0\n", r"boxes\.csv:2: video 'golf/a', frame -1"),
        (HEADER + ",1,0,0,1,2,4,4,0\n", r"boxes\.csv:2: video '', frame 1"),
        (HEADER + 'golf/a,"1\n', r"is no csv file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: cannot be read: No such file"):
        FrameBoxes(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"binary\.csv: is no csv file in UTF-8"):
        FrameBoxes(tmp_path / "binary.csv")
