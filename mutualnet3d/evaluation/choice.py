"""Which configurations a run calibrates and evaluates, as its config or a command line names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.errors import ConfigError
from mutualnet3d.methods import Method


def table_configurations(cfg, space: ConfigurationSpace) -> tuple[Configuration, ...]:
    """QUERY_TABLE.CONFIGURATIONS, or the grid over QUERY_TABLE.WIDTHS, or over the widths that MUTUALNET.METHOD trains.

    Those are the list of ``slimmable``, the one configuration of ``independent``, and any width of the other methods:
    the steps of QUERY_TABLE.WIDTH_STEP, else the space's own. What a run is judged by (full, of ``independent`` its
    one) is always among them.
    """
    method = Method.from_cfg(cfg, space)
    chosen = tuple(space.check(Configuration.parse(text)) for text in cfg.QUERY_TABLE.CONFIGURATIONS)
    widths = tuple(cfg.QUERY_TABLE.WIDTHS)
    if not chosen and (widths or method.name != "independent"):
        chosen = space.grid(widths or method.widths or stepped_widths(cfg, space))
    return tuple(dict.fromkeys((*chosen, method.reference)))


def uncalibrated(model, cfg, configurations: Sequence[Configuration]) -> list[Configuration]:
    """Those of ``configurations`` that need calibration: all without statistics in the network ``model``.

    Full has running statistics, which are those of its weights only where every iteration of training ran it.
    """
    known = set(model.calibrated)
    if not Method.from_cfg(cfg, model.space).updates_full and model.space.full not in model.statistics_provenance:
        known.discard(model.space.full)
    return [c for c in configurations if c not in known]


def stepped_widths(cfg, space: ConfigurationSpace) -> tuple[float, ...]:
    """Lowest width, then every QUERY_TABLE.WIDTH_STEP, and the highest; () where the step is 0."""
    (low, high), step = space.width, cfg.QUERY_TABLE.WIDTH_STEP
    if not step:
        return ()
    steps = int((high - low) / step + 1e-9)
    widths = (round(low + i * step, 6) for i in range(steps + 1))
    return (*(width for width in widths if width < high), high)


def calibration_configurations(cfg, table: tuple[Configuration, ...], space: ConfigurationSpace) -> tuple:
    """CALIBRATION.CONFIGURATIONS, or those of the ``table``; ConfigError if the table needs one that is left out."""
    listed = tuple(space.check(Configuration.parse(text)) for text in cfg.CALIBRATION.CONFIGURATIONS) or table
    free = {space.full} if Method.from_cfg(cfg, space).updates_full else set()
    left_out = [str(c) for c in table if c not in listed and c not in free]
    if left_out and cfg.TEST.ENABLE:
        raise ConfigError(
            f"CALIBRATION.CONFIGURATIONS leaves out {', '.join(left_out)}, which the query table evaluates; list them, "
            "or list fewer in QUERY_TABLE.CONFIGURATIONS"
        )
    return listed


def read_configurations(words: Sequence[str]) -> list[str]:
    """Configuration texts from a command line: each word is one, or a text file with one a line (# starts a comment).

    Raises:
        ConfigurationError: a word or line is no configuration; the message names the file.
    """
    texts = []
    for word in words:
        if Path(word).is_file():
            lines = (line.partition("#")[0].strip() for line in Path(word).read_text(encoding="utf-8").splitlines())
            found = [line for line in lines if line]
        else:
            found = [word]
        texts += [str(Configuration.parse(text)) for text in found]
    return texts
