"""timm's MobileNetV1, its names written out here: timm itself is not needed."""

import pytest
import torch
from torch.nn import functional as F

from mutualnet3d.errors import WeightsError
from mutualnet3d.models.weights import load_weights
from tests.models.image_networks import CLASSES, build_image_network, images

STAGES = [(64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2)]  # channels, blocks, stride of the first


def blocks():
    size = 32
    for stage, (channels, count, stride) in enumerate(STAGES):
        for number in range(count):
            yield f"blocks.{stage}.{number}", size, channels, stride if number == 0 else 1
            size = channels


@pytest.fixture(scope="module")
def state():
    generator = torch.Generator().manual_seed(0)
    entries = {}

    def convolution(name, *shape):
        entries[f"{name}.weight"] = torch.randn(shape, generator=generator) * (2 / torch.Size(shape[1:]).numel()) ** 0.5

    def norm(name, size):
        for part, low, high in (("weight", 0.4, 1), ("bias", -0.1, 0.3), ("running_mean", -0.2, 0.2)):
            entries[f"{name}.{part}"] = low + (high - low) * torch.rand(size, generator=generator)
        entries[f"{name}.running_var"] = 0.5 + torch.rand(size, generator=generator)
        entries[f"{name}.num_batches_tracked"] = torch.tensor(7)

    convolution("conv_stem", 32, 3, 3, 3), norm("bn1", 32)
    for name, size_in, size_out, _ in blocks():
        convolution(f"{name}.conv_dw", size_in, 1, 3, 3), norm(f"{name}.bn1", size_in)
        convolution(f"{name}.conv_pw", size_out, size_in, 1, 1), norm(f"{name}.bn2", size_out)
    convolution("classifier", CLASSES, 1024)
    entries["classifier.bias"] = torch.randn(CLASSES, generator=generator)
    return entries


def logits(state, x):
    def layer(x, convolution, norm, stride, groups=1):
        weight = state[f"{convolution}.weight"]
        x = F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=groups)
        parts = [state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *parts).clamp(0, 6)

    x = layer(x, "conv_stem", "bn1", 2)
    for name, size, _, stride in blocks():
        x = layer(x, f"{name}.conv_dw", f"{name}.bn1", stride, size)
        x = layer(x, f"{name}.conv_pw", f"{name}.bn2", 1)
    return F.linear(x.mean((2, 3)), state["classifier.weight"], state["classifier.bias"])


@pytest.mark.parametrize("prefix", ["", "module."])
def test_all_entries_and_equal_logits(state, prefix):
    model = build_image_network("mobilenet_v1", "IMAGE.WIDTH_FACTOR", 1.0).eval()
    report = load_weights(model, {prefix + name: tensor for name, tensor in state.items()})
    assert (report.layout, len(report.matched)) == ("timm", 164)
    assert not report.missing + report.unexpected + report.reinitialised + report.ignored
    assert list(report.matched) == list(model.state_dict())
    torch.testing.assert_close(model(images()), logits(state, images()))


def test_other_networks_are_refused(state):
    with pytest.raises(WeightsError, match=r"does not fit the network"):
        load_weights(build_image_network("mobilenet_v2"), state)
    with pytest.raises(WeightsError, match=r"none of its names fits.*timm's MobileNetV1 \(conv_stem"):
        load_weights(build_image_network("vgg16"), {"conv_stem.weight": torch.zeros(1)})
    wider = state | {"blocks.1.0.conv_pw.weight": torch.zeros(96, 16, 1, 1)}  # timm's MobileNetV2 begins alike
    with pytest.raises(WeightsError, match="does not fit the network"):
        load_weights(build_image_network("mobilenet_v1", "IMAGE.WIDTH_FACTOR", 1.0), wider)
