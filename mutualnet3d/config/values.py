"""Turning a value from a file or a command line into the type that a key has."""

import os
import re
from ast import literal_eval
from numbers import Integral, Real
from typing import Any

import yaml
from fvcore.common.config import CfgNode

from mutualnet3d.errors import ConfigError

_BEYOND = 2**63  # no key takes such a whole number, and none becomes a float that is infinite

# "1e-4" is text to YAML 1.1, which wants "1.0e-4".
_EXPONENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")

# PySlowFast sets this number to None in one mode (synchronising over all machines).
_MAY_BE_NONE = ("BN.NUM_SYNC_DEVICES",)


def get_value(cfg: CfgNode, key: str) -> Any:
    """The value of ``key``, such as ``DATA.MEAN``; KeyError where ``cfg`` has no such key."""
    for name in key.split("."):
        cfg = cfg[name]
    return cfg


def is_number(value: Any) -> bool:
    """Whether it is a real number; True and False are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def coerce(key: str, value: Any, default: Any, place: str) -> Any:
    """``value`` in the type of ``default``.

    Forgiven, because nothing is lost: texts that spell a value (``"1e-4"``, ``"[3, 5]"``, ``"None"``, ``"true"``); an
    int for a float; a float without fraction for an int; tuple and list for each other; a path object for a text;
    None for a text (the empty text). A key whose default is None takes None and numbers.

    Args:
        key: full name, for the message.
        value: what a file, a command line or a caller gave.
        default: the value in the defaults; its type is the type of the key.
        place: where the value stands, for the message.

    Raises:
        ConfigError: any other mismatch; names place, key, value and the expected type.
    """
    decoded = _decode(value, default)
    refuse_odd(key, decoded, place)
    if default is None:
        if decoded is None or is_number(decoded):
            return decoded
    elif isinstance(default, bool):
        if isinstance(decoded, bool):
            return decoded
    elif isinstance(default, int):
        if isinstance(decoded, Integral) and not isinstance(decoded, bool):
            return int(decoded)
        if is_number(decoded) and float(decoded).is_integer():
            return int(decoded)
        if decoded is None and key in _MAY_BE_NONE:
            return None
    elif isinstance(default, float):
        if is_number(decoded):
            return float(decoded)
    elif isinstance(default, str):
        if decoded is None:
            return ""
        if isinstance(decoded, str):
            return decoded
    elif isinstance(default, list | tuple) and isinstance(decoded, list | tuple):
        return _plain(decoded)
    raise ConfigError(f"{place}: {key} is {value!r}, but takes {_expected(default)}")


def refuse_odd(key: str, value: Any, place: str) -> None:
    """ConfigError for what no key takes: dates, bytes and sets of YAML, a NUL in a text, numbers beyond all use."""
    if isinstance(value, list | tuple):
        for each in value:
            refuse_odd(key, each, place)
    elif isinstance(value, dict):
        for pair in value.items():
            refuse_odd(key, pair, place)
    elif isinstance(value, Integral) and abs(int(value)) >= _BEYOND:
        raise ConfigError(f"{place}: {key} holds a whole number of 2^63 or more; no key takes one")
    elif isinstance(value, str) and "\0" in value:
        raise ConfigError(f"{place}: {key} is {value!r:.80}; a text cannot hold a NUL")
    elif not (value is None or isinstance(value, str | Real)):
        raise ConfigError(f"{place}: {key} holds {value!r:.80}, a {type(value).__name__}; no key takes one")


def _decode(value: Any, default: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if not isinstance(value, str):
        return value
    if isinstance(default, str):
        return _decode_text(value)
    word = value.strip()
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    if word.lower() in ("null", "none"):
        return None
    try:
        return literal_eval(word)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return _decode_list(word, value) if isinstance(default, list | tuple) and word.startswith("[") else value


def _decode_list(word: str, value: str) -> Any:
    """A list as YAML has it, ``[0.63-80-5, 1.0-80-8]``: a shell has no quotes left in it."""
    try:
        return yaml.safe_load(word)
    except (yaml.YAMLError, ValueError, RecursionError):
        return value


def _decode_text(value: str) -> str | None:
    """A text, without the quotes that a shell let through; the words None and null are none at all."""
    if value in ("None", "null"):
        return None
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _plain(values: list | tuple) -> list:
    """Lists all the way down, plain numbers in them, and numbers in place of texts such as ``1e-4``."""
    plain: list[Any] = []
    for value in values:
        if isinstance(value, list | tuple):
            plain.append(_plain(value))
        elif isinstance(value, str) and _EXPONENT.fullmatch(value):
            plain.append(float(value))
        elif isinstance(value, Integral) and not isinstance(value, bool):
            plain.append(int(value))
        elif is_number(value):
            plain.append(float(value))
        else:
            plain.append(value)
    return plain


def _expected(default: Any) -> str:
    if default is None:
        return "a number or None"
    if isinstance(default, bool):
        return "True or False"
    if isinstance(default, int):
        return f"an integer (default {default})"
    if isinstance(default, float):
        return f"a number (default {default})"
    if isinstance(default, str):
        return f"a text (default {default!r}); put quotes around it in YAML"
    return f"a list such as {list(default) or [1, 2]}, written with brackets"
