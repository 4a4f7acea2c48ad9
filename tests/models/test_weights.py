"""Weights from PySlowFast, caffe2, pytorchvideo and torchvision: equal networks, and clear refusals."""

import os
import pickle
import pickletools
import re

import numpy as np
import pytest
import torch
import torchvision
from torch import nn

import mutualnet3d as mn
from mutualnet3d.errors import WeightsError
from mutualnet3d.models.weight_names import from_caffe2, from_pytorchvideo, to_pytorchvideo
from mutualnet3d.models.weights import load_weights
from tests.models.random_state import shake

SMALL = ["MODEL.NUM_CLASSES", 7, "RESNET.WIDTH_PER_GROUP", 8, "DATA.TRAIN_CROP_SIZE", 32, "DATA.TEST_CROP_SIZE", 32]
ONE_BRANCH = ["RESNET.NUM_BLOCK_TEMP_KERNEL", [[3], [4], [6], [3]], "DATA.INPUT_CHANNEL_NUM", [3]]
TWO_BRANCHES = [
    *("RESNET.NUM_BLOCK_TEMP_KERNEL", [[3, 3], [4, 4], [6, 6], [3, 3]], "DATA.INPUT_CHANNEL_NUM", [3, 3]),
    *("RESNET.SPATIAL_STRIDES", [[1, 1], [2, 2], [2, 2], [2, 2]], "RESNET.SPATIAL_DILATIONS", [[1, 1]] * 4),
    *("NONLOCAL.LOCATION", [[[], []]] * 4, "NONLOCAL.GROUP", [[1, 1]] * 4),
]
ARCHS = {
    "slow": ["MODEL.ARCH", "slow", "DATA.NUM_FRAMES", 4, *ONE_BRANCH],
    "slowfast": ["MODEL.ARCH", "slowfast", "DATA.NUM_FRAMES", 16, *TWO_BRANCHES],
    "x3d": [
        *("MODEL.ARCH", "x3d", "DATA.NUM_FRAMES", 4, *ONE_BRANCH, "RESNET.TRANS_FUNC", "x3d_transform"),
        *("X3D.WIDTH_FACTOR", 1.0, "X3D.DEPTH_FACTOR", 1.0, "X3D.BOTTLENECK_FACTOR", 2.25, "X3D.DIM_C5", 64),
    ],
}
FRAMES = {"slow": 4, "slowfast": 16, "x3d": 4}


def build(arch, *overrides):
    return mn.build_model(mn.load_config([], [*SMALL, *ARCHS[arch], *overrides]))


def pytorchvideo_model(arch):
    from pytorchvideo.models.resnet import create_resnet
    from pytorchvideo.models.slowfast import create_slowfast
    from pytorchvideo.models.x3d import create_x3d

    if arch == "slow":
        model = create_resnet(
            model_num_class=7, stem_dim_out=8, stem_conv_kernel_size=(1, 7, 7), head_pool_kernel_size=(4, 1, 1)
        )
    elif arch == "slowfast":
        model = create_slowfast(
            model_num_class=7,
            stem_dim_outs=(8, 1),
            slowfast_fusion_conv_kernel_size=(5, 1, 1),
            slowfast_fusion_conv_stride=(8, 1, 1),
            head_pool_kernel_sizes=((2, 1, 1), (16, 1, 1)),
        )
    else:
        model = create_x3d(
            model_num_class=7,
            input_clip_length=4,
            input_crop_size=32,
            width_factor=1.0,
            depth_factor=1.0,
            head_dim_out=64,
            head_activation=None,
        )
    return shake(model).double().eval()


def clip(arch):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, FRAMES[arch], 32, 32, generator=generator, dtype=torch.float64)


def views_of(model, arch):
    views = model.pathways(clip(arch))
    return list(views) if arch == "slowfast" else views[0]


@pytest.mark.parametrize("arch", ARCHS)
class TestPytorchvideo:
    def test_their_weights_give_their_logits(self, arch):
        theirs, ours = pytorchvideo_model(arch), build(arch).double().eval()
        report = load_weights(ours, theirs.state_dict())
        assert report.layout == "pytorchvideo"
        assert report.unexpected + report.missing + report.reinitialised == ()
        assert len(report.matched) == len(theirs.state_dict())
        assert len(report.created) == (4 if arch == "x3d" else 0)
        with torch.no_grad():
            torch.testing.assert_close(ours(clip(arch)), theirs(views_of(ours, arch)), rtol=1e-9, atol=1e-9)

    def test_our_weights_give_our_logits(self, arch):
        theirs, ours = pytorchvideo_model(arch), shake(build(arch), 2).double().eval()
        theirs.load_state_dict(to_pytorchvideo(ours.state_dict(), arch))
        with torch.no_grad():
            torch.testing.assert_close(theirs(views_of(ours, arch)), ours(clip(arch)), rtol=1e-9, atol=1e-9)

    def test_prefix_of_pyslowfasts_zoo_and_of_hub_files(self, arch, tmp_path):
        theirs = pytorchvideo_model(arch)
        state = {f"model.{name}": value for name, value in theirs.state_dict().items()}
        torch.save({"model_state": state}, tmp_path / "hub.pyth")
        report = load_weights(build(arch), tmp_path / "hub.pyth")
        assert len(report.matched) == len(state)

    def test_own_checkpoint_of_several_processes(self, arch, tmp_path):
        source, target = shake(build(arch)), build(arch)
        state = {f"module.{name}": value for name, value in source.state_dict().items()}
        torch.save({"epoch": 3, "model_state": state, "cfg": "text", "optimizer_state": {}}, tmp_path / "c.pyth")
        before = {name: value.data_ptr() for name, value in target.state_dict().items()}
        report = load_weights(target, tmp_path / "c.pyth")
        assert len(report.matched) == len(state)
        for name, value in target.state_dict().items():
            assert torch.equal(value, source.state_dict()[name])
            assert value.data_ptr() == before[name]


def test_detection_hub_names():
    assert from_pytorchvideo("detection_head.proj.weight") == "head.projection.weight"
    assert from_pytorchvideo("blocks.4.multipathway_fusion.norm.weight") == "s5_fuse.bn.weight"
    assert from_pytorchvideo("blocks.7.what.weight") is None
    assert from_pytorchvideo("blocks.1.what.weight") is None


def test_to_pytorchvideo_refuses_what_has_no_partner():
    with pytest.raises(WeightsError, match=r"no partner for s3\.pathway0_nonlocal1"):
        to_pytorchvideo({"s3.pathway0_nonlocal1.conv_g.weight": torch.zeros(1)}, "slow")
    with pytest.raises(WeightsError, match="arch is 'c2d'"):
        to_pytorchvideo({}, "c2d")


def caffe2_name(name):
    """The caffe2 name of one of ours (the rules that pyslowfast's converter undoes)."""
    kinds = {"weight": "w", "bias": "b"}
    norms = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}
    layer, _, kind = name.rpartition(".")
    if layer == "head.projection":
        return f"pred_{kinds[kind]}"
    match = re.fullmatch(r"s1\.pathway(\d)_stem\.(conv|bn)", layer)
    if match:
        prefix = "t_" if match[1] == "1" else ""
        return f"{prefix}conv1_w" if match[2] == "conv" else f"{prefix}res_conv1_bn_{norms[kind]}"
    match = re.fullmatch(r"s(\d)_fuse\.(conv_f2s|bn)", layer)
    if match:
        start = "t_pool1_subsample" if match[1] == "1" else f"t_res{match[1]}_5_branch2c_bn_subsample"
        return f"{start}_w" if match[2] == "conv_f2s" else f"{start}_bn_{norms[kind]}"
    match = re.fullmatch(r"s(\d)\.pathway(\d)_res(\d+)\.branch(\d)(?:\.(\w))?(_bn)?", layer)
    prefix = "t_" if match[2] == "1" else ""
    start = f"{prefix}res{match[1]}_{match[3]}_branch{match[4]}{match[5] or ''}"
    return f"{start}_bn_{norms[kind]}" if match[6] else f"{start}_w"


@pytest.mark.parametrize("arch", ["slow", "slowfast"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_caffe2_pickle(arch, protocol, tmp_path):
    source = shake(build(arch))
    blobs = {
        caffe2_name(name): value.numpy()
        for name, value in source.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    blobs["pred_w"] = blobs["pred_w"].reshape(7, -1, 1, 1, 1)  # caffe2 kept it as a convolution
    count = len(blobs)
    blobs |= {"conv1_w_momentum": blobs["conv1_w"], "lr": np.float32(0.1), "model_iter": np.zeros(1, np.int64)}
    (tmp_path / "zoo.pkl").write_bytes(pickle.dumps({"blobs": blobs}, protocol=protocol))
    target = build(arch)
    report = load_weights(target, tmp_path / "zoo.pkl")
    assert report.layout == "caffe2"
    assert len(report.matched) == count
    assert set(report.ignored) == {"conv1_w_momentum", "lr", "model_iter"}
    assert not report.unexpected
    for name, value in target.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, source.state_dict()[name]), name


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("conv1_xy_w", "s1.pathway0_stem.conv_xy.weight"),
        ("conv1_w", "s1.pathway0_stem.conv.weight"),
        ("res_conv1_bn_riv", "s1.pathway0_stem.bn.running_var"),
        ("res2_0_branch2b_bn_fc1_w", "s2.pathway0_res0.branch2.se.fc1.weight"),
        ("res2_0_branch2b_bn_fc2_b", "s2.pathway0_res0.branch2.se.fc2.bias"),
        ("res2_0_branch2b_bn_s", "s2.pathway0_res0.branch2.b_bn.weight"),
        ("conv_5_w", "head.conv_5.weight"),
        ("conv_5_bn_rm", "head.conv_5_bn.running_mean"),
        ("lin_5_w", "head.lin_5.weight"),
        ("pred_b", "head.projection.bias"),
        ("res2_0_branch2a_w_momentum", None),
    ],
)
def test_caffe2_names_of_x3d(theirs, ours):
    assert from_caffe2(theirs) == ours


def test_head_of_another_size_is_left_and_reported():
    source, target = shake(build("slow", "MODEL.NUM_CLASSES", 5)), build("slow")
    head = target.head.projection.weight.clone()
    report = load_weights(target, source.state_dict())
    assert report.reinitialised == (
        "head.projection.weight (5, 256) -> (7, 256)",
        "head.projection.bias (5,) -> (7,)",
    )
    assert torch.equal(target.head.projection.weight, head)
    assert "left as initialised, other shape in the source: head.projection.weight (5, 256)" in str(report)
    assert len(str(report).splitlines()) == 2


def test_missing_entries_are_refused_unless_allowed():
    state = build("slow").state_dict()
    del state["s3.pathway0_res1.branch2.a.weight"]
    with pytest.raises(
        WeightsError, match=r"Not in it: s3\.pathway0_res1\.branch2\.a\.weight \(16, 64, 1, 1, 1\).*allow"
    ):
        load_weights(build("slow"), state)
    for pattern in ("s3.pathway0_res1", "*.branch2.a.weight"):
        report = load_weights(build("slow"), state, allow_missing=pattern)
        assert report.missing == ("s3.pathway0_res1.branch2.a.weight",)


def test_other_shapes_are_refused_and_nothing_is_written():
    target = build("slow")
    before = target.state_dict()["s1.pathway0_stem.conv.weight"].clone()
    source = shake(build("slow", "RESNET.WIDTH_PER_GROUP", 16))
    with pytest.raises(WeightsError, match=r"s1\.pathway0_stem\.conv\.weight is \(16, 3, 1, 7, 7\) and must be \(8, 3"):
        load_weights(target, source.state_dict())
    assert torch.equal(target.state_dict()["s1.pathway0_stem.conv.weight"], before)


def test_unexpected_entries_are_reported():
    report = load_weights(build("slow"), build("slow").state_dict() | {"extra.weight": torch.zeros(1)})
    assert report.unexpected == ("extra.weight",)
    assert "in the source only, not used: extra.weight" in str(report)


def test_nothing_fits():
    with pytest.raises(WeightsError, match=r"Found: encoder\.weight.*The network has: s1\..*Known layouts"):
        load_weights(build("slow"), {"encoder.weight": torch.zeros(1)})
    with pytest.raises(WeightsError, match="holds no tensors"):
        load_weights(build("slow"), {"epoch": 3})


def test_names_can_be_cleared():
    state = {name.replace("s1.", "s1.backbone."): value for name, value in build("slow").state_dict().items()}
    assert not load_weights(build("slow"), state, clear_names=["backbone."]).unexpected


def test_dtypes_of_the_network_stay():
    source, target = shake(build("slow")).double(), build("slow").half()
    load_weights(target, source.state_dict())
    assert target.head.projection.weight.dtype == torch.float16
    torch.testing.assert_close(target.head.projection.weight, source.head.projection.weight.half())


def test_statistics_per_configuration_travel():
    source, target = shake(build("slow")), build("slow")
    configuration = source.space.smallest
    mn.calibrate(source, [torch.rand(2, 3, 4, 32, 32)], [configuration])
    report = load_weights(target, source.state_dict())
    assert not report.unexpected
    assert not report.missing
    x = torch.rand(1, 3, 4, 32, 32)
    with torch.no_grad():
        assert torch.equal(target.eval()(x, configuration), source.eval()(x, configuration))
    assert not load_weights(target, build("slow").state_dict()).missing


def test_broken_statistics_are_refused():
    state = build("slow").state_dict() | {"s1.pathway0_stem.bn.statistics.nonsense.mean": torch.zeros(8)}
    with pytest.raises(WeightsError, match="statistics do not fit"):
        load_weights(build("slow"), state)


class Malicious:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.system, (f"echo ran > {self.path}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_malicious_pickle_is_refused_and_does_not_run(protocol, tmp_path):
    trace = tmp_path / "ran"
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps({"blobs": {"conv1_w": Malicious(trace)}}, protocol=protocol))
    torch.save({"model_state": {}, "extra": Malicious(trace)}, tmp_path / "bad.pyth")
    torch.save({"extra": Malicious(trace)}, tmp_path / "old.pyth", _use_new_zipfile_serialization=False)
    for name in ("bad.pkl", "bad.pyth", "old.pyth"):
        with pytest.raises(WeightsError, match=r"asks for \w+\.system.*trust_pickle=True"):
            load_weights(build("slow"), tmp_path / name)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["eval", "exec", "getattr", "__import__"])
def test_other_builtins_are_refused(name, tmp_path):
    (tmp_path / "bad.pkl").write_bytes(f"cbuiltins\n{name}\n(S'1'\ntR.".encode())
    with pytest.raises(WeightsError, match=f"asks for builtins.{name}"):
        load_weights(build("slow"), tmp_path / "bad.pkl")


def test_numpy_scalars_and_both_formats_of_torch(tmp_path):
    state = shake(build("slow")).state_dict()
    extra = {"epoch": np.int64(3), "loss": np.float32(0.5), "best": np.float64(1), "done": np.bool_(True)}
    for zipped in (True, False):
        torch.save({"model_state": state, **extra}, tmp_path / "a.pyth", _use_new_zipfile_serialization=zipped)
        assert len(load_weights(build("slow"), tmp_path / "a.pyth").matched) == len(state)


def test_trusted_pickle(tmp_path):
    state = build("slow").state_dict()
    torch.save({"model_state": state, "extra": re.compile("x")}, tmp_path / "a.pyth")
    with pytest.raises(WeightsError, match=r"asks for re\._compile"):
        load_weights(build("slow"), tmp_path / "a.pyth")
    assert load_weights(build("slow"), tmp_path / "a.pyth", trust_pickle=True).matched


def test_python2_pickle(tmp_path):
    """Protocol 0 with numpy's old module name and bytes as latin1 text, as the zoo's files are."""
    array = np.arange(8, dtype=np.float32)
    text = pickle.dumps({"blobs": {"res_conv1_bn_rm": array}}, protocol=2)
    text = text.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert "numpy.core.multiarray _reconstruct" in "".join(str(op[1]) for op in pickletools.genops(text))
    (tmp_path / "a.pkl").write_bytes(text)
    model = build("slow")
    load_weights(model, tmp_path / "a.pkl", allow_missing="*")
    assert torch.equal(model.s1.pathway0_stem.bn.running_mean, torch.from_numpy(array))


def test_damaged_and_missing_files(tmp_path):
    torch.save({"model_state": build("slow").state_dict()}, tmp_path / "whole.pyth")
    whole = (tmp_path / "whole.pyth").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"<html>not found</html>", pickle.dumps({"blobs": 1})[:-3]):
        (tmp_path / "cut.pyth").write_bytes(content)
        with pytest.raises(WeightsError, match=r"damaged, cut off, or no weight file"):
            load_weights(build("slow"), tmp_path / "cut.pyth")
    with pytest.raises(WeightsError, match="does not exist"):
        load_weights(build("slow"), tmp_path / "none.pyth")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(build("slow"), tmp_path)
    (tmp_path / "list.pkl").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(WeightsError, match="holds a list"):
        load_weights(build("slow"), tmp_path / "list.pkl")


@pytest.fixture(scope="module")
def resnet():
    return shake(torchvision.models.resnet50(weights=None)).eval()


def build_wide(arch):
    return build(arch, "RESNET.WIDTH_PER_GROUP", 64)


def test_inflation_of_torchvisions_resnet(resnet):
    model = build_wide("slow").eval()
    with pytest.raises(WeightsError, match="inflate='auto'"):
        load_weights(model, resnet.state_dict())
    report = load_weights(model, resnet.state_dict(), inflate="auto")
    assert report.layout == "torchvision 2-D, inflated"
    assert len(report.reinitialised) == 2
    assert report.missing + report.unexpected == ()
    flat = resnet.layer3[1].conv1.weight
    thick = model.s4.pathway0_res1.branch2.a.weight
    assert thick.shape[2] == 3
    for t in range(3):
        torch.testing.assert_close(thick[:, :, t], flat / 3)
    picture = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        still = picture.unsqueeze(2).repeat(1, 1, 4, 1, 1)
        stem = model.s1.pathway0_stem.conv(still)
        for t in range(4):
            torch.testing.assert_close(stem[:, :, t], resnet.conv1(picture), rtol=1e-4, atol=1e-5)
        # Inside a clip without motion the whole network sees what the picture's network sees.
        (features,) = model.s3(model.s2(model.s1([still])))
        expected = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(picture))))
        expected = resnet.layer2(resnet.layer1(expected))
        torch.testing.assert_close(features[:, :, 1], expected, rtol=1e-3, atol=1e-3)


def test_inflation_into_slowfast_fills_the_slow_pathway(resnet):
    model = build_wide("slowfast")
    report = load_weights(model, resnet.state_dict(), inflate=True)
    assert all(".pathway1_" in name or "_fuse." in name for name in report.missing)
    fused = [text.split(" ")[0] for text in report.reinitialised]
    stages = [f"s{k}.pathway0_res0.{part}.weight" for k in (2, 3, 4, 5) for part in ("branch1", "branch2.a")]
    assert sorted(fused) == sorted([*stages, "head.projection.weight", "head.projection.bias"])
    assert torch.equal(model.s2.pathway0_res0.branch2.b.weight[:, :, 0], resnet.layer1[0].conv2.weight)


def test_inflation_of_pyslowfasts_2d_networks():
    source, target = shake(build("slow")), build("slow")
    flat = {name: value[:, :, 0] if value.ndim == 5 else value for name, value in source.state_dict().items()}
    one_frame = {name: value[:, :, :1] if value.ndim == 5 else value for name, value in source.state_dict().items()}
    for state in (flat, one_frame):
        with pytest.raises(WeightsError, match="inflate='auto'"):
            load_weights(target, state)
        report = load_weights(target, state, inflate="auto")
        assert report.layout == "own names, inflated"
        thick = target.s5.pathway0_res0.branch2.a.weight
        torch.testing.assert_close(thick.sum(2), source.s5.pathway0_res0.branch2.a.weight[:, :, 0])


def test_inflation_leaves_3d_weights_alone():
    source, target = shake(build("slow")), build("slow")
    report = load_weights(target, source.state_dict(), inflate="auto")
    assert report.layout == "own names"
    assert torch.equal(target.s4.pathway0_res1.branch2.a.weight, source.s4.pathway0_res1.branch2.a.weight)
    with pytest.raises(WeightsError, match="inflate is 'yes'"):
        load_weights(target, source.state_dict(), inflate="yes")


def test_networks_with_torchvisions_names():
    source, target = torchvision.models.resnet18(weights=None), torchvision.models.resnet18(weights=None)
    target.fc = nn.Linear(512, 10)
    report = load_weights(target, shake(source).state_dict())
    assert report.layout == "own names"
    assert report.reinitialised == ("fc.weight (1000, 512) -> (10, 512)", "fc.bias (1000,) -> (10,)")
    assert torch.equal(target.layer4[1].conv2.weight, source.layer4[1].conv2.weight)
