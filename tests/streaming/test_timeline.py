"""Schedules: what is read, and what holds when."""

import pytest

from mutualnet3d.errors import ConfigError
from mutualnet3d.streaming.timeline import Timeline


def test_steps_hold_from_their_second_on():
    budgets = Timeline.parse("0:80,10:40, 20.5 : 80")
    assert [budgets.at(second) for second in (-1, 0, 9.99, 10, 20.4, 20.5, 1e9)] == [80, 80, 80, 40, 40, 80, 80]
    assert [budgets.phase(second) for second in (-1, 0, 9.99, 10, 20.5)] == [0, 0, 0, 1, 2]


def test_a_single_value_and_per_cent():
    assert Timeline.parse("80").steps == ((0.0, 80.0),)
    assert Timeline.parse("0:150%,8:37.5", percent_of=40.0).steps == ((0.0, 60.0), (8.0, 37.5))
    assert Timeline.parse("50%", percent_of=40.0).at(3) == 20.0


def test_what_holds_before_the_first_step():
    assert Timeline.parse("10:2,20:0", before=0.0).steps == ((0.0, 0.0), (10.0, 2.0), (20.0, 0.0))
    assert Timeline.parse("0:2", before=7.0).steps == Timeline.parse("2", before=7.0).steps == ((0.0, 2.0),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'0:' is not SECOND:VALUE"),
        ("0:80,10", "'10' is not SECOND:VALUE"),
        ("0:80,", "is not SECOND:VALUE"),
        ("0:eighty", "'0:eighty'"),
        ("0:8:9", "'0:8:9'"),
        ("0:50%", "'0:50%'"),
        ("0:-1", "at least 0"),
        ("0:nan", "at least 0"),
        ("0:inf", "at least 0"),
        ("5:80", "must start at 0 and rise"),
        ("0:80,9:1,9:2", "must start at 0 and rise"),
        ("0:80,9:1,5:2", "must start at 0 and rise"),
    ],
)
def test_other_texts_are_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        Timeline.parse(text)


def test_a_timeline_without_steps():
    with pytest.raises(ConfigError, match="must start at 0"):
        Timeline(())
