"""PySlowFast's index rules."""

import numpy as np
import pytest
import torch

from mutualnet3d.data.sampling import (
    ClipSpec,
    clip_around,
    clip_span,
    key_frame_number,
    random_clip,
    view_clips,
)
from mutualnet3d.errors import ConfigError

EIGHT_BY_EIGHT = ClipSpec(num_frames=8, sampling_rate=8)


class FixedDraw:
    """A generator whose uniform() gives a chosen point of the range."""

    def __init__(self, fraction):
        self.fraction = fraction

    def uniform(self, low, high):
        return low + self.fraction * (high - low)


def test_eight_frames_at_rate_eight():
    clip = random_clip(300, 30.0, EIGHT_BY_EIGHT, FixedDraw(0.0))
    assert clip.tolist() == [0, 9, 18, 27, 36, 45, 54, 63]
    assert clip.dtype == np.int64


@pytest.mark.parametrize(("fps", "span"), [(30.0, 64.0), (15.0, 32.0), (60.0, 128.0), (25.0, 160 / 3), (0.1, 1.0)])
def test_span_follows_the_frame_rate(fps, span):
    assert clip_span(fps, EIGHT_BY_EIGHT) == pytest.approx(span)


def test_random_start_covers_the_video():
    rng = np.random.default_rng(0)
    starts = [random_clip(100, 30.0, EIGHT_BY_EIGHT, rng)[0] for _ in range(2000)]
    assert set(starts) == set(range(36))
    assert np.mean(starts) == pytest.approx(17.5, abs=0.8)
    assert random_clip(100, 30.0, EIGHT_BY_EIGHT, FixedDraw(1.0))[-1] == 99


def test_short_videos_repeat_their_last_frame():
    assert view_clips(20, 30.0, EIGHT_BY_EIGHT, 1).tolist() == [[0, 9, 18, 19, 19, 19, 19, 19]]
    assert view_clips(1, 30.0, EIGHT_BY_EIGHT, 3).tolist() == [[0] * 8] * 3


def test_views():
    views = view_clips(300, 30.0, EIGHT_BY_EIGHT, 10)
    assert views.shape == (10, 8)
    assert views[:, 0].tolist() == [int(236 * view / 10) for view in range(10)]


def test_offset_sampling():
    spec = ClipSpec(8, 8, offset_sampling=True)
    assert view_clips(300, 30.0, spec, 5)[:, 0].tolist() == [0, 59, 118, 177, 236]
    assert view_clips(301, 30.0, spec, 1)[0, 0] == 118


@pytest.mark.parametrize("fps", [30.0, 25.0, 24.0, 30000 / 1001, 15.0])
@pytest.mark.parametrize(("frames", "rate"), [(8, 8), (4, 16), (32, 2), (16, 5), (13, 6)])
def test_same_frames_as_pyslowfast(fps, frames, rate):
    """PySlowFast's arithmetic, in float32 as it does it. A frame may differ by one where the position is whole."""
    spec = ClipSpec(frames, rate)
    for num_frames in (40, 150, 250, 300):
        span = max(rate * frames / 30 * fps, 1.0)
        for view in range(10):
            start = max(num_frames - span, 0) * view / 10
            positions = torch.linspace(start, start + span - 1, frames)
            theirs = positions.clamp(0, num_frames - 1).long().numpy()
            ours = view_clips(num_frames, fps, spec, 10)[view]
            whole = np.abs(positions.numpy() - np.round(positions.numpy())) < 1e-4
            assert np.array_equal(ours[~whole], theirs[~whole])
            assert np.abs(ours - theirs).max() <= 1


def test_refusals():
    with pytest.raises(ConfigError, match="NUM_FRAMES is 0"):
        ClipSpec(0, 8)
    with pytest.raises(ConfigError, match="NUM_ENSEMBLE_VIEWS is 0"):
        view_clips(10, 30.0, EIGHT_BY_EIGHT, 0)


@pytest.mark.parametrize(("length", "frames", "rate"), [(200, 8, 4), (29, 8, 4), (28, 8, 4), (10, 8, 4), (1, 3, 5)])
def test_charades_clips_against_the_rule(length, frames, rate):
    """Every start that PySlowFast may draw is drawn, and no other; test views are spread from end to end."""
    spec = ClipSpec(frames, rate, source_frames=True)
    span = (frames - 1) * rate + 1
    allowed = {
        tuple(max(min(start + i * rate, length - 1), 0) for i in range(frames))
        for start in range(min(length - span, 0), max(length - span, 0) + 1)
    }
    rng = np.random.default_rng(0)
    assert {tuple(random_clip(length, 17.0, spec, rng).tolist()) for _ in range(4000)} == allowed
    for views in (2, 3, 10):
        gap = float(max(length - span, 0)) / (views - 1)
        starts = [round(gap * view) for view in range(views)]
        wanted = [[max(min(start + i * rate, length - 1), 0) for i in range(frames)] for start in starts]
        assert view_clips(length, 17.0, spec, views).tolist() == wanted
    assert view_clips(length, 17.0, spec, 1)[0, 0] == max(length - span, 0) // 2


@pytest.mark.parametrize(("frames", "rate"), [(8, 8), (4, 16), (32, 2), (16, 5), (3, 7)])
def test_clips_of_key_frames_are_pyslowfasts(frames, rate):
    get_sequence = pytest.importorskip("slowfast.datasets.utils").get_sequence
    for center in (0, 3, 40, 299):
        wanted = get_sequence(center, frames * rate // 2, rate, num_frames=300)
        assert clip_around(center, 300, 30.0, ClipSpec(frames, rate)).tolist() == wanted


def test_key_frames_of_other_frame_rates():
    assert clip_around(50, 300, 15.0, ClipSpec(4, 4)).tolist() == [46, 48, 50, 52]
    assert clip_around(50, 300, 30000 / 1001, ClipSpec(4, 16)).tolist() == [18, 34, 50, 66]
    assert clip_around(10, 300, 30.0, ClipSpec(5, 1)).tolist() == [8, 9, 10, 11, 12]
    assert [key_frame_number(second, 30000 / 1001) for second in (0, 2, 898)] == [0, 60, 26913]
