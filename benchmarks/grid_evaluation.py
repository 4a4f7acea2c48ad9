"""What evaluating K configurations costs over their forward passes alone, and what decoding costs as K grows.

    python benchmarks/grid_evaluation.py --cfg configs/Demo/MN_SLOW_SMALL.yaml --data LISTS [--videos 16] [--rounds 5]

Paired: every round times, for each K, ``evaluate_grid`` from the files (decoding in DATA_LOADER.NUM_WORKERS processes,
which start anew each time), the forward passes over the same batches, decoded and normalised beforehand, and decoding
alone, in this process.
"""

import sys
from pathlib import Path

import torch
from pairs import ON_CPU, Ratio, paired, ratio_of, report

import mutualnet3d as mn
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.data import Entries, TestVideos, build_entries, normalise, video_loader
from mutualnet3d.evaluation.grid import evaluate_grid, view_batches
from mutualnet3d.training.device import to_device

VIEWS = ["TEST.NUM_ENSEMBLE_VIEWS", 10, "TEST.NUM_SPATIAL_CROPS", 3]


def forward_alone(model, clips, configurations) -> None:
    """The forward passes that the evaluation runs, what configurations share computed once."""
    groups = model.sharing_groups(configurations)
    with torch.no_grad():
        for clip in clips:
            for group in groups:
                shared = model.shared_features(clip, group[0])
                for configuration in group:
                    model(clip, configuration, shared=shared)


def spread(grid: tuple, count: int) -> list:
    """``count`` configurations of the grid, evenly spaced, full among them."""
    return [grid[-1 - i * (len(grid) - 1) // max(count - 1, 1)] for i in range(count)]


def measure(cfg, entries: Entries, counts: list[int], rounds: int) -> list[Ratio]:
    """A ratio for each K of ``counts``; decoding in this process, without workers, takes its turn beside."""
    model = to_device(mn.build_model(cfg), cfg).eval()
    grid, size = model.space.grid(), cfg.DATA.TRAIN_CROP_SIZE
    mn.calibrate(model, [torch.randn(2, 3, cfg.DATA.NUM_FRAMES, size, size)], grid)
    videos = TestVideos(entries, cfg, cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS)
    items = [videos[number] for number in range(len(videos))]
    clips = [
        normalise(batch.permute(0, 4, 1, 2, 3), cfg.DATA.MEAN, cfg.DATA.STD)
        for batch in view_batches(items, cfg.TEST.BATCH_SIZE)
    ]
    found = []
    for count in [count for count in counts if count <= len(grid)]:
        chosen = spread(grid, count)
        calls = {
            f"evaluation of {count}": lambda c=chosen: evaluate_grid(model, video_loader(videos, cfg), c, cfg),
            f"forward passes of {count}": lambda c=chosen: forward_alone(model, clips, c),
            "decoding": lambda: [videos[number] for number in range(len(videos))],
        }
        above, below, _ = calls
        name = f"{cfg.MODEL.ARCH}, {len(entries)} videos: evaluating {count} configuration(s) / their forward passes"
        found.append(ratio_of(name, paired(calls, rounds), above, below))
    return found


def main() -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of test.csv; its paths are relative to DATA.PATH_PREFIX")
    parser.add_argument("--videos", type=int, default=16, help="of the list, evenly spaced")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 3, 9, 27], help="numbers of configurations, K")
    parser.add_argument("--rounds", type=int, default=5, help="paired repetitions")
    arguments = parse_arguments(parser=parser)
    cfg = mn.load_config(
        arguments.cfg_files, ["DATA.PATH_TO_DATA_DIR", arguments.data, *ON_CPU, *VIEWS, *arguments.overrides]
    )
    prepare_cpu()
    entries = build_entries(cfg, "test")
    entries = entries[:: max(1, len(entries) // arguments.videos)][: arguments.videos]
    missing = [entry.path for entry in entries if not Path(entry.path).is_file()]
    if missing:
        parser.error(f"{missing[0]} does not exist; set DATA.PATH_PREFIX")
    print(f"batches of {cfg.TEST.BATCH_SIZE}, {torch.get_num_threads()} threads, {cfg.DATA_LOADER.NUM_WORKERS} workers")
    report(measure(cfg, entries, arguments.counts, arguments.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
