"""Clips of a stream against the rule of test videos, at any rate and stride, with frames that are missing."""

import math

import numpy as np
import pytest
import torch

from mutualnet3d.data.decode import resize
from mutualnet3d.data.sampling import ClipSpec, clip_span
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.errors import ConfigError
from mutualnet3d.streaming.clips import ClipBuffer
from mutualnet3d.streaming.source import StreamFrame

SIZE = 24, 30


def preprocessing(num_frames=8, sampling_rate=4, **spec):
    return Preprocessing(ClipSpec(num_frames, sampling_rate, **spec), 16, 20, (0.45,) * 3, (0.225,) * 3)


def image(number):
    return np.random.default_rng(number).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def clips(buffer, numbers, fps=30.0):
    """(number of the newest frame, clip) of every clip that comes."""
    for number in numbers:
        buffer.add(StreamFrame(number, number / fps, image(number)))
        if buffer.due:
            yield number, buffer.take()


@pytest.mark.parametrize("fps", [5.0, 12.5, 23.976, 29.97, 30.0, 50.0, 120.0])
@pytest.mark.parametrize("frames", [(8, 4), (4, 2), (16, 2), (1, 1)])
@pytest.mark.parametrize("offset_sampling", [False, True])
def test_a_clip_is_what_a_test_video_of_that_length_gives(fps, frames, offset_sampling):
    """The reference cuts a video that holds just the clip."""
    own = preprocessing(*frames, offset_sampling=offset_sampling)
    length = math.ceil(clip_span(fps, own.clip))
    seen = list(clips(ClipBuffer(own, fps, stride=3), range(2 * length + 9), fps))
    assert len(seen) > 3
    for newest, clip in seen:
        last = round(math.floor(round(clip_span(fps, own.clip) - 1, 6)))
        start = newest - last if frames[0] > 1 else newest
        video = np.stack([image(start + offset) for offset in range(length)])
        expected = own.cut_frames(video, fps, 1, 1)
        assert torch.equal(next(iter(own.cut_clip(clip))), next(iter(expected)))


def test_clips_come_a_stride_apart():
    buffer = ClipBuffer(preprocessing(), 30.0)
    assert buffer.stride == 8
    assert [newest for newest, _ in clips(buffer, range(64))] == [31, 39, 47, 55, 63]
    assert [n for n, _ in clips(ClipBuffer(preprocessing(), 30.0, 1), range(40))] == list(range(31, 40))
    assert [n for n, _ in clips(ClipBuffer(preprocessing(), 30.0, 100), range(140))] == [31, 131]


def test_frames_that_a_camera_lost_are_stood_for_by_those_before():
    there = [number for number in range(120) if number % 7 and not 40 <= number < 50]
    own = preprocessing(4, 5)
    seen = list(clips(ClipBuffer(own, 30.0, 6), there))
    assert len(seen) > 8
    offsets = np.floor(np.linspace(0, 19, 4)).astype(int)
    for newest, clip in seen:
        wanted = [newest - 19 + offset for offset in offsets]
        shown = [max(number for number in there if number <= max(w, there[0])) for w in wanted]
        assert np.array_equal(clip, np.stack([resize(image(number), own.short_side) for number in shown]))


def test_only_what_a_clip_spans_is_kept():
    buffer = ClipBuffer(preprocessing(), 30.0)
    list(clips(buffer, range(500)))
    assert len(buffer._frames) <= 33
    assert buffer._frames[0][1].shape == (20, 25, 3)


def test_a_stream_that_is_shorter_than_a_clip_gives_none():
    assert list(clips(ClipBuffer(preprocessing(), 30.0), range(31))) == []
    assert not ClipBuffer(preprocessing(), 30.0).due


@pytest.mark.parametrize("stride", [0, -3])
def test_strides_are_at_least_1(stride):
    with pytest.raises(ConfigError, match=f"a stride of {stride} frames"):
        ClipBuffer(preprocessing(), 30.0, stride)
