"""Frames of files and of a camera that is not there."""

import cv2
import numpy as np
import pytest
from data.video_files import decode_all, write_video

from mutualnet3d.errors import VideoError
from mutualnet3d.streaming.source import CameraSource, FileSource, open_source


def test_a_file_gives_every_frame_once(tmp_path):
    path = write_video(tmp_path / "video.mp4", 23, fps=25)
    with open_source(str(path)) as source:
        assert (source.fps, source.size, source.live) == (25.0, (48, 64), False)
        frames = list(source)
    assert [frame.number for frame in frames] == list(range(23))
    assert [frame.time_s for frame in frames] == pytest.approx([number / 25 for number in range(23)])
    assert np.array_equal(np.stack([frame.image for frame in frames]), decode_all(path))


@pytest.mark.parametrize("name", ["decord_video_180.mov", "decord_video_270.mov"])
def test_a_rotated_file_is_upright(shared_data, name):
    path = shared_data / "decode_cases" / "real" / name
    with FileSource(str(path)) as source:
        frames = list(source)
        assert all(frame.image.shape[:2] == source.size for frame in frames)
    assert source.size == ((568, 320) if "270" in name else (320, 568))
    assert np.array_equal(np.stack([frame.image for frame in frames]), decode_all(path))


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "text.mp4").write_text("no video" * 99)
    for name in ("text.mp4", "absent.mp4"):
        with pytest.raises(VideoError, match=name):
            open_source(str(tmp_path / name))


class FakeCapture:
    """Three pictures, BGR; what is asked of a camera."""

    opened, rate, pictures = True, 25.0, 3
    released = 0

    def __init__(self, index):
        self.index, self.left = index, self.pictures

    def isOpened(self):  # noqa: N802
        return self.opened

    def get(self, key):
        assert key == cv2.CAP_PROP_FPS
        return self.rate

    def read(self):
        self.left -= 1
        if self.left < 0:
            return False, None
        picture = np.zeros((4, 6, 3), np.uint8)
        picture[..., 0], picture[..., 2] = 200, self.left  # blue, red
        return True, picture

    def release(self):
        type(self).released += 1


@pytest.fixture
def camera(monkeypatch):
    """A class to change; every camera that is opened is one of it."""
    kind = type("Capture", (FakeCapture,), {})
    monkeypatch.setattr(cv2, "VideoCapture", kind)
    return kind


def test_a_camera_counts_in_time(camera):
    seconds = iter([100.0, 100.0, 100.16, 100.17])  # start, then every picture
    with CameraSource(0, clock=lambda: next(seconds)) as source:
        assert (source.fps, source.size, source.live) == (25.0, (4, 6), True)
        frames = list(source)
    assert [frame.number for frame in frames] == [0, 4, 5]
    assert [frame.time_s for frame in frames] == pytest.approx([0.0, 0.16, 0.2])
    assert [frame.image[0, 0].tolist() for frame in frames] == [[red, 0, 200] for red in (2, 1, 0)]  # RGB
    assert camera.released == 1


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), 90000.0])
def test_a_camera_that_does_not_know_its_rate(camera, rate):
    camera.rate = rate
    assert open_source("1").fps == 30.0


def test_a_camera_that_is_not_there(camera):
    camera.opened = False
    with pytest.raises(VideoError, match="camera 3: cannot be opened"):
        open_source("3")
    camera.opened, camera.pictures = True, 0
    with pytest.raises(VideoError, match="camera 3: gives no picture"):
        open_source("3")
    assert camera.released == 2
