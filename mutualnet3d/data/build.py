"""From the name of a data set to its lists and its items: the one place that knows which is read how."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from mutualnet3d.architectures import is_image_network
from mutualnet3d.data.ava import DetectionClips, KeyFrames
from mutualnet3d.data.ava_list import box_lists, read_key_frames
from mutualnet3d.data.ava_table import KeyFrameTable
from mutualnet3d.data.charades_list import charades_list, read_charades
from mutualnet3d.data.image_lists import cifar_files, has_folder, read_cifar, read_image_folder, split_folder
from mutualnet3d.data.kinetics import LabelledVideo, TestVideos, TrainClips
from mutualnet3d.data.kinetics_list import read_list
from mutualnet3d.data.memory import KeptInMemory
from mutualnet3d.errors import ConfigError
from mutualnet3d.files import sha256

IMAGE_DATASETS = ("imagenet", "cifar10", "cifar100")
DATASETS = ("kinetics", "synthetic", "charades", "ava", *IMAGE_DATASETS)
_SINGLE_LABEL = ("kinetics", "synthetic")
Entries = Sequence[LabelledVideo] | KeyFrameTable


def build_entries(cfg, split: str) -> Entries:
    """Videos, images or key frames of ``split``: "train" and "val" belong to TRAIN.DATASET, "test" to TEST.DATASET.

    "synthetic" renders its files into DATA.PATH_TO_DATA_DIR first, where they are not there yet. "imagenet" is any
    folder of class folders of images. With DATA_LOADER.CACHE_GB the frames of "train" stay in memory once decoded.

    Raises:
        ConfigError: no such data set, or one that does not fit to MODEL.ARCH, DATA.MULTI_LABEL, DETECTION.ENABLE, the
            other one or DATA_LOADER.CACHE_GB.
        DataError: naming file and line, see ``read_list``, ``read_charades``, ``read_key_frames``,
            ``read_image_folder``, ``read_cifar``.
    """
    name = _dataset_name(cfg, split)
    entries = _READERS[name](cfg, split)
    room = cfg.DATA_LOADER.CACHE_GB * 1e9
    if not room or split != "train":
        return entries
    if isinstance(entries, KeyFrameTable):
        raise ConfigError(
            f"DATA_LOADER.CACHE_GB is {cfg.DATA_LOADER.CACHE_GB}, and movies are not kept in memory; set it to 0"
        )
    return KeptInMemory(entries, room)


def train_dataset(entries: Entries, cfg, seed: int) -> TrainClips | DetectionClips:
    """Training items of what :func:`build_entries` gave."""
    return (DetectionClips if isinstance(entries, KeyFrameTable) else TrainClips)(entries, cfg, seed)


def test_dataset(entries: Entries, cfg, num_views: int, num_crops: int) -> TestVideos | KeyFrames:
    """Test items of what :func:`build_entries` gave; key frames and images have one view."""
    if isinstance(entries, KeyFrameTable):
        return KeyFrames(entries, cfg)
    return TestVideos(entries, cfg, num_views, num_crops)


def describe_list(entries: Entries, cfg, split: str) -> dict[str, str]:
    """Where the ``entries`` of ``split`` come from, for records: ``list``, the files that name them, and
    ``list_sha256``, of these files. Folders of images have no list: it is of their paths and labels."""
    name = _dataset_name(cfg, split)
    if name == "imagenet":
        folder = split_folder(cfg, split)
        text = "".join(f"{Path(e.path).relative_to(folder).as_posix()} {e.label}\n" for e in entries)
        return {"list": str(folder), "list_sha256": hashlib.sha256(os.fsencode(text)).hexdigest()}
    files = _list_files(name, cfg, split)
    return {"list": ", ".join(map(str, files)), "list_sha256": ", ".join(map(sha256, files))}


def has_list(cfg, split: str) -> bool:
    """Whether the files that name the items of ``split``, or the folders of images, are here."""
    name = _dataset_name(cfg, split)
    if not cfg.DATA.PATH_TO_DATA_DIR:
        return False
    if name == "imagenet":
        return has_folder(cfg, split)
    return all(path.is_file() for path in _list_files(name, cfg, split))


def _list_files(name: str, cfg, split: str) -> tuple[Path, ...]:
    if name in ("cifar10", "cifar100"):
        return cifar_files(cfg, split)
    if name == "charades":
        return (charades_list(cfg, split),)
    if name == "ava":
        return tuple(map(Path, dict.fromkeys(sum(box_lists(cfg, split), ()))))
    return (Path(cfg.DATA.PATH_TO_DATA_DIR) / f"{split}.csv",)


def _read_synthetic(cfg, split: str) -> Entries:
    from mutualnet3d.data.synthetic import ensure_dataset

    return read_list(cfg, split, prefix=ensure_dataset(cfg))


_READERS = {
    "kinetics": read_list,
    "synthetic": _read_synthetic,
    "charades": read_charades,
    "ava": read_key_frames,
    "imagenet": read_image_folder,
    "cifar10": read_cifar,
    "cifar100": read_cifar,
}
test_dataset.__test__ = False  # pytest: this is no test


def _dataset_name(cfg, split: str) -> str:
    node = "TEST" if split == "test" else "TRAIN"
    name = cfg[node].DATASET.lower()
    if name not in DATASETS:
        raise ConfigError(f"{node}.DATASET is {cfg[node].DATASET!r}; it must be one of {', '.join(DATASETS)}")
    train, test = cfg.TRAIN.DATASET.lower(), cfg.TEST.DATASET.lower()
    if train != test and not {train, test} <= set(_SINGLE_LABEL):
        raise ConfigError(
            f"TRAIN.DATASET is {cfg.TRAIN.DATASET!r} and TEST.DATASET {cfg.TEST.DATASET!r}: they are read by different "
            "rules; name the same one in both"
        )
    if (name in IMAGE_DATASETS) != is_image_network(cfg):
        raise ConfigError(
            f"{node}.DATASET is {name}, of {'images' if name in IMAGE_DATASETS else 'videos'}, and MODEL.ARCH "
            f"{cfg.MODEL.ARCH}, a network of {'images' if is_image_network(cfg) else 'videos'}; change one of them "
            f"(data sets of images: {', '.join(IMAGE_DATASETS)})"
        )
    if (name == "charades") != cfg.DATA.MULTI_LABEL:
        raise ConfigError(
            f"{node}.DATASET is {name} and DATA.MULTI_LABEL {cfg.DATA.MULTI_LABEL}; it must be {name == 'charades'}: "
            "videos of charades have several labels each, others one"
        )
    if (name == "ava") != cfg.DETECTION.ENABLE:
        raise ConfigError(
            f"{node}.DATASET is {name} and DETECTION.ENABLE {cfg.DETECTION.ENABLE}; it must be {name == 'ava'}: boxes "
            "come with ava, and only there"
        )
    return name
