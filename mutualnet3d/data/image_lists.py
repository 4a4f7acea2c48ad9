"""Data sets of images: folders of classes (ImageNet and its like), and CIFAR's files; torchvision reads both."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset

from mutualnet3d.data.file_names import is_hidden
from mutualnet3d.data.images import ArrayEntry, ImageEntry
from mutualnet3d.errors import DataError

_logger = logging.getLogger(__name__)

_CIFAR = {"cifar10": CIFAR10, "cifar100": CIFAR100}
_OTHER = {"val": "test", "test": "val"}


def read_image_folder(cfg, split: str) -> list[ImageEntry]:
    """The images in DATA.PATH_TO_DATA_DIR/{train,val,test}/<class>/; labels are positions in the sorted class names.

    The classes are those of train/, so a class without images in another split takes no other's number. Where test/
    or val/ is absent, the other one stands for it, and the log says so.

    Raises:
        DataError: there is no such folder, it holds no image, a class is not one of train/'s, or there are more or
            fewer classes than MODEL.NUM_CLASSES.
    """
    folder, classes = split_folder(cfg, split), image_classes(cfg)
    if len(classes) != cfg.MODEL.NUM_CLASSES:
        raise DataError(
            f"{_class_folder(cfg)}: holds {len(classes)} class folders, and MODEL.NUM_CLASSES is "
            f"{cfg.MODEL.NUM_CLASSES}; set it to {len(classes)}"
        )
    if unknown := sorted(set(_subfolders(folder)) - set(classes)):
        raise DataError(
            f"{folder}: the class folder {unknown[0]!r} is not in {_class_folder(cfg)}, so its label is unknown; there "
            f"are {len(unknown)} such folders; remove or rename them"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    images = make_dataset(str(folder), numbers, extensions=IMG_EXTENSIONS, allow_empty=True)
    beyond = len(str(folder)) + 1
    pairs = [(path, label) for path, label in images if not any(map(is_hidden, path[beyond:].split(os.sep)))]
    if not pairs:
        raise DataError(f"{folder}: the class folders hold no images ({', '.join(IMG_EXTENSIONS)})")
    return [ImageEntry(path, label) for path, label in pairs]


def split_folder(cfg, split: str) -> Path:
    """The folder of ``split``, or of the one that stands for it. Raises DataError where there is none."""
    root = Path(cfg.DATA.PATH_TO_DATA_DIR)
    if (root / split).is_dir():
        return root / split
    if has_folder(cfg, split):
        _logger.info("%s: there is no %s folder; %s is used as %s", root, split, _OTHER[split], split)
        return root / _OTHER[split]
    raise DataError(
        f"{root / split}: no such folder; expected is one folder per class there, of images: "
        f"{root / split}/<class>/<name>.jpg. DATA.PATH_TO_DATA_DIR names the folder above {split}"
    )


def image_classes(cfg) -> tuple[str, ...]:
    """Names of the classes in label order: of CIFAR, or the sorted ones of the class folders.

    The folders are those of train/, or where that is absent of test/ or val/. Raises DataError where they are not here.
    """
    if _name(cfg) in _CIFAR:
        return tuple(_open_cifar(cfg, train=False, download=False).classes)
    return tuple(_subfolders(_class_folder(cfg)))


def has_folder(cfg, split: str) -> bool:
    """Whether there is a folder of ``split``, or one that stands for it."""
    return any(Path(cfg.DATA.PATH_TO_DATA_DIR, name).is_dir() for name in (split, _OTHER.get(split, split)))


def _class_folder(cfg) -> Path:
    train = Path(cfg.DATA.PATH_TO_DATA_DIR) / "train"
    return train if train.is_dir() else split_folder(cfg, "test")


def _subfolders(folder: Path) -> list[str]:
    try:
        return [name for name in find_classes(folder)[0] if not is_hidden(name)]
    except FileNotFoundError:
        raise DataError(f"{folder}: holds no class folders; put the images into {folder}/<class>/") from None


def read_cifar(cfg, split: str) -> list[ArrayEntry]:
    """The images of CIFAR-10 or CIFAR-100 (``python`` version); "val" and "test" are both its 10,000 test images.

    Raises:
        DataError: the files are not in DATA.PATH_TO_DATA_DIR or are damaged, and IMAGE.DOWNLOAD is off; or
            MODEL.NUM_CLASSES is not 10, or 100.
    """
    dataset = _open_cifar(cfg, split == "train", cfg.IMAGE.DOWNLOAD)
    if len(dataset.classes) != cfg.MODEL.NUM_CLASSES:
        raise DataError(
            f"TRAIN.DATASET {_name(cfg)} has {len(dataset.classes)} classes, and MODEL.NUM_CLASSES is "
            f"{cfg.MODEL.NUM_CLASSES}; set it to {len(dataset.classes)}"
        )
    if split == "val":
        _logger.info("%s has no validation images; the test images are used", _name(cfg))
    part = Path(dataset.root, dataset.base_folder, "train" if dataset.train else "test")
    pairs = zip(dataset.data, dataset.targets, strict=True)
    return [ArrayEntry(f"{part}/{number:05d}", label, pixels) for number, (pixels, label) in enumerate(pairs)]


def cifar_files(cfg, split: str) -> tuple[Path, ...]:
    """The files that hold the images of ``split``."""
    kind = _CIFAR[_name(cfg)]
    listed = kind.train_list if split == "train" else kind.test_list
    return tuple(Path(cfg.DATA.PATH_TO_DATA_DIR, kind.base_folder, name) for name, _ in listed)


def _open_cifar(cfg, train: bool, download: bool) -> CIFAR10:
    kind, root = _CIFAR[_name(cfg)], cfg.DATA.PATH_TO_DATA_DIR
    try:
        return kind(root, train=train, download=download)
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"{Path(root, kind.base_folder)}: the files of {_name(cfg)} are not here or are damaged ({error}). Unpack "
            f"{kind.url} in DATA.PATH_TO_DATA_DIR, or set IMAGE.DOWNLOAD True to fetch it"
        ) from error


def _name(cfg) -> str:
    return cfg.TRAIN.DATASET.lower()
