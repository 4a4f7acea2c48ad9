"""Scaling, cropping, flipping, normalising."""

import numpy as np
import pytest
import torch

from mutualnet3d.data.transforms import (
    TrainTransform,
    draw_scale,
    normalise,
    random_crop_and_flip,
    uniform_crop_offsets,
)
from mutualnet3d.errors import ConfigError


def coordinates(height, width, num_frames=2):
    """Frames whose pixels say where they are: channel 0 the row, channel 1 the column."""
    frame = np.zeros((height, width, 3), np.uint8)
    frame[..., 0], frame[..., 1] = np.arange(height)[:, None], np.arange(width)
    return np.stack([frame] * num_frames)


def test_scale_reaches_both_ends():
    rng = np.random.default_rng(0)
    drawn = [draw_scale(TrainTransform((36, 44), 32), rng) for _ in range(2000)]
    assert set(drawn) == set(range(36, 45))
    assert np.mean(drawn) == pytest.approx(40, abs=0.3)


def test_inverse_uniform_scale():
    rng = np.random.default_rng(0)
    drawn = [draw_scale(TrainTransform((256, 340), 224, inverse_uniform=True), rng) for _ in range(5000)]
    assert min(drawn) >= 256
    assert max(drawn) <= 340
    assert np.mean(1 / np.array(drawn)) == pytest.approx((1 / 256 + 1 / 340) / 2, rel=1e-3)


def test_every_crop_position_is_reached_and_all_frames_share_it():
    rng, frames = np.random.default_rng(0), coordinates(10, 12)
    seen = set()
    for _ in range(1000):
        clip = random_crop_and_flip(frames, TrainTransform((8, 8), 8, flip=False), rng)
        assert clip.shape == (2, 8, 8, 3)
        assert np.array_equal(clip[0], clip[1])
        seen.add((int(clip[0, 0, 0, 0]), int(clip[0, 0, 0, 1])))
    assert seen == {(top, left) for top in range(3) for left in range(5)}


def test_crop_as_large_as_the_frame():
    frames = coordinates(8, 8)
    clip = random_crop_and_flip(frames, TrainTransform((8, 8), 8, flip=False), np.random.default_rng(0))
    assert np.array_equal(clip, frames)
    assert not np.shares_memory(clip, frames)


def test_half_of_the_clips_are_mirrored():
    rng, frames = np.random.default_rng(0), coordinates(8, 8)
    mirrored = [random_crop_and_flip(frames, TrainTransform((8, 8), 8), rng)[0, 0, 0, 1] == 7 for _ in range(1000)]
    assert np.mean(mirrored) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("size", "crop", "expected"),
    [
        ((256, 340), 256, [(0, 0), (0, 42), (0, 84)]),
        ((340, 256), 256, [(0, 0), (42, 0), (84, 0)]),
        ((256, 341), 256, [(0, 0), (0, 43), (0, 85)]),
        ((256, 256), 256, [(0, 0), (0, 0), (0, 0)]),
        ((255, 320), 224, [(16, 0), (16, 48), (16, 96)]),
    ],
)
def test_three_crops(size, crop, expected):
    assert uniform_crop_offsets(*size, crop, 3) == expected
    assert uniform_crop_offsets(*size, crop, 1) == [expected[1]]


def test_refusals():
    with pytest.raises(ConfigError, match="must be 1 or 3"):
        uniform_crop_offsets(64, 64, 32, 2)
    with pytest.raises(ConfigError, match="33 pixels does not fit into 32 x 64"):
        uniform_crop_offsets(32, 64, 33, 1)
    with pytest.raises(ConfigError, match=r"below DATA\.TRAIN_CROP_SIZE 224"):
        TrainTransform((200, 320), 224)
    with pytest.raises(ConfigError, match=r"must be \[lowest, highest\]"):
        TrainTransform((320, 256), 224)


def test_normalise_keeps_the_memory_layout():
    clips = torch.randint(0, 256, (2, 4, 5, 6, 3), dtype=torch.uint8).permute(0, 4, 1, 2, 3)
    before = clips.clone()
    mean, std = [0.45, 0.4, 0.35], [0.225, 0.2, 0.25]
    normal = normalise(clips, mean, std)
    expected = (clips.double() / 255 - torch.tensor(mean).view(3, 1, 1, 1)) / torch.tensor(std).view(3, 1, 1, 1)
    torch.testing.assert_close(normal, expected.float())
    assert normal.dtype == torch.float32
    assert normal.is_contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(clips, before)
    torch.testing.assert_close(normalise(clips[:, :, 0], mean, std), normal[:, :, 0])  # images


@pytest.mark.parametrize("time", [(), (3,)])
def test_normalising_does_not_depend_on_the_layout(time):
    """Images and clips stored channels last take another, faster way to the same bits, and stay channels last."""
    rows = torch.randint(0, 256, (2, *time, 6, 7, 3), dtype=torch.uint8)
    clips = rows.movedim(-1, 1)
    mean, std = [0.4, 0.45, 0.5], [0.2, 0.225, 0.25]
    found = normalise(clips, mean, std)
    expected = normalise(clips.contiguous(), mean, std)
    by_hand = (rows[..., 1].float() / 255 - torch.tensor(0.45)) / torch.tensor(0.225)
    assert torch.equal(found, expected)
    assert torch.equal(found[:, 1], by_hand)
    assert found.movedim(1, -1).is_contiguous()
    assert expected.is_contiguous()
    assert torch.equal(clips.movedim(1, -1), rows)
