"""Every backend gives the logits of the switched network, to any number of threads."""

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import mutualnet3d as mn
from mutualnet3d.deployment import DenseNetwork, Description, Target, build_runner
from mutualnet3d.deployment.conversion import to_exported_program, to_onnx
from mutualnet3d.deployment.onednn import OneDNNConv3d, keep_on_onednn
from mutualnet3d.errors import DeploymentError
from mutualnet3d.layers import trace_dense
from tests.deployment.networks import CASES, DETECTION, relative

TOLERANCE = {"float32": 1e-5, "bfloat16": 3e-2}


def dense_network(network, configuration) -> DenseNetwork:
    dense = mn.extract_dense(network.model, configuration, fold_bn=True)
    pathways, detects = network.model.pathway_rule, network.model.detects
    description = Description(configuration, pathways, network.preprocessing, detects=detects)
    return DenseNetwork.trace(dense, description)


def check(network, configuration, runner, tolerance):
    for batch in (1, 2, 3):
        clip, boxes = network.clip(batch, seed=batch), network.boxes(batch)
        views, scaled = network.inputs(clip, configuration, boxes)
        got = runner(views, scaled)
        assert got.dtype == torch.float32
        assert relative(got, network.switched(clip, configuration, boxes)) < tolerance


@pytest.mark.parametrize(
    ("case", "precision"), [*itertools.product(CASES, TOLERANCE), *itertools.product(DETECTION, ["float32"])]
)
def test_torch(case, precision, networks):
    network = networks(case)
    for configuration in network.configurations:
        runner = build_runner(dense_network(network, configuration), Target("torch", precision, threads=1))
        check(network, configuration, runner, TOLERANCE[precision])


@pytest.mark.parametrize("case", ["x3d", "non-local", "grouped non-local"])  # SlowFast: test_opening.py
def test_onnxruntime_and_openvino(case, networks):
    network = networks(case)
    dense = dense_network(network, network.small)
    check(network, network.small, build_runner(dense, Target("onnxruntime", threads=1)), 1e-5)
    check(network, network.small, build_runner(dense, Target("openvino", threads=1)), 1e-5)


def test_a_torch_runner_has_its_own_weights_precision_and_threads(networks):
    network = networks("slow")
    dense = dense_network(network, network.small)
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    seen = []
    runner = build_runner(dense, Target("torch", "bfloat16", threads=2))
    for name, layer in runner._graph.named_modules():
        if isinstance(layer, (nn.Conv3d, nn.Linear)):
            assert layer.weight.dtype == (torch.float32 if name == "head.projection" else torch.bfloat16)
            layer.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    own = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runner(network.inputs(network.clip(), network.small)[0])
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(own)
    assert set(seen) == {2}
    assert all(torch.equal(before[name], tensor) for name, tensor in dense.state_dict().items())


def test_small_convolutions_stay_on_onednn():
    torch.manual_seed(0)
    for kernel, stride, padding, dilation, groups in (
        (1, 1, 0, 1, 1),
        ((3, 1, 1), 1, (1, 0, 0), 1, 1),
        ((1, 3, 3), (1, 2, 2), (0, 1, 1), 1, 1),
        (3, 1, 2, 2, 1),
        (3, (1, 2, 2), 1, 1, 16),
        ((1, 3, 3), 1, (0, 1, 1), 1, 4),
    ):
        conv = nn.Conv3d(16, 32, kernel, stride, padding, dilation, groups, bias=groups != 4)
        kept = OneDNNConv3d.from_conv(conv)
        for batch in (1, 2):
            for layout in (torch.contiguous_format, torch.channels_last_3d):
                x = torch.randn(batch, 16, 4, 9, 11).to(memory_format=layout)
                with torch.no_grad():
                    expected = F.conv3d(x, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, groups)
                    torch.testing.assert_close(kept(x), expected, rtol=1e-5, atol=1e-5)


def test_only_what_onednn_computes_is_replaced(networks, monkeypatch):
    graph = trace_dense(mn.extract_dense(networks("slow").model))
    convolutions = [m for m in graph.modules() if isinstance(m, nn.Conv3d)]
    assert all(OneDNNConv3d.usable(m) for m in convolutions)
    assert not OneDNNConv3d.usable(nn.Conv3d(2, 2, 1).bfloat16())
    assert not OneDNNConv3d.usable(nn.Conv3d(2, 2, 3, padding="same"))
    assert not OneDNNConv3d.usable(nn.Conv3d(2, 2, 3, padding=1, padding_mode="circular"))
    assert not OneDNNConv3d.usable(nn.Conv3d(2, 2, 1, device="meta"))
    assert not OneDNNConv3d.usable(nn.Conv2d(2, 2, 1))
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert [type(m) for m in keep_on_onednn(graph).modules() if isinstance(m, nn.Conv3d)] == [nn.Conv3d] * len(
        convolutions
    )


@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "openvino"])
def test_threads_may_share_a_runner(backend, networks):
    network = networks("x3d")
    runner = build_runner(dense_network(network, network.small), Target(backend, threads=1))
    clips = [network.clip(1 + seed % 2, seed) for seed in range(12)]
    expected = [network.switched(clip, network.small) for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda clip: runner(network.inputs(clip, network.small)[0]), clips))
    assert all(relative(a, b) < 1e-5 for a, b in zip(got, expected, strict=True))


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_views_that_do_not_fit_are_refused(backend, networks):
    network = networks("x3d")
    runner = build_runner(dense_network(network, network.small), Target(backend))
    (view,), _ = network.inputs(network.clip(), network.small)
    for views in ((), (view, view), (view.double(),), (view[:0],)):
        with pytest.raises(DeploymentError, match=r"expected 1 float32 view\(s\)"):
            runner(views)
    with pytest.raises(DeploymentError, match="boxes"):
        runner((view,), (torch.zeros(1, 5),))
    if backend == "onnxruntime":
        with pytest.raises(DeploymentError, match=r"exported at 0.63-30-3 for \(N, 3, 3, 30, 30\)"):
            runner((view[..., :28, :28],))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "tensorrt"}, "'tensorrt' is not one of torch, onnxruntime, openvino"),
        ({"precision": "int8"}, "precision 'int8': torch runs float32, bfloat16 on 'cpu'"),
        ({"backend": "onnxruntime", "precision": "bfloat16"}, "onnxruntime runs float32 on 'cpu'"),
        ({"backend": "openvino", "device": "cuda"}, "openvino runs on device 'cpu' here; use backend 'torch'"),
        ({"threads": 0}, "threads 0 must be a whole number of at least 1"),
        ({"device": "tpu"}, "device 'tpu' is neither 'cpu' nor 'cuda'"),
    ],
)
def test_targets_that_cannot_be(arguments, message):
    with pytest.raises(DeploymentError, match=message):
        Target(**arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_missing_gpu_is_said():
    with pytest.raises(DeploymentError, match="torch sees no CUDA GPU"):
        Target(device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 5e-3), ("float16", 2e-2), ("bfloat16", 3e-2)])
def test_cuda(precision, tolerance, networks):
    network = networks("slowfast")
    runner = build_runner(dense_network(network, network.small), Target("torch", precision, device="cuda"))
    clip = network.clip()
    got = runner(network.inputs(clip, network.small)[0])
    assert got.device.type == "cuda"
    assert relative(got.cpu(), network.switched(clip, network.small)) < tolerance


@pytest.mark.parametrize("package", ["onnxscript", "onnxruntime", "openvino"])
def test_a_missing_package_is_named_with_its_command(package, networks, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    network = networks("x3d")
    extra = "openvino" if package == "openvino" else "onnx"
    with pytest.raises(DeploymentError, match=rf'{package} is not installed: pip install -e "\.\[{extra}\]"'):
        build_runner(dense_network(network, network.small), Target("onnxruntime" if extra == "onnx" else extra))


def test_detection_goes_to_torch_alone(networks):
    network = networks("slow detection")
    with pytest.raises(DeploymentError, match="detection networks are exported to the format torch alone"):
        build_runner(dense_network(network, network.small), Target("onnxruntime"))
    with pytest.raises(DeploymentError, match="precision 'bfloat16': detection runs in float32"):
        build_runner(dense_network(network, network.small), Target("torch", "bfloat16"))


def test_a_signal_after_openvino_runners_have_gone_reaches_its_handler(networks, tmp_path):
    """Each runner with a core of its own left the thread an alternate signal stack that no longer existed."""
    network = networks("x3d")
    model = to_onnx(to_exported_program(dense_network(network, network.small)), ("slow",))
    (tmp_path / "net.onnx").write_bytes(model)
    code = f"""
import gc, os, signal
from mutualnet3d.deployment import Target
from mutualnet3d.deployment.openvino_runner import OpenVinoRunner
runners = [OpenVinoRunner({str(tmp_path / "net.onnx")!r}, None, Target("openvino", threads=1)) for _ in range(2)]
while runners:
    runners.pop(0)  # the oldest first, as a cache of networks does
    gc.collect()
signal.signal(signal.SIGINT, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGINT)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
