"""Reading one YAML file: duplicate keys are refused, ``_BASE_`` is followed, and every key knows its file and line."""

import os
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import yaml

from mutualnet3d.errors import ConfigError

BASE_KEY = "_BASE_"
MOST_FILES, MOST_VALUES = 64, 100_000  # of one config; aliases count as often as they are used


@dataclass(frozen=True)
class Placed:
    """One value of a YAML file and where it stands.

    Attributes:
        value: a plain value, or a dict of name -> Placed for a node.
        place: ``file:line``, for messages.
    """

    value: Any
    place: str


def read_yaml(path: str | os.PathLike) -> dict[str, Placed]:
    """The entries of a YAML file, those of its ``_BASE_`` files (one path or a list, relative to the file) below them.

    Raises:
        ConfigError: the file is missing or unreadable, is not YAML, is not a mapping, names a key twice, or its
            ``_BASE_`` leads back to itself.
    """
    return _read_file(os.path.expanduser(os.fspath(path)), (), [])


def parse_yaml(text: str, name: str) -> dict[str, Placed]:
    """The entries of a YAML text; ``name`` stands for the file in messages. ``_BASE_`` is refused."""
    entries = _parse(text, name)
    if BASE_KEY in entries:
        raise ConfigError(f"{entries[BASE_KEY].place}: {BASE_KEY} only works in files; merge the base file first")
    return entries


def _read_file(path: str, above: tuple[str, ...], read: list[str]) -> dict[str, Placed]:
    real = os.path.realpath(path)
    if real in above:
        raise ConfigError(f"{path}: {BASE_KEY} leads back to the file itself; remove one of the {BASE_KEY} lines")
    read.append(real)
    if len(read) > MOST_FILES:
        raise ConfigError(f"{path}: more than {MOST_FILES} files are read through {BASE_KEY}; merge some of them")
    try:
        if above and os.path.exists(path) and not os.path.isfile(path):  # a pipe or a device would never end
            raise ConfigError(f"config file {path} (a {BASE_KEY}) is no regular file")
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise ConfigError(f"config file {path} does not exist (current folder: {os.getcwd()})") from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the name
        raise ConfigError(f"config file {path} cannot be read: {error}") from error
    entries = _parse(text, path)
    base = entries.pop(BASE_KEY, None)
    if base is None:
        return entries
    names = base.value if isinstance(base.value, list) else [base.value]
    merged: dict[str, Placed] = {}
    for name in names:
        if not isinstance(name, str):
            raise ConfigError(f"{base.place}: {BASE_KEY} takes one file name or a list of them, not {base.value!r}")
        name = os.path.join(os.path.dirname(path), os.path.expanduser(name))
        _lay_over(_read_file(name, (*above, real), read), merged)
    _lay_over(entries, merged)
    return merged


def _lay_over(upper: dict[str, Placed], lower: dict[str, Placed]) -> None:
    for key, entry in upper.items():
        below = lower.get(key)
        if below is not None and isinstance(entry.value, dict) and isinstance(below.value, dict):
            _lay_over(entry.value, below.value)
        else:
            lower[key] = entry


def _parse(text: str, name: str) -> dict[str, Placed]:
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is None or (isinstance(root, yaml.ScalarNode) and root.tag.endswith(":null")):
            return {}
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(f"{name}: a config file holds KEY: VALUE lines, this one holds {root.value!r:.60}")
        if _count(root, {}) > MOST_VALUES:
            raise ConfigError(f"{name}: holds more than {MOST_VALUES} values, counting each use of an alias (*name)")
        return _mapping(loader, root, name)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{name}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    except RecursionError:
        raise ConfigError(f"{name}: an alias (*name) leads back into itself, or nodes are nested without end") from None


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode, name: str) -> dict[str, Placed]:
    _refuse_duplicates(loader, node, name)
    loader.flatten_mapping(node)  # "<<: *anchor"; merged keys come first, so that the file's own ones win
    entries: dict[str, Placed] = {}
    for key_node, value_node in node.value:
        key, place = str(_construct(loader, key_node, name)), f"{name}:{key_node.start_mark.line + 1}"
        if isinstance(value_node, yaml.MappingNode):
            entries[key] = Placed(_mapping(loader, value_node, name), place)
        else:
            entries[key] = Placed(_construct(loader, value_node, name), place)
    return entries


def _count(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below ``node``; a node that several aliases name counts each time, as a program that walks them does."""
    if id(node) not in known:
        known[id(node)] = 0  # while it is open
        children = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in children for child in pair]
        known[id(node)] = 1 + sum(_count(child, known) for child in children)
    elif not known[id(node)]:
        raise RecursionError("an alias leads back into the node that it stands in")
    return known[id(node)]


def _construct(loader: yaml.SafeLoader, node: yaml.Node, name: str) -> Any:
    try:
        return loader.construct_object(node, deep=True)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        text = f"{node.value!r:.60}" if isinstance(node, yaml.ScalarNode) else "this value"
        raise ConfigError(
            f"{name}:{node.start_mark.line + 1}: {text} is not what its form or its tag {node.tag!r:.60} says "
            f"({error}); put a text into quotes"
        ) from error


def _refuse_duplicates(loader: yaml.SafeLoader, node: yaml.MappingNode, name: str) -> None:
    seen: dict[Hashable, int] = {}
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = str(_construct(loader, key_node, name))
        line = key_node.start_mark.line + 1
        if key in seen:
            raise ConfigError(
                f"{name}:{line}: the key {key} stands here and in line {seen[key]}; the first would be lost, remove one"
            )
        seen[key] = line
