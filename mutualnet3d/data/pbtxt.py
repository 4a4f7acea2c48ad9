"""Label maps are protocol-buffer text; this reads the flat blocks that they are made of, without that library."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from mutualnet3d.errors import DataError

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|[,;]|(?P<open>\w+\s*(?::\s*)?\{)|(?P<close>\})"""
    r"""|(?P<key>\w+)\s*:\s*(?P<value>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[\w.+-]+)"""
)


def blocks(text: str, path: str | os.PathLike) -> Iterator[tuple[str, dict[str, str]]]:
    """("file:line", {field: value as written}) of each block ``word { field: value ... }``; blocks do not nest."""
    fields: dict[str, str] | None = None
    where, position, line, counted = f"{path}:1", 0, 1, 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        line, counted = line + text.count("\n", counted, position), position
        here = f"{path}:{line}"
        opens, closes, key = (token.group(name) for name in ("open", "close", "key")) if token else (None, None, None)
        if token is None or (opens and fields is not None) or ((closes or key) and fields is None):
            raise DataError(f'{here}: is not a label map; its entries look like item {{ name: "walk" id: 12 }}')
        if opens:
            where, fields = here, {}
        elif key:
            fields[key] = token.group("value")
        elif closes:
            yield where, fields
            fields = None
        position = token.end()
    if fields is not None:
        raise DataError(f"{where}: this entry has no closing brace; the file may be cut off")
