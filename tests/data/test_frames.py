"""Pictures in folders read like a video."""

import numpy as np
import pytest
from movies import rgb, write_pictures

from mutualnet3d.data.decode import resize
from mutualnet3d.data.frames import FrameReader, read_picture
from mutualnet3d.errors import VideoError


@pytest.fixture
def pictures(tmp_path):
    return write_pictures(tmp_path / "movie", 6)


@pytest.fixture
def reader(pictures):
    return FrameReader("movie", 6, lambda frame: str(pictures[frame]), 30.0)


def test_it_reads_like_a_video(reader, pictures):
    with reader:
        frames = reader.frames([4, 0, 4], short_side=36)
        assert (reader.num_frames, reader.fps, reader.size, reader.count_decodable()) == (6, 30.0, (48, 64), 6)
    assert frames.shape == (3, 36, 48, 3)
    assert frames.dtype == np.uint8
    for frame, number in zip(frames, (4, 0, 4), strict=True):
        np.testing.assert_array_equal(frame, resize(np.ascontiguousarray(rgb(pictures[number])), 36))
    np.testing.assert_array_equal(reader.frames([2])[0], rgb(pictures[2]))
    with pytest.raises(IndexError, match=r"movie: frames 6\.\.6"):
        reader.frames([6])


def test_each_file_is_read_once(pictures):
    asked = []
    reader = FrameReader("movie", 6, lambda frame: asked.append(frame) or str(pictures[frame]), 30.0)
    reader.frames([3, 1, 3, 3, 1])
    assert asked == [1, 3]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be opened: No such file"),
        (b"", "the file is empty"),
        (b"this is no picture", "is not a readable picture"),
        (b"\xff\xd8\xff\xd9", "is not a readable picture"),
    ],
)
def test_files_that_are_no_pictures_are_named(reader, pictures, content, reason):
    pictures[3].unlink()
    if content is not None:
        pictures[3].write_bytes(content)
    assert reader.frames([2, 4]).shape[0] == 2
    with pytest.raises(VideoError, match=rf"movie_000004\.jpg: .*{reason}") as caught:
        reader.frames([2, 3])
    assert caught.value.path == str(pictures[3])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
def test_a_cut_off_jpeg_is_damaged(pictures, share):
    whole = pictures[0].read_bytes()
    assert read_picture(str(pictures[0])).shape == (48, 64, 3)
    pictures[0].write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(VideoError, match=r"movie_000001\.jpg"):
        read_picture(str(pictures[0]))
    pictures[0].write_bytes(whole + b"\0\0\0")  # what follows the picture does no harm
    assert read_picture(str(pictures[0])).shape == (48, 64, 3)


def test_marks_inside_other_data_end_no_jpeg(pictures):
    whole, scan, expected = pictures[0].read_bytes(), b"\xff\xda more", read_picture(str(pictures[0]))
    thumbnail = b"\xff\xe1\x00\x10Exif\0\0" + b"\xff\xda..\xff\xd9.."  # a segment of 16 bytes
    for content in (whole + b"....ftypmp42" + scan, whole[:2] + thumbnail + whole[2:]):  # a phone's moving photo
        pictures[0].write_bytes(content)
        np.testing.assert_array_equal(read_picture(str(pictures[0])), expected)
    pictures[0].write_bytes(whole[:2] + thumbnail + whole[2:-20])
    with pytest.raises(VideoError, match="the JPEG file is cut off"):
        read_picture(str(pictures[0]))


def test_frames_of_several_sizes(reader, pictures, tmp_path):
    (other,) = write_pictures(tmp_path / "other", 1, size=(48, 48))
    pictures[2].write_bytes(other.read_bytes())
    with pytest.raises(VideoError, match=r"movie_000003\.jpg: is \(48, 48\) pixels"):
        reader.frames([1, 2])
