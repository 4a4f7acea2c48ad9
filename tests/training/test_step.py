"""The mutual step against the summed loss that plain torch differentiates at once."""

import contextlib
import copy
import functools
import weakref

import pytest
import torch
from tiny import ROOT, tiny_cfg
from torch import nn

import mutualnet3d as mn
from mutualnet3d.errors import ConfigError
from mutualnet3d.training.losses import build_loss
from mutualnet3d.training.step import mutual_backward

SMALL, RANDOM = mn.Configuration(0.63, 20, 2), mn.Configuration(0.813, 32, 2)
SLOWFAST = [
    *("RESNET.WIDTH_PER_GROUP", 8, "MODEL.NUM_CLASSES", 3, "MODEL.DROPOUT_RATE", 0.0, "DATA.NUM_FRAMES", 16),
    *("DATA.TRAIN_CROP_SIZE", 32, "MUTUALNET.SPATIAL", [20, 32], "MUTUALNET.TEMPORAL", [2, 4]),
]
LABELS = torch.tensor([2, 0, 1, 2])
SEVERAL = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 1], [1, 1, 1]])


@pytest.fixture(scope="module", params=["slow", "slowfast"])
def start(request):
    """A network in float64 without dropout, and a batch. The Slow pathway of both has 4 frames of 32 x 32."""
    torch.manual_seed(0)
    cfg = tiny_cfg("MODEL.DROPOUT_RATE", 0.0) if request.param == "slow" else slowfast_cfg()
    model = mn.build_model(cfg).double().train()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5)
    nn.init.normal_(model.head.projection.weight, std=0.05)
    return model, torch.randn(4, 3, cfg.DATA.NUM_FRAMES, 32, 32, dtype=torch.float64)


def slowfast_cfg():
    return mn.load_config(ROOT / "configs" / "Demo" / "MN_SLOWFAST_SMALL.yaml", SLOWFAST)


def step(start, loss="cross_entropy", labels=LABELS, subs=(SMALL, RANDOM), **options):
    model, clip = copy.deepcopy(start[0]), start[1]
    configurations = (model.space.full, *subs)
    losses, logits = mutual_backward(
        model, clip, labels, configurations, build_loss(tiny_cfg("MODEL.LOSS_FUNC", loss)), **options
    )
    return model, losses, logits


def gradients(model):
    return {name: p.grad for name, p in model.named_parameters()}


def assert_same_gradients(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], msg=lambda m, name=name: f"{name}: {m}", **tolerance)


def divergence(logits, teacher):
    p = teacher.detach().softmax(1)
    return (p * (p.log() - logits.softmax(1).log())).sum(1).mean()


def binary(logits, targets):
    return (targets * (1 + (-logits).exp()).log() + (1 - targets) * (1 + logits.exp()).log()).mean()


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_gradient_is_that_of_the_summed_loss(start, weight):
    # in float64 the step's losses, computed in float32, are the only difference
    model, losses, logits = step(start, distill_weight=weight)
    joint = copy.deepcopy(start[0])
    full, small, random = (joint(start[1], c) for c in (None, SMALL, RANDOM))
    parts = [-full.log_softmax(1)[range(4), LABELS].mean(), divergence(small, full), divergence(random, full)]
    (parts[0] + weight * (parts[1] + parts[2])).backward()
    torch.testing.assert_close(losses.double(), torch.stack(parts).detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits, full.detach())
    assert_same_gradients(gradients(model), gradients(joint), rtol=1e-4, atol=1e-6)
    assert parts[1] > 1e-3
    assert losses.dtype == torch.float32
    assert not losses.requires_grad
    assert not logits.requires_grad


@pytest.mark.parametrize("name", ["bce", "bce_logit"])
def test_several_labels(start, name):
    model, losses, _ = step(start, name, SEVERAL)
    joint = copy.deepcopy(start[0])
    full, small, random = (joint(start[1], c) for c in (None, SMALL, RANDOM))
    taught = full.detach().sigmoid()
    parts = [binary(full, SEVERAL), binary(small, taught), binary(random, taught)]
    sum(parts).backward()
    torch.testing.assert_close(losses.double(), torch.stack(parts).detach(), rtol=1e-5, atol=1e-6)
    assert_same_gradients(gradients(model), gradients(joint), rtol=1e-4, atol=1e-6)


def test_one_configuration_is_an_ordinary_step(start):
    model, losses, _ = step(start, subs=())
    plain = copy.deepcopy(start[0])
    loss = nn.CrossEntropyLoss()(plain(start[1]).float(), LABELS)
    loss.backward()
    assert losses.tolist() == [loss.item()]
    assert_same_gradients(gradients(model), gradients(plain), rtol=0, atol=0)


def test_the_teacher_gets_no_gradient_from_the_sub_networks(start):
    """Channels that no sub-network has learn from the label alone."""
    model, _, _ = step(start)
    plain, _, _ = step(start, subs=())
    weight = "s5.pathway0_res1.branch2.b.weight"
    slim = slice(-4, None)
    assert torch.equal(gradients(model)[weight][slim], gradients(plain)[weight][slim])
    assert not torch.equal(gradients(model)[weight][:4], gradients(plain)[weight][:4])


def test_running_statistics_are_updated_by_full_only(start):
    mutual, _, _ = step(start)
    plain, _, _ = step(start, subs=())
    before = dict(start[0].named_buffers())
    for name, value in mutual.named_buffers():
        assert torch.equal(value, dict(plain.named_buffers())[name])
        assert not torch.equal(value, before[name])


def test_bfloat16_autocast(start):
    """At 4 frames: over 2, oneDNN's bfloat16 weight gradient of a 3 x 1 x 1 convolution is uninitialised memory."""
    single = (copy.deepcopy(start[0]).float(), start[1].float())
    subs = mn.Configuration(0.63, 20, 4), mn.Configuration(0.813, 32, 4)
    exact, losses32, _ = step(single, subs=subs)
    autocast = functools.partial(torch.autocast, "cpu", dtype=torch.bfloat16)
    kinds = []
    single[0].s2.pathway0_res0.register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))
    model, losses, logits = step(single, subs=subs, autocast=autocast)
    assert set(kinds) == {torch.bfloat16}
    assert len(kinds) == 3
    assert (losses.dtype, logits.dtype) == (torch.float32, torch.float32)
    torch.testing.assert_close(losses, losses32, rtol=0.1, atol=0.02)
    assert not torch.equal(losses, losses32)
    found, expected = (torch.cat([g.flatten() for g in gradients(m).values()]) for m in (model, exact))
    assert found.dtype == torch.float32
    assert torch.cosine_similarity(found, expected, dim=0) > 0.95


def test_scale_is_applied_to_every_loss_and_not_reported(start):
    model, losses, _ = step(start, scale=lambda value: value * 8)
    plain, unscaled, _ = step(start)
    assert torch.equal(losses, unscaled)
    expected = {name: grad * 8 for name, grad in gradients(plain).items()}
    assert_same_gradients(gradients(model), expected, rtol=1e-12, atol=1e-12)
    disabled, same, _ = step(start, scale=torch.amp.GradScaler("cpu", enabled=False).scale)
    assert torch.equal(same, unscaled)
    assert_same_gradients(gradients(disabled), gradients(plain), rtol=0, atol=0)


def test_at_most_one_graph_is_alive(start):
    """What the backward pass keeps of one configuration is gone when the next one's forward pass begins."""

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor

    alive = weakref.WeakSet()

    def pack(tensor):
        kept = Kept(tensor)
        alive.add(kept)
        return kept

    model, at_start, at_end = copy.deepcopy(start[0]), [], []
    model.register_forward_pre_hook(lambda *_: at_start.append(len(alive)))
    model.register_forward_hook(lambda *_: at_end.append(len(alive)))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor):
        mutual_backward(model, start[1], LABELS, (model.space.full, SMALL, RANDOM), build_loss(tiny_cfg()))
    shared = {"Slow": 0, "SlowFast": at_start[0]}[type(model).__name__]  # the Fast pathway's, kept for all
    assert at_start == [shared] * 3
    assert min(at_end) > shared + 50
    assert not alive


def test_only_the_last_backward_exchanges_gradients(start):
    class Wrapped(nn.Module):
        """Stands for DistributedDataParallel."""

        def __init__(self, module):
            super().__init__()
            self.module, self.synced, self.seen = module, True, []

        @contextlib.contextmanager
        def no_sync(self):
            self.synced = False
            yield
            self.synced = True

        def forward(self, clip, configuration, boxes, **options):
            logits = self.module(clip, configuration, boxes, **options)
            logits.register_hook(lambda grad: self.seen.append((str(configuration), self.synced)))
            return logits

    model = Wrapped(copy.deepcopy(start[0]))
    mutual_backward(model, start[1], LABELS, (model.module.space.full, SMALL, RANDOM), build_loss(tiny_cfg()))
    assert model.seen == [("1.0-32-4", False), ("0.63-20-2", False), ("0.813-32-2", True)]


def test_labels_are_smoothed_for_full_alone():
    logits, labels = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, 1, 1, 2])
    plain, smooth = (build_loss(tiny_cfg("SOLVER.LABEL_SMOOTHING", share)) for share in (0.0, 0.2))
    target = 0.8 * torch.nn.functional.one_hot(labels, 4) + 0.2 / 4
    by_hand = -(target * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(smooth.supervised(logits, labels), by_hand)
    assert plain.supervised(logits, labels) != by_hand
    teacher = logits.flip(0)
    assert torch.equal(smooth.distilled(logits, teacher), plain.distilled(logits, teacher))


def test_unknown_loss_is_refused():
    with pytest.raises(ConfigError, match="soft_cross_entropy"):
        build_loss(tiny_cfg("MODEL.LOSS_FUNC", "soft_cross_entropy"))


def test_boxes(start):
    """Detection: a loss over boxes, which may be none at all; equal to the summed loss."""
    cfg = mn.load_config(ROOT / "configs" / "Demo" / "MN_SLOWFAST_SMALL.yaml", [*SLOWFAST, "DETECTION.ENABLE", True])
    model = mn.build_model(cfg).double().train()
    nn.init.normal_(model.head.projection.weight, std=0.05)
    clip = torch.randn(2, 3, 16, 32, 32, dtype=torch.float64)
    boxes = torch.tensor([[0, 1, 2, 20, 30], [0, 5, 5, 31, 31], [1, 0, 0, 16, 16]], dtype=torch.float64)
    labels = torch.tensor([[1.0, 0, 1], [0, 0, 0], [0, 1, 0]])
    loss = build_loss(tiny_cfg("MODEL.LOSS_FUNC", "bce"))
    configurations = (model.space.full, SMALL, RANDOM)
    plain = copy.deepcopy(model)
    losses, logits = mutual_backward(model, clip, labels, configurations, loss, boxes=boxes)
    assert logits.shape == (3, 3)
    teacher = plain(clip, None, boxes)
    expected = [nn.functional.binary_cross_entropy_with_logits(teacher.float(), labels)]
    target = teacher.detach().float().sigmoid()
    for configuration in configurations[1:]:
        own = plain(clip, configuration, boxes).float()
        expected.append(nn.functional.binary_cross_entropy_with_logits(own, target))
    sum(expected).backward()
    torch.testing.assert_close(losses, torch.stack(expected).detach())
    assert_same_gradients(gradients(model), gradients(plain), rtol=1e-5, atol=1e-7)


def test_no_boxes_give_no_gradient(start):
    cfg = mn.load_config(ROOT / "configs" / "Demo" / "MN_SLOWFAST_SMALL.yaml", [*SLOWFAST, "DETECTION.ENABLE", True])
    model = mn.build_model(cfg).train()
    clip, boxes = torch.randn(2, 3, 16, 32, 32), torch.zeros(0, 5)
    loss = build_loss(tiny_cfg("MODEL.LOSS_FUNC", "bce"))
    losses, _ = mutual_backward(model, clip, torch.zeros(0, 3), (model.space.full, SMALL), loss, boxes=boxes)
    assert losses.tolist() == [0.0, 0.0]
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())
