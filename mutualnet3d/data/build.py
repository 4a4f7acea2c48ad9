"""The list of videos that a config names."""

from mutualnet3d.data.kinetics_list import VideoEntry, read_list
from mutualnet3d.errors import ConfigError

DATASETS = ("kinetics", "synthetic")


def build_entries(cfg, split: str) -> list[VideoEntry]:
    """Videos of ``split``: "train" and "val" belong to TRAIN.DATASET, "test" to TEST.DATASET.

    "synthetic" renders its files into DATA.PATH_TO_DATA_DIR first, where they are not there yet.

    Raises:
        ConfigError: no such dataset.
        DataError: see :func:`mutualnet3d.data.kinetics_list.read_list`.
    """
    node = "TEST" if split == "test" else "TRAIN"
    name = cfg[node].DATASET
    if name.lower() not in DATASETS:
        raise ConfigError(f"{node}.DATASET is {name!r}; videos with one label each are read by: {', '.join(DATASETS)}")
    if name.lower() == "synthetic":
        from mutualnet3d.data.synthetic import ensure_dataset

        return read_list(cfg, split, prefix=ensure_dataset(cfg))
    return read_list(cfg, split)
