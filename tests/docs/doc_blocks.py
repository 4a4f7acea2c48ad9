"""The blocks and the commands of README.md and docs/, as the tests of them need them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PROGRAM = re.compile(r"(tools|benchmarks)/[\w/]+\.py|mutualnet3d\.evaluation\.ava_map")
_INLINE = re.compile(
    r"`(?:python )?(?:tools/)?(\w+_net\.py|check_data\.py) (-[^`[]+|[^`[]* -[^`[]+|[^`[]*[A-Z_.]+ [^`[]+)`"
)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: str
    language: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether a reader would run it: code, or a console with ``$ command`` and what it printed."""
        return self.language in ("bash", "python") or (self.language == "" and self.text.startswith("$ "))

    def __str__(self) -> str:
        return f"{self.page}: {self.text.strip().splitlines()[0][:70]}"


@dataclass(frozen=True)
class Command:
    """One call of a program of this project: ``tools/run_net.py``, and its words."""

    page: str
    program: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {self.program} {' '.join(self.words)}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(name_of(page), match[1], match[2]) for match in found]


def block(page: str, containing: str) -> str:
    """The text of the one block of ``page`` with ``containing`` in it."""
    (text,) = [each.text for each in blocks_of(ROOT / page) if containing in each.text]
    return text


def changed(text: str, changes: dict[str, str]) -> str:
    """``text`` with each key of ``changes``, which must be in it, replaced: what a page says, made smaller."""
    for said, ours in changes.items():
        assert said in text, f"{said!r} is not in {text!r} any more"
        text = text.replace(said, ours)
    return text


def prose_of(page: Path) -> str:
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def commands_of(page: Path) -> Iterator[Command]:
    """Every call of a tool, a benchmark or AVA's evaluation, in blocks and within sentences."""
    for each in blocks_of(page):
        if each.runs:
            for line in each.text.replace("\\\n", " ").splitlines():
                yield from _commands_in(each.page, line)
    for match in _INLINE.finditer(prose_of(page).replace("\n", " ")):
        yield from _commands_in(name_of(page), f"tools/{match[1]} {match[2]}")


def _commands_in(page: str, line: str) -> Iterator[Command]:
    if not _PROGRAM.search(line) or line.lstrip("$ ").startswith("#"):
        return
    words = _flat(shlex.split(line.removeprefix("$ "), comments=True))
    for start, word in enumerate(words):
        if _PROGRAM.fullmatch(word):
            end = next((i for i in range(start, len(words)) if words[i] in ("&&", ";", "|")), len(words))
            yield Command(page, word, tuple(each for each in words[start + 1 : end] if each != "..."))


def _flat(words: list[str]) -> list[str]:
    """``bash -c 'torchrun tools/run_net.py ...'`` is a call too."""
    return [part for word in words for part in (shlex.split(word) if _PROGRAM.search(word) and " " in word else [word])]
