"""Building a config from files and overrides."""

import difflib
import logging
import os
from collections.abc import Iterable, Sequence
from typing import Any

from fvcore.common.config import CfgNode

from mutualnet3d.config.defaults import get_cfg
from mutualnet3d.config.validate import check_config
from mutualnet3d.config.values import coerce, refuse_odd
from mutualnet3d.config.yaml_file import Placed, parse_yaml, read_yaml
from mutualnet3d.errors import ConfigError
from mutualnet3d.output_files import TABLE_FILE

_logger = logging.getLogger(__name__)

# Keys that went away, which older files have, and the one value that says what happens without them.
_GONE = {"QUERY_TABLE.FILE": TABLE_FILE}
_ONCE_PER_MACHINE = ("BASE_LR", "WARMUP_START_LR", "COSINE_END_LR")


def load_config(files: str | os.PathLike | Sequence[str | os.PathLike] = (), overrides: Sequence[Any] = ()) -> CfgNode:
    """The defaults, then the files in their order, then the overrides; checked.

    PySlowFast's YAML files load as they are. Learning rates are multiplied by ``NUM_SHARDS`` if
    ``SOLVER.BASE_LR_SCALE_NUM_SHARDS`` asks for it; the flag is then turned off, so that a config that is dumped and
    loaded again is not scaled twice.

    Args:
        files: one YAML file or several; later ones win. ``_BASE_: other.yaml`` in a file works.
        overrides: a flat list of keys and values, ``["MODEL.NUM_CLASSES", 10, "MUTUALNET.ENABLE", "True"]``.

    Returns:
        An ``fvcore.common.config.CfgNode``, not frozen.

    Raises:
        ConfigError: a file is missing, is not YAML or names a key twice; a key is unknown (with the nearest known
            one); a value has the wrong type; values contradict each other (``check_config``).
    """
    cfg, defaults = get_cfg(), get_cfg()
    for path in [files] if isinstance(files, str | os.PathLike) else files:
        _merge(cfg, defaults, defaults, read_yaml(path), "")
    _merge_overrides(cfg, defaults, overrides)
    check_config(cfg)
    _scale_learning_rates(cfg)
    return cfg


def load_config_text(text: str, overrides: Sequence[Any] = (), name: str = "stored config") -> CfgNode:
    """The config that ``cfg.dump()`` wrote, for example the one inside a checkpoint.

    Learning rates are taken as they stand. ``name`` stands for the file in messages.

    Raises:
        ConfigError: as ``load_config``.
    """
    cfg, defaults = get_cfg(), get_cfg()
    _merge(cfg, defaults, defaults, parse_yaml(text, name), "")
    _merge_overrides(cfg, defaults, overrides)
    check_config(cfg)
    return cfg


def _merge(cfg: CfgNode, node: CfgNode, root: CfgNode, entries: dict[str, Placed], prefix: str) -> None:
    """Write ``entries`` into ``cfg``; ``node`` is the same place in the defaults ``root``, which give the types."""
    for name, entry in entries.items():
        key = prefix + name
        if name not in node:
            if node.is_new_allowed():
                cfg[name] = _without_places(key, entry)
                continue
            if key in _GONE:
                _check_gone(key, entry)
                continue
            raise ConfigError(_unknown_key(key, entry.place, root))
        if isinstance(node[name], CfgNode):
            if entry.value is None:  # "SOLVER:" with nothing below it
                continue
            if not isinstance(entry.value, dict):
                raise ConfigError(
                    f"{entry.place}: {key} is a node with keys of its own, not a value (given: {entry.value!r})"
                )
            _merge(cfg[name], node[name], root, entry.value, key + ".")
        elif isinstance(entry.value, dict):
            raise ConfigError(f"{entry.place}: {key} is one value, not a node; it has no keys below it")
        else:
            cfg[name] = coerce(key, entry.value, node[name], entry.place)


def _merge_overrides(cfg: CfgNode, defaults: CfgNode, overrides: Sequence[Any]) -> None:
    if isinstance(overrides, str | bytes | dict):
        raise ConfigError(f"overrides is {overrides!r}; write a flat list: ['MODEL.NUM_CLASSES', 10]")
    overrides = list(overrides)
    for key in overrides[0::2]:
        if not isinstance(key, str):
            raise ConfigError(f"override {key!r} stands where a key is expected; keys and values must alternate")
    if len(overrides) % 2:
        raise ConfigError(
            f"override {overrides[-1]} has no value; overrides are pairs: KEY VALUE (given: {len(overrides)} words)"
        )
    for key, value in zip(overrides[0::2], overrides[1::2], strict=True):
        if key.split(".")[0] not in defaults:
            raise ConfigError(_unknown_key(key, "override", defaults))
        entry = Placed(value, "override")
        for name in reversed(key.split(".")):
            entry = Placed({name: entry}, "override")
        _merge(cfg, defaults, defaults, entry.value, "")


def _check_gone(key: str, entry: Placed) -> None:
    if entry.value != _GONE[key]:
        raise ConfigError(
            f"{entry.place}: {key} is {entry.value!r}; the key went away, and it is always {_GONE[key]}: remove it, "
            "and rename what an older run wrote"
        )


def _without_places(key: str, entry: Placed) -> Any:
    if isinstance(entry.value, dict):
        return CfgNode({name: _without_places(f"{key}.{name}", child) for name, child in entry.value.items()})
    refuse_odd(key, entry.value, entry.place)
    return entry.value


def _unknown_key(key: str, place: str, root: CfgNode) -> str:
    nearest = _nearest(key, list(_all_keys(root, "")))
    hint = f"; did you mean {nearest}?" if nearest else "; get_cfg() lists the known keys"
    return f"{place}: unknown key {key}{hint}"


def _all_keys(node: CfgNode, prefix: str) -> Iterable[str]:
    for name, value in node.items():
        yield prefix + name
        if isinstance(value, CfgNode):
            yield from _all_keys(value, f"{prefix}{name}.")


def _nearest(key: str, known: list[str]) -> str | None:
    """The known key that looks most like ``key``: in upper case, as a whole, or under another node."""
    wanted = key.upper()
    depth = wanted.count(".")
    close = difflib.get_close_matches(wanted, [name for name in known if name.count(".") == depth], n=1, cutoff=0.75)
    if close:
        return close[0]
    last = wanted.rsplit(".", 1)[-1]
    same_name = [name for name in known if name.rsplit(".", 1)[-1] == last]
    if same_name:
        return max(same_name, key=lambda name: difflib.SequenceMatcher(None, wanted, name).ratio())
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.6)
    return close[0] if close else None


def _scale_learning_rates(cfg: CfgNode) -> None:
    if cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS and cfg.NUM_SHARDS > 1:
        for name in _ONCE_PER_MACHINE:
            cfg.SOLVER[name] = cfg.SOLVER[name] * cfg.NUM_SHARDS
        cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS = False
        _logger.info("learning rates multiplied by NUM_SHARDS = %d", cfg.NUM_SHARDS)
