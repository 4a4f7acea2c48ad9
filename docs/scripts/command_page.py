"""The page of command lines: what each tool answers to ``--help``."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("mutualnet3d.evaluation.ava_map",)  # python -m THIS
COLUMNS = "104"
INTRODUCTION = """# Command lines

What each tool answers to `--help`, taken from the tools when this site is built. All exit with 0 when done, 1 with an
error that the message explains, 2 for wrong usage, 130 for Ctrl-C; `check_data.py` with 1 if any file is unusable.
`KEY VALUE` are [config keys](config_keys.md).
"""


def command_lines() -> dict[str, Callable[[list[str]], int]]:
    """``tools/run_net.py`` -> its ``main(arguments)``; the modules that are run by ``python -m`` too."""
    tools = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tools").glob("*.py"))
    mains = {tool: runpy.run_path(str(ROOT / tool))["main"] for tool in tools}
    return mains | {f"-m {name}": importlib.import_module(f"{name}.__main__").main for name in MODULES}


def help_of(command: str, main: Callable[[list[str]], int]) -> str:
    """What ``python <command> --help`` prints."""
    output = io.StringIO()
    plain = mock.patch.dict(os.environ, {"COLUMNS": COLUMNS, "NO_COLOR": "1", "PYTHON_COLORS": "0"})
    with plain, _called(command), contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        main(["--help"])
    return output.getvalue()


def command_page() -> str:
    """The page as Markdown."""
    parts = [
        f"## {command.removeprefix('tools/')}\n\n```text\n$ python {command} --help\n{help_of(command, main)}```\n"
        for command, main in command_lines().items()
    ]
    return "\n".join([INTRODUCTION, *parts])


@contextlib.contextmanager
def _called(command: str) -> Iterator[None]:
    """argparse takes the program's name from here."""
    with mock.patch.object(sys, "argv", [command.rpartition("/")[2], "--help"]):
        yield
