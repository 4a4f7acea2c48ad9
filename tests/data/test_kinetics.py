"""Training clips and test videos."""

import numpy as np
import pytest
import torch
from video_files import decode_all

from mutualnet3d.data.decode import open_video
from mutualnet3d.data.draws import item_generator
from mutualnet3d.data.kinetics import TestVideos, TrainClips
from mutualnet3d.data.kinetics_list import VideoEntry
from mutualnet3d.data.sampling import ClipSpec, view_clips
from mutualnet3d.errors import ConfigError, DataError, VideoError


@pytest.fixture
def entries(videos):
    return [VideoEntry(str(path), number % 4) for number, path in enumerate(videos)]


def same(one, other):
    return torch.equal(one.clip, other.clip) and (one.label, one.index, one.failures) == (
        other.label,
        other.index,
        other.failures,
    )


def test_a_training_clip(entries, cfg):
    item = TrainClips(entries, cfg, seed=0)[(0, 5)]
    assert item.clip.shape == (3, 4, 32, 32)
    assert item.clip.dtype == torch.uint8
    assert (item.label, item.index, item.failures) == (1, 5, ())


@pytest.mark.parametrize("seed", [0, 2**32 - 1, 2**32, 2**70])
def test_what_an_item_is_drawn_with(seed):
    ours, numpys = item_generator(seed, 3, 70_000), np.random.default_rng([seed, 3, 70_000, 1])
    assert np.array_equal(ours.integers(1 << 60, size=9), numpys.integers(1 << 60, size=9))


def test_clips_follow_from_seed_epoch_and_index_alone(entries, cfg):
    clips = TrainClips(entries, cfg, seed=0)
    first = clips[(3, 2)]
    clips[(0, 1)]
    assert same(first, clips[(3, 2)])
    assert same(first, TrainClips(entries, cfg, seed=0)[(3, 2)])
    for other in (clips[(4, 2)], TrainClips(entries, cfg, seed=1)[(3, 2)]):
        assert not torch.equal(first.clip, other.clip)


def test_the_clip_is_cut_from_the_video(entries, cfg):
    """Without jitter and flip, and with a crop as high as the video, the clip is columns of real frames."""
    cfg.DATA.TRAIN_JITTER_SCALES, cfg.DATA.TRAIN_CROP_SIZE, cfg.DATA.RANDOM_FLIP = [48, 48], 48, False
    clip = TrainClips(entries, cfg, seed=0)[(0, 0)].clip.permute(1, 2, 3, 0).numpy()
    whole = decode_all(entries[0].path)
    found = [
        (frame, left)
        for frame in range(len(whole))
        for left in range(17)
        if np.array_equal(whole[frame, :, left : left + 48], clip[0])
    ]
    assert len(found) == 1
    frame, left = found[0]
    wanted = np.floor(frame + np.arange(4) * 7 / 3 + 1e-6).astype(int)  # 4 frames at rate 2 span 8; or one later each
    windows = [whole[np.minimum(wanted + late, len(whole) - 1), :, left : left + 48] for late in (0, 1)]
    assert all(any(np.array_equal(clip[t], window[t]) for window in windows) for t in range(4))


def test_an_unreadable_video_is_replaced_and_reported(entries, broken, cfg):
    entries[2] = VideoEntry(str(broken), 3)
    entries[3] = VideoEntry("gone.mp4", 3)
    clips = TrainClips(entries, cfg, seed=0)
    for epoch in range(10):
        item = clips[(epoch, 2)]
        assert item.index not in (2, 3)
        assert item.label == entries[item.index].label
        assert item.failures[0] == (str(broken), "is not a readable video: Invalid data found when processing input")
        assert same(item, clips[(epoch, 2)])
    assert len({clips[(epoch, 2)].index for epoch in range(20)}) > 2


def test_nothing_but_unreadable_videos(cfg):
    clips = TrainClips([VideoEntry("gone.mp4", 0), VideoEntry("lost.mp4", 1)], cfg, seed=0)
    with pytest.raises(DataError, match=r"100 videos in a row.*gone\.mp4: cannot be opened: No such file.*PATH_PREFIX"):
        clips[(0, 0)]


@pytest.mark.parametrize("number", [0, 5])
def test_views_of_a_test_video(entries, cfg, number):
    """Against decoding all and cutting by hand; number 5 is a portrait."""
    item = TestVideos(entries, cfg, num_views=3, num_crops=3)[number]
    with open_video(entries[number].path) as video:
        indices = view_clips(video.num_frames, video.fps, ClipSpec.from_cfg(cfg), 3)
        frames = video.frames(range(video.num_frames), short_side=32)
    assert item.cut.frames.shape[0] == len(np.unique(indices)), "each frame is kept once"
    views = list(item.views())
    assert len(views) == 9
    offsets = [0, 5, 10]  # 42 pixels, of which 32 are cut
    for j, view in enumerate(views):
        temporal, spatial = j // 3, j % 3
        shift = offsets[spatial]
        window = np.s_[:, :, shift : shift + 32] if number == 0 else np.s_[:, shift : shift + 32]
        assert view.shape == (3, 4, 32, 32)
        np.testing.assert_array_equal(view.permute(1, 2, 3, 0).numpy(), frames[indices[temporal]][window])


def test_a_single_crop_is_cut_from_the_training_scale(entries, cfg):
    item = TestVideos(entries, cfg, num_views=1, num_crops=1)[0]
    assert tuple(item.cut.frames.shape[1:3]) == (36, 48)
    assert item.cut.crops.tolist() == [[2, 8]]
    cfg.DATA.TEST_CROP_SIZE = 40
    assert tuple(TestVideos(entries, cfg, num_views=1, num_crops=1)[0].cut.frames.shape[1:3]) == (40, 53)


def test_an_unreadable_test_video_is_never_replaced(entries, broken, cfg):
    entries[1] = VideoEntry(str(broken), 2)
    videos = TestVideos(entries, cfg, num_views=2, num_crops=3)
    item = videos[1]
    assert len(videos) == 6
    assert item.cut is None
    assert (item.label, item.index, item.path) == (2, 1, str(broken))
    assert "not a readable video" in item.error
    with pytest.raises(VideoError, match=r"text\.mp4"):
        list(item.views())
    assert videos[0].error is None


def test_refusals_come_before_the_first_video(entries, cfg):
    with pytest.raises(ConfigError, match="NUM_SPATIAL_CROPS is 5"):
        TestVideos(entries, cfg, num_views=1, num_crops=5)
    with pytest.raises(ConfigError, match="NUM_ENSEMBLE_VIEWS is 0"):
        TestVideos(entries, cfg, num_views=0, num_crops=1)
    cfg.DATA.TRAIN_CROP_SIZE = 64
    with pytest.raises(ConfigError, match="TRAIN_JITTER_SCALES"):
        TrainClips(entries, cfg, seed=0)
    cfg.DATA.DECODING_BACKEND = "opencv"
    with pytest.raises(ConfigError, match="DECODING_BACKEND"):
        TestVideos(entries, cfg, num_views=1, num_crops=1)
