"""Doing what a page of docs/ says: its blocks run in their order; what it quotes is compared with what they print."""

import contextlib
import importlib
import io
import re
import shlex
import subprocess
from pathlib import Path

from doc_blocks import ROOT, blocks_of
from tiny import release_logger

COMMANDS = {
    "-m mutualnet3d.evaluation.ava_map": "evaluation.ava_map.__main__",
    "tools/prepare_data.py": "commands.prepare",
}


def printed_by(words: list[str], expected: int = 0) -> str:
    """What ``python words ...`` prints, in this process: importing the package takes longer than these commands.

    Its exit status must be the ``expected`` one.
    """
    count = 2 if words[0] == "-m" else 1
    program = " ".join(words[:count])
    if program not in COMMANDS:
        assert (ROOT / program).is_file()
    name = COMMANDS.get(program) or "commands." + re.fullmatch(r"tools/(\w+)_net\.py", program)[1]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            status = importlib.import_module(f"mutualnet3d.{name}").main(words[count:])
        finally:
            release_logger()
    assert status == expected, (words, output.getvalue())
    return output.getvalue()


def run_bash(block: str) -> str:
    """Commands of this package run in this process, all others in bash."""
    output, others = "", ""
    for line in [*block.splitlines(), "python"]:
        if not line.startswith("python"):
            others += line + "\n"
            continue
        output += subprocess.run(["bash", "-e"], input=others, capture_output=True, text=True, check=True).stdout
        others = ""
        if line != "python":
            output += printed_by(shlex.split(line, comments=True)[1:])
    return output


def run_python(block: str, names: dict | None = None) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(block, {} if names is None else names)
    return output.getvalue()


def follow(page: str) -> list[tuple[str, str]]:
    """Run the blocks of docs/``page`` in the current folder: (quotation, what was printed before it) of each one."""
    for name in ("configs", "tools"):
        Path(name).symlink_to(ROOT / name)
    names, output, quoted = {}, "", []
    for block in blocks_of(ROOT / "docs" / page):
        if block.language == "text":
            quoted.append((block.text, output))
        elif block.language:
            output = run_bash(block.text) if block.language == "bash" else run_python(block.text, names)
    return quoted


def loosely(line: str, measured: str) -> str:
    """The regular expression of ``line``. Where it matches ``measured``, numbers and the Pareto front may be others."""
    words = re.escape(" ".join(line.split()))
    if re.search(measured, line):
        words = re.sub(r"\d+(\\\.\d+)?", r"[0-9.]+", words)
        words = re.sub(r"│\\ (\\\*\\ )?│", r"│( \\*)? │", words)
    return words


def check_quotation(quoted: str, output: str, pattern) -> None:
    """Every line of ``quoted`` is in ``output``, in this order; ``...`` stands for any lines.

    Args:
        pattern: the regular expression of a line.
    """
    plain = "\n".join(" ".join(line.split()) for line in output.splitlines())
    at = 0
    for line in filter(None, map(str.strip, quoted.splitlines())):
        if line == "...":
            continue
        found = re.compile(pattern(line)).search(plain, at)
        assert found, f"{line!r} is not in, or not in this order in\n{output}"
        at = found.end()
