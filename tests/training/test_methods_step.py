"""One step of every method against the plainest computation, and what a step costs."""

import copy

import pytest
import torch
from tiny import ROOT, tiny_cfg
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import mutualnet3d as mn
from mutualnet3d.calibration import calibrate
from mutualnet3d.configuration import Configuration
from mutualnet3d.counting import complexities
from mutualnet3d.methods import METHODS, Method
from mutualnet3d.training.cost import expected_step_gmacs
from mutualnet3d.training.losses import build_loss
from mutualnet3d.training.optimizer import build_optimizer
from mutualnet3d.training.step import mutual_backward

LABELS = torch.tensor([0, 2, 1, 1])
FIXED = Configuration(0.8, 20, 2)
OPTIONS = {"independent": {"fixed": FIXED}, "slimmable": {"widths": (0.63, 0.8, 1.0)}}


@pytest.fixture(scope="module")
def start():
    """A network in float64 without dropout, and a clip."""
    model = mn.build_model(tiny_cfg("MODEL.DROPOUT_RATE", 0.0)).double().train()
    nn.init.normal_(model.head.projection.weight, std=0.2, generator=torch.Generator().manual_seed(0))
    return model, torch.randn(4, 3, 4, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("teacher", ["full", "labels"])
@pytest.mark.parametrize("name", METHODS)
def test_gradient_is_that_of_separate_networks(start, name, teacher):
    method = Method(start[0].space, 1, name, num_random=2, teacher=teacher, **OPTIONS.get(name, {}))
    configurations = method.draw(3)
    model = copy.deepcopy(start[0])
    losses, logits = mutual_backward(
        model, start[1], LABELS, configurations, build_loss(tiny_cfg()), learn_labels=method.learns_labels()
    )
    target, expected = None, {}
    for number, configuration in enumerate(configurations):  # a network of its own each time
        network = copy.deepcopy(start[0])
        scores = network(start[1], configuration)
        target = scores.detach().softmax(1) if target is None else target
        supervised = -scores.log_softmax(1)[range(4), LABELS].mean()
        distilled = (target * (target.log() - scores.log_softmax(1))).sum(1).mean()
        loss = distilled if number and teacher == "full" else supervised
        loss.backward()
        torch.testing.assert_close(losses[number].double(), loss.detach(), rtol=1e-5, atol=1e-6)
        for key, parameter in network.named_parameters():
            expected[key] = expected.get(key, 0) + parameter.grad
    torch.testing.assert_close(logits.softmax(1), target)
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(
            parameter.grad, expected[key], rtol=1e-4, atol=1e-6, msg=lambda m, k=key: f"{k}: {m}"
        )


def test_independent_trains_as_the_dense_network_does(start):
    """Six steps with momentum, weight decay and changing clips: the same outputs, from a smaller, ordinary network."""
    cfg, model = tiny_cfg(), copy.deepcopy(start[0])
    generator = torch.Generator().manual_seed(5)
    clips = [torch.randn(4, 3, 4, 32, 32, dtype=torch.float64, generator=generator) for _ in range(6)]
    calibrate(model, clips[:1], [FIXED])
    dense = mn.extract_dense(model, FIXED).train()
    assert sum(p.numel() for p in dense.parameters()) < 0.8 * sum(p.numel() for p in model.parameters())
    method = Method(model.space, 0, "independent", fixed=FIXED)
    optimizers = [build_optimizer(each, cfg) for each in (model, dense)]
    before = start[0](clips[0], FIXED)
    for iteration, clip in enumerate(clips):
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        losses, _ = mutual_backward(model, clip, LABELS, method.draw(iteration), build_loss(cfg))
        loss = nn.functional.cross_entropy(dense(*model.pathways(clip, FIXED)).float(), LABELS)
        loss.backward()
        torch.testing.assert_close(losses[0], loss.detach(), rtol=1e-5, atol=1e-6)
        for optimizer in optimizers:
            optimizer.step()
    after = dense(*model.pathways(clips[0], FIXED))
    torch.testing.assert_close(model(clips[0], FIXED), after, rtol=1e-5, atol=1e-6)
    assert (after - before).abs().max() > 0.1


class TestCost:
    @pytest.mark.parametrize("name", ["mutual", "usnet"])
    def test_is_the_mean_over_draws(self, start, name):
        """60 draws leave a standard error of 2 % with mutual, less with usnet."""
        model = start[0]
        method = Method(model.space, 0, name)
        drawn = [method.draw(i) for i in range(60)]
        costs = complexities(model, {c for configurations in drawn for c in configurations})
        mean = sum(costs[c].gmacs for configurations in drawn for c in configurations) / len(drawn)
        assert expected_step_gmacs(model, method) == pytest.approx(mean, rel=0.05)

    def test_of_a_shared_resolution(self, start):
        model = start[0]
        method = Method(model.space, 0, "multiscale", num_random=0)
        costs = complexities(model, model.space.grid((0.63, 1.0))).values()  # 2 widths x 4 resolutions
        assert expected_step_gmacs(model, method) == pytest.approx(sum(cost.gmacs for cost in costs) / 4)

    def test_of_methods_that_draw_nothing(self, start):
        model = start[0]
        count = {c: mn.complexity(model, c).gmacs for c in (model.space.full, FIXED)}
        assert expected_step_gmacs(model, Method(model.space, 0, "independent", fixed=FIXED)) == count[FIXED]
        widths = Method(model.space, 0, "slimmable", widths=(0.63, 0.8, 1.0))
        parts = sum(mn.complexity(model, Configuration(w, 32, 4)).gmacs for w in (0.63, 0.8, 1.0))
        assert expected_step_gmacs(model, widths) == pytest.approx(parts)

    def test_the_fast_pathway_is_counted_once(self):
        """Against torch's counter on what a step runs forward."""
        model = mn.build_model(mn.load_config(ROOT / "configs/Demo/MN_SLOWFAST_SMALL.yaml")).eval()
        space = model.space
        method = Method(space, 0, "slimmable", widths=(0.63, 1.0))
        clip = torch.zeros(1, 3, model.num_frames, space.spatial[-1], space.spatial[-1])
        calibrate(model, [torch.randn(2, *clip.shape[1:])], method.draw(0))
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            shared = model.shared_features(clip)
            for configuration in method.draw(0):
                model(clip, configuration, shared=shared)
        assert expected_step_gmacs(model, method) == pytest.approx(counter.get_total_flops() / 2e9)
        whole = sum(complexities(model, method.draw(0))[c].gmacs for c in method.draw(0))
        assert expected_step_gmacs(model, method, share=False) == pytest.approx(whole)
        assert whole > 1.2 * expected_step_gmacs(model, method)

    def test_of_the_papers_recipe(self):
        """Table IV: 74.8 GFLOPs a step for the 54.5 of Slow 8x8, in widths that are not rounded to channels."""
        model = mn.build_model(mn.load_config(ROOT / "configs/Kinetics/MN_SLOW_8x8.yaml"))
        step = expected_step_gmacs(model, Method(model.space, 0, "mutual"))
        assert step / mn.complexity(model).gmacs == pytest.approx(74.8 / 54.5, rel=0.015)
