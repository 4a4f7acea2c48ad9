"""The query table as a JSON file: readable, and checked when it is read back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import ConfigurationError, QueryTableError
from mutualnet3d.query_table.entry import Entry

if TYPE_CHECKING:
    from mutualnet3d.query_table.table import QueryTable

FORMAT, VERSION = "mutualnet3d query table", 1


def entry_values(entry: Entry) -> dict[str, Any]:
    """Plain values of ``entry``; ``latencies``, an object by label, is there if a device measured it."""
    values = {field.name: getattr(entry, field.name) for field in fields(entry)}
    values["configuration"] = str(entry.configuration)
    if not entry.latencies:
        del values["latencies"]
        return values
    return values | {"latencies": dict(entry.latencies)}


def to_json(table: QueryTable) -> str:
    """The text of ``table``'s file."""
    values = {"format": FORMAT, "version": VERSION, "metric": table.metric, "provenance": table.provenance}
    if table.device is not None:
        values["device"] = table.device
    return json.dumps(values | {"entries": [entry_values(entry) for entry in table.entries]}, indent=2) + "\n"


def read_fields(path: str | os.PathLike) -> dict[str, Any]:
    """The fields of the query table in the file ``path``; QueryTableError, saying where, if it is none."""
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no JSON, endless digits
        raise QueryTableError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise QueryTableError(f"{path}: not a query table of mutualnet3d")
    if values.get("version") != VERSION:
        raise QueryTableError(f"{path}: version {values.get('version')!r}, this release reads {VERSION}")
    metric, provenance, device = values.get("metric"), values.get("provenance"), values.get("device")
    if not isinstance(metric, str) or not isinstance(provenance, dict) or not isinstance(device, str | None):
        raise QueryTableError(f"{path}: metric and device must be texts and provenance an object")
    entries = tuple(_read_entries(values.get("entries"), path))
    return {"entries": entries, "metric": metric, "provenance": provenance, "device": device}


def _read_entries(values: object, path: str | os.PathLike) -> Iterable[Entry]:
    if not isinstance(values, list):
        raise QueryTableError(f"{path}: entries must be a list")
    for number, value in enumerate(values):
        try:
            latencies = value.get("latencies", {}).items()
            read = {"configuration": Configuration.parse(value["configuration"]), "latencies": tuple(latencies)}
            yield Entry(**(value | read))
        except (AttributeError, TypeError, KeyError, ConfigurationError, QueryTableError) as error:
            raise QueryTableError(f"{path}: entry {number} is malformed: {error}") from error
