"""Frames in from files and cameras, frames out to a file."""

import sys

import av
import cv2
import numpy as np
import pytest

from mutualnet3d.errors import DataError, VideoError
from mutualnet3d.streaming.source import CameraSource, FileSource, open_source
from mutualnet3d.streaming.writer import VideoWriter
from tests.data.video_files import decode_all, write_video


def test_a_file_frame_by_frame(tmp_path):
    path = write_video(tmp_path / "a.mp4", 25, fps=25)
    with open_source(str(path)) as source:
        assert (source.fps, source.size, source.live) == (25.0, (48, 64), False)
        frames = list(source)
    np.testing.assert_array_equal([frame.image for frame in frames], decode_all(path))
    assert [frame.number for frame in frames] == list(range(25))
    assert frames[10].time_s == pytest.approx(0.4)


def test_a_rotated_file_is_upright(tmp_path):
    path = write_video(tmp_path / "a.mp4", 5, rotation=90)
    with FileSource(str(path)) as source:
        assert source.size == (64, 48)
        np.testing.assert_array_equal([frame.image for frame in source], decode_all(path))


def test_decord_gives_the_same_frames(tmp_path):
    pytest.importorskip("decord")
    from mutualnet3d.data.decode import open_video

    path = write_video(tmp_path / "a.mp4", 12)
    with open_video(path, "decord") as one, open_video(path) as other:
        difference = np.stack(list(one.all_frames())).astype(int) - np.stack(list(other.all_frames()))
    assert np.abs(difference).max() <= 2


def test_a_damaged_file_gives_what_comes_before(tmp_path):
    data = bytearray(write_video(tmp_path / "a.mp4", 40, options={"g": "5"}).read_bytes())
    start = data.index(b"mdat") + len(data) // 2
    data[start : start + 3000] = b"\xff" * 3000
    (tmp_path / "b.mp4").write_bytes(data)
    with FileSource(str(tmp_path / "b.mp4")) as source:
        frames = iter(source)
        assert next(frames).number == 0
        with pytest.raises(VideoError, match=r"b\.mp4"):
            list(frames)


class FakeCamera:
    """Stands for cv2.VideoCapture: red pictures, then none."""

    opened, pictures = True, 4

    def __init__(self, index):
        self.left, self.released = self.pictures, False

    def isOpened(self):  # noqa: N802
        return self.opened

    def get(self, _):
        return 10.0

    def read(self):
        self.left -= 1
        image = np.zeros((6, 8, 3), np.uint8)
        image[..., 2] = 200  # red: OpenCV's order is blue, green, red
        return self.left >= 0, image

    def release(self):
        self.released = True


def test_a_camera(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCamera)
    times = iter([100.0, 100.0, 100.31, 100.32, 100.9])
    with CameraSource(0, clock=lambda: next(times)) as source:
        assert (source.fps, source.size, source.live) == (10.0, (6, 8), True)
        frames = list(source)
    assert [frame.number for frame in frames] == [0, 3, 4, 9]
    assert frames[0].image[0, 0].tolist() == [200, 0, 0]
    assert source._capture.released


def test_no_camera(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", type("Closed", (FakeCamera,), {"opened": False}))
    with pytest.raises(VideoError, match="camera 7: cannot be opened"):
        open_source("7")
    monkeypatch.setattr(cv2, "VideoCapture", type("Dark", (FakeCamera,), {"pictures": 0}))
    with pytest.raises(VideoError, match="camera 7: gives no picture"):
        open_source("7")


def pictures(count, height=48, width=64):
    ramp = np.linspace(0, 200, width).astype(np.uint8)
    return [np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (height, width, 3))) + n for n in range(count)]


def test_written_frames_can_be_read(tmp_path):
    path = tmp_path / "new folder" / "out.mp4"
    with VideoWriter(path, (49, 65), 30000 / 1001) as writer:
        for number, image in enumerate(pictures(30, 49, 65)):
            writer.write(image, number)
        assert not path.exists()  # it appears when it is complete
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.average_rate.numerator, stream.average_rate.denominator) == (30000, 1001)
    found = decode_all(path)
    assert found.shape == (30, 48, 64, 3)
    for got, image in zip(found, pictures(30, 49, 65), strict=True):
        assert np.abs(got.astype(int) - image[:48, :64]).mean() < 3
    assert [p.name for p in path.parent.iterdir()] == ["out.mp4"]


def test_times_are_kept_where_frames_are_missing(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", (48, 64), 10) as writer:
        for number in (0, 1, 5, 6):
            writer.write(pictures(1)[0], number)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [round(frame.time * 10) for frame in container.decode(video=0)] == [0, 1, 5, 6]


def test_an_error_on_the_way_leaves_a_playable_file(tmp_path):
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "out.mp4", (48, 64), 30) as writer:  # noqa: PT012
        for number, image in enumerate(pictures(9)):
            writer.write(image, number)
        raise KeyboardInterrupt
    assert len(decode_all(tmp_path / "out.mp4")) == 9
    with VideoWriter(tmp_path / "none.mp4", (48, 64), 30):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_what_cannot_be_written(tmp_path):
    for size, fps in (((1, 64), 30), ((48, 64), 0)):
        with pytest.raises(DataError, match="cannot be written"):
            VideoWriter(tmp_path / "out.mp4", size, fps)
    with VideoWriter(tmp_path / "out.mp4", (48, 64), 30) as writer:
        writer.write(pictures(1)[0], 3)
        for image, number in ((pictures(1)[0], 3), (pictures(1, 24, 64)[0], 4)):
            with pytest.raises(DataError, match="does not follow"):
                writer.write(image, number)
    if sys.platform != "win32":
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError):
            VideoWriter(tmp_path / "file" / "out.mp4", (48, 64), 30)
