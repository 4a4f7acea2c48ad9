"""How much faster deployed sub-networks run than pytorchvideo's networks of the same shape and weights, eagerly.

    python benchmarks/deployed.py [--networks slow slowfast x3d] [--widths 0.63 1.0] [--threads 1 2] [--repeats 10]
        [--backends torch onnxruntime openvino]

Both are timed in turns in one process, batch 1, at the full spatial and temporal resolution; the ratio is of the
medians. pytorchvideo's network is built at full width and then given the sub-network's layers, so that it has exactly
its channels and weights: the logits must agree. Memory is allocated as a
plain program does; with --keep-large-blocks as this package's tools do, which speeds the eager network up most.
"""

import argparse
import functools
import sys

import torch
from pairs import Ratio, paired, ratio_of, report, threads
from random_network import random_network

import mutualnet3d as mn
from mutualnet3d.cpu import keep_large_blocks
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.deployment import DenseNetwork, Description, Target, build_runner
from mutualnet3d.latency import device_name
from mutualnet3d.models.weight_names import to_pytorchvideo

RECIPES = {
    "slow": "configs/Kinetics/MN_SLOW_8x8.yaml",
    "slowfast": "configs/Kinetics/MN_SLOWFAST_4x16.yaml",
    "x3d": "configs/Kinetics/MN_X3D_M.yaml",
}
TARGETS = (
    ("torch", "float32"),
    ("onnxruntime", "float32"),
    ("openvino", "float32"),
    ("torch", "bfloat16"),
    ("openvino", "bfloat16"),
)
BACKENDS = tuple(dict.fromkeys(backend for backend, _ in TARGETS))
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.2}  # relative to the largest logit


def measure(
    name: str, overrides: list, widths: list[float], count: int, rounds: int, backends: tuple[str, ...] = BACKENDS
) -> list[Ratio]:
    """Of the network ``name`` with ``count`` threads; ValueError where the logits are not the eager network's."""
    cfg, model, configurations = random_network(RECIPES[name], overrides, widths)
    with threads(count), torch.no_grad():
        return [
            ratio
            for configuration in configurations
            for ratio in compare(name, cfg, model, configuration, count, rounds, backends)
        ]


def compare(name: str, cfg, model, configuration, count: int, rounds: int, backends: tuple[str, ...]) -> list[Ratio]:
    generator = torch.Generator().manual_seed(0)
    shape = 1, 3, cfg.DATA.NUM_FRAMES, cfg.DATA.TEST_CROP_SIZE, cfg.DATA.TEST_CROP_SIZE
    views = model.pathways(torch.randn(shape, generator=generator), configuration)
    theirs = pytorchvideo_network(name, cfg, mn.extract_dense(model, configuration))

    def eager() -> torch.Tensor:
        return theirs(list(views) if len(views) > 1 else views[0])  # SlowFast writes into its list

    description = Description(configuration, model.pathway_rule, Preprocessing.from_cfg(cfg))
    network = DenseNetwork.trace(mn.extract_dense(model, configuration, fold_bn=True), description)
    calls, expected = {"eager": eager}, eager()
    for backend, precision in TARGETS:
        if backend in backends:
            run = functools.partial(build_runner(network, Target(backend, precision, threads=count)), views)
            difference = float((run() - expected).abs().max() / expected.abs().max())
            if difference > TOLERANCE[precision]:
                raise ValueError(f"{name} {configuration}, {backend} {precision}: logits differ by {difference:.1e}")
            calls[f"{backend} {precision}"] = run
    times = paired(calls, rounds, warmup=2, twice=True)
    place = f"{name} {configuration}, {count} thread(s)"
    return [
        ratio_of(f"{place}: eager pytorchvideo / {target}", times, "eager", target)
        for target in calls
        if target != "eager"
    ]


def pytorchvideo_network(name: str, cfg, dense: torch.nn.Module) -> torch.nn.Module:
    """pytorchvideo's network with the channels and weights of ``dense``, in eval mode."""
    from pytorchvideo.models.resnet import create_resnet
    from pytorchvideo.models.slowfast import create_slowfast
    from pytorchvideo.models.x3d import create_x3d

    frames, crop, pool = cfg.DATA.NUM_FRAMES, cfg.DATA.TEST_CROP_SIZE, cfg.DATA.TEST_CROP_SIZE // 32
    classes = cfg.MODEL.NUM_CLASSES
    if name == "slow":
        network = create_resnet(
            model_num_class=classes, stem_conv_kernel_size=(1, 7, 7), head_pool_kernel_size=(frames, pool, pool)
        )
    elif name == "slowfast":
        alpha = cfg.SLOWFAST.ALPHA
        network = create_slowfast(
            model_num_class=classes,
            slowfast_fusion_conv_kernel_size=(cfg.SLOWFAST.FUSION_KERNEL_SZ, 1, 1),
            slowfast_fusion_conv_stride=(alpha, 1, 1),
            head_pool_kernel_sizes=((frames // alpha, pool, pool), (frames, pool, pool)),
        )
    else:
        network = create_x3d(
            model_num_class=classes, input_clip_length=frames, input_crop_size=crop, head_activation=None
        )
    for key, tensor in to_pytorchvideo(dense.state_dict(), name).items():
        layer, _, kind = key.rpartition(".")
        layer = network.get_submodule(layer)
        if kind in layer._parameters:
            layer._parameters[kind] = torch.nn.Parameter(tensor.clone(), requires_grad=False)
            if kind == "weight" and getattr(layer, "groups", 1) > 1:  # X3D's channelwise convolutions
                layer.groups = len(tensor)
        else:
            layer._buffers[kind] = tensor.clone()
    return network.eval()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(RECIPES), choices=RECIPES)
    parser.add_argument("--widths", nargs="+", type=float, default=[0.63, 1.0])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--backends", nargs="+", default=BACKENDS, choices=BACKENDS)
    parser.add_argument("--crop", type=int, default=224, help="side of the clip in pixels, a multiple of 32")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--keep-large-blocks", action="store_true", help="of memory, for both: as the tools do")
    arguments = parser.parse_args()
    if arguments.keep_large_blocks:
        keep_large_blocks()
    print(f"crop {arguments.crop}, batch 1, {device_name()}")
    for name in arguments.networks:
        for count in arguments.threads:
            overrides = ["DATA.TEST_CROP_SIZE", arguments.crop]
            report(measure(name, overrides, arguments.widths, count, arguments.repeats, tuple(arguments.backends)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
