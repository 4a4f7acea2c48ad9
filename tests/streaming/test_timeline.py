"""Schedules written on a command line."""

import pytest

from mutualnet3d.errors import ConfigError
from mutualnet3d.streaming.timeline import Timeline


def test_values_hold_from_their_second_on():
    timeline = Timeline.parse("0:80, 10:40,20.5 : 80")
    assert timeline.steps == ((0, 80), (10, 40), (20.5, 80))
    assert [timeline.at(t) for t in (-1, 0, 9.99, 10, 20.4, 20.5, 1e9)] == [80, 80, 80, 40, 40, 80, 80]
    assert Timeline.parse("80").at(5) == 80


def test_percentages():
    assert Timeline.parse("0:150%,10:75 %", percent_of=20.0).steps == ((0, 30), (10, 15))
    assert Timeline.parse("120%", percent_of=10.0).at(0) == pytest.approx(12)
    with pytest.raises(ConfigError, match="'0:50%'"):
        Timeline.parse("0:50%")


@pytest.mark.parametrize(
    "text",
    ["", "abc", "0:80,", "0:80,10", "0:80,10:x", "10:80", "0:80,20:40,10:80", "0:1,0:2", "0:-1", "0:nan", "-1:3"],
)
def test_other_texts(text):
    with pytest.raises(ConfigError):
        Timeline.parse(text)
