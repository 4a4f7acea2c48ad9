"""``--help`` of every tool: what it is for, an example, exit codes, every default; nothing that is not there."""

import argparse
import importlib
import re

import pytest
from tiny import ROOT

from mutualnet3d.help import WIDTH

TOOLS = sorted((ROOT / "tools").glob("*.py"))


@pytest.fixture
def parser_of(monkeypatch, capsys):
    """``parser_of(tool)``: (its parser, what --help prints)."""

    def ask(path):
        module = re.search(r"^ *from (mutualnet3d\.\S+) import main\b", path.read_text(), re.MULTILINE)[1]
        parsers = []
        original = argparse.ArgumentParser.print_help
        monkeypatch.setattr(argparse.ArgumentParser, "print_help", lambda self: parsers.append(self) or original(self))
        with pytest.raises(SystemExit) as stopped:
            importlib.import_module(module).main(["--help"])
        assert stopped.value.code == 0
        return parsers[0], capsys.readouterr().out

    return ask


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.stem)
def test_help(path, parser_of, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    parser, text = parser_of(path)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.startswith(f"usage: {path.name} ")
    assert "\n" not in parser.description
    assert f"example:\n  python tools/{path.name} " in text
    assert re.search(r"exit status: 0 .*, 1 .*, 2 ", text)
    for name in re.findall(r"(?:tools|configs|docs|mutualnet3d)/[\w./-]+", text):
        assert (ROOT / name).exists(), name
    for action in parser._actions:
        shown = parser._get_formatter()._expand_help(action) if action.help else ""
        if action.option_strings and action.dest != "help":
            assert re.search("default|required", shown), action.option_strings
            if isinstance(action.default, (int, float)) and not isinstance(action.default, bool):
                assert f"default: {action.default}" in shown or "all cores" in shown
    named = {action.dest for group in parser._action_groups[2:] for action in group._group_actions}
    assert not named or len(named) >= 3  # options stand in groups, where there are many


def test_every_tool_is_here():
    assert len(TOOLS) >= 9
    assert {path.stem for path in TOOLS} >= {"run_net", "check_data", "query_net"}
