"""Reading weight files without running what a stranger put into them.

A pickle can call any function. PyTorch files are read with ``weights_only=True``, plain pickles (caffe2's ``.pkl``) by
:class:`mutualnet3d.models.array_pickle.ArrayUnpickler`.
"""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from typing import Any

import torch

from mutualnet3d.errors import WeightsError
from mutualnet3d.models.array_pickle import ArrayUnpickler, Refused, torch_stand_ins

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
            first = (pickle.Unpickler if trust_pickle else ArrayUnpickler)(file, encoding="latin1").load()
        legacy_torch = isinstance(first, int) and first == _LEGACY_TORCH_MAGIC
        return _load_torch(path, trust_pickle) if legacy_torch else first
    except WeightsError:
        raise
    except FileNotFoundError:
        raise WeightsError(f"weight file {path} does not exist (current folder: {os.getcwd()})") from None
    except OSError as error:
        raise WeightsError(f"weight file {path} cannot be read: {error}") from error
    except Refused as error:
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
    with torch.serialization.safe_globals(torch_stand_ins()):
        return torch.load(path, map_location="cpu", weights_only=True)


def _unsafe(path: str, name: str) -> str:
    return (
        f"weight file {path} asks for {name}, which is not data: reading it could run any code, so it is refused. "
        "If you trust where the file comes from, give tools/run_net.py the option --trust-pickle, or in Python pass "
        "trust_pickle=True"
    )
