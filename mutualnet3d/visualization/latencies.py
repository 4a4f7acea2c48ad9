"""The latencies in a query table, device by device."""

from __future__ import annotations

from dataclasses import dataclass

from mutualnet3d.query_table import Entry, QueryTable


@dataclass(frozen=True)
class Latencies:
    """The entries that were measured on one device, with its ``latency_ms``; ``name`` "": the device is not known."""

    name: str
    entries: tuple[Entry, ...]


def measured_latencies(table: QueryTable | None) -> tuple[Latencies, ...]:
    """One a device that measured any entry, or one without a name where entries only have ``latency_ms``."""
    if table is None:
        return ()
    if table.devices:
        return tuple(Latencies(device, table.on(device).entries) for device in table.devices)
    entries = tuple(entry for entry in table.entries if entry.latency_ms is not None)
    return (Latencies("", entries),) if entries else ()
