"""Lists whose videos and images are decoded once."""

import numpy as np
import pytest
from image_files import scene
from PIL import Image
from test_kinetics import same

from mutualnet3d.data import build_entries, describe_list, frames
from mutualnet3d.data.images import ImageEntry
from mutualnet3d.data.kinetics import TrainClips
from mutualnet3d.data.kinetics_list import VideoEntry
from mutualnet3d.data.memory import KeptInMemory
from mutualnet3d.errors import VideoError


@pytest.fixture
def entries(videos):
    return [VideoEntry(str(path), number % 4) for number, path in enumerate(videos)]


@pytest.fixture
def opened(monkeypatch):
    """Paths in the order in which files are opened."""
    paths, plain = [], VideoEntry.open
    monkeypatch.setattr(VideoEntry, "open", lambda entry, backend: paths.append(entry.path) or plain(entry, backend))
    return paths


def test_the_same_clips_come_out_and_files_are_opened_once(entries, cfg, opened):
    kept = KeptInMemory(entries, 1e9)
    keys = [(epoch, index) for epoch in range(3) for index in range(len(entries))]
    ours = [TrainClips(kept, cfg, seed=0)[key] for key in keys]
    assert opened == [entry.path for entry in entries]
    assert all(map(same, ours, (TrainClips(entries, cfg, seed=0)[key] for key in keys)))
    assert [entry.path for entry in kept] == [entry.path for entry in entries]
    assert kept[-1].label == entries[-1].label


def test_what_does_not_fit_is_read_every_time(entries, cfg, opened):
    kept = KeptInMemory(entries, 20 * 48 * 64 * 3)  # the first video, of 20 frames
    for _ in range(3):
        for index in (0, 1):
            with kept[index].open("pyav") as video:
                assert (video.num_frames, video.path) == (20 + index, entries[index].path)
                with pytest.raises(IndexError, match=r"frames -1..-1 were asked for"):
                    video.frames([-1])
    assert opened == [entries[0].path] + [entries[1].path] * 4  # once to see how large it is


def test_unreadable_videos_are_replaced_as_without_it(entries, broken, cfg):
    entries[2] = VideoEntry(str(broken), 3)
    ours, plain = TrainClips(KeptInMemory(entries, 1e9), cfg, seed=0), TrainClips(entries, cfg, seed=0)
    for epoch in range(3):
        item = ours[(epoch, 2)]
        assert item.failures[0][0] == str(broken)
        assert same(item, plain[(epoch, 2)])


def test_a_video_that_is_damaged_within_gives_what_it_can(entries, opened, monkeypatch):
    """Its whole does not decode, so it is not kept; the frames before the damage are still there."""
    kept, plain = KeptInMemory(entries, 1e9), VideoEntry.open

    def damaged(entry, backend):
        video = plain(entry, backend)
        frames = video.frames

        def until_damage(indices, short_side=None):
            if max(indices) > 9:
                raise VideoError(entry.path, "damaged at second 0.33")
            return frames(indices, short_side)

        video.frames = until_damage
        return video

    monkeypatch.setattr(VideoEntry, "open", damaged)
    with kept[0].open("pyav") as video:
        assert video.frames([0, 9]).shape == (2, 48, 64, 3)
        with pytest.raises(VideoError, match=r"damaged at second 0\.33"):
            video.frames([10])


def test_images(tmp_path, monkeypatch):
    path = tmp_path / "scene.png"
    Image.fromarray(scene()).save(path)
    decoded, plain = [], frames.read_picture
    monkeypatch.setattr(frames, "read_picture", lambda path: decoded.append(path) or plain(path))
    kept = KeptInMemory([ImageEntry(str(path), 3)], 1e6)
    for _ in range(2):
        with kept[0].open("pyav") as image:
            assert np.array_equal(image.frames([0])[0], scene())
        path.unlink(missing_ok=True)  # read once
    assert decoded == [str(path)]


def test_the_key(entries, cfg, tmp_path):
    (tmp_path / "train.csv").write_text("".join(f"{entry.path},{entry.label}\n" for entry in entries))
    (tmp_path / "val.csv").write_text("".join(f"{entry.path},{entry.label}\n" for entry in entries))
    cfg.DATA.PATH_TO_DATA_DIR, cfg.DATA.PATH_LABEL_SEPARATOR = str(tmp_path), ","
    plain = build_entries(cfg, "train")
    cfg.DATA_LOADER.CACHE_GB = 1.0
    kept = build_entries(cfg, "train")
    assert isinstance(kept, KeptInMemory)
    assert not isinstance(build_entries(cfg, "val"), KeptInMemory)  # read once anyway
    assert describe_list(kept, cfg, "train") == describe_list(plain, cfg, "train")
