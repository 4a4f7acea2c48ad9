"""What this package says, on the terminal and in a run's ``stdout.log``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TextIO

from mutualnet3d.output_files import STDOUT_FILE


def visible(text: str) -> str:
    """``text`` with the codes of control characters, which a terminal would obey: messages hold names from files."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


class TerminalHandler(logging.StreamHandler):
    """To ``sys.stdout`` as it is when a message comes: while a progress bar is drawn, messages go above it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stdout


def setup_logging(output_dir: str | Path | None = None, first: bool = True) -> None:
    """Send this package's messages to the terminal and, with an OUTPUT_DIR, to its stdout.log; other loggers stay.

    Of several processes only the ``first`` says what happens; the others say their errors.
    """
    handlers: list[logging.Handler] = [TerminalHandler()]
    if output_dir is not None and first:
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(Path(output_dir) / STDOUT_FILE, encoding="utf-8"))
    logger = logging.getLogger("mutualnet3d")
    logger.setLevel(logging.INFO if first else logging.ERROR)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    form = _Formatter("[%(asctime)s] %(message)s", datefmt="%m/%d %H:%M:%S")
    for handler in handlers:
        handler.setFormatter(form)
        logger.addHandler(handler)
    logger.propagate = False
