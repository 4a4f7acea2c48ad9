"""Query tables of several devices: latencies joined to a table, and tables of one checkpoint merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import QueryTableError
from mutualnet3d.query_table.entry import Entry, check_label

if TYPE_CHECKING:
    from mutualnet3d.latency import Latency, Setting
    from mutualnet3d.query_table.table import QueryTable

SETTINGS = "latency"  # of the provenance: by label, how its latencies were measured


def select(table: QueryTable, configurations: Iterable[Configuration]) -> QueryTable:
    """See :meth:`QueryTable.select`."""
    wanted, known = tuple(dict.fromkeys(configurations)), {entry.configuration: entry for entry in table.entries}
    if absent := [str(c) for c in wanted if c not in known]:
        raise QueryTableError(
            f"{', '.join(absent)} is not in the query table, so its accuracy is unknown; it has "
            f"{', '.join(map(str, known))}"
        )
    entries, provenance, device = [known[c] for c in wanted], dict(table.provenance), table.device
    labels = {label for entry in entries for label, _ in entry.latencies}
    if SETTINGS in provenance:
        provenance[SETTINGS] = {label: how for label, how in settings_of(table).items() if label in labels}
    return replace(table, entries=tuple(entries), provenance=provenance, device=device if device in labels else None)


def with_latencies(table: QueryTable, latencies: Mapping[Configuration, Latency], setting: Setting) -> QueryTable:
    """See :meth:`QueryTable.with_latencies`."""
    label = setting.label
    check_label(label)
    if not latencies:
        raise QueryTableError(f"nothing was measured on {label}: give the latency of at least one configuration")
    known = {entry.configuration for entry in table.entries}
    if unknown := [str(c) for c in latencies if c not in known]:
        raise QueryTableError(f"{', '.join(unknown)} were measured on {label} but are not in this table")
    for configuration, latency in latencies.items():
        if latency.batch != setting.batch:
            raise QueryTableError(
                f"{configuration} was measured with batches of {latency.batch}, the setting says {setting.batch}"
            )
    entries = []
    for entry in table.entries:
        others = tuple(pair for pair in entry.latencies if pair[0] != label)
        measured = latencies.get(entry.configuration)
        mine = () if measured is None else ((label, measured.median_ms),)
        entries.append(replace(entry, latencies=(*others, *mine)).on(label))
    settings = settings_of(table) | {label: setting.to_dict() | _repetitions(latencies)}
    return replace(table, entries=tuple(entries), provenance=table.provenance | {SETTINGS: settings}, device=label)


def merge(tables: Iterable[QueryTable]) -> QueryTable:
    """See :meth:`QueryTable.merge`."""
    tables = tuple(tables)
    if not tables:
        raise QueryTableError("nothing to merge: give at least one query table")
    first = tables[0]
    if len(tables) == 1:
        return first
    rows: dict[Configuration, dict[str, float]] = {}
    entries: dict[Configuration, Entry] = {}
    settings: dict[str, object] = {}
    for table in tables:
        _check_same_network(first, table)
        _join("the setting of", settings, settings_of(table))
        for entry in table.entries:
            known = entries.setdefault(entry.configuration, entry)
            for name in ("gmacs", "mparams", "accuracy", "top5"):
                _check_equal(f"{name} of {entry.configuration}", getattr(known, name), getattr(entry, name))
            _join(f"the latency of {entry.configuration} on", rows.setdefault(entry.configuration, {}), entry.latencies)
    joined = tuple(replace(e, latency_ms=None, latencies=tuple(rows[c].items())) for c, e in entries.items())
    provenance = first.provenance | ({SETTINGS: settings} if settings else {})
    return replace(first, entries=joined, provenance=provenance, device=None)


def settings_of(table: QueryTable) -> dict:
    """By device label, how the latencies of ``table`` were measured, as far as its provenance says."""
    settings = table.provenance.get(SETTINGS, {})
    if not isinstance(settings, dict):
        raise QueryTableError(f"provenance {SETTINGS!r} {settings!r} is not an object by device label")
    return settings


def _repetitions(latencies: Mapping[Configuration, Latency]) -> dict:
    """How often was measured, and the largest spread (90th less 10th percentile, in per cent of the median)."""
    measured = list(latencies.values())
    spreads = [100 * (m.p90_ms - m.p10_ms) / m.median_ms for m in measured if m.median_ms > 0]
    return {
        "repeats": min(m.repeats for m in measured),
        "warmup": min(m.warmup for m in measured),
        "largest_spread_percent": round(max(spreads, default=0.0), 1),
    }


def _check_same_network(first: QueryTable, other: QueryTable) -> None:
    if not (first.provenance.get("model_sha256") and other.provenance.get("model_sha256")):
        raise QueryTableError("a table does not say whose it is (provenance model_sha256): it cannot be merged")
    for name in ("model_sha256", "space"):
        _check_equal(name, first.provenance.get(name), other.provenance.get(name))
    _check_equal("metric", first.metric, other.metric)
    if not other.devices and any(entry.latency_ms is not None for entry in other.entries):
        raise QueryTableError("a table has latencies that name no device: they cannot be merged; measure them again")


def _check_equal(name: str, one: object, other: object) -> None:
    if one != other:
        raise QueryTableError(f"{name} differs: {one} and {other}; merge tables of one network and one test only")


def _join(name: str, known: dict, more: Mapping | Iterable) -> None:
    """Add ``more`` to ``known``; QueryTableError where both have a value under one label and they differ."""
    for label, value in dict(more).items():
        if known.setdefault(label, value) != value:
            raise QueryTableError(
                f"{name} {label} differs: {known[label]} and {value}; merge one measurement of it only"
            )
