"""The command line of the tools, as PySlowFast's: ``--cfg FILE... [KEY VALUE...]``."""

import argparse
import re
import sys
from collections.abc import Sequence

from mutualnet3d.config.defaults import get_cfg
from mutualnet3d.help import tool_parser

_KEY = re.compile(r"[A-Z][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*")
_YAML = (".yaml", ".yml")
_OUR_OPTIONS = ("--cfg", "--opts", "--shard_id", "--num_shards", "--init_method")


def argument_parser(
    description: str, tool: str | None = None, example: str = "", more: str = "", usage: str = ""
) -> argparse.ArgumentParser:
    """:func:`tool_parser` with the shared options, for ``parse_arguments``; a tool may add options of its own."""
    more = f"KEY VALUE: overrides of the config, such as MODEL.NUM_CLASSES 10; last, or after --opts.\n\n{more.strip()}"
    parser = tool_parser(description, tool, example, more)
    parser.allow_abbrev = False
    parser.usage = f"%(prog)s {usage or '--cfg FILE [FILE ...] [options]'} [KEY VALUE ...]"
    config = parser.add_argument_group("config")
    config.add_argument("--cfg", metavar="FILE", nargs="+", help="YAML files; later ones win; default: none")
    config.add_argument("--opts", metavar="KEY VALUE", nargs="*", help="overrides of the config; default: none")
    machines = parser.add_argument_group("several machines")
    machines.add_argument("--shard_id", type=int, metavar="N", help="number of this one; default: SHARD_ID, 0")
    machines.add_argument("--num_shards", type=int, metavar="N", help="how many; default: NUM_SHARDS, 1")
    machines.add_argument("--init_method", metavar="URL", help="where they meet: tcp://10.0.0.1:9999; default: none")
    return parser


def parse_arguments(
    argv: Sequence[str] | None = None, parser: argparse.ArgumentParser | None = None, require_cfg: bool = True
) -> argparse.Namespace:
    """Read a command line in PySlowFast's form.

    Overrides may follow the files, ``--opts``, or both; a value may be anything, a negative number too.
    ``--shard_id`` and ``--num_shards`` become overrides of SHARD_ID and NUM_SHARDS.

    Args:
        argv: words after the program's name; None = those of this process.
        parser: from ``argument_parser``, possibly with more ``--`` options; None = a new one.
        require_cfg: refuse a command line without ``--cfg``.

    Returns:
        A namespace with ``cfg_files`` (list of str) and ``overrides`` (flat list), which ``load_config`` takes,
        ``init_method``, ``shard_id``, ``num_shards`` (None if not given) and the options that the tool added.

    Raises:
        SystemExit: the words cannot be understood (status 2), or ``--help`` was asked for (0).
    """
    parser = argument_parser("") if parser is None else parser
    words = list(sys.argv[1:] if argv is None else argv)
    files, overrides, rest = _split(words, parser)
    arguments = parser.parse_args(rest)
    if require_cfg and not files:
        parser.error("--cfg: name at least one YAML file")
    for key, value in (("SHARD_ID", arguments.shard_id), ("NUM_SHARDS", arguments.num_shards)):
        if value is not None:
            overrides += [key, value]
    del arguments.cfg, arguments.opts
    arguments.cfg_files, arguments.overrides = files, overrides
    return arguments


def _split(words: list[str], parser: argparse.ArgumentParser) -> tuple[list[str], list[str], list[str]]:
    """Separate config files and overrides from the options, which argparse then reads."""
    files: list[str] = []
    overrides: list[str] = []
    rest: list[str] = []
    waiting = list(reversed(words))
    nodes = get_cfg()
    option = ""  # the last word that began with "--"; what follows belongs to it unless it is a key
    while waiting:
        word = waiting.pop()
        if word == "--cfg" or word.startswith("--cfg="):
            option = "--cfg"
            if word != "--cfg":
                waiting.append(word.removeprefix("--cfg="))
            if not waiting or waiting[-1].startswith("--"):
                parser.error("--cfg: name at least one YAML file")
            files.append(waiting.pop())
        elif word == "--opts":
            option = "--opts"
        elif word.startswith("-") and word != "-":
            option = word
            rest.append(word)
            if word in _OUR_OPTIONS and waiting:  # each takes one value, whatever it looks like
                rest.append(waiting.pop())
                option = "--opts"
        elif option == "--cfg" and word.endswith(_YAML):
            files.append(word)
        elif option in ("", "--cfg", "--opts") or word.split(".")[0] in nodes:
            if not _KEY.fullmatch(word) and word.endswith(_YAML):
                parser.error(f"{word}: config files follow --cfg")
            if not waiting or waiting[-1] in _OUR_OPTIONS:
                parser.error(f"override {word} has no value; overrides are pairs: KEY VALUE")
            overrides += [word, waiting.pop()]
            option = "--opts"
        else:
            rest.append(word)
    return files, overrides, rest
