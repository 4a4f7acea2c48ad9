"""Where a detection network looks: at the box, whatever the configuration; and the reference detector at full size."""

import pytest
import torch
import torchvision
from task_runs import ava_cfg
from tiny import ROOT

import mutualnet3d as mn

SIZE, WIDE = 64, 96
# 24 pixels of a corner are a patch that moves; boxes on it, in the far corner, and above the far corner
PATCH = (66, 34, 92, 60)
BOXES = torch.tensor([[0, *PATCH], [0, 2, 2, 28, 28], [0, 2, 34, 28, 60]], dtype=torch.float32)


def detector(arch, folder):
    """Weights that pass brightness on: averages in space, sums of channels in depth."""
    sizes = ["DATA.TRAIN_CROP_SIZE", SIZE, "DATA.TEST_CROP_SIZE", SIZE, "MUTUALNET.SPATIAL", [40, 52, SIZE]]
    lengths = ["MUTUALNET.TEMPORAL", [2, 3, 4]]
    model = mn.build_model(ava_cfg(arch, folder, folder, *sizes, *lengths))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv3d):
                module.weight.uniform_(0, 1, generator=generator).div_(module.weight[0].numel())
            elif isinstance(module, torch.nn.BatchNorm3d):
                module.weight.fill_(1.0)
    return model.eval()


def moving_patch(frames):
    clip = torch.zeros(1, 3, frames, SIZE, WIDE)
    x1, y1, x2, y2 = PATCH
    for frame in range(frames):
        clip[:, :, frame, y1 + frame % 2 : y2 - 2, x1 + frame % 3 : x2 - 3] = 1.0
    return clip


def pooled(model, *arguments, **keywords):
    """What the classifier reads, (R, channels), and the features and boxes that its head got."""
    seen = {}
    hooks = [
        model.head.dropout.register_forward_hook(lambda _, __, out: seen.update(pooled=out)),
        model.head.register_forward_pre_hook(lambda _, args: seen.update(features=args[0], boxes=args[1])),
    ]
    with torch.no_grad():
        model(*arguments, **keywords)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("arch", ["slow", "slowfast"])
def test_every_configuration_looks_at_the_box(arch, tmp_path):
    model = detector(arch, tmp_path)
    clip = moving_patch(8 if arch == "slowfast" else 4)
    grid = model.space.grid((0.63, 1.0))
    mn.calibrate(model, [clip + 0.01 * torch.randn(clip.shape)], [c for c in grid if c != model.space.full])
    assert len(grid) == 18
    for configuration in grid:
        seen = pooled(model, clip, configuration, BOXES)
        views = model.pathways(clip, configuration)
        assert views[0].shape[2:] == (configuration.temporal, configuration.spatial, views[0].shape[4])
        count = 0
        for view, feature, rois in zip(views, seen["features"], seen["boxes"], strict=True):
            x, y = view.shape[4] / WIDE, view.shape[3] / SIZE
            expected = BOXES * torch.tensor([1, x, y, x, y])
            torch.testing.assert_close(rois, expected, rtol=1e-6, atol=0)
            regions = torchvision.ops.roi_align(feature.mean(2), expected, 7, 1 / 16, 0, model.head.aligned)
            channels = feature.shape[1]
            own = seen["pooled"][:, count : count + channels]
            torch.testing.assert_close(own, regions.amax((2, 3)), rtol=1e-5, atol=1e-7)
            count += channels
            # against what a box sees of nothing: normalisation moves zero, so responses are compared with their floor
            response = (feature.mean(2) - feature.mean(2).amin((2, 3), keepdim=True)).sum(1, keepdim=True)
            on, *off = torchvision.ops.roi_align(response, expected, 7, 1 / 16, 0, model.head.aligned).mean((1, 2, 3))
            assert on > 3 * max(off), (configuration, on, off)
            assert (own[0] >= own[1:].amax(0)).float().mean() > 0.9, configuration
        assert count == seen["pooled"].shape[1]


@pytest.mark.parametrize("arch", ["slow", "slowfast"])
def test_a_dense_network_looks_there_too(arch, tmp_path):
    model, clip = detector(arch, tmp_path), moving_patch(8 if arch == "slowfast" else 4)
    configuration = model.space.smallest
    mn.calibrate(model, [clip + 0.01 * torch.randn(clip.shape)], [configuration])
    dense, views = mn.extract_dense(model, configuration), model.pathways(clip, configuration)
    expected = pooled(model, clip, configuration, BOXES)["pooled"]
    found = pooled(dense, *views, boxes=model.pathway_boxes(BOXES, clip, views))["pooled"]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_box_over_one_frame_of_the_batch_sees_that_clip_alone(tmp_path):
    model = detector("slow", tmp_path)
    clips = torch.cat([moving_patch(4), torch.zeros(1, 3, 4, SIZE, WIDE)])
    boxes = torch.cat([BOXES[:1], BOXES[:1] + torch.tensor([1.0, 0, 0, 0, 0])])
    one, other = pooled(model, clips, None, boxes)["pooled"]
    torch.testing.assert_close(one, pooled(model, clips[:1], None, BOXES[:1])["pooled"][0], rtol=1e-5, atol=1e-7)
    assert one.sum() > 2 * other.sum()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_the_reference_detector_at_full_size():
    """pytorchvideo's slowfast_r50_detection without its weights file: 8x8 frames of 256 x 256, ten boxes, 80 actions.

    Its RoIAlign is the older one (DETECTION.ALIGNED False) and its head ends in a sigmoid, where ours gives logits.
    """
    from pytorchvideo.models.hub.slowfast import slowfast_r50_detection

    torch.manual_seed(0)
    theirs = slowfast_r50_detection(pretrained=False).eval()
    with torch.no_grad():
        for name, tensor in theirs.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(0.0, 0.1)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif name.endswith("norm_c.weight"):
                tensor.fill_(0.4)  # is 0 where a network begins
        theirs.detection_head.proj.weight.normal_(0.0, 0.02)
    cfg = mn.load_config(
        ROOT / "configs" / "AVA" / "MN_SLOWFAST_32x2.yaml",
        ["DETECTION.ALIGNED", False, "NUM_GPUS", 0],
    )
    ours = mn.build_model(cfg).eval()
    report = mn.load_weights(ours, theirs.state_dict())
    assert (report.layout, report.missing, report.unexpected, report.reinitialised) == ("pytorchvideo", (), (), ())
    clip = torch.randn(1, 3, 32, 256, 256)
    corners = torch.rand(10, 2, 2).sort(1).values * 256
    boxes = torch.cat([torch.zeros(10, 1), corners.reshape(10, 4)], 1)
    views = ours.pathways(clip)
    with torch.no_grad():
        logits = ours(clip, None, boxes)
        expected = theirs(list(views), boxes)
    assert logits.shape == expected.shape == (10, 80)
    assert expected.std() > 0.01
    torch.testing.assert_close(logits.sigmoid(), expected, rtol=1e-4, atol=1e-5)
