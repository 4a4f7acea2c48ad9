"""Image networks against torchvision's, against zeroed channels of the full network, and against published numbers."""

import re

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import mutualnet3d as mn
from mutualnet3d.configuration import round_even
from mutualnet3d.layers import Slimmable
from mutualnet3d.models.image.mobilenet_v1 import MobileNetV1Backbone
from mutualnet3d.models.image.wide_resnet import WideResNetBackbone
from mutualnet3d.models.weights import load_weights
from tests.models.image_networks import CLASSES, CROP, IMAGE_CASES, build_image_network, image_config, images

TORCHVISIONS = [arch for arch in IMAGE_CASES if arch not in ("mobilenet_v1", "wide_resnet")]
HEAVY = ("resnet34", "resnet50", "resnet101")
every_arch = pytest.mark.parametrize("arch", [arch for arch in IMAGE_CASES if arch not in HEAVY])


def torchvision_network(arch):
    """torchvision's own, as narrow as ours."""
    options = {"num_classes": CLASSES}
    if arch == "mobilenet_v2":
        options["width_mult"] = 0.5
    elif arch.startswith("mobilenet_v3"):
        blocks, last = torchvision.models.mobilenetv3._mobilenet_v3_conf(arch, width_mult=0.5)
        return torchvision.models.MobileNetV3(blocks, last, num_classes=CLASSES, dropout=0.0)
    elif arch.startswith("vgg"):
        narrow = [c if c == "M" else c // 8 for c in torchvision.models.vgg.cfgs["D"]]
        network = torchvision.models.VGG(
            torchvision.models.vgg.make_layers(narrow, arch == "vgg16_bn"), CLASSES, init_weights=False, dropout=0.0
        )
        network.classifier[0] = nn.Linear(512 // 8 * 49, 512)
        network.classifier[3], network.classifier[6] = nn.Linear(512, 512), nn.Linear(512, CLASSES)
        return network
    if arch.startswith("mobilenet"):
        options["dropout"] = 0.0
    return torchvision.models.get_model(arch, weights=None, **options)


class TestFull:
    @pytest.mark.parametrize("arch", TORCHVISIONS)
    def test_equals_torchvisions(self, arch):
        theirs, ours = torchvision_network(arch), build_image_network(arch)
        report = load_weights(theirs, ours.state_dict())
        assert report.layout == "own names"
        assert not report.unexpected + report.missing + report.reinitialised
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert isinstance(ours, type(theirs))
        batch = images()
        for training in (False, True):
            ours.train(training), theirs.train(training)
            got, expected = ours(batch), theirs(batch)
            assert torch.equal(got, expected)
        F.cross_entropy(got, torch.tensor([1, 3])).backward()
        F.cross_entropy(expected, torch.tensor([1, 3])).backward()
        for (name, own), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(own.grad, other.grad, msg=name)
        for own, other in zip(ours.buffers(), theirs.buffers(), strict=True):
            assert torch.equal(own, other)

    @pytest.mark.parametrize(("arch", "gmacs"), [("vgg16", 15.47), ("vgg16_bn", 15.47), ("resnet50", 4.09)])
    def test_at_native_size(self, arch, gmacs):
        """Without values: names, shapes and torchvision's own count of multiply-adds."""
        overrides = ["MODEL.ARCH", arch, "MODEL.NUM_CLASSES", 1000, "MUTUALNET.WIDTH", [0.25, 1.0]]
        with torch.device("meta"):
            ours = mn.build_model(mn.load_config([], overrides))
            theirs = torchvision.models.get_model(arch, weights=None)
        assert {k: v.shape for k, v in ours.state_dict().items()} == {
            k: v.shape for k, v in theirs.state_dict().items()
        }
        assert mn.complexity(ours).gmacs == pytest.approx(gmacs, abs=0.01)
        flattened = ours.classifier[0].in_slim if arch.startswith("vgg") else None
        assert flattened is None or flattened.count(0.25) == 128 * 49

    def test_torchvisions_file_loads_with_another_classifier(self, tmp_path):
        theirs = torchvision.models.mobilenet_v3_small(num_classes=1000)
        torch.save(theirs.state_dict(), tmp_path / "mobilenet_v3_small-047dcff4.pth")
        ours = mn.build_model(image_config("mobilenet_v3_small", "IMAGE.WIDTH_FACTOR", 1.0))
        report = load_weights(ours, tmp_path / "mobilenet_v3_small-047dcff4.pth")
        assert [line.split()[0] for line in report.reinitialised] == ["classifier.3.weight", "classifier.3.bias"]
        assert "left as initialised" in str(report)
        batch = images()
        for network in (theirs, ours):
            network.eval().classifier[3] = nn.Identity()
        assert torch.equal(ours(batch), theirs(batch))

    @pytest.mark.parametrize("stem_stride", [1, 2])
    def test_wide_resnet_by_hand(self, stem_stride):
        model = build_image_network("wide_resnet", "IMAGE.STEM_STRIDE", stem_stride).double()
        state, batch = model.state_dict(), images(dtype=torch.float64)

        def norm(x, name):
            return F.relu(F.batch_norm(x, None, None, state[f"{name}.weight"], state[f"{name}.bias"], training=True))

        x = F.conv2d(batch, state["conv1.weight"], stride=stem_stride, padding=1)
        for stage, stride in ((1, 1), (2, 2), (3, 2)):
            for block in range(2):
                name, step = f"layer{stage}.{block}", stride if block == 0 else 1
                active = norm(x, f"{name}.bn1")
                inner = norm(F.conv2d(active, state[f"{name}.conv1.weight"], stride=step, padding=1), f"{name}.bn2")
                if block == 0:
                    x = F.conv2d(active, state[f"{name}.shortcut.weight"], stride=step)
                x = x + F.conv2d(inner, state[f"{name}.conv2.weight"], padding=1)
        expected = norm(x, "bn").mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]
        torch.testing.assert_close(model.train()(batch), expected)

    def test_mobilenet_v1_by_hand(self):
        model = build_image_network("mobilenet_v1").double()
        layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
        strides = [2, *(s for stride in (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1) for s in (stride, 1))]
        x = images(dtype=torch.float64)
        for number, (convolution, norm) in enumerate(zip(layers[::2], layers[1::2], strict=True)):
            weight = convolution.weight
            assert number == 0 or weight.shape[1] == (1 if number % 2 else x.shape[1])
            groups, padding = (x.shape[1] if number % 2 else 1), weight.shape[2] // 2
            x = F.conv2d(x, weight, stride=strides[number], padding=padding, groups=groups)
            x = F.batch_norm(x, None, None, norm.weight, norm.bias, training=True).clamp(0, 6)
        classifier = model.classifier[1]
        torch.testing.assert_close(model.train()(images(dtype=torch.float64)), classifier(x.mean((2, 3))))


def active(size, width, divisor=8):
    """The multiple of ``divisor`` next to ``size * width``, not more than 10 % below, by plain search."""
    near = min(range(divisor, size + divisor, divisor), key=lambda n: (abs(n - size * width), -n))
    return min(size, near + divisor if near < 0.9 * size * width else near)


def kept(arch, model, name, layer, width):
    """Output channels of a layer that a sub-network has."""
    size = layer.weight.shape[0]
    if arch == "mobilenet_v2":
        if size == 1280:
            return size
        block = re.match(r"features\.(\d+)\.conv\.(?:0\.[01]|1\.[01])$", name)
        if block and hasattr(model.features[int(block[1])].conv[1], "0"):
            narrow = model.features[int(block[1])].conv[0][0].in_channels
            return size // narrow * active(narrow, width)
    if arch == "resnet50" and re.search(r"(conv|bn)[12]$", name):
        return active(size, width, 2)
    return active(size, width)


class TestSubNetworks:
    @pytest.mark.parametrize(
        ("arch", "width"),
        [(a, w) for a in IMAGE_CASES if a not in HEAVY for w in (0.25, 0.43, 0.77)] + [("resnet50", 0.43)],
    )
    def test_equal_the_full_network_with_the_other_channels_at_zero(self, arch, width):
        """Whatever reads a channel that is zero reads nothing: the rule, checked without slicing."""
        model = build_image_network(arch).double().train()
        configuration = mn.Configuration(width, 40)
        batch = images(dtype=torch.float64)
        expected = model(batch, configuration)
        classifier = list(model.named_modules())[-1][0] if arch != "wide_resnet" else "fc"
        zeroed = 0
        with torch.no_grad():
            for name, layer in model.named_modules():
                if not isinstance(layer, Slimmable) or name == classifier:
                    continue
                count = kept(arch, model, name, layer, width)
                zeroed += layer.weight.shape[0] - count
                layer.weight[count:] = 0
                if layer.bias is not None:
                    layer.bias[count:] = 0
        assert zeroed > 100
        resized = F.interpolate(batch, size=(40, 40), mode="bilinear", align_corners=False, antialias=False)
        torch.testing.assert_close(model(resized), expected, rtol=1e-8, atol=1e-8)

    @every_arch
    def test_gradients_reach_the_active_channels_only(self, arch):
        model = build_image_network(arch).train()
        model(images(), model.space.smallest).square().sum().backward()
        for name, layer in model.named_modules():
            if isinstance(layer, nn.Conv2d):
                count = kept(arch, model, name, layer, model.space.smallest.width)
                assert not layer.weight.grad[count:].any(), name
                assert layer.weight.grad[:count].any(), name

    def test_inner_channels_of_a_bottleneck_are_a_quarter_of_the_outer(self):
        configuration = mn.Configuration(0.43, 32)
        dense = mn.extract_dense(calibrated(build_image_network("resnet50"), configuration), configuration)
        blocks = [block for block in dense.modules() if isinstance(block, torchvision.models.resnet.Bottleneck)]
        inner = [b.conv2.out_channels for b in blocks]
        assert [inner[i] for i in (0, 3, 7, 13)] == [28, 56, 110, 220] == [active(64 * 2**i, 0.43, 2) for i in range(4)]
        assert dense.conv1.out_channels == inner[0]
        for block, count in zip(blocks, inner, strict=True):
            assert block.conv2.in_channels == block.conv3.in_channels == count
            assert block.conv3.out_channels == 4 * count == active(block.conv3.out_channels, 1)

    def test_squeeze_and_excitation_slims(self):
        model = build_image_network("mobilenet_v3_large", "IMAGE.WIDTH_FACTOR", 1.0)
        dense = mn.extract_dense(calibrated(model, mn.Configuration(0.75, 40)), mn.Configuration(0.75, 40))
        gates = {
            name: tuple(block.fc1.weight.shape[:2])
            for name, block in dense.named_modules()
            if isinstance(block, torchvision.ops.SqueezeExcitation)
        }
        assert len(gates) == 8
        assert gates["features.4.block.2"] == (24, 56)  # of 24 and 72
        assert gates["features.15.block.2"] == (184, 720)  # of 240 and 960
        narrow = dict(narrow_torchvision().named_modules())
        for name, layer in dense.named_modules():
            if isinstance(layer, nn.Conv2d) and ".2.fc" not in name:  # torchvision rounds its gates by another rule
                assert layer.weight.shape == narrow[name].weight.shape, name

    def test_depthwise_convolutions_keep_one_channel_per_group(self):
        dense = mn.extract_dense(calibrated(build_image_network("mobilenet_v1"), SMALL), SMALL)
        depthwise = [m for m in dense.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)][1:]
        assert len(depthwise) == 13
        assert all(m.groups == m.in_channels == m.out_channels for m in depthwise)


SMALL = mn.Configuration(0.5, 32)


def calibrated(model, configuration):
    mn.calibrate(model, [images()], [configuration])
    return model.eval()


def narrow_torchvision():
    blocks, last = torchvision.models.mobilenetv3._mobilenet_v3_conf("mobilenet_v3_large", width_mult=0.75)
    with torch.device("meta"):
        return torchvision.models.MobileNetV3(blocks, last, num_classes=CLASSES)


class TestInputs:
    @pytest.mark.parametrize("size", [(48, 48), (64, 36)])
    def test_pathways_resize(self, size):
        model = build_image_network("mobilenet_v1")
        batch = torch.rand(2, 3, *size)
        (view,) = model.pathways(batch, mn.Configuration(0.5, 32))
        wanted = [round_even(side * 32 / CROP) for side in size]
        expected = F.interpolate(batch, size=wanted, mode="bilinear", align_corners=False, antialias=False)
        assert torch.equal(view, expected)
        (whole,) = model.pathways(batch)
        assert whole is batch
        assert model(batch, mn.Configuration(0.5, 32)).shape == (2, CLASSES)

    @pytest.mark.parametrize(
        ("batch", "reason"),
        [
            (torch.rand(2, 3, 4, 48, 48), r"image must be .*\(N, 3, H, W\)"),
            (torch.rand(2, 1, 48, 48), "image must be"),
            (torch.zeros(2, 3, 48, 48, dtype=torch.uint8), "got torch.uint8"),
        ],
    )
    def test_refuses_other_inputs(self, batch, reason):
        with pytest.raises(ValueError, match=reason):
            build_image_network("mobilenet_v1")(batch)

    def test_refuses_configurations_of_videos_and_boxes(self):
        model = build_image_network("mobilenet_v1")
        with pytest.raises(mn.ConfigurationError, match="images have no temporal part"):
            model(images(), mn.Configuration(0.5, 32, 4))
        with pytest.raises(ValueError, match="neither"):
            model(images(), None, torch.zeros(1, 5))

    def test_logits_are_float32_under_autocast(self):
        model = build_image_network("mobilenet_v1")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert model(images(), SMALL).dtype == torch.float32
            assert model.features(images()).dtype == torch.bfloat16

    def test_dropout_before_the_classifier(self):
        model = build_image_network("resnet18", "MODEL.DROPOUT_RATE", 0.5)
        once, again = model(images()), model(images())
        assert not torch.equal(once, again)
        assert torch.equal(model.eval()(images()), model(images()))

    def test_statistics(self):
        model = build_image_network("mobilenet_v2").eval()
        with pytest.raises(mn.NotCalibratedError, match=r"0\.5-32"):
            model(images(), SMALL)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        mn.calibrate(model, [images(seed=3), images(seed=4)], [SMALL])
        assert model.calibrated == (model.space.full, SMALL)
        after = model.state_dict()
        assert all(torch.equal(after[key], value) for key, value in before.items())
        last = [key for key in after if key.startswith("features.18.1.statistics")]
        assert {tuple(after[key].shape) for key in last} == {(1280,)}
        assert model.statistics_provenance[SMALL]["clips"] == 4

    def test_a_network_without_batchnorm_needs_no_statistics(self):
        model = build_image_network("vgg16").eval()
        assert model.calibrated == (model.space.full,)
        model.require_statistics(SMALL)
        assert torch.equal(model(images(), SMALL), model.train()(images(), SMALL))
        mn.calibrate(model, (pytest.fail("a batch is read") for _ in range(1)), [SMALL])
        assert model.calibrated == (model.space.full, SMALL)
        assert model.statistics_provenance[SMALL]["batches"] == 0


class TestConfig:
    def test_sizes_of_the_paper(self):
        cfg = mn.load_config([], ["MODEL.ARCH", "mobilenet_v1", "DATA.NUM_FRAMES", 7, "MUTUALNET.WIDTH", [0.25, 1.0]])
        space = mn.build_model(cfg).space
        assert space == mn.ConfigurationSpace((0.25, 1.0), (128, 160, 192, 224), None)
        assert [str(c) for c in space.grid((0.5,))] == ["0.5-128", "0.5-160", "0.5-192", "0.5-224"]

    @pytest.mark.parametrize(
        ("overrides", "reason"),
        [
            (["MUTUALNET.TEMPORAL", [4, 8]], r"MUTUALNET.TEMPORAL is \[4, 8\].*no frames"),
            (["MUTUALNET.WIDTH", [1.0, 2.0]], r"IMAGE.WIDTH_FACTOR is 1.0: set it to 2.0, or .* at most 1"),
            (["MODEL.ARCH", "resnet50", "MUTUALNET.WIDTH", [1.0, 2.0]], r"^MUTUALNET.WIDTH is .*must be at most 1$"),
            (["IMAGE.WIDTH_FACTOR", 0.0], "above 0"),
            (["MODEL.ARCH", "resnet50", "IMAGE.WIDTH_FACTOR", 0.5], "resnet50 has no such factor"),
            (["MODEL.ARCH", "wide_resnet", "MUTUALNET.WIDTH", [1.0, 2.0]], r"IMAGE.WIDTH_FACTOR is 1.0: set it to 2.0"),
            (["IMAGE.DEPTH", 30], "6 n"),
            (["IMAGE.WIDEN_FACTOR", 0], "at least 1"),
            (["IMAGE.STEM_STRIDE", 0], "IMAGE.STEM_STRIDE is 0; .* at least 1"),
            (["DETECTION.ENABLE", True], "DETECTION.ENABLE"),
        ],
    )
    def test_refusals(self, overrides, reason):
        with pytest.raises(mn.ConfigError, match=reason):
            mn.load_config([], ["MODEL.ARCH", "mobilenet_v1", *overrides])

    def test_scaled_up(self):
        """Width 1.0 of the network that reaches 2.0 has MobileNetV1's channels, layer by layer."""
        overrides = ["MUTUALNET.WIDTH", [1.0, 2.0], "IMAGE.WIDTH_FACTOR", 2.0]
        model = build_image_network("mobilenet_v1", *overrides)
        assert model.space.full.width == 2.0
        one = calibrated(model, mn.Configuration(1.0, 32))
        dense = mn.extract_dense(one, mn.Configuration(1.0, 32)).state_dict()
        assert {k: v.shape for k, v in dense.items()} == {
            k: v.shape for k, v in MobileNetV1Backbone(CLASSES).state_dict().items()
        }
        assert model.features[1][3].weight.shape[0] == 128
        configuration = mn.Configuration(1.37, 32)
        some = mn.extract_dense(calibrated(model, configuration), configuration)
        assert [m.out_channels for m in some.modules() if isinstance(m, nn.Conv2d)][-1] == active(2048, 1.37 / 2)

    def test_scaled_up_mobilenet_v2(self):
        """Its last convolution too, which torchvision widens."""
        overrides = ["MUTUALNET.WIDTH", [1.0, 2.0], "IMAGE.WIDTH_FACTOR", 2.0]
        one = mn.Configuration(1.0, CROP)
        dense = mn.extract_dense(calibrated(build_image_network("mobilenet_v2", *overrides), one), one).state_dict()
        published = torchvision.models.mobilenet_v2(num_classes=CLASSES).state_dict()
        assert [value.shape for value in dense.values()] == [value.shape for value in published.values()]

    def test_scaled_up_wide_resnet(self):
        overrides = ["MUTUALNET.WIDTH", [1.0, 2.0], "IMAGE.WIDTH_FACTOR", 2.0]
        model, one = build_image_network("wide_resnet", *overrides), mn.Configuration(1.0, CROP)
        dense = mn.extract_dense(calibrated(model, one), one).state_dict()
        assert {k: v.shape for k, v in dense.items()} == {
            k: v.shape for k, v in WideResNetBackbone(16, 2, CLASSES).state_dict().items()
        }
        assert [model.conv1.out_channels, model.fc.in_features] == [32, 256]
        published = build_image_network("wide_resnet")
        assert mn.complexity(model, one) == mn.complexity(published)
        twice = mn.complexity(model).gmacs / mn.complexity(published).gmacs
        assert twice == pytest.approx(4, rel=0.01)  # not the stem, whose colours stay 3

    @pytest.mark.parametrize(
        ("depth", "widen", "mparams"), [(28, 10, 36.5), (22, 8, 17.2), (16, 8, 11.0), (40, 4, 8.9), (40, 1, 0.6)]
    )
    def test_wide_resnets(self, depth, widen, mparams):
        """Tables 2 and 3 of arXiv 1605.07146."""
        with torch.device("meta"):
            network = WideResNetBackbone(depth, widen, 10)
        assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(mparams, abs=0.051)
        assert sum(isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3) for m in network.modules()) == depth - 3
