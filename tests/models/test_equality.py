"""At the full configuration the networks are pytorchvideo's: logits, gradients and running statistics, in float64."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import mutualnet3d as mn
from mutualnet3d.models.weight_names import to_pytorchvideo
from tests.models.random_state import shake

ONE_BRANCH = ["RESNET.NUM_BLOCK_TEMP_KERNEL", [[3], [4], [6], [3]], "DATA.INPUT_CHANNEL_NUM", [3]]
TWO_BRANCHES = [
    *("RESNET.NUM_BLOCK_TEMP_KERNEL", [[3, 3], [4, 4], [6, 6], [3, 3]], "DATA.INPUT_CHANNEL_NUM", [3, 3]),
    *("RESNET.SPATIAL_STRIDES", [[1, 1], [2, 2], [2, 2], [2, 2]], "RESNET.SPATIAL_DILATIONS", [[1, 1]] * 4),
    *("NONLOCAL.LOCATION", [[[], []]] * 4, "NONLOCAL.GROUP", [[1, 1]] * 4),
]
X3D = ["RESNET.TRANS_FUNC", "x3d_transform", "X3D.BOTTLENECK_FACTOR", 2.25, "X3D.DIM_C5", 64, "X3D.DEPTH_FACTOR", 1.0]
CLASSES = 7

# What differs from PySlowFast's defaults is spelled out on both sides.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def build(arch, frames, crop, *overrides):
    options = {"slow": ONE_BRANCH, "slowfast": TWO_BRANCHES, "x3d": [*ONE_BRANCH, *X3D]}[arch]
    common = ["MODEL.ARCH", arch, "MODEL.NUM_CLASSES", CLASSES, "MODEL.DROPOUT_RATE", 0.0, "DATA.NUM_FRAMES", frames]
    sizes = ["DATA.TRAIN_CROP_SIZE", crop, "DATA.TEST_CROP_SIZE", crop]
    return mn.build_model(mn.load_config([], [*common, *sizes, *options, *overrides])).double()


def clip_of(frames, crop, count=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, frames, crop, crop, generator=generator, dtype=torch.float64)


def slow_views(clip):
    return clip.clone()


def slowfast_views(alpha):
    """PySlowFast's own cutting of the two pathways, with its own words for the indices."""

    def views(clip):
        length = clip.shape[2]
        kept = torch.linspace(0, length - 1, length // alpha).long()
        return [torch.index_select(clip, 2, kept), clip.clone()]

    return views


def run(model, inputs, labels):
    logits = model(inputs)
    F.cross_entropy(logits, labels).backward()
    return logits.detach()


def compare(ours, theirs, arch, clip, views, modes=("eval", "train"), tolerance=1e-9):
    """Same weights on both sides; then logits, every gradient and every buffer."""
    theirs.double().load_state_dict(to_pytorchvideo(ours.state_dict(), arch))
    labels = torch.arange(len(clip)) % CLASSES
    for mode in modes:
        for model in (ours, theirs):
            model.train(mode == "train")
            model.zero_grad(set_to_none=True)
        mine, other = run(ours, clip, labels), run(theirs, views(clip), labels)
        assert other.std() > 1e-3  # neither dead nor constant
        torch.testing.assert_close(mine, other, rtol=tolerance, atol=tolerance)
        gradients = to_pytorchvideo({name: p.grad for name, p in ours.named_parameters()}, arch)
        expected = {name: p.grad for name, p in theirs.named_parameters()}
        assert gradients.keys() == expected.keys()
        for name, gradient in expected.items():
            assert gradient.count_nonzero() > 0, name
            scale = gradient.abs().max().item()
            torch.testing.assert_close(gradients[name], gradient, rtol=tolerance, atol=tolerance * max(1.0, scale))
        buffers = to_pytorchvideo(ours.state_dict(), arch)
        for name, buffer in theirs.named_buffers():
            torch.testing.assert_close(buffers[name], buffer, rtol=tolerance, atol=tolerance)
            if name.endswith("num_batches_tracked"):
                assert buffer == (6 if mode == "train" else 5)


def create_slow(width, frames, pool, **options):
    from pytorchvideo.models.resnet import create_resnet

    return create_resnet(
        model_num_class=CLASSES,
        dropout_rate=0.0,
        stem_dim_out=width,
        stem_conv_kernel_size=(1, 7, 7),
        head_pool_kernel_size=(frames, pool, pool),
        **options,
    )


def create_slowfast(width, frames, alpha, kernel, pool, **options):
    from pytorchvideo.models.slowfast import create_slowfast

    return create_slowfast(
        model_num_class=CLASSES,
        dropout_rate=0.0,
        stem_dim_outs=(width, width // 8),
        slowfast_fusion_conv_kernel_size=(kernel, 1, 1),
        slowfast_fusion_conv_stride=(alpha, 1, 1),
        head_pool_kernel_sizes=((frames // alpha, pool, pool), (frames, pool, pool)),
        **options,
    )


class TestSlow:
    @pytest.mark.parametrize(("width", "frames", "crop"), [(8, 8, 64), (16, 4, 64)])
    def test_small(self, width, frames, crop):
        ours = shake(build("slow", frames, crop, "RESNET.WIDTH_PER_GROUP", width))
        compare(ours, create_slow(width, frames, crop // 32), "slow", clip_of(frames, crop), slow_views)

    def test_native_size(self):
        ours = shake(build("slow", 8, 224, "RESNET.WIDTH_PER_GROUP", 8))
        compare(ours, create_slow(8, 8, 7), "slow", clip_of(8, 224, 1), slow_views, modes=["eval"])

    def test_full_width(self):
        ours = shake(build("slow", 8, 64))
        assert sum(p.numel() for p in ours.parameters()) == 32_454_096 - 393 * 2049  # 400 classes less 7
        compare(ours, create_slow(64, 8, 2), "slow", clip_of(8, 64, 1), slow_views)

    def test_depth_101(self):
        blocks = ["RESNET.DEPTH", 101, "RESNET.NUM_BLOCK_TEMP_KERNEL", [[3], [4], [23], [3]]]
        ours = shake(build("slow", 2, 64, "RESNET.WIDTH_PER_GROUP", 8, *blocks))
        compare(ours, create_slow(8, 2, 2, model_depth=101), "slow", clip_of(2, 64), slow_views)

    @pytest.mark.parametrize(("depth", "blocks"), [(10, 1), (18, 2)])
    def test_depths_that_they_do_not_list(self, depth, blocks, monkeypatch):
        """pytorchvideo builds any, if its table of depths names it."""
        from pytorchvideo.models import resnet

        monkeypatch.setitem(resnet._MODEL_STAGE_DEPTH, depth, (blocks,) * 4)
        keys = ["RESNET.DEPTH", depth, "RESNET.NUM_BLOCK_TEMP_KERNEL", [[blocks]] * 4, "RESNET.WIDTH_PER_GROUP", 8]
        theirs = create_slow(8, 4, 2, model_depth=depth)
        compare(shake(build("slow", 4, 64, *keys)), theirs, "slow", clip_of(4, 64), slow_views)

    def test_detection_strides_and_dilations(self):
        keys = [
            *("RESNET.SPATIAL_STRIDES", [[1], [2], [2], [1]], "RESNET.SPATIAL_DILATIONS", [[1], [1], [1], [2]]),
            *("RESNET.WIDTH_PER_GROUP", 8),
        ]
        theirs = create_slow(
            8, 4, 4, stage_spatial_h_stride=(1, 2, 2, 1), stage_spatial_w_stride=(1, 2, 2, 1),
            stage_conv_b_dilation=((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 2, 2)),
        )  # fmt: skip
        compare(shake(build("slow", 4, 64, *keys)), theirs, "slow", clip_of(4, 64), slow_views)


class TestSlowFast:
    @pytest.mark.parametrize(("width", "frames", "alpha", "kernel"), [(16, 32, 8, 5), (24, 8, 4, 7)])
    def test_small(self, width, frames, alpha, kernel):
        keys = ["RESNET.WIDTH_PER_GROUP", width, "SLOWFAST.ALPHA", alpha, "SLOWFAST.FUSION_KERNEL_SZ", kernel]
        ours, theirs = shake(build("slowfast", frames, 64, *keys)), create_slowfast(width, frames, alpha, kernel, 2)
        compare(ours, theirs, "slowfast", clip_of(frames, 64), slowfast_views(alpha))

    def test_native_size(self):
        ours = shake(build("slowfast", 8, 224, "RESNET.WIDTH_PER_GROUP", 16))
        theirs = create_slowfast(16, 8, 8, 5, 7)
        compare(ours, theirs, "slowfast", clip_of(8, 224, 1), slowfast_views(8), modes=["eval"])

    def test_full_width(self):
        ours = shake(build("slowfast", 32, 64))
        assert sum(p.numel() for p in ours.parameters()) == 34_480_216 - 393 * 2305
        compare(ours, create_slowfast(64, 32, 8, 5, 2), "slowfast", clip_of(32, 64, 1), slowfast_views(8))

    def test_depth_101(self):
        blocks = ["RESNET.DEPTH", 101, "RESNET.NUM_BLOCK_TEMP_KERNEL", [[3, 3], [4, 4], [23, 23], [3, 3]]]
        ours = shake(build("slowfast", 8, 64, "RESNET.WIDTH_PER_GROUP", 16, *blocks))
        theirs = create_slowfast(16, 8, 8, 5, 2, model_depth=101)
        compare(ours, theirs, "slowfast", clip_of(8, 64), slowfast_views(8))


class TestX3D:
    def create(self, crop, frames=4):
        from pytorchvideo.models.x3d import create_x3d

        return create_x3d(
            model_num_class=CLASSES,
            dropout_rate=0.0,
            input_clip_length=frames,
            input_crop_size=crop,
            width_factor=2.0,
            depth_factor=1.0,
            head_dim_out=64,
            head_activation=None,
        ).double()

    def build(self, crop, frames=4):
        return shake(build("x3d", frames, crop, "X3D.WIDTH_FACTOR", 2.0))

    @pytest.mark.parametrize("crop", [64, 160])
    def test_eval_with_the_shortcuts_norm_folded(self, crop):
        ours, theirs, clip = self.build(crop).eval(), self.create(crop).eval(), clip_of(4, crop)
        theirs.load_state_dict(to_pytorchvideo(ours.state_dict(), "x3d"))
        with torch.no_grad():
            torch.testing.assert_close(ours(clip), theirs(clip), rtol=1e-9, atol=1e-9)

    def test_training_and_gradients(self):
        """pytorchvideo's network, given the one BatchNorm that PySlowFast's has more."""
        ours, theirs, clip = self.build(64), self.create(64), clip_of(4, 64)
        extra = "s2.pathway0_res0.branch1_bn."
        theirs.blocks[1].res_blocks[0].branch1_norm = nn.BatchNorm3d(24).double()

        def rename(named):
            own = {name.removeprefix(extra): value for name, value in named.items() if name.startswith(extra)}
            rest = {name: value for name, value in named.items() if not name.startswith(extra)}
            moved = {f"blocks.1.res_blocks.0.branch1_norm.{name}": value for name, value in own.items()}
            return to_pytorchvideo(rest, "x3d") | moved

        theirs.load_state_dict(rename(ours.state_dict()))
        labels = torch.arange(2)
        for mode in (False, True):
            for model in (ours, theirs):
                model.train(mode)
                model.zero_grad(set_to_none=True)
            mine, other = run(ours, clip, labels), run(theirs, clip, labels)
            torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-9)
            gradients = rename({name: p.grad for name, p in ours.named_parameters()})
            assert gradients.keys() == dict(theirs.named_parameters()).keys()
            for name, parameter in theirs.named_parameters():
                scale = max(1.0, parameter.grad.abs().max().item())
                torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-9, atol=1e-9 * scale)
            buffers = rename(ours.state_dict())
            for name, buffer in theirs.named_buffers():
                torch.testing.assert_close(buffers[name], buffer, rtol=1e-9, atol=1e-9)
