"""Reading weight files without running what a stranger put into them.

A pickle can call any function. PyTorch files are read with ``weights_only=True``, plain pickles (caffe2's ``.pkl``) by
an unpickler that knows numpy arrays and the builtin containers, and nothing else.
"""

from __future__ import annotations

import collections
import os
import pickle
import re
import zipfile
from typing import Any

import numpy as np
import torch

from mutualnet3d.errors import WeightsError

_LEGACY_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # first object of the files that torch.save wrote before its zip format
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def read_weight_file(path: str | os.PathLike, trust_pickle: bool = False) -> Any:
    """What the file holds, tensors on the CPU.

    Args:
        path: a PyTorch file (zip or legacy format) or a pickle of numpy arrays, possibly written by Python 2.
        trust_pickle: read the file with ordinary pickle. It then runs whatever code it holds.

    Raises:
        WeightsError: the file is missing, damaged, or asks for anything but data.
    """
    path = os.path.expanduser(os.fspath(path))
    try:
        if zipfile.is_zipfile(path):
            return _load_torch(path, trust_pickle)
        with open(path, "rb") as file:
            first = (pickle.Unpickler if trust_pickle else _ArrayUnpickler)(file, encoding="latin1").load()
        legacy_torch = isinstance(first, int) and first == _LEGACY_TORCH_MAGIC
        return _load_torch(path, trust_pickle) if legacy_torch else first
    except WeightsError:
        raise
    except FileNotFoundError:
        raise WeightsError(f"weight file {path} does not exist (current folder: {os.getcwd()})") from None
    except OSError as error:
        raise WeightsError(f"weight file {path} cannot be read: {error}") from error
    except _Refused as error:
        raise WeightsError(_unsafe(path, str(error))) from None
    except Exception as error:  # a damaged stream fails in many ways: EOFError, RuntimeError, KeyError, ...
        found = _GLOBAL.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if found:
            raise WeightsError(_unsafe(path, found.group(1))) from None
        raise WeightsError(
            f"weight file {path} is damaged, cut off, or no weight file ({type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else 'no message'}); fetch it again and compare its size"
        ) from error


def _load_torch(path: str, trust_pickle: bool) -> Any:
    if trust_pickle:
        return torch.load(path, map_location="cpu", weights_only=False)
    with torch.serialization.safe_globals(_numpy_scalars()):
        return torch.load(path, map_location="cpu", weights_only=True)


def _unsafe(path: str, name: str) -> str:
    return (
        f"weight file {path} asks for {name}, which is not data: reading it could run any code, so it is refused. "
        "If you trust where the file comes from, pass trust_pickle=True"
    )


class _Refused(pickle.UnpicklingError):
    """A pickle names something outside the list below; the message is its name."""


class _ArrayUnpickler(pickle.Unpickler):
    """Admits numpy arrays and scalars and the builtin containers."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("builtins", "__builtin__") and name in _CONTAINERS:
            return _CONTAINERS[name]
        found = _ADMITTED.get((re.sub(r"^numpy\._?core\.", "numpy.core.", module), name))
        if found is None:
            raise _Refused(f"{module}.{name}")
        return found


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Stands for ``_codecs.encode``, by which old pickles spell bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise _Refused(f"_codecs.encode with {encoding}")
    return text.encode("latin1")


_array = np.zeros(1)
_scalar = np.float64(0).__reduce__()[0]
_CONTAINERS = {kind.__name__: kind for kind in (list, tuple, dict, set, frozenset, bytearray)}
# numpy._core was numpy.core; the functions come from numpy's own answers, so that no private name is imported.
_ADMITTED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _array.__reduce__()[0],
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _array.__reduce_ex__(5)[0],
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): _encode,
}


def _numpy_scalars() -> list[Any]:
    """What a PyTorch file needs to hold numpy scalars, such as an epoch or a loss, and no more."""
    kinds = "?bhilqBHILQefd"
    return [np.dtype, *{type(np.dtype(kind)) for kind in kinds}, *map(_scalar_named, ("core", "_core"))]


def _scalar_named(folder: str) -> Any:
    """numpy's scalar constructor under the module name that old, or new, numpy wrote into pickles."""

    def scalar(dtype: np.dtype, data: bytes) -> np.generic:
        return _scalar(dtype, data)

    scalar.__module__, scalar.__qualname__ = f"numpy.{folder}.multiarray", "scalar"
    return scalar
