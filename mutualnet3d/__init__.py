"""One video network, trained once, that runs at any compute budget (MutualNet, arXiv 2105.07085).

The names below are the public door. They are imported on first use, so that ``import mutualnet3d`` is quick. No
submodule may carry the name of one of them: importing it would put the module in the function's place.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_DOOR = {
    "AdaptivePredictor": "predictor",
    "BudgetError": "errors",
    "ConfigError": "errors",
    "ConfigurationError": "errors",
    "Complexity": "counting",
    "Configuration": "configuration",
    "ConfigurationSpace": "configuration",
    "MutualNetError": "errors",
    "NotCalibratedError": "errors",
    "QueryTable": "query_table",
    "build_model": "models",
    "calibrate": "calibration",
    "complexity": "counting",
    "extract_dense": "layers",
    "load_config": "config",
    "load_model": "models.artefact",
    "load_weights": "models.weights",
}

__all__ = ["__version__", *sorted(_DOOR)]

if TYPE_CHECKING:
    __version__: str
    from mutualnet3d.calibration import calibrate
    from mutualnet3d.config import load_config
    from mutualnet3d.configuration import Configuration, ConfigurationSpace
    from mutualnet3d.counting import Complexity, complexity
    from mutualnet3d.errors import BudgetError, ConfigError, ConfigurationError, MutualNetError, NotCalibratedError
    from mutualnet3d.layers import extract_dense
    from mutualnet3d.models import build_model
    from mutualnet3d.models.artefact import load_model
    from mutualnet3d.models.weights import load_weights
    from mutualnet3d.predictor import AdaptivePredictor
    from mutualnet3d.query_table import QueryTable


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value = _version()
    elif name in _DOOR:
        value = getattr(importlib.import_module(f"mutualnet3d.{_DOOR[name]}"), name)
    else:
        raise AttributeError(f"module 'mutualnet3d' has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def _version() -> str:
    """That of the installed package; of a source tree that is not installed, which has no metadata, ``0+unknown``."""
    from importlib import metadata

    try:
        return metadata.version("mutualnet3d")
    except metadata.PackageNotFoundError:
        return "0+unknown"


def __dir__() -> list[str]:
    return __all__
