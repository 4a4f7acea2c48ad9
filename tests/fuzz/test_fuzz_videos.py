"""Videos and images of spoiled bytes: frames, or a VideoError; never without end."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutualnet3d.data.decode import open_video
from mutualnet3d.data.images import open_media
from mutualnet3d.errors import VideoError
from tests.data.video_files import write_video
from tests.fuzz.fuzzing import examples, only_our_errors, spoiled_bytes

CODECS = {"h264.mp4": "libx264", "mpeg4.avi": "mpeg4", "vp9.webm": "libvpx-vp9"}


BOXES = b"mvhd", b"mdhd", b"tkhd", b"stts", b"ctts", b"stsz", b"stco", b"stsc", b"avcC", b"elst"
PLAYLISTS = "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.mp4\n", "ffconcat version 1.0\nfile /etc/passwd\n"


@pytest.fixture(scope="session")
def videos(folder) -> dict[str, bytes]:
    return {name: write_video(folder / name, 12, (32, 48), codec).read_bytes() for name, codec in CODECS.items()}


def read(path, indices) -> None:
    with only_our_errors(), open_video(path) as video:
        indices = [index % video.num_frames for index in indices]
        frames = video.frames(indices, short_side=24)
        assert frames.shape[0] == len(indices)
        assert min(frames.shape[1:3]) == 24
        assert sum(1 for _ in video.all_frames()) <= 10_000


@pytest.mark.timeout(120)
@examples(60)
@given(data=st.data())
def test_videos_of_other_bytes(folder, videos, data):
    name = data.draw(st.sampled_from(sorted(videos)))
    path = folder / f"spoiled {name}"
    path.write_bytes(data.draw(spoiled_bytes(videos[name])))
    read(path, data.draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=4)))


@pytest.mark.timeout(120)
@examples(40)
@given(data=st.data())
def test_headers_of_other_bytes(folder, videos, data):
    """Edits fall on the boxes that say how many frames there are and when, which are few of the bytes."""
    content = bytearray(videos["h264.mp4"])
    box = data.draw(st.sampled_from(BOXES))
    start = max(content.find(box), 0) + 4
    for _ in range(data.draw(st.integers(1, 4))):
        at = start + data.draw(st.integers(0, 31))
        content[at : at + 1] = bytes([data.draw(st.sampled_from((0, 1, 127, 128, 255)))])
    path = folder / "header.mp4"
    path.write_bytes(content)
    read(path, data.draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=4)))


@pytest.fixture(scope="session")
def images() -> dict[str, bytes]:
    picture = np.random.default_rng(0).integers(0, 255, (3, 4, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    return {kind: cv2.imencode(kind, picture)[1].tobytes() for kind in (".jpg", ".png", ".webp", ".bmp", ".tiff")}


@pytest.mark.timeout(120)
@examples(60)
@given(data=st.data())
def test_images_of_other_bytes(folder, images, data):
    kind = data.draw(st.sampled_from(sorted(images)))
    path = folder / f"spoiled{kind}"
    path.write_bytes(data.draw(spoiled_bytes(images[kind])))
    with only_our_errors(path.name), open_media(path) as image:
        assert image.frames([0], short_side=16).dtype == np.uint8


@pytest.mark.parametrize("text", PLAYLISTS)
def test_playlists_are_no_videos(tmp_path, text):
    (tmp_path / "a.mp4").write_text(text)
    with pytest.raises(VideoError, match=r"a\.mp4"):
        open_video(tmp_path / "a.mp4")
