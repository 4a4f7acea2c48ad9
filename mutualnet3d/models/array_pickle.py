"""A pickle reader that knows numpy arrays of numbers and the builtin containers, and nothing else.

numpy's own pickle functions are not safe to offer to a stranger: they make arrays of objects out of any bytes, which is
a pointer of his choice. Here they are played by stand-ins that check what they are given.
"""

from __future__ import annotations

import collections
import pickle
import re
from typing import Any

import numpy as np

_KINDS = "?bhilqBHILQefdFDSU"  # numbers and texts: any bytes are values of them
_CODE = re.compile(r"[<>=|]?(?:[?bhilqBHILQefdFD]|[biufcSUa]\d*)", re.ASCII)


class Refused(pickle.UnpicklingError):
    """A pickle names something outside the lists below; the message is its name."""


class ArrayUnpickler(pickle.Unpickler):
    """Admits numpy arrays and scalars and the builtin containers."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("builtins", "__builtin__") and name in _CONTAINERS:
            return _CONTAINERS[name]
        found = _ADMITTED.get((re.sub(r"^numpy\._?core\.", "numpy.core.", module), name))
        if found is None:
            raise Refused(f"{module}.{name}")
        return found


def torch_stand_ins() -> list[Any]:
    """What a PyTorch file needs to hold numpy scalars, such as an epoch or a loss, and no more."""
    return [_Dtype, *map(_scalar_named, ("core", "_core"))]


class _Dtype:
    """Stands for ``numpy.dtype``, whose pickled state could turn numbers into objects."""

    def __init__(self, code: str | bytes, align: bool = False, copy: bool = False):
        code = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise Refused(f"numpy.dtype({str(code)[:60]!r})")
        self.numpy = _checked(np.dtype(code))

    def __setstate__(self, state: tuple) -> None:
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if self.numpy.itemsize == 0:  # "S" and "U" come with their length in the state
            self.numpy = np.dtype(f"{self.numpy.kind}{int(state[5]) // (4 if self.numpy.kind == 'U' else 1)}")
        if order in ("<", ">"):
            self.numpy = _checked(self.numpy.newbyteorder(order))


class _Array(np.ndarray):
    """An array whose pickled state is checked; only :func:`_reconstruct` makes one."""

    def __setstate__(self, state: tuple) -> None:
        *_, shape, dtype, fortran, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(data, str | bytes | bytearray):
            raise Refused("numpy.ndarray of objects")
        data = data.encode("latin1") if isinstance(data, str) else bytes(data)
        super().__setstate__((1, shape, dtype.numpy, bool(fortran), data))


def _reconstruct(kind: object, shape: object, code: object) -> np.ndarray:
    return np.empty(0).view(_Array)


def _frombuffer(buffer: object, dtype: _Dtype, shape: tuple, order: str) -> np.ndarray:
    if not isinstance(dtype, _Dtype) or not isinstance(buffer, bytes | bytearray):
        raise Refused("numpy.ndarray of objects")
    return np.frombuffer(bytearray(buffer), dtype.numpy).reshape(shape, order=order)


def _scalar(dtype: _Dtype, data: str | bytes) -> np.generic:
    if not isinstance(dtype, _Dtype) or not isinstance(data, str | bytes):
        raise Refused("numpy scalar of an object")
    (value,) = np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, dtype.numpy)
    return value


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Stands for ``_codecs.encode``, by which old pickles spell bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused(f"_codecs.encode with {str(encoding)[:60]}")
    return text.encode("latin1")


def _checked(dtype: np.dtype) -> np.dtype:
    if dtype.char not in _KINDS:
        raise Refused(f"numpy.dtype {dtype}")
    return dtype


def _scalar_named(folder: str) -> Any:
    """numpy's scalar constructor under the module name that old, or new, numpy wrote into pickles."""

    def scalar(dtype: _Dtype, data: bytes) -> np.generic:
        return _scalar(dtype, data)

    scalar.__module__, scalar.__qualname__ = f"numpy.{folder}.multiarray", "scalar"
    return scalar


_Dtype.__module__, _Dtype.__qualname__ = "numpy", "dtype"  # the name by which PyTorch's reader finds it
_CONTAINERS = {kind.__name__: kind for kind in (list, tuple, dict, set, frozenset, bytes, bytearray)}
_ADMITTED = {  # numpy._core was numpy.core
    ("numpy", "ndarray"): "numpy.ndarray",  # named as an argument of _reconstruct; a text cannot be called
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): _encode,
}
