"""What every tool's ``--help`` looks like; loads nothing heavy."""

from __future__ import annotations

import argparse
import shutil

WIDTH = 100  # characters of a line of help
EXIT_STATUS = "exit status: 0 done, 1 an error that the message explains, 2 wrong usage, 130 stopped by Ctrl-C"


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """At most ``WIDTH`` columns; options say their defaults."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=26, width=min(shutil.get_terminal_size().columns, WIDTH) - 2)

    def _get_help_string(self, action: argparse.Action) -> str:
        text, default = action.help or "", action.default
        if action.required or "default" in text or default is argparse.SUPPRESS or not action.option_strings:
            return f"{text}; required" if action.required and action.option_strings else text
        if isinstance(default, bool):
            default = "on" if default else "off"
        return f"{text}; default: {' '.join(map(str, default)) if isinstance(default, list) else default}"


def tool_parser(
    description: str, tool: str | None = None, example: str = "", more: str = "", status: str = EXIT_STATUS
) -> argparse.ArgumentParser:
    """The parser of ``tools/<tool>.py``.

    Args:
        tool: None = the program's own name.
        example: a command line of it, or several, a line each.
        more: what else its users must know, in lines of at most ``WIDTH`` characters.
        status: what its exit status means.
    """
    lines = ["example:", *(f"  {line}" for line in example.splitlines()), ""] if example else []
    lines += [*more.strip().splitlines(), ""] if more else []
    return argparse.ArgumentParser(
        prog=tool and f"{tool}.py",
        description=description,
        epilog="\n".join([*lines, status]),
        formatter_class=HelpFormatter,
    )
