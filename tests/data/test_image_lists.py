"""Data sets of images: folders of classes, CIFAR; what is missing or contradictory is named."""

import json
import logging
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from image_files import write_cifar, write_folder
from PIL import Image
from torchvision.datasets import CIFAR10, CIFAR100, ImageFolder

from mutualnet3d.data import EpochSampler, build_entries, describe_list, test_dataset, train_dataset, train_loader
from mutualnet3d.data.class_names import read_class_names
from mutualnet3d.data.loader import video_loader
from mutualnet3d.errors import ConfigError, DataError

NAMES = ("ant", "bee", "cat")


@pytest.fixture
def images(cfg, tmp_path):
    """(config, folder) of 5 training and 2 test images of 3 classes, 32 x 32."""
    root = write_folder(tmp_path / "images", {"train": 5, "test": 2}, NAMES)
    cfg.TRAIN.DATASET = cfg.TEST.DATASET = "imagenet"
    cfg.MODEL.ARCH, cfg.MODEL.NUM_CLASSES, cfg.DATA.PATH_TO_DATA_DIR = "resnet18", 3, str(root)
    cfg.DATA.IN_VAL_CROP_RATIO, cfg.IMAGE.AUGMENTATION = 1.0, "cifar"
    return SimpleNamespace(cfg=cfg, root=root)


def test_labels_are_those_of_torchvision(images):
    for split in ("train", "test"):
        entries = build_entries(images.cfg, split)
        assert [tuple(entry) for entry in entries] == ImageFolder(images.root / split).samples
    assert read_class_names(images.cfg, 3) == (NAMES, "")
    (images.root / "classes.txt").write_text("Ameise\nBiene\nKatze\n")
    assert read_class_names(images.cfg, 3)[0] == ("Ameise", "Biene", "Katze")
    (images.root / "names.json").write_text(json.dumps({"a": 0, "b": 1, "c": 2}))
    images.cfg.TENSORBOARD.CLASS_NAMES_PATH = str(images.root / "names.json")
    assert read_class_names(images.cfg, 3)[0] == ("a", "b", "c")


def test_an_absent_split_is_replaced_and_said(images, caplog):
    with caplog.at_level(logging.INFO):
        assert build_entries(images.cfg, "val") == build_entries(images.cfg, "test")
    assert "there is no val folder; test is used as val" in caplog.text
    shutil.move(images.root / "test", images.root / "val")
    with caplog.at_level(logging.INFO):
        assert len(build_entries(images.cfg, "test")) == 6
    assert "there is no test folder; val is used as test" in caplog.text


def test_what_systems_add_to_folders_does_not_count(images):
    entries = build_entries(images.cfg, "train")
    for name in (".ipynb_checkpoints/x.jpg", "@eaDir/x.jpg", "ant/._000.jpg", "ant/.thumbnails/000.jpg"):
        (images.root / "train" / name).parent.mkdir(exist_ok=True)
        shutil.copy(entries[0].path, images.root / "train" / name)
    assert build_entries(images.cfg, "train") == entries
    assert read_class_names(images.cfg, 3) == (NAMES, "")


def test_a_class_that_a_split_lacks_shifts_no_label(images):
    shutil.rmtree(images.root / "test" / "bee")
    assert {entry.label for entry in build_entries(images.cfg, "test")} == {0, 2}
    (images.root / "train" / "cat" / "notes.txt").write_text("no image")
    assert len(build_entries(images.cfg, "train")) == 15


def test_what_does_not_fit_is_named(images):
    cfg, root = images.cfg, images.root
    (root / "test" / "dog").mkdir()
    with pytest.raises(DataError, match=r"class folder 'dog' is not in .*train"):
        build_entries(cfg, "test")
    cfg.MODEL.NUM_CLASSES = 4
    with pytest.raises(DataError, match=r"holds 3 class folders, and MODEL\.NUM_CLASSES is 4; set it to 3"):
        build_entries(cfg, "train")
    cfg.MODEL.NUM_CLASSES = 3
    for name in NAMES:
        shutil.rmtree(root / "train" / name)
        (root / "train" / name).mkdir()
    with pytest.raises(DataError, match=r"the class folders hold no images \(\.jpg"):
        build_entries(cfg, "train")
    shutil.rmtree(root / "train")
    with pytest.raises(DataError, match=r"train: no such folder; expected is one folder per class"):
        build_entries(cfg, "train")
    (root / "train").mkdir()
    with pytest.raises(DataError, match=r"holds no class folders"):
        build_entries(cfg, "train")
    assert read_class_names(cfg, 3)[1].startswith("Classes are numbers: ")


def test_videos_and_images_are_not_mixed(images):
    images.cfg.MODEL.ARCH = "slow"
    with pytest.raises(ConfigError, match=r"TRAIN\.DATASET is imagenet, of images, and MODEL\.ARCH slow, a netw"):
        build_entries(images.cfg, "train")
    images.cfg.MODEL.ARCH, images.cfg.TRAIN.DATASET, images.cfg.TEST.DATASET = "vgg16_bn", "kinetics", "kinetics"
    with pytest.raises(ConfigError, match=r"is kinetics, of videos, and MODEL\.ARCH vgg16_bn, a network of im"):
        build_entries(images.cfg, "train")
    images.cfg.TRAIN.DATASET = "imagenet"
    with pytest.raises(ConfigError, match=r"name the same one in both"):
        build_entries(images.cfg, "train")


def test_the_record_of_a_folder_follows_its_content(images):
    def digest():
        return describe_list(build_entries(images.cfg, "train"), images.cfg, "train")

    first = digest()
    assert first["list"] == str(images.root / "train")
    shutil.copytree(images.root, images.root.parent / "copy")
    images.cfg.DATA.PATH_TO_DATA_DIR = str(images.root.parent / "copy")
    assert digest()["list_sha256"] == first["list_sha256"]
    (images.root.parent / "copy" / "train" / "bee" / "000.jpg").unlink()
    assert digest()["list_sha256"] != first["list_sha256"]


def batches(cfg, epoch, start=0):
    data = train_dataset(build_entries(cfg, "train"), cfg, seed=5)
    return list(train_loader(data, EpochSampler(len(data), 5, epoch, 4, start), cfg))


@pytest.mark.parametrize("workers", [0, 2])
def test_training_batches(images, workers):
    """The same whatever the number of workers and wherever an epoch is entered; uint8 (N, 3, H, W), channels last."""
    before = torch.get_rng_state()
    expected = batches(images.cfg, 1)
    images.cfg.DATA_LOADER.NUM_WORKERS = workers
    found = batches(images.cfg, 1)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(found) == 3
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one.clips, other.clips)
        assert torch.equal(one.labels, other.labels)
        assert (one.clips.shape, one.clips.dtype) == ((4, 3, 32, 32), torch.uint8)
        assert one.clips.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(batches(images.cfg, 1, start=2)[0].clips, expected[2].clips)
    assert not torch.equal(batches(images.cfg, 2)[0].clips, expected[0].clips)


def test_test_items_are_the_images(images):
    entries = build_entries(images.cfg, "test")
    items = list(video_loader(test_dataset(entries, images.cfg, 1, 1), images.cfg))
    for item, (path, label) in zip(items, entries, strict=True):
        (view,) = item.views()
        assert np.array_equal(view.permute(1, 2, 0), np.asarray(Image.open(path)))
        assert (item.label, item.path, view.shape) == (label, path, (3, 32, 32))
    with pytest.raises(ConfigError, match=r"NUM_ENSEMBLE_VIEWS is 10 and TEST\.NUM_SPATIAL_CROPS 3; images have one"):
        test_dataset(entries, images.cfg, 10, 3)


def test_damaged_images_are_replaced_in_training_and_missing_in_tests(images):
    train, test = build_entries(images.cfg, "train"), build_entries(images.cfg, "test")
    for path in (train[3].path, test[1].path):
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) - 40)
    item = train_dataset(train, images.cfg, 0)[0, 3]
    assert item.failures == ((train[3].path, "the JPEG file is cut off"),)
    assert item.label == train[item.index].label
    data = test_dataset(test, images.cfg, 1, 1)
    assert (data[1].error, data[1].cut) == ("the JPEG file is cut off", None)
    assert data[0].error is None


@pytest.mark.parametrize(("name", "kind", "classes"), [("cifar10", CIFAR10, 10), ("cifar100", CIFAR100, 100)])
def test_cifar(cfg, tmp_path, monkeypatch, caplog, name, kind, classes):
    cfg.TRAIN.DATASET = cfg.TEST.DATASET = name
    cfg.MODEL.ARCH, cfg.MODEL.NUM_CLASSES, cfg.DATA.PATH_TO_DATA_DIR = "wide_resnet", classes, str(tmp_path)
    cfg.DATA.IN_VAL_CROP_RATIO = 1.0
    with pytest.raises(DataError, match=rf"{kind.base_folder}: the files of {name} are not here .*IMAGE\.DOWNLOAD"):
        build_entries(cfg, "train")
    assert "are not here" in read_class_names(cfg, classes)[1]
    write_cifar(tmp_path, monkeypatch, kind)
    for split in ("train", "val", "test"):
        with caplog.at_level(logging.INFO):
            entries = build_entries(cfg, split)
        torchvisions = kind(tmp_path, train=split == "train")
        data = test_dataset(entries, cfg, 1, 1)
        for number, (image, label) in enumerate(torchvisions):
            assert np.array_equal(next(iter(data[number].views())).permute(1, 2, 0), np.asarray(image))
            assert data[number].label == label
        assert len(data) == len(torchvisions)
    assert f"{name} has no validation images; the test images are used" in caplog.text
    record = describe_list(build_entries(cfg, "train"), cfg, "train")
    assert len(record["list_sha256"].split(", ")) == len(kind.train_list)
    assert read_class_names(cfg, classes)[0] == tuple(f"class {n}" for n in range(classes))
    assert train_dataset(entries, cfg, 0)[0, 1].clip.shape == (3, 32, 32)
    cfg.MODEL.NUM_CLASSES = 7
    with pytest.raises(DataError, match=rf"{name} has {classes} classes, and MODEL\.NUM_CLASSES is 7"):
        build_entries(cfg, "train")


def test_real_images(cfg, shared_data):
    root = shared_data / "cifar10_jpeg_mini"
    if not root.is_dir():
        pytest.skip("no cifar10_jpeg_mini there")
    cfg.TRAIN.DATASET = cfg.TEST.DATASET = "imagenet"
    cfg.MODEL.ARCH, cfg.MODEL.NUM_CLASSES, cfg.DATA.PATH_TO_DATA_DIR = "wide_resnet", 10, str(root)
    cfg.DATA.IN_VAL_CROP_RATIO = 1.0
    entries = build_entries(cfg, "test")
    assert len(entries) == 1000
    assert read_class_names(cfg, 10)[0][:2] == ("airplane", "automobile")
    data = test_dataset(entries, cfg, 1, 1)
    for number in (0, 499, 999):
        expected = np.asarray(Image.open(entries[number].path).convert("RGB"))
        assert np.array_equal(next(iter(data[number].views())).permute(1, 2, 0), expected)
