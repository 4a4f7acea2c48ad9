"""What checks of a config are made of: each names the key, its value and the bound."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from fvcore.common.config import CfgNode

from mutualnet3d.config.values import get_value, is_number
from mutualnet3d.errors import ConfigError


def require(holds: bool, message: str) -> None:
    """ConfigError with ``message`` unless it ``holds``."""
    if not holds:
        raise ConfigError(message)


def at_least(cfg: CfgNode, bound: float, *keys: str) -> None:
    """ConfigError where the value of a key is below ``bound``."""
    for key in keys:
        value = get_value(cfg, key)
        require(value >= bound, f"{key} is {value}; it must be at least {bound}")


def one_of(cfg: CfgNode, choices: tuple, *keys: str) -> None:
    """ConfigError where the value of a key is none of ``choices``."""
    for key in keys:
        value = get_value(cfg, key)
        require(value in choices, f"{key} is {value!r}; it must be one of {', '.join(map(str, choices))}")


def list_of(cfg: CfgNode, key: str, test: Callable[[Any], bool], what: str, length: int | None = None) -> list:
    """The list of ``key``; ConfigError unless all its values pass the ``test`` and there are ``length`` of them."""
    values = get_value(cfg, key)
    right = all(test(value) for value in values) and length in (None, len(values))
    require(right, f"{key} is {values}; it must be a list of {what}")
    return values


def positive(value: Any) -> bool:
    return is_number(value) and value > 0


def positive_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def ascending(values: list) -> bool:
    """Whether each value is above the one before it."""
    return all(a < b for a, b in pairwise(values))
