"""Slow, SlowFast and X3D at any configuration: views, fusion, dense sub-networks, boxes, non-local blocks, names."""

import copy
import math
import random
import re

import numpy as np
import pytest
import torch
import torchvision
from tiny import DEEP
from torch import nn
from torch.nn import functional as F

import mutualnet3d as mn
from mutualnet3d.layers import Slimmable
from mutualnet3d.models.fusion import AdaptiveFusion
from tests.models.random_state import shake

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

COMMON = [
    *("MODEL.NUM_CLASSES", 5, "RESNET.WIDTH_PER_GROUP", 16, "RESNET.DEPTH", 18, "MODEL.DROPOUT_RATE", 0.5),
    *("DATA.TRAIN_CROP_SIZE", 48, "DATA.TEST_CROP_SIZE", 48, "MUTUALNET.SPATIAL", [30, 38, 48]),
    *("MUTUALNET.DIVISOR", 2, "RESNET.ZERO_INIT_FINAL_BN", True),
]
ONE_BRANCH = ["RESNET.NUM_BLOCK_TEMP_KERNEL", [[2]] * 4, "DATA.INPUT_CHANNEL_NUM", [3], "DATA.NUM_FRAMES", 8]
TWO_BRANCHES = [
    *("RESNET.NUM_BLOCK_TEMP_KERNEL", [[2, 2]] * 4, "DATA.INPUT_CHANNEL_NUM", [3, 3], "DATA.NUM_FRAMES", 16),
    *("RESNET.SPATIAL_STRIDES", [[1, 1], [2, 2], [2, 2], [2, 2]], "RESNET.SPATIAL_DILATIONS", [[1, 1]] * 4),
    *("NONLOCAL.LOCATION", [[[], []]] * 4, "NONLOCAL.GROUP", [[1, 1]] * 4, "SLOWFAST.ALPHA", 4),
    *("MUTUALNET.TEMPORAL", [2, 3, 4]),
]
ARCHS = {
    "slow": ["MODEL.ARCH", "slow", *ONE_BRANCH, "MUTUALNET.TEMPORAL", [3, 5, 8]],
    "slowfast": ["MODEL.ARCH", "slowfast", *TWO_BRANCHES],
    "x3d": [
        *("MODEL.ARCH", "x3d", *ONE_BRANCH, "MUTUALNET.TEMPORAL", [3, 5, 8], "RESNET.TRANS_FUNC", "x3d_transform"),
        *("X3D.WIDTH_FACTOR", 1.0, "X3D.DEPTH_FACTOR", 1.0, "X3D.BOTTLENECK_FACTOR", 2.25, "X3D.DIM_C5", 64),
    ],
}
LENGTHS = {"slow": 8, "slowfast": 16, "x3d": 8}
every_arch = pytest.mark.parametrize("arch", ARCHS)


def config(arch, *overrides):
    return mn.load_config([], [*COMMON, *ARCHS[arch], *overrides])


def build(arch, *overrides):
    return shake(mn.build_model(config(arch, *overrides)))


def clip_of(arch, count=2, size=(48, 48), length=None, dtype=torch.float32, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, length or LENGTHS[arch], *size, generator=generator, dtype=torch.float64).to(dtype)


def random_configurations(space, count, seed=0):
    generator = random.Random(seed)
    return [
        mn.Configuration(
            generator.uniform(*space.width), generator.choice(space.spatial), generator.choice(space.temporal)
        )
        for _ in range(count)
    ]


def count_macs(dense, inputs):
    """Multiply-adds of convolutions and linear layers, from the shapes that pass through them."""
    total = 0

    def hook(layer, _, out):
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += out.numel() * layer.in_features
        else:
            total += out.numel() * layer.in_channels // layer.groups * math.prod(layer.kernel_size)

    layers = [layer for layer in dense.modules() if isinstance(layer, (nn.Conv3d, nn.Linear))]
    handles = [layer.register_forward_hook(hook) for layer in layers]
    with torch.no_grad():
        dense(*inputs)
    for handle in handles:
        handle.remove()
    return total


class TestDense:
    @every_arch
    def test_equals_the_calibrated_network(self, arch):
        model = build(arch)
        configurations = random_configurations(model.space, 18)
        configurations += [model.space.smallest, mn.Configuration(1.0, 30, model.space.temporal[0])]
        mn.calibrate(model, [clip_of(arch, seed=7)], configurations)
        model.eval()
        exact = copy.deepcopy(model).double()
        clip = clip_of(arch)
        seen = []
        for configuration in configurations:
            for network, tolerance in ((model, 1e-6), (exact, 1e-10)):
                network_clip = clip.to(next(network.parameters()).dtype)
                dense = mn.extract_dense(network, configuration)
                assert not any(isinstance(module, Slimmable) for module in dense.modules())
                views = network.pathways(network_clip, configuration)
                with torch.no_grad():
                    expected, got = network(network_clip, configuration), dense(*views)
                torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)
            seen.append(expected)
            counted = mn.complexity(model, configuration)
            assert sum(p.numel() for p in dense.parameters()) == round(counted.mparams * 1e6)
            one = [view[:1] for view in exact.pathways(clip.double(), configuration)]
            assert count_macs(dense, one) == round(counted.gmacs * 1e9)
        assert len({tuple(logits[0].tolist()) for logits in seen}) == len(configurations)  # no two alike

    @every_arch
    def test_file_shrinks(self, arch, tmp_path):
        model = build(arch)
        mn.calibrate(model, [clip_of(arch)], [model.space.smallest])
        torch.save(model.state_dict(), tmp_path / "full")
        torch.save(mn.extract_dense(model, model.space.smallest).state_dict(), tmp_path / "small")
        ratio = (tmp_path / "small").stat().st_size / (tmp_path / "full").stat().st_size
        assert ratio < (0.75 if arch == "x3d" else 0.6)  # 0.63 squared is 0.4; a SlowFast keeps its Fast pathway

    @every_arch
    def test_full(self, arch):
        model = build(arch).eval()
        dense = mn.extract_dense(model)
        assert dense.state_dict().keys() == model.state_dict().keys()
        with torch.no_grad():
            assert torch.equal(dense(*model.pathways(clip_of(arch))), model(clip_of(arch)))
            assert torch.equal(model(clip_of(arch), model.space.full), model(clip_of(arch)))


class TestSizes:
    @every_arch
    @pytest.mark.parametrize(("size", "factor"), [((64, 64), 1), ((48, 80), 1), ((33, 47), 2), ((48, 48), 3)])
    def test_other_clips(self, arch, size, factor):
        model = build(arch).eval()
        configuration = mn.Configuration(0.8, 38, model.space.temporal[0])
        clip = clip_of(arch, size=size, length=LENGTHS[arch] * factor)
        mn.calibrate(model, [clip], [configuration])
        with torch.no_grad():
            logits = model(clip, configuration)
            assert logits.shape == model(clip).shape == (2, 5)
            assert logits.isfinite().all()
        slow = model.pathways(clip, configuration)[0]
        assert slow.shape[2] == model.space.temporal[0] * factor
        assert slow.shape[3:] == tuple(max(2, 2 * round(side * 38 / 48 / 2)) for side in size)

    @every_arch
    def test_short_clips(self, arch):
        model = build(arch).eval()
        clip = clip_of(arch, length=model.alpha)
        assert model(clip).shape == (2, 5)
        assert model.pathways(clip, model.space.smallest)[0].shape[2] == 1

    def test_length_that_alpha_does_not_divide(self):
        model = build("slowfast")
        for length in (17, 18, 19, 7):
            clip = clip_of("slowfast", length=length)
            for temporal in (2, 3, 4):
                configuration = mn.Configuration(0.7, 30, temporal)
                assert model(clip, configuration).shape == (2, 5)
            assert model.pathways(clip)[0].shape[2] == length // 4


class TestPathways:
    @every_arch
    @pytest.mark.parametrize(("size", "length"), [((48, 48), None), ((64, 40), 24)])
    def test_frames_and_pixels(self, arch, size, length):
        model = build(arch)
        clip = clip_of(arch, size=size, length=length)
        total = clip.shape[2]
        at_full = np.floor(np.linspace(0, total - 1, total // model.alpha)).astype(int)
        for configuration in [*random_configurations(model.space, 6), model.space.smallest, model.space.full]:
            views = model.pathways(clip, configuration)
            count = max(1, round(len(at_full) * configuration.temporal / model.space.temporal[-1]))
            kept = at_full[np.floor(np.linspace(0, len(at_full) - 1, count)).astype(int)]
            assert views[0].shape[2] == count
            for position, frame in enumerate(kept):
                picture = clip[:, :, frame]
                if configuration.spatial != 48:
                    wanted = [2 * round(side * configuration.spatial / 48 / 2) for side in size]
                    picture = F.interpolate(picture, wanted, mode="bilinear", align_corners=False)
                torch.testing.assert_close(views[0][:, :, position], picture, rtol=1e-6, atol=1e-6)
            assert len(views) == (2 if arch == "slowfast" else 1)
            if arch == "slowfast":
                assert views[1] is clip

    def test_full_is_the_clip_itself(self):
        clip = clip_of("slow")
        assert build("slow").pathways(clip)[0] is clip

    @every_arch
    def test_gradient_reaches_exactly_the_kept_frames(self, arch):
        model = build(arch)
        clip = clip_of(arch).requires_grad_()
        model.pathways(clip, model.space.smallest)[0].sum().backward()
        frames = clip.grad.abs().sum((0, 1, 3, 4)).nonzero().flatten().tolist()
        assert frames == {"slow": [0, 3, 7], "x3d": [0, 3, 7], "slowfast": [0, 15]}[arch]

    @every_arch
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda clip: clip.to(torch.uint8), r"float tensor \(N, 3, T, H, W\), got torch\.uint8"),
            (lambda clip: clip[:, :2], r"got torch\.float32 of shape \(2, 2, "),
            (lambda clip: clip[0], r"of shape \(3, "),
            (lambda clip: clip.transpose(1, 2), r"clip must be"),
        ],
    )
    def test_refuses_other_clips(self, arch, change, reason):
        with pytest.raises(ValueError, match=reason):
            build(arch)(change(clip_of(arch)))

    def test_refuses_a_clip_without_slow_frames(self):
        with pytest.raises(ValueError, match=r"3 frames .* alpha is 4"):
            build("slowfast")(clip_of("slowfast", length=3))

    @every_arch
    def test_refuses_configurations(self, arch):
        model, clip = build(arch).eval(), clip_of(arch)
        temporal = model.space.temporal[0]
        for configuration, reason in (
            (mn.Configuration(0.62, 30, temporal), r"width 0\.62 .* outside the trained range \[0\.63, 1\.0\]"),
            (mn.Configuration(0.63, 31, temporal), r"spatial 31"),
            (mn.Configuration(0.63, 30, 7), r"temporal 7"),
            (mn.Configuration(0.63, 30), r"temporal None"),
        ):
            for call in (model, model.pathways, lambda clip, c: mn.extract_dense(model, c)):
                with pytest.raises(mn.ConfigurationError, match=reason):
                    call(clip, configuration)
        for configuration in (model.space.smallest, mn.Configuration(1.0, 30, temporal)):
            with pytest.raises(mn.NotCalibratedError, match=re.escape(str(configuration))):
                model(clip, configuration)
        assert model.train()(clip, model.space.smallest).shape == (2, 5)


class TestTraining:
    @every_arch
    def test_sub_networks_leave_what_is_not_theirs(self, arch):
        model = build(arch)
        before = {name: buffer.clone() for name, buffer in model.named_buffers()}
        model.head.dropout.eval()
        model(clip_of(arch), mn.Configuration(0.7, 30, model.space.temporal[0])).square().sum().backward()
        for name, buffer in model.named_buffers():
            assert torch.equal(buffer, before[name]), name
        stem = model.s1.pathway0_stem.conv.weight
        assert stem.grad[:12].count_nonzero() > 0  # 16 * 0.7 = 11.2; X3D's 16 (12 * 1 as a multiple of 8) alike
        assert stem.grad[12:].count_nonzero() == 0
        classifier = model.head.projection.weight.grad
        assert classifier[:, :16].count_nonzero() > 0
        if arch == "slowfast":
            width = model.s5.pathway0_res1.branch2.c.out_channels
            kept = 2 * round(0.7 * width / 2)
            assert classifier[:, kept:width].count_nonzero() == 0
            assert classifier[:, width:].count_nonzero() > 0
            fast = [p for name, p in model.named_parameters() if ".pathway1_" in name or "_fuse." in name]
            assert all(p.grad.count_nonzero() > 0 for p in fast if p.numel() > 4)

    def test_fast_pathway_is_the_same_at_every_configuration(self):
        model, clip = build("slowfast"), clip_of("slowfast")
        configurations = [model.space.full, *random_configurations(model.space, 4)]
        model.head.dropout.eval()
        seen = []
        model.s5.pathway1_res1.register_forward_hook(lambda _, __, out: seen.append(out.detach().clone()))
        for configuration in configurations:
            model(clip, configuration)
        assert seen[0].shape[2:] == (16, 2, 2)
        for other in seen[1:]:
            torch.testing.assert_close(other, seen[0], rtol=1e-5, atol=1e-5)


class TestFusion:
    @pytest.mark.parametrize("length", [16, 17, 18, 19, 32])
    def test_lateral_frames_are_those_that_the_slow_pathway_kept(self, length):
        """Every frame holds its own number, and the lateral convolution reads its middle frame alone."""
        alpha, kernel = 4, 5
        fusion = AdaptiveFusion(1, 2, kernel, alpha).eval()
        with torch.no_grad():
            fusion.conv_f2s.weight.zero_()
            fusion.conv_f2s.weight[:, :, kernel // 2] = 1
            fusion.bn.running_var.fill_(1 - fusion.bn.eps)
        fast = torch.arange(length, dtype=torch.float32).view(1, 1, -1, 1, 1).expand(1, 1, length, 6, 8)
        centres = np.arange(0, length, alpha)  # the frames that the convolution's outputs stand for
        slow_length = length // alpha
        at_full = centres[np.floor(np.linspace(0, len(centres) - 1, slow_length)).astype(int)]
        for kept in range(1, slow_length + 1):
            slow = torch.full((1, 3, kept, 4, 4), -1.0)
            fused = fusion(slow, fusion.lateral(fast))
            assert fused.shape == (1, 5, kept, 4, 4)
            assert torch.equal(fused[:, :3], slow)
            expected = at_full[np.floor(np.linspace(0, slow_length - 1, kept)).astype(int)]
            for position, frame in enumerate(expected):
                torch.testing.assert_close(
                    fused[:, 3:, position], torch.full((1, 2, 4, 4), float(frame)), rtol=1e-5, atol=1e-4
                )

    def test_lateral_frames_inside_a_network(self):
        """The index rule of the clip and of the lateral features is one: the positions kept are the same."""
        model = build("slowfast").eval()
        configuration = mn.Configuration(0.7, 30, 3)
        mn.calibrate(model, [clip_of("slowfast")], [configuration])
        numbers = torch.arange(16.0).view(1, 1, -1, 1, 1).expand(1, 3, 16, 48, 48)
        at_full, at_three = (model.pathways(numbers, c)[0][0, 0, :, 0, 0].tolist() for c in (None, configuration))
        positions = [at_full.index(number) for number in at_three]
        assert positions == [0, 1, 3]
        captured = {}
        model.s1_fuse.relu.register_forward_hook(lambda _, __, out: captured.update(lateral=out.clone()))
        model.s2.pathway0_res0.register_forward_pre_hook(lambda _, args: captured.update(fused=args[0].clone()))
        with torch.no_grad():
            model(clip_of("slowfast"), configuration)
        lateral, fused = captured["lateral"], captured["fused"]
        channels = lateral.shape[1]
        assert fused.shape[1] == channels + 12
        for position, source in enumerate(positions):
            expected = F.interpolate(lateral[:, :, source], fused.shape[3:], mode="bilinear", align_corners=False)
            torch.testing.assert_close(fused[:, -channels:, position], expected, rtol=1e-5, atol=1e-5)

    def test_order_of_channels(self):
        """At a width the first convolution reads the first Slow channels and the last 2 beta C, wherever they stand."""
        model = build("slowfast")
        layer = model.s3.pathway0_res0.branch2.a
        slow = model.s2.pathway0_res1.branch2.c.out_channels
        lateral = model.s2_fuse.conv_f2s.out_channels
        assert layer.in_channels == slow + lateral
        model(clip_of("slowfast"), mn.Configuration(0.63, 30, 2)).sum().backward()
        touched = layer.weight.grad.abs().sum((0, 2, 3, 4)).nonzero().flatten().tolist()
        kept = 40  # 0.63 * 64 as a multiple of 2
        assert touched == [*range(kept), *range(slow, slow + lateral)]


DETECTION = ["DETECTION.ENABLE", True, "DETECTION.ALIGNED", True, "MODEL.DROPOUT_RATE", 0.0]
BOXES = torch.tensor([[0, 3.0, 5.0, 40.0, 44.0], [1, 0.0, 0.0, 48.0, 48.0], [0, 20.5, 10.25, 30.0, 47.0]])


class TestDetection:
    @pytest.mark.parametrize("arch", ["slow", "slowfast"])
    @pytest.mark.parametrize("aligned", [True, False])
    @pytest.mark.parametrize("configuration", [None, (0.7, 30, 3)])
    @pytest.mark.parametrize("size", [(48, 48), (48, 72)])
    def test_by_hand(self, arch, aligned, configuration, size):
        model = build(arch, *DETECTION, "DETECTION.ALIGNED", aligned).eval().double()
        clip = clip_of(arch, size=size, dtype=torch.float64)
        if configuration:
            configuration = mn.Configuration(*configuration)
            mn.calibrate(model, [clip], [configuration])
        features = []
        model.head.register_forward_pre_hook(lambda _, args: features.extend(args[0]))
        with torch.no_grad():
            logits = model(clip, configuration, BOXES.double())
            assert logits.shape == (3, 5)
            regions = []
            for pathway, feature in enumerate(features):
                shrink = 1.0
                if pathway == 0 and configuration:
                    shrink = 30 / 48  # 48 -> 30, 72 -> 45 -> 44 (even)
                boxes = BOXES.double().clone()
                boxes[:, 2::2] *= shrink
                boxes[:, 1::2] *= 44 / 72 if shrink != 1 and size[1] == 72 else shrink
                pool = torchvision.ops.RoIAlign(7, 1 / 16, 0, aligned)
                regions.append(pool(feature.mean(2), boxes).flatten(2).max(2).values)
            weight = model.head.projection.weight
            if configuration:
                slow, total = features[0].shape[1], model.head.projection.in_features
                fast = sum(feature.shape[1] for feature in features[1:])
                weight = torch.cat([weight[:, :slow], weight[:, total - fast :]], 1)
            expected = torch.cat(regions, 1) @ weight.T + model.head.projection.bias
        torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)

    def test_boxes_stay_exact_in_half_precision(self):
        """bfloat16 has 8 bits: 200.6 would become 201."""
        head = build("slow", *DETECTION).eval().head
        boxes = torch.tensor([[0, 130.6, 140.4, 200.6, 250.4]])
        feature = torch.randn(1, head.projection.in_features, 1, 48, 48).bfloat16()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            got = head([feature], [boxes])
        expected, rounded = (head([feature.float()], [rois.float()]) for rois in (boxes, boxes.bfloat16()))
        torch.testing.assert_close(got, expected)
        assert not torch.allclose(rounded, expected, atol=1e-3)

    def test_pytorchvideos_detector(self):
        from pytorchvideo.models.resnet import create_resnet_with_roi_head

        from mutualnet3d.models.weight_names import to_pytorchvideo

        stages = ["RESNET.SPATIAL_STRIDES", [[1], [2], [2], [1]], "RESNET.SPATIAL_DILATIONS", [[1], [1], [1], [2]]]
        blocks = ["RESNET.DEPTH", 50, "RESNET.NUM_BLOCK_TEMP_KERNEL", [[3], [4], [6], [3]]]
        ours = build("slow", *DETECTION, "DETECTION.ALIGNED", False, *stages, *blocks).double().eval()
        theirs = create_resnet_with_roi_head(
            model_num_class=5, dropout_rate=0.0, stem_dim_out=16, head_pool_kernel_size=(8, 1, 1), head_activation=None
        ).double()
        state = to_pytorchvideo(ours.state_dict(), "slow")
        their_names = {name: f"model.{name}".replace("model.blocks.5", "detection_head") for name in state}
        theirs.load_state_dict({their_names[name]: value for name, value in state.items()})
        clip = clip_of("slow", dtype=torch.float64)
        with torch.no_grad():
            expected = theirs.eval()(clip, BOXES.double())
            torch.testing.assert_close(ours(clip, None, BOXES), expected, rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("arch", ["slow", "slowfast"])
    def test_dense_and_complexity(self, arch):
        model = build(arch, *DETECTION).eval()
        clip, configuration = clip_of(arch), model.space.smallest
        mn.calibrate(model, [clip], [configuration])
        dense = mn.extract_dense(model, configuration)
        views = model.pathways(clip, configuration)
        with torch.no_grad():
            expected = model(clip, configuration, BOXES)
            got = dense(*views, boxes=model.pathway_boxes(BOXES, clip, views))
        torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
        counted = mn.complexity(model, configuration)
        assert sum(p.numel() for p in dense.parameters()) == round(counted.mparams * 1e6)

    def test_refusals(self):
        clip = clip_of("slow")
        detector, classifier = build("slow", *DETECTION), build("slow")
        with pytest.raises(ValueError, match="detection network needs boxes"):
            detector(clip)
        with pytest.raises(ValueError, match=r"DETECTION\.ENABLE"):
            classifier(clip, None, BOXES)
        for boxes in (BOXES[:, 1:], BOXES[None], BOXES.long()):  # integers would lose their fractions when they shrink
            with pytest.raises(ValueError, match=r"boxes must be float \(R, 5\)"):
                detector(clip, None, boxes)
        with pytest.raises(mn.ConfigError, match="X3D has no detection head"):
            build("x3d", *DETECTION)


def grouped(cfg, groups=32, width=4):
    cfg.RESNET.NUM_GROUPS, cfg.RESNET.WIDTH_PER_GROUP = groups, width
    return cfg


NONLOCAL = [
    *("NONLOCAL.LOCATION", [[[]], [[1]], [[0, 1]], [[]]], "DATA.TRAIN_CROP_SIZE", 64, "DATA.TEST_CROP_SIZE", 64),
    *("MUTUALNET.SPATIAL", [40, 64], "MODEL.DROPOUT_RATE", 0.0),
]


class TestOtherBlocks:
    @pytest.mark.parametrize("instantiation", ["softmax", "dot_product"])
    @pytest.mark.parametrize("group", [1, 2])
    def test_nonlocal_networks_equal_pyslowfasts(self, pyslowfast_resnet, instantiation, group):
        keys = ["NONLOCAL.INSTANTIATION", instantiation, "NONLOCAL.GROUP", [[1], [group], [1], [1]]]
        cfg = config("slow", *NONLOCAL, *DEEP, *keys)
        ours = shake(mn.build_model(cfg)).double()
        theirs = pyslowfast_resnet(cfg).double()
        assert list(ours.state_dict()) == list(theirs.state_dict())
        theirs.load_state_dict(ours.state_dict())
        assert sum("nonlocal" in name and name.endswith("conv_g.weight") for name in ours.state_dict()) == 3
        clip = clip_of("slow", size=(64, 64), dtype=torch.float64)
        mine, other = ours(clip), theirs([clip])
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)
        mine.square().sum().backward()
        other.square().sum().backward()
        expected = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-8, atol=1e-8)
        for name, buffer in theirs.named_buffers():
            torch.testing.assert_close(ours.get_buffer(name), buffer, rtol=1e-9, atol=1e-9)

    def test_nonlocal_slims(self):
        model = build("slow", *NONLOCAL).eval()
        clip = clip_of("slow", size=(64, 64))
        configurations = [mn.Configuration(0.7, 40, 5), model.space.smallest]
        mn.calibrate(model, [clip], configurations)
        for configuration in configurations:
            dense = mn.extract_dense(model, configuration)
            block = dense.s4.pathway0_nonlocal1
            size, inner = (2 * round(n * configuration.width / 2) for n in (256, 128))
            assert block.conv_theta.weight.shape == (inner, size, 1, 1, 1)
            assert block.conv_out.weight.shape == (size, inner, 1, 1, 1)
            with torch.no_grad():
                got = dense(*model.pathways(clip, configuration))
                torch.testing.assert_close(got, model(clip, configuration), rtol=1e-6, atol=1e-6)
        assert mn.complexity(model, configurations[0]).gmacs < mn.complexity(model).gmacs

    def test_nonlocal_counts_in_the_complexity(self):
        """Two products of all positions with all (pooled) positions, besides four 1x1x1 convolutions."""
        with_block = [*NONLOCAL, "NONLOCAL.LOCATION", [[[]], [[1]], [[]], [[]]]]
        without = [*NONLOCAL, "NONLOCAL.LOCATION", [[[]]] * 4]
        extra = mn.complexity(build("slow", *with_block)).gmacs - mn.complexity(build("slow", *without)).gmacs
        positions, pooled, channels, inner = 8 * 8 * 8, 8 * 4 * 4, 128, 64
        macs = 2 * positions * channels * inner + 2 * pooled * channels * inner + 2 * positions * pooled * inner
        assert extra * 1e9 == pytest.approx(macs)

    def test_resnext_equals_pyslowfasts(self, pyslowfast_resnet):
        sizes = ["DATA.TRAIN_CROP_SIZE", 64, "MUTUALNET.SPATIAL", []]
        cfg = grouped(config("slow", "MODEL.DROPOUT_RATE", 0.0, *sizes, *DEEP))
        ours = shake(mn.build_model(cfg)).double()
        theirs = pyslowfast_resnet(cfg).double()
        theirs.load_state_dict(ours.state_dict())
        assert ours.s2.pathway0_res0.branch2.b.weight.shape == (128, 4, 1, 3, 3)
        clip = clip_of("slow", size=(64, 64), dtype=torch.float64)
        torch.testing.assert_close(ours(clip), theirs([clip]), rtol=1e-9, atol=1e-9)

    def test_resnext_slims_in_whole_groups(self):
        model = shake(mn.build_model(grouped(config("slow")))).eval()
        clip = clip_of("slow")
        configurations = [model.space.smallest, *random_configurations(model.space, 4)]
        mn.calibrate(model, [clip], configurations)
        for configuration in configurations:
            dense = mn.extract_dense(model, configuration)
            for stage, per_group in (("s2", 4), ("s3", 8), ("s4", 16), ("s5", 32)):
                layer = dense.get_submodule(f"{stage}.pathway0_res1.branch2.b")
                assert layer.weight.shape[1] == per_group
                assert layer.groups == layer.in_channels // per_group == layer.out_channels // per_group
            with torch.no_grad():
                got = dense(*model.pathways(clip, configuration))
                torch.testing.assert_close(got, model(clip, configuration), rtol=1e-6, atol=1e-6)

    def test_unknown_kinds_are_refused(self):
        for keys, reason in (
            (["MODEL.ARCH", "c2d"], "MODEL.ARCH"),
            (["RESNET.DEPTH", 34], r"RESNET\.DEPTH 34"),
            (["RESNET.TRANS_FUNC", "basic_transform"], "basic_transform"),
            (["MODEL.DROPCONNECT_RATE", 0.5], "DROPCONNECT_RATE"),
            (["RESNET.NUM_BLOCK_TEMP_KERNEL", [[3], [2], [2], [2]]], "exceeds"),
        ):
            with pytest.raises(mn.ConfigError, match=reason):
                build("slow", *keys)


class TestBuilding:
    @every_arch
    def test_seeded_and_leaves_the_global_generator_alone(self, arch):
        torch.manual_seed(123)
        state = torch.random.get_rng_state()
        first = mn.build_model(config(arch, "RNG_SEED", 3)).state_dict()
        assert torch.equal(torch.random.get_rng_state(), state)
        torch.manual_seed(456)
        second = mn.build_model(config(arch, "RNG_SEED", 3)).state_dict()
        other = mn.build_model(config(arch, "RNG_SEED", 4)).state_dict()
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert not torch.equal(first["head.projection.weight"], other["head.projection.weight"])

    @every_arch
    def test_zero_initialised_residuals(self, arch):
        model = mn.build_model(config(arch))
        assert model.s3.pathway0_res0.branch2.c_bn.weight.count_nonzero() == 0
        assert model.s3.pathway0_res0.branch2.b_bn.weight.eq(1).all()
        assert model.training

    @pytest.mark.parametrize(
        ("arch", "names"),
        [
            (
                "slow",
                ["s1.pathway0_stem.conv.weight", "s1.pathway0_stem.bn.running_var", "s2.pathway0_res0.branch1.weight",
                 "s2.pathway0_res0.branch1_bn.bias", "s5.pathway0_res1.branch2.a.weight",
                 "s4.pathway0_res0.branch2.c_bn.num_batches_tracked", "head.projection.bias"],
            ),
            (
                "slowfast",
                ["s1.pathway1_stem.conv.weight", "s1_fuse.conv_f2s.weight", "s4_fuse.bn.running_mean",
                 "s5.pathway1_res1.branch2.b_bn.weight", "head.projection.weight"],
            ),
            (
                "x3d",
                ["s1.pathway0_stem.conv_xy.weight", "s1.pathway0_stem.conv.weight",
                 "s2.pathway0_res0.branch1_bn.weight", "s3.pathway0_res0.branch2.se.fc1.bias",
                 "s5.pathway0_res2.branch2.se.fc2.weight",
                 "head.conv_5.weight", "head.conv_5_bn.bias", "head.lin_5.weight", "head.projection.weight"],
            ),
        ],
    )  # fmt: skip
    def test_names_are_pyslowfasts(self, arch, names):
        state = mn.build_model(config(arch)).state_dict()
        assert [name for name in names if name not in state] == []
        if arch == "x3d":
            assert not any("res1.branch2.se" in name for name in state)  # every other block

    @pytest.mark.parametrize(
        ("arch", "keys"),
        [("slow", []), ("slowfast", []), ("x3d", ["X3D.WIDTH_FACTOR", 2.0, "X3D.DEPTH_FACTOR", 2.2])],
    )
    def test_counts(self, arch, keys):
        depth = [[3], [4], [6], [3]] if arch != "slowfast" else [[3, 3], [4, 4], [6, 6], [3, 3]]
        keys = ["RESNET.DEPTH", 50, "RESNET.NUM_BLOCK_TEMP_KERNEL", depth, *keys]
        state = mn.build_model(config(arch, *keys)).state_dict()
        assert len(state) == {"slow": 320, "slowfast": 662, "x3d": 568}[arch]


def test_fast_features_are_shared_only_where_they_are_equal():
    """In eval mode by equal statistics; in training always, unless frozen BatchNorms differ."""
    model = mn.build_model(mn.load_config("configs/Demo/MN_SLOWFAST_SMALL.yaml", ["RESNET.WIDTH_PER_GROUP", 8]))
    space = model.space
    one, two = space.smallest, mn.Configuration(0.8, space.spatial[0], space.temporal[-1])
    clips = [torch.randn(2, 3, 16, 80, 80) for _ in range(2)]
    mn.calibrate(model, clips[:1], [one])
    mn.calibrate(model, clips[1:], [two])
    assert model.can_share([one, two])
    model.eval()
    assert not model.can_share([one, two])
    assert model.sharing_groups([space.full, one, two]) == [[space.full], [one], [two]]
    mn.calibrate(model, clips, [one, two])
    assert model.sharing_groups([one, space.full, two]) == [[one, two], [space.full]]
    shared = model.shared_features(clips[0], one)
    with torch.no_grad():
        assert torch.equal(model(clips[0], two, shared=shared), model(clips[0], two))
