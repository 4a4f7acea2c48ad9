"""The names of the classes, where the config or the data has them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mutualnet3d.architectures import is_image_network
from mutualnet3d.data.ava_files import read_label_map
from mutualnet3d.data.ava_list import evaluation_files
from mutualnet3d.data.image_lists import image_classes
from mutualnet3d.errors import DataError


def read_class_names(cfg: Any, classes: int | None) -> tuple[tuple[str, ...] | None, str]:
    """(names in label order or None, why there are none).

    TENSORBOARD.CLASS_NAMES_PATH (PySlowFast's: JSON, name -> label) where it is set, else ``classes.txt`` in
    DATA.PATH_TO_DATA_DIR: a name a line, in label order; else, of images, the names of the class folders or CIFAR's.
    For detection, AVA.LABEL_MAP_FILE; actions that it leaves out are called ``action 7``.

    Args:
        cfg: a config, or None.
        classes: how many names there must be; None = as many as there are.
    """
    if cfg is None:
        return None, "Classes are numbers: without a config no file of their names is known."
    if cfg.DETECTION.ENABLE and classes is not None:
        return _from_label_map(evaluation_files(cfg).label_map, classes)
    listed, folder = cfg.TENSORBOARD.CLASS_NAMES_PATH, cfg.DATA.PATH_TO_DATA_DIR
    if not (listed or folder):
        return None, "Classes are numbers: the config names no folder of data, where classes.txt would be."
    path = Path(listed) if listed else Path(folder) / "classes.txt"
    try:
        if is_image_network(cfg) and not listed and not path.exists():
            path, names = Path(folder), image_classes(cfg)
        else:
            names = read_names(path, as_json=bool(listed))
    except DataError as error:
        return None, f"Classes are numbers: {error}."
    if classes is not None and len(names) != classes:
        return None, f"Classes are numbers: {path} names {len(names)} classes, the scores have {classes}."
    return names, ""


def read_names(path: str | os.PathLike, as_json: bool | None = None) -> tuple[str, ...]:
    """Names in label order: a name a line, blank lines skipped; or PySlowFast's JSON, {name: label}.

    Args:
        as_json: None: by the file's suffix, ``.json``.

    Raises:
        DataError: the file is missing, empty, or something else.
    """
    as_json = Path(path).suffix.lower() == ".json" if as_json is None else as_json
    try:
        if Path(path).exists() and not Path(path).is_file():  # a pipe or a device would never end
            raise ValueError("it is no regular file")
        text = Path(path).read_text(encoding="utf-8-sig")
        names = _from_json(text) if as_json else tuple(line.strip() for line in text.splitlines() if line.strip())
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not names:
        raise DataError(f"{path} is empty; write one name a line, in the order of the labels")
    return names


def _from_label_map(path: str, classes: int) -> tuple[tuple[str, ...] | None, str]:
    try:
        names = read_label_map(path)
    except DataError as error:
        return None, f"Classes are numbers: {error}."
    if max(names) > classes:
        return None, f"Classes are numbers: {path} names action {max(names)}, the scores have {classes} classes."
    return tuple(names.get(number, f"action {number}") for number in range(1, classes + 1)), ""


def _from_json(text: str) -> tuple[str, ...]:
    labels = json.loads(text)
    names = tuple(sorted(labels, key=labels.get))
    if [labels[name] for name in names] != list(range(len(names))):
        raise ValueError("the labels are not 0, 1, 2, ...")
    return names
