"""Dense sub-networks of images: their file, and every backend, give the logits of the switched network."""

import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.deployment import DenseNetwork, Description, Target, build_runner, load_dense, save_dense
from mutualnet3d.deployment.conversion import input_names, to_exported_program, to_onnx
from mutualnet3d.deployment.torch_runner import Float32Linear
from tests.deployment.networks import relative
from tests.models.image_networks import IMAGE_CASES, build_image_network, image_config, images

SMALL = mn.Configuration(0.4, 32)
ARCHS = [arch for arch in IMAGE_CASES if arch not in ("resnet34", "resnet50", "resnet101")]


def prepare(arch):
    """(network in eval mode, calibrated at SMALL, its description)"""
    model = build_image_network(arch)
    mn.calibrate(model, [images(8, seed=5)], [SMALL])
    preprocessing = Preprocessing.from_cfg(image_config(arch))
    return model.eval(), Description(SMALL, model.pathway_rule, preprocessing, architecture=arch)


@pytest.mark.parametrize("arch", ARCHS)
def test_files_and_torch(arch, tmp_path):
    model, description = prepare(arch)
    dense = mn.extract_dense(model, SMALL, fold_bn=True)
    save_dense(tmp_path / "net.safetensors", dense, description)
    loaded = load_dense(tmp_path / "net.safetensors")
    assert loaded.description.pathways == model.pathway_rule
    assert loaded.description.view_shapes(batch=3) == ((3, 3, 32, 32),)
    for count in (1, 3):
        batch = images(count, seed=count)
        views = loaded.description.pathways.views(batch, SMALL)
        with torch.no_grad():
            expected = model(batch, SMALL)
            assert relative(loaded(*views), expected) < 1e-4
        assert relative(build_runner(loaded, Target("torch", threads=1))(views), expected) < 1e-4


@pytest.mark.parametrize("arch", ["mobilenet_v3_small", "vgg16", "wide_resnet"])  # random deep ones amplify rounding
def test_bfloat16_with_a_float32_classifier(arch):
    model, description = prepare(arch)
    runner = build_runner(DenseNetwork.trace(mn.extract_dense(model, SMALL), description), Target("torch", "bfloat16"))
    with torch.no_grad():
        got, expected = runner(model.pathways(images(), SMALL)), model(images(), SMALL)
    assert got.dtype == torch.float32
    assert not torch.equal(got, got.bfloat16().float())
    (mine,) = [layer for layer in runner._graph.modules() if isinstance(layer, Float32Linear)]
    weights = [p for p in mn.extract_dense(model, SMALL).parameters() if p.shape == mine.weight.shape]
    assert any(torch.equal(mine.weight, weight) for weight in weights)  # not rounded on the way
    assert relative(got, expected) < 6e-2


def test_onnxruntime_and_openvino():
    model, description = prepare("resnet18")
    network = DenseNetwork.trace(mn.extract_dense(model, SMALL, fold_bn=True), description)
    runners = [build_runner(network, Target(backend, threads=1)) for backend in ("onnxruntime", "openvino")]
    for batch in (images(1), images(3)):
        with torch.no_grad():
            expected = model(batch, SMALL)
        for runner in runners:
            assert relative(runner(model.pathways(batch, SMALL)), expected) < 1e-4


def test_the_input_of_other_formats_is_an_image():
    import onnx

    model, description = prepare("wide_resnet")
    network = DenseNetwork.trace(mn.extract_dense(model, SMALL), description)
    written = onnx.load_from_string(to_onnx(to_exported_program(network), input_names(description)))
    assert [each.name for each in written.graph.input] == ["image"]
