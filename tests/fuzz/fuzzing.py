"""Files spoiled in many ways; a function that reads one does its work or raises an error of ours, and soon."""

import contextlib
import copy
import math
import os
import time

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mutualnet3d.errors import MutualNetError

FACTOR = int(os.environ.get("FUZZ_FACTOR", "1"))  # FUZZ_FACTOR=50: that many times the examples
SECONDS = 5.0  # of the processor, that one small file may take
WORDS = [
    *(b"\0", b"\xff", b"\xc3", b'"', b"'", b",", b"\n", b"\r", b"\t", b" ", b":", b"-", b"{", b"}", b"[", b"]", b"\\"),
    *(b"9" * 5000, b"99999999999999999999", b"1e999", b"nan", b"-inf", b"-1", b"0", b"0x10", b"1_0", b"2001-13-45"),
    *(b"[" * 2000, b"{a: " * 400, b'{"a":' * 2000, b"- " * 400, b" " * 2000, b"a" * 5000, b"\xef\xbb\xbf", b"\r\n\r\n"),
    *(b"../../outside", b"/dev/zero", b"/dev/stdin", b"\\ud800", b"\x1b]0;x\x07", "é\u202e٣".encode(), b"<script>"),
    *(b"&a ", b"*a", b"<<: ", b"!!python/object/apply:os.system ['exit 3']", b"!!int ", b"!!binary ", b"? ", b"| "),
]
_DEEP: list = []
for _ in range(2000):
    _DEEP = [_DEEP]
VALUES = [
    *(None, True, False, 0, -1, 1, 3, 10**9, 2**63, 10**400, 0.5, -0.0, 1e308, 5e-324, math.inf, -math.inf, math.nan),
    *("", "\0", "\ud800", "../../outside", "/dev/zero", "<script>alert(1)</script>", "a" * 5000, "9" * 5000, "1.0-1-1"),
    *([], {}, [[]], [None], {"a": 1}, {"": None}, [1, 2], ["a", "b"], [0.5] * 3),
]


def examples(count: int):
    """Settings of a test: ``count`` examples, the same in every run."""
    return settings(
        max_examples=count * FACTOR,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def spoiled_bytes(draw, data: bytes) -> bytes:
    """``data`` with one to three edits: cut off, flipped, removed, repeated, or with an odd word put in."""
    content = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        edit = draw(st.sampled_from(("cut", "flip", "remove", "repeat", "insert", "replace", "insert", "replace")))
        start = draw(st.integers(0, max(0, len(content) - 1)))
        stop = start + draw(st.integers(1, 12))
        if edit == "cut":
            del content[start:]
        elif edit == "flip" and content:
            content[start] ^= 1 << draw(st.integers(0, 7))
        elif edit == "remove":
            del content[start:stop]
        elif edit == "repeat":
            content[start:start] = content[start:stop] * draw(st.integers(1, 200))
        else:
            content[start : stop if edit == "replace" else start] = draw(st.sampled_from(WORDS))
    return bytes(content)


@st.composite
def spoiled_values(draw, value):
    """A copy of ``value`` (dicts, lists and plain values) with one to three parts replaced, removed or added."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            return draw(st.sampled_from(VALUES))
        parent, key = draw(st.sampled_from(places))
        edit = draw(st.sampled_from(("replace", "replace", "replace", "swap", "remove", "add", "wrap")))
        if edit == "remove":
            del parent[key]
        elif edit == "wrap":
            parent[key] = draw(st.sampled_from(([parent[key]], {"a": parent[key]}, str(parent[key])[:100])))
        elif edit == "swap":
            other, place = draw(st.sampled_from(places))
            parent[key] = copy.deepcopy(other[place])
        elif edit == "add" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        elif edit == "add":
            parent[draw(st.sampled_from(("", "a", "class", "é", "\0", "<b>")))] = copy.deepcopy(
                draw(st.sampled_from(VALUES))
            )
        else:
            parent[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return value


def _places(value):
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(child, (dict, list)):
            yield from _places(child)


@contextlib.contextmanager
def only_our_errors(names: str = ""):
    """Errors of this package are kept back if their one line says something (``names``, for one); others pass."""
    start = time.process_time()
    error = None
    try:
        yield
    except MutualNetError as caught:
        error = caught
    assert error is None or names in str(error), f"{type(error).__name__} does not name {names}: {error}"
    assert time.process_time() - start < SECONDS
