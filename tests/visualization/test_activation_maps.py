"""Maps against brute force, in the right place, at every kind of configuration."""

import itertools

import numpy as np
import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.errors import ConfigError, ConfigurationError, DataError, NotCalibratedError
from mutualnet3d.visualization.activation_maps import activation_maps
from tests.deployment.networks import CASES
from tests.models.image_networks import IMAGE_CASES, build_image_network, images
from tests.visualization.averaging import averaging_network

CLASSES = [3, 7]


def brute_force(network, clip, configuration):
    """(logits, [map of each pathway]) from an ordinary network of the active weights alone, channel by channel."""
    dense = mn.extract_dense(network.model, configuration)
    seen = []
    if hasattr(dense.head, "conv_5_relu"):
        dense.head.conv_5_relu.register_forward_hook(lambda _m, _i, output: seen.append(output.clone()))
    else:
        dense.head.register_forward_pre_hook(lambda _m, inputs: seen.extend(inputs[0]))
    with torch.no_grad():
        logits = dense(*network.model.pathways(clip, configuration))
        weights = dense.head.projection.weight[CLASSES]
        if hasattr(dense.head, "lin_5"):  # what the layers after the pooling amount to for this clip
            mixing = dense.head.lin_5.weight.flatten(1)
            on = (seen[0].mean((2, 3, 4)) @ mixing.T > 0).float()
            weights = (weights * on) @ mixing
        maps, first = [], 0
        for features in seen:
            found = torch.zeros_like(features[:, 0])
            for n, channel in itertools.product(range(len(clip)), range(features.shape[1])):
                found[n] += weights[n, first + channel] * features[n, channel]
            maps.append(found)
            first += features.shape[1]
    assert first == weights.shape[1]
    return logits, maps, dense.head.projection.bias.detach()


@pytest.mark.parametrize("case", [*CASES])
def test_equal_brute_force_and_add_up_to_the_logit(networks, case):
    network = networks(case)
    clip = network.clip()
    for configuration in network.configurations:
        found = activation_maps(network.model, clip, configuration, CLASSES)
        logits, maps, bias = brute_force(network, clip, configuration)
        torch.testing.assert_close(found.logits, logits, rtol=1e-4, atol=1e-5)
        assert len(found.features) == len(maps) == (2 if case == "slowfast" else 1)
        for got, expected in zip(found.features, maps, strict=True):
            assert got.dtype == torch.float32
            torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
        total = sum(each.mean((1, 2, 3)) for each in found.features)
        expected = torch.stack([logits[n, k] - bias[k] for n, k in enumerate(CLASSES)])
        torch.testing.assert_close(total, expected, rtol=1e-3, atol=1e-4)


def test_clips_do_not_mix_and_the_default_class_is_the_predicted_one(networks):
    network = networks("slow")
    clip, small = network.clip(3), network.small
    together = activation_maps(network.model, clip, small)
    assert together.classes.tolist() == together.logits.argmax(1).tolist()
    alone = activation_maps(network.model, clip[1:2], small, together.classes[1:2])
    torch.testing.assert_close(together.features[0][1:2], alone.features[0], rtol=1e-4, atol=1e-5)
    assert together.at_clip().shape == (3, *clip.shape[2:])


def test_pathways_of_slowfast(networks):
    network = networks("slowfast")
    clip, small = network.clip(), network.small
    with torch.no_grad():
        shared = network.model.shared_features(clip, small)
    maps = activation_maps(network.model, clip, small, CLASSES, shared=shared)
    plain = activation_maps(network.model, clip, small, CLASSES)
    slow, fast = maps.features
    assert slow.shape[1] == small.temporal
    assert fast.shape[1] == clip.shape[2]
    torch.testing.assert_close(slow, plain.features[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(maps.at_clip("both"), maps.at_clip("slow") + maps.at_clip("fast"))
    with pytest.raises(ConfigError, match="pathway 'fast' is not one of this network's: slow"):
        activation_maps(networks("slow").model, networks("slow").clip()).at_clip("fast")


def test_leaves_the_network_as_it_was(networks):
    network = networks("slow")
    network.model.train()
    try:
        with torch.no_grad():
            first = activation_maps(network.model, network.clip(), network.small)
            assert not torch.is_grad_enabled()
        second = activation_maps(network.model, network.clip(), network.small)
        assert network.model.training
    finally:
        network.model.eval()
    assert torch.equal(first.features[0], second.features[0])  # in eval mode, without dropout
    assert torch.is_grad_enabled()
    assert all(p.grad is None for p in network.model.parameters())
    assert not network.model.head._forward_pre_hooks
    assert not first.features[0].requires_grad
    assert not first.logits.requires_grad


@pytest.fixture(scope="module")
def averaging():
    return averaging_network()[0]


CORNERS = [(40, 40), (40, 72), (72, 40), (72, 72)]


@pytest.mark.parametrize(("width", "spatial", "temporal"), [*itertools.product([0.63, 1.0], [72, 90, 112], [3, 5, 8])])
def test_the_map_lies_where_the_input_does(averaging, width, spatial, temporal):
    """A bright square in the first or the second half of the clip: the mean error over four places is below 1.5 pixels.

    Taking features for equal parts of the frame would be 3.5 pixels off, and 5.4 at the lowest resolution.
    """
    clip = torch.zeros(4, 3, 8, 112, 112)
    for n, (y, x) in enumerate(CORNERS):
        half = slice(0, 4) if n % 2 else slice(4, 8)
        clip[n, :, half, y - 5 : y + 5, x - 5 : x + 5] = 10
    configuration = mn.Configuration(width, spatial, temporal)
    maps = activation_maps(averaging, torch.cat([clip, clip[:1] * 0]), configuration, [0] * 5).at_clip()
    maps = (maps[:4] - maps[4:]).clamp(min=0)
    errors = []
    for n, (y, x) in enumerate(CORNERS):
        places = maps[n].sum(0)
        rows, columns = (places.sum(axis) / places.sum() @ (torch.arange(112) + 0.5) for axis in (1, 0))
        errors.append((float(rows) - y, float(columns) - x))
        moments = maps[n].sum((1, 2))
        early, late = float(moments[:4].sum()), float(moments[4:].sum())
        assert (early > late) == bool(n % 2)
    assert np.abs(np.mean(errors, axis=0)).max() < 1.5
    assert np.abs(errors).max() < 8


LAST = {"mobilenet_v1": "features", "mobilenet_v2": "features", "wide_resnet": "relu"}  # others: what avgpool takes
DEEPER = ("resnet34", "resnet101")  # of the same blocks as resnet18 and resnet50


@pytest.mark.parametrize("arch", [arch for arch in IMAGE_CASES if not arch.startswith(("vgg", *DEEPER))])
def test_images(arch):
    """Of the ordinary network of the active weights: the features by what the classifier makes of each channel."""
    model, image, classes = build_image_network(arch).eval(), images(2), (4, 1)
    mn.calibrate(model, [images(4, seed=2)], [model.space.smallest])
    for configuration in (model.space.full, model.space.smallest):
        found = activation_maps(model, image, configuration, classes)
        dense, seen, pooled = mn.extract_dense(model, configuration), [], []
        if arch in LAST:
            getattr(dense, LAST[arch]).register_forward_hook(lambda _m, _i, output, seen=seen: seen.append(output))
        else:
            dense.avgpool.register_forward_pre_hook(lambda _m, inputs, seen=seen: seen.append(inputs[0]))
        classifier = dense.fc if hasattr(dense, "fc") else dense.classifier
        handle = classifier.register_forward_pre_hook(lambda _m, inputs, pooled=pooled: pooled.append(inputs[0]))
        with torch.no_grad():
            logits = dense(*model.pathways(image, configuration))
        handle.remove()
        torch.testing.assert_close(found.logits, logits, rtol=1e-4, atol=1e-4)
        features = seen[-1]
        torch.testing.assert_close(features.mean((2, 3)), pooled[0])
        for n, k in enumerate(classes):
            weights = torch.autograd.functional.jacobian(lambda x, k=k: classifier(x[None])[0, k], pooled[0][n])  # noqa: B023
            expected = (weights[:, None, None] * features[n]).sum(0)
            atol = 1e-4 * float(expected.abs().max())
            torch.testing.assert_close(found.features[0][n, 0], expected, rtol=1e-3, atol=atol)
        assert found.at_clip().shape == (2, 1, *image.shape[-2:])


def test_refusals(networks):
    network = networks("slow")
    clip = network.clip()
    with pytest.raises(NotCalibratedError, match=r"0\.7-48-8"):
        activation_maps(network.model, clip, mn.Configuration(0.7, 48, 8))
    with pytest.raises(ConfigurationError, match=r"width 0\.1"):
        activation_maps(network.model, clip, mn.Configuration(0.1, 48, 8))
    for classes in ([1], [1, 10], [-1, 0], [0.5, 1.0]):
        with pytest.raises(DataError, match=r"2 whole numbers, one a clip, in 0\.\.9"):
            activation_maps(network.model, clip, network.small, classes)
    with pytest.raises(ConfigError, match=r"Slow with RoIHead has no class activation maps.*DETECTION"):
        activation_maps(networks("slow detection").model, clip)
    assert not network.model.head._forward_pre_hooks
    with pytest.raises(ConfigError, match=r"with AdaptiveAvgPool2d has no class activation maps"):  # to 7 x 7 places
        activation_maps(build_image_network("vgg16"), images())
