"""Libraries that only some deployments need."""

from __future__ import annotations

import importlib
from types import ModuleType

from mutualnet3d.errors import DeploymentError


def optional_module(name: str, extra: str) -> ModuleType:
    """The module ``name``; DeploymentError with the pip command of its ``extra`` where it is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise DeploymentError(
            f"the package {error.name} is not installed: pip install 'mutualnet3d[{extra}]'"
        ) from error
