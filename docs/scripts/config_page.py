"""The page of config keys: names, defaults and comments as ``mutualnet3d/config`` has them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml
from slowfast.config.defaults import get_cfg as get_pyslowfast_cfg

from mutualnet3d.config.defaults import OWN_KEYS, get_cfg
from mutualnet3d.config.pyslowfast_keys import ADDED_KEYS, OPEN_NODES
from mutualnet3d.config.supported import IMPLIED, REFUSED, UNREAD, leaves

INTRODUCTION = """# Config keys

Made from `mutualnet3d/config` when this site is built. A YAML file holds what differs from these defaults; `KEY VALUE`
on the command line overrides both. An unknown key is an error that names the nearest known one.
"""
PYSLOWFAST = """## Keys of PySlowFast

All of them load, so its YAML files need no change. Their meaning is PySlowFast's; what is not the same here stands
beside the key:

- *refused*: a run stops before it starts unless the key has its default, because it would be another run;
- *not read*: nothing here depends on it; a run says so if it is set;
- *always so*: what the key asks for happens whatever it says.

Of the nodes {open} any key loads, and none is read.
"""


@dataclass(frozen=True)
class Comments:
    """Comments of a YAML text by key, ``SOLVER.BETAS``; those of nodes by their name."""

    by_key: dict[str, str]

    @classmethod
    def of(cls, text: str) -> Comments:
        found: dict[str, str] = {}
        path: list[str] = []
        for line in text.splitlines():
            code, _, comment = line.partition("#")
            if name := re.match(r"( *)(\w+):", code):
                path = [*path[: len(name[1]) // 2], name[2]]
                found[".".join(path)] = comment.strip()
            elif not code.strip() and comment and path:  # a comment goes on
                found[".".join(path)] += " " + comment.strip()
        return cls({key: comment for key, comment in found.items() if comment})

    def __getitem__(self, key: str) -> str:
        return self.by_key.get(key, "")


def config_page() -> str:
    """The page as Markdown."""
    return "\n".join([INTRODUCTION, _own_keys(), PYSLOWFAST.format(open=_listed(OPEN_NODES)), _pyslowfast_keys()])


def own_keys() -> dict:
    """key -> default of the keys that this package adds to PySlowFast's."""
    return dict(leaves(yaml.safe_load(OWN_KEYS)))


def _own_keys() -> str:
    comments, tables = Comments.of(OWN_KEYS), []
    for node, values in yaml.safe_load(OWN_KEYS).items():
        rows = [(f"{node}.{name}", value, comments[f"{node}.{name}"]) for name, value in values.items()]
        about = f"\n{_sentence(comments[node])}\n" if comments[node] else ""
        tables.append(f"## {node}\n{about}\n{_table(rows)}")
    return "\n".join(tables)


def _pyslowfast_keys() -> str:
    comments, cfg = Comments.of(ADDED_KEYS), get_cfg()
    known = {key for key, _ in [*leaves(get_pyslowfast_cfg()), *leaves(yaml.safe_load(ADDED_KEYS))]}
    nodes: dict[str, list] = {}
    for key, value in leaves(cfg):
        node, dot, _ = key.partition(".")
        if key in known and node not in OPEN_NODES:
            remarks = (_standing(key), comments[key])
            nodes.setdefault(node if dot else "", []).append((key, value, "; ".join(filter(None, remarks))))
    names = sorted(nodes)
    return "\n".join(f"### {_heading(name)}\n\n{_table(nodes[name])}" for name in names)


def _heading(node: str) -> str:
    return f"PySlowFast's {node}" if node else "At the top"


def _standing(key: str) -> str:
    if key in REFUSED:
        return "*refused*"
    return "*always so*" if IMPLIED.fullmatch(key) else "*not read*" if UNREAD.fullmatch(key) else ""


def _table(rows: list[tuple]) -> str:
    lines = [f"| `{key}` | `{_text(value)}` | {comment.replace('|', chr(92) + '|')} |" for key, value, comment in rows]
    return "\n".join(["| key | default | |", "|---|---|---|", *lines]) + "\n"


def _text(value) -> str:
    if isinstance(value, str):
        return value or '""'
    return "null" if value is None else str(value).replace("'", "")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:].rstrip(".") + "."


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
