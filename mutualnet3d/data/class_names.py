"""The names of the classes, where the config or the data has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mutualnet3d.architectures import is_image_network
from mutualnet3d.data.image_lists import image_classes
from mutualnet3d.errors import DataError


def read_class_names(cfg: Any, classes: int | None) -> tuple[tuple[str, ...] | None, str]:
    """(names in label order or None, why there are none).

    TENSORBOARD.CLASS_NAMES_PATH (PySlowFast's: JSON, name -> label) where it is set, else ``classes.txt`` in
    DATA.PATH_TO_DATA_DIR: a name a line, in label order; else, of images, the names of the class folders or CIFAR's.

    Args:
        cfg: a config, or None.
        classes: how many names there must be; None = as many as there are.
    """
    if cfg is None:
        return None, "Classes are numbers: without a config no file of their names is known."
    listed, folder = cfg.TENSORBOARD.CLASS_NAMES_PATH, cfg.DATA.PATH_TO_DATA_DIR
    if not (listed or folder):
        return None, "Classes are numbers: the config names no folder of data, where classes.txt would be."
    path = Path(listed) if listed else Path(folder) / "classes.txt"
    try:
        if is_image_network(cfg) and not listed and not path.exists():
            path, names = Path(folder), image_classes(cfg)
        else:
            text = path.read_text(encoding="utf-8-sig")
            names = _from_json(text) if listed else tuple(line.strip() for line in text.splitlines() if line.strip())
    except DataError as error:
        return None, f"Classes are numbers: {error}."
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return None, f"Classes are numbers: {path} cannot be read ({getattr(error, 'strerror', None) or error})."
    if classes is not None and len(names) != classes:
        return None, f"Classes are numbers: {path} names {len(names)} classes, the scores have {classes}."
    return names, ""


def _from_json(text: str) -> tuple[str, ...]:
    labels = json.loads(text)
    names = tuple(sorted(labels, key=labels.get))
    if [labels[name] for name in names] != list(range(len(names))):
        raise ValueError("the labels are not 0, 1, 2, ...")
    return names
