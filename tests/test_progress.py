"""How far work has come: a bar on a terminal, lines in files and pipes, nothing where nobody asked for messages."""

import io
import logging
import re

import pytest

from mutualnet3d import progress
from mutualnet3d.logs import setup_logging
from mutualnet3d.progress import show_progress

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """``terminal(columns)``: standard output becomes one of that width, in which every step is drawn."""

    def take(columns):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(progress, "DRAW_EVERY_S", 0.0)
        screen = Terminal()
        monkeypatch.setattr("sys.stdout", screen)
        return screen

    return take


def work(steps=3):
    with show_progress("testing [bold]", steps, "videos") as shown:
        for number, _ in enumerate(shown.over(range(steps))):
            logging.getLogger("mutualnet3d").info(
                "message %d of a length that no narrow terminal has in a line", number
            )


@pytest.mark.parametrize("columns", [120, 80, 30, 12])
def test_terminal(terminal, tmp_path, columns):
    """Every row that is drawn fits; messages stand above the bar, whole; the file has them as a pipe would."""
    screen = terminal(columns)
    setup_logging(tmp_path)
    work()
    rows = [CODES.sub("", row) for row in re.split(r"[\r\n]", screen.getvalue())]
    assert max(map(len, rows)) <= columns
    if columns >= 80:
        assert any(re.search(r"testing \[bold\] .*━.* 2/3 [\d.]+ videos/s, left 0:0\d", row) for row in rows), rows
    if columns == 120:
        assert sum("message 1 of a length that no narrow terminal has in a line" in row for row in rows) == 1
    logged = (tmp_path / "stdout.log").read_text().splitlines()
    assert [line.partition("] ")[2][:9] for line in logged] == ["message 0", "message 1", "message 2"]
    assert screen.getvalue().rstrip().endswith("\x1b[2K")  # nothing of the bar is left


@pytest.mark.parametrize("quiet", ["other rank", "pipe", "dumb terminal", "library"])
def test_no_bar(terminal, monkeypatch, quiet):
    screen = terminal(100)
    if quiet == "dumb terminal":
        monkeypatch.setenv("TERM", "dumb")
    if quiet == "pipe":
        screen.isatty = lambda: False
    if quiet != "library":
        setup_logging(first=quiet != "other rank")
    work()
    said = screen.getvalue()
    assert not CODES.search(said)
    assert "━" not in said
    assert said.count("message") == (3 if quiet in ("pipe", "dumb terminal") else 0)


def test_a_line_a_minute(monkeypatch, caplog):
    """Rate and time left are those since the start, of what was not done before it."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    with caplog.at_level(logging.INFO), show_progress("testing", 1000, "videos", done=400) as steps:
        for _ in range(60):
            now[0] += 5.0
            steps.advance(10)
    assert len(caplog.messages) == 4  # the fifth would come when all is done
    assert caplog.messages[0] == "testing: 520 of 1000 videos, 2/s, left 4:00"


def test_an_error_takes_the_bar_away(terminal):
    screen = terminal(100)
    setup_logging()

    def stopped():
        with show_progress("testing", 3, "videos") as steps:
            steps.advance()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert screen.getvalue().rstrip().endswith("\x1b[2K")
    work()  # a later one can be shown
