"""The written video: playable however it ends."""

import av
import numpy as np
import pytest

from mutualnet3d.data.decode import open_video
from mutualnet3d.errors import DataError
from mutualnet3d.streaming.writer import VideoWriter


def image(number, size=(48, 64)):
    """A grey that says its number."""
    return np.full((*size, 3), 10 + 6 * number, np.uint8)


def times(path):
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


@pytest.mark.parametrize("fps", [30.0, 29.97, 23.976, 12.5, 60.0, 1.0])
def test_frames_size_and_rate(tmp_path, fps):
    path = tmp_path / "new folder" / "out.mp4"
    with VideoWriter(path, (48, 64), fps) as writer:
        for number in range(20):
            writer.write(image(number), number)
        assert not path.exists()
    with open_video(path) as video:
        assert (video.num_frames, video.size) == (20, (48, 64))
        assert video.fps == pytest.approx(fps, rel=1e-3)
        seen = video.frames(range(20)).mean((1, 2, 3))
    assert seen == pytest.approx([10 + 6 * number for number in range(20)], abs=4)
    assert [p.name for p in path.parent.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("size", [(49, 65), (48, 65), (33, 32), (2, 3)])
def test_odd_sides_lose_a_row_or_column(tmp_path, size):
    with VideoWriter(tmp_path / "odd.mp4", size, 30.0) as writer:
        for number in range(3):
            writer.write(image(number, size), number)
    with open_video(tmp_path / "odd.mp4") as video:
        assert video.size == (size[0] // 2 * 2, size[1] // 2 * 2)
        assert len(video.frames(range(3))) == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_video_holds_what_was_written(tmp_path, error):
    with pytest.raises(error), VideoWriter(tmp_path / "cut.mp4", (48, 64), 30.0) as writer:  # noqa: PT012
        for number in range(11):
            writer.write(image(number), number)
        raise error
    assert times(tmp_path / "cut.mp4") == pytest.approx([number / 30 for number in range(11)])


def test_without_frames_there_is_no_file(tmp_path):
    (tmp_path / "out.mp4").write_text("before")
    with VideoWriter(tmp_path / "out.mp4", (48, 64), 30.0):
        pass
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.mp4", "before")]


def test_frames_that_a_camera_lost_leave_a_gap(tmp_path):
    with VideoWriter(tmp_path / "gap.mp4", (48, 64), 30.0) as writer:
        for number in (0, 1, 5, 30):
            writer.write(image(number), number)
    assert times(tmp_path / "gap.mp4") == pytest.approx([0, 1 / 30, 5 / 30, 1.0], abs=1e-3)


def test_frames_that_do_not_fit_are_refused(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", (48, 64), 30.0) as writer:
        writer.write(image(0), 0)
        for number, size in ((0, (48, 64)), (1, (48, 60)), (1, (64, 48))):
            with pytest.raises(DataError, match=f"frame {number} of {size[0]} x {size[1]} does not follow frame 0"):
                writer.write(image(0, size), number)
    assert len(times(tmp_path / "out.mp4")) == 1


@pytest.mark.parametrize(("size", "fps"), [((1, 64), 30.0), ((48, 1), 30.0), ((48, 64), 0.0), ((48, 64), -1.0)])
def test_what_cannot_be_encoded_is_refused(tmp_path, size, fps):
    with pytest.raises(DataError, match=r"cannot be written as H\.264"):
        VideoWriter(tmp_path / "out.mp4", size, fps)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        VideoWriter(tmp_path / "file" / "out.mp4", (48, 64), 30.0)
