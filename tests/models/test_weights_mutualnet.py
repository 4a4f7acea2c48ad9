"""Weights in the layout of the authors' 2-D code: built here as it is described, equal logits in ours."""

import logging

import pytest
import torch
from torch import nn

import mutualnet3d as mn
from mutualnet3d.errors import WeightsError
from mutualnet3d.layers import slimmable_norms
from mutualnet3d.models.weights import load_weights
from tests.data.image_files import write_folder
from tests.models.image_networks import CLASSES, images
from tests.models.random_state import shake
from tests.tiny import ROOT

V1 = [(64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2)]  # channels, blocks, stride
V2 = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
RESNET50 = [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]


def layer(size_in, size_out, kernel, stride=1, groups=1):
    convolution = nn.Conv2d(size_in, size_out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(size_out)]


class Block(nn.Module):
    """``body`` and, where it is needed, ``shortcut``."""

    def __init__(self, body, shortcut=None, adds=False, last=None):
        super().__init__()
        self.body, self.adds, self.last = nn.Sequential(*body), adds, last or nn.Identity()
        if shortcut:
            self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x):
        y = self.body(x)
        if hasattr(self, "shortcut"):
            y = y + self.shortcut(x)
        elif self.adds:
            y = y + x
        return self.last(y)


class Theirs(nn.Module):
    def __init__(self, blocks, size):
        super().__init__()
        self.features = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1))
        self.classifier = nn.Sequential(nn.Linear(size, CLASSES))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


def mobilenet_v1():
    blocks, size = [nn.Sequential(*layer(3, 32, 3, 2), nn.ReLU6())], 32
    for channels, repeats, stride in V1:
        for number in range(repeats):
            depthwise = layer(size, size, 3, stride if number == 0 else 1, size)
            blocks.append(Block([*depthwise, nn.ReLU6(), *layer(size, channels, 1), nn.ReLU6()]))
            size = channels
    return Theirs(blocks, size)


def mobilenet_v2():
    blocks, size = [nn.Sequential(*layer(3, 32, 3, 2), nn.ReLU6())], 32
    for expansion, channels, repeats, first in V2:
        for number in range(repeats):
            stride, wide = first if number == 0 else 1, size * expansion
            body = [] if expansion == 1 else [*layer(size, wide, 1), nn.ReLU6()]
            body += [*layer(wide, wide, 3, stride, wide), nn.ReLU6(), *layer(wide, channels, 1)]
            blocks.append(Block(body, adds=stride == 1 and size == channels))
            size = channels
    return Theirs([*blocks, nn.Sequential(*layer(size, 1280, 1), nn.ReLU6())], 1280)


def resnet50():
    blocks, size = [nn.Sequential(*layer(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1))], 64
    for inner, repeats, first in RESNET50:
        for number in range(repeats):
            stride, channels = first if number == 0 else 1, 4 * inner
            body = [*layer(size, inner, 1), nn.ReLU(), *layer(inner, inner, 3, stride), nn.ReLU()]
            shortcut = layer(size, channels, 1, stride) if number == 0 else None
            blocks.append(Block([*body, *layer(inner, channels, 1)], shortcut, True, nn.ReLU()))
            size = channels
    return Theirs(blocks, size)


class WideBlock(nn.Module):
    def __init__(self, size_in, size_out, stride):
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(size_in), nn.BatchNorm2d(size_out)
        self.conv1 = nn.Conv2d(size_in, size_out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(size_out, size_out, 3, 1, 1, bias=False)
        self.convShortcut = None if size_in == size_out else nn.Conv2d(size_in, size_out, 1, stride, bias=False)

    def forward(self, x):
        first = self.bn1(x).relu()
        y = self.conv2(self.bn2(self.conv1(first)).relu())
        return y + (x if self.convShortcut is None else self.convShortcut(first))


class TheirWide(nn.Module):
    """WRN-16-2 by the names of their code: ``block2.layer.0.convShortcut``."""

    def __init__(self):
        super().__init__()
        self.conv1, size = nn.Conv2d(3, 16, 3, 1, 1, bias=False), 16
        for stage, (channels, stride) in enumerate([(32, 1), (64, 2), (128, 2)], start=1):
            stack = nn.Module()
            stack.layer = nn.Sequential(WideBlock(size, channels, stride), WideBlock(channels, channels, 1))
            size = channels
            self.add_module(f"block{stage}", stack)
        self.bn1, self.fc = nn.BatchNorm2d(size), nn.Linear(size, CLASSES)

    def forward(self, x):
        x = self.block3.layer(self.block2.layer(self.block1.layer(self.conv1(x))))
        return self.fc(self.bn1(x).relu().mean((2, 3)))


NETWORKS = {"mobilenet_v1": mobilenet_v1, "mobilenet_v2": mobilenet_v2, "resnet50": resnet50, "wide_resnet": TheirWide}


def build(arch):
    overrides = ["MODEL.NUM_CLASSES", CLASSES, "MODEL.DROPOUT_RATE", 0.0, "MUTUALNET.WIDTH", [0.25, 1.0]]
    overrides += ["IMAGE.DEPTH", 16, "IMAGE.WIDEN_FACTOR", 2]  # of wide_resnet
    return mn.build_model(mn.load_config([], ["MODEL.ARCH", arch, "DATA.TRAIN_CROP_SIZE", 48, *overrides]))


@pytest.mark.parametrize("arch", NETWORKS)
def test_their_weights_give_their_logits(arch, tmp_path, caplog):
    theirs, ours = shake(NETWORKS[arch]()), build(arch)
    state = {f"module.{name}": tensor for name, tensor in theirs.state_dict().items()}
    state["module.features.1.body.1.bn.0.running_mean"] = torch.zeros(3)  # of one width
    torch.save({"model": state, "optimizer": {"lr": 0.5}, "last_epoch": 249}, tmp_path / "checkpoint_249.pt")
    with caplog.at_level(logging.WARNING):
        report = load_weights(ours, tmp_path / "checkpoint_249.pt")
    assert report.layout == "MutualNet 2-D"
    assert report.unexpected == report.reinitialised == ()
    assert set(report.matched) == {name for name, _ in ours.named_parameters()}
    assert set(report.missing) == {name for name, _ in ours.named_buffers() if not name.endswith("tracked")}
    assert {name.rpartition(".")[2] for name in report.ignored} == {
        *("running_mean", "running_var", "num_batches_tracked")
    }
    assert report.lacks_statistics
    assert "calibrate it too" in caplog.text
    batch = images()
    torch.testing.assert_close(ours.train()(batch), theirs.train()(batch))


def test_another_network_is_refused():
    with pytest.raises(WeightsError, match=r"does not fit the network. Not in it: features\.2\.conv\.2\.weight"):
        load_weights(build("mobilenet_v2"), mobilenet_v1().state_dict())
    with pytest.raises(WeightsError, match="none of its names fits"):
        load_weights(build("mobilenet_v2"), TheirWide().state_dict())
    with pytest.raises(WeightsError, match="none of its names fits"):
        load_weights(build("wide_resnet"), resnet50().state_dict())
    with pytest.raises(WeightsError, match="none of its names fits"):
        load_weights(build("mobilenet_v1"), {"features.1.body.x.weight": torch.zeros(1)})


def test_a_run_computes_the_statistics_that_the_file_lacks(tmp_path):
    from mutualnet3d.pipeline import run

    write_folder(tmp_path / "data", {"train": 3, "test": 1}, ("ant", "bee", "cat", "dog", "eel"), side=48)
    theirs = shake(mobilenet_v1())
    torch.save({"model": theirs.state_dict()}, tmp_path / "theirs.pt")
    overrides = [
        *("MODEL.ARCH", "mobilenet_v1", "MODEL.NUM_CLASSES", CLASSES, "DATA.TRAIN_CROP_SIZE", 48, "NUM_GPUS", 0),
        *("TRAIN.ENABLE", False, "TEST.ENABLE", False, "TEST.CHECKPOINT_FILE_PATH", str(tmp_path / "theirs.pt")),
        *("DATA.PATH_TO_DATA_DIR", str(tmp_path / "data"), "MUTUALNET.SPATIAL", [32, 48], "DATA.TEST_CROP_SIZE", 48),
        *("CALIBRATION.NUM_CLIPS", 15, "CALIBRATION.BATCH_SIZE", 5, "QUERY_TABLE.WIDTHS", [0.25, 1.0]),
        *("OUTPUT_DIR", str(tmp_path / "output"), "DATA_LOADER.NUM_WORKERS", 0),
    ]
    run(
        mn.load_config(
            ROOT / "configs" / "ImageNet" / "MN_MOBILENET_V1.yaml", [*overrides, "QUERY_TABLE.WIDTH_STEP", 0]
        )
    )
    model = mn.load_model(tmp_path / "output" / "model.pyth")
    assert model.statistics_provenance[model.space.full]["clips"] == 15
    assert set(model.calibrated) == set(model.space.grid((0.25, 1.0)))
    for norm in slimmable_norms(model):
        assert norm.running_mean.any()
        assert not torch.equal(norm.running_var, torch.ones_like(norm.running_var))
