"""Every network of the registry: a dense sub-network, its file and its count are those of the switched network."""

import copy
import random

import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.architectures import IMAGE_ARCHITECTURES, is_image_network
from mutualnet3d.layers import Slimmable
from mutualnet3d.models import ARCHITECTURES
from mutualnet3d.models.artefact import save_model
from tests.models import test_networks as videos
from tests.models.image_networks import IMAGE_CASES, image_config, images
from tests.models.random_state import shake

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

VIDEO_CASES = videos.ARCHS | {"slowonly": [*videos.ARCHS["slow"], "MODEL.ARCH", "slowonly"]}
SMALL = [arch for arch in ARCHITECTURES if arch not in ("resnet34", "resnet50", "resnet101")]  # of a few MB
every_arch = pytest.mark.parametrize("arch", ARCHITECTURES)


def case(arch):
    """(config, batch for it)"""
    if arch in IMAGE_CASES:
        return image_config(arch), images()
    cfg = mn.load_config([], [*videos.COMMON, *VIDEO_CASES[arch]])
    return cfg, videos.clip_of("slow" if arch == "slowonly" else arch)


def random_configurations(space, count):
    generator = random.Random(0)
    return [
        mn.Configuration(
            generator.uniform(*space.width),
            generator.choice(space.spatial),
            generator.choice(space.temporal) if space.temporal else None,
        )
        for _ in range(count)
    ]


def test_names_of_image_networks():
    assert {arch for arch in ARCHITECTURES if is_image_network(case(arch)[0])} == set(IMAGE_ARCHITECTURES)
    assert set(IMAGE_CASES) == set(IMAGE_ARCHITECTURES)
    assert set(VIDEO_CASES) | set(IMAGE_CASES) == set(ARCHITECTURES)


@every_arch
def test_dense_sub_networks(arch):
    cfg, batch = case(arch)
    model = shake(mn.build_model(cfg))
    assert (model.space.temporal is None) == is_image_network(cfg)
    configurations = random_configurations(model.space, 3 if arch in SMALL else 1)
    mn.calibrate(model, [batch], configurations)
    model.eval()
    for configuration in configurations:
        dense = mn.extract_dense(model, configuration)
        assert not any(isinstance(layer, Slimmable) for layer in dense.modules())
        assert isinstance(dense, model.dense_class)
        views = model.pathways(batch, configuration)
        with torch.no_grad():
            expected, got = model(batch, configuration), dense(*views)
            torch.testing.assert_close(got, expected, rtol=1e-6, atol=1e-6)
            assert expected.shape == (2, cfg.MODEL.NUM_CLASSES)
            assert expected.std() > 0
            folded = mn.extract_dense(model, configuration, fold_bn=True)
            torch.testing.assert_close(folded(*views), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    counted = mn.complexity(model, configuration)
    assert sum(p.numel() for p in dense.parameters()) == round(counted.mparams * 1e6)


@pytest.mark.parametrize("arch", SMALL)
def test_files(arch, tmp_path):
    cfg, batch = case(arch)
    model = shake(mn.build_model(cfg))
    configurations = random_configurations(model.space, 2)
    mn.calibrate(model, [batch], configurations, source={"list": "train.csv"})
    save_model(tmp_path / "model.pyth", model.eval(), cfg)
    loaded = mn.load_model(tmp_path / "model.pyth")
    assert set(loaded.calibrated) == {model.space.full, *configurations}
    assert loaded.statistics_provenance == model.statistics_provenance
    for configuration in loaded.calibrated:
        with torch.no_grad():
            assert torch.equal(loaded(batch, configuration), model(batch, configuration))


@pytest.mark.parametrize("arch", ["mobilenet_v3_small", "slow"])
def test_copies_are_independent(arch):
    cfg, batch = case(arch)
    model = mn.build_model(cfg).eval()
    twin = copy.deepcopy(model)
    mn.calibrate(twin, [batch], [model.space.smallest])
    assert model.space.smallest not in model.calibrated
    with pytest.raises(mn.NotCalibratedError, match=str(model.space.smallest)):
        model(batch, model.space.smallest)
    assert twin(batch, twin.space.smallest).shape == (2, cfg.MODEL.NUM_CLASSES)
