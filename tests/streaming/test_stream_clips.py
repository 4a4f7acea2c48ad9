"""Clips that slide over a stream: their frames are those that the sampling rules choose."""

import cv2
import numpy as np
import pytest

from mutualnet3d.data.sampling import ClipSpec
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.errors import ConfigError
from mutualnet3d.streaming.clips import ClipBuffer
from mutualnet3d.streaming.source import StreamFrame

IMAGES = np.random.default_rng(0).integers(0, 255, (100, 24, 40, 3), dtype=np.uint8)


def preprocessing(frames=4, rate=3, short_side=12):
    return Preprocessing(ClipSpec(frames, rate), 12, short_side, (0.5,) * 3, (0.5,) * 3)


def slide(buffer, numbers, fps=30.0):
    """(number of the newest frame, clip) of every clip."""
    clips = []
    for number in numbers:
        buffer.add(StreamFrame(number, number / fps, IMAGES[number]))
        if buffer.due:
            clips.append((number, buffer.take()))
    return clips


def test_frames_of_a_clip_and_the_stride():
    clips = slide(ClipBuffer(preprocessing(), 30.0, stride=5), range(40))
    assert [number for number, _ in clips] == [11, 16, 21, 26, 31, 36]  # 12 frames make a clip
    for newest, clip in clips:
        wanted = [newest - 11 + int(i * 11 / 3) for i in range(4)]
        expected = [cv2.resize(IMAGES[n], (20, 12), interpolation=cv2.INTER_LINEAR) for n in wanted]
        np.testing.assert_array_equal(clip, expected)


def test_another_frame_rate_spans_the_same_time():
    clips = slide(ClipBuffer(preprocessing(), 15.0, stride=1), range(10), fps=15.0)
    assert clips[0][0] == 5  # 12 frames of 30 fps are 6 of 15 fps
    assert len(clips) == 5
    np.testing.assert_array_equal(clips[0][1][0], cv2.resize(IMAGES[0], (20, 12), interpolation=cv2.INTER_LINEAR))


def test_default_stride_is_a_quarter():
    assert ClipBuffer(preprocessing(), 30.0).stride == 3
    assert ClipBuffer(preprocessing(1, 1), 30.0).stride == 1
    with pytest.raises(ConfigError, match="stride of 0"):
        ClipBuffer(preprocessing(), 30.0, stride=0)


def test_a_missing_frame_is_the_one_before_it():
    buffer = ClipBuffer(preprocessing(short_side=24), 30.0, stride=100)
    there = [0, 1, 2, 5, 6, 9, 14]
    ((newest, clip),) = slide(buffer, there)
    assert newest == 14
    wanted = [14 - 11 + offset for offset in (0, 3, 7, 11)]
    before = [max(n for n in there if n <= number) for number in wanted]
    np.testing.assert_array_equal(clip, IMAGES[before])


def test_only_the_frames_of_a_clip_are_kept():
    buffer = ClipBuffer(preprocessing(), 30.0, stride=2)
    slide(buffer, range(100))
    assert len(buffer._frames) == 12
