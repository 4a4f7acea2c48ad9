"""Libraries that only some deployments need."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from mutualnet3d.errors import DeploymentError

if TYPE_CHECKING:
    import openvino


def optional_module(name: str, extra: str) -> ModuleType:
    """The module ``name``; DeploymentError with the pip command of its ``extra`` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise DeploymentError(f'the package {error.name} is not installed: pip install -e ".[{extra}]"') from error


def openvino_core() -> openvino.Core:
    """The one OpenVINO core of this process, which is never destroyed.

    OpenVINO's CPU plugin gives the calling thread an alternate signal stack and, when it goes, puts back the one
    before. Of two cores that go in the order in which they came, the second puts back the first one's, which no longer
    exists: the next signal with a handler (Ctrl-C, the end of a data loader's worker) then ends the process.
    """
    return _core(optional_module("openvino", "openvino"))


@functools.cache
def _core(library: ModuleType) -> openvino.Core:
    return library.Core()
