"""What evaluating K configurations costs over their forward passes alone, and what decoding costs as K grows.

    python benchmarks/grid_evaluation.py --cfg configs/Demo/MN_SLOW_SMALL.yaml --data LISTS [--videos 16] [--rounds 5]

Paired: every round times, for each K, ``evaluate_grid`` from the files (decoding in DATA_LOADER.NUM_WORKERS processes,
which start anew each time) and the forward passes over the same batches, decoded and normalised beforehand. The table
gives the median and the range of the ratios. Decoding is timed apart, once, inside an evaluation in this process.
"""

import statistics
import sys
import time
from pathlib import Path

import torch

import mutualnet3d as mn
from mutualnet3d.allocator import keep_large_blocks
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.data import TestVideos, build_entries, normalise, video_loader
from mutualnet3d.evaluation.grid import evaluate_grid, view_batches


class Timed:
    """``videos``, one after another, and the seconds that decoding them took."""

    def __init__(self, videos: TestVideos):
        self.videos, self.seconds, self.decoded = videos, 0.0, 0

    def __iter__(self):
        for number in range(len(self.videos)):
            start = time.perf_counter()
            item = self.videos[number]
            self.seconds += time.perf_counter() - start
            self.decoded += 1
            yield item


def forward_alone(model, clips, configurations) -> None:
    """The forward passes that the evaluation runs, what configurations share computed once."""
    groups = model.sharing_groups(configurations)
    with torch.no_grad():
        for clip in clips:
            for group in groups:
                shared = model.shared_features(clip, group[0])
                for configuration in group:
                    model(clip, configuration, shared=shared)


def seconds(body) -> float:
    start = time.perf_counter()
    body()
    return time.perf_counter() - start


def spread(grid: tuple, count: int) -> list:
    """``count`` configurations of the grid, evenly spaced, full among them."""
    return [grid[-1 - i * (len(grid) - 1) // max(count - 1, 1)] for i in range(count)]


def main() -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of test.csv; its paths are relative to DATA.PATH_PREFIX")
    parser.add_argument("--videos", type=int, default=16, help="of the list, evenly spaced")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 3, 9, 27], help="numbers of configurations, K")
    parser.add_argument("--rounds", type=int, default=5, help="paired repetitions")
    arguments = parse_arguments(parser=parser)
    views = ["TEST.NUM_ENSEMBLE_VIEWS", 10, "TEST.NUM_SPATIAL_CROPS", 3]
    cfg = mn.load_config(arguments.cfg_files, ["DATA.PATH_TO_DATA_DIR", arguments.data, *views, *arguments.overrides])
    keep_large_blocks()
    entries = build_entries(cfg, "test")
    entries = entries[:: max(1, len(entries) // arguments.videos)][: arguments.videos]
    missing = [entry.path for entry in entries if not Path(entry.path).is_file()]
    if missing:
        parser.error(f"{missing[0]} does not exist; set DATA.PATH_PREFIX")
    model = mn.build_model(cfg).to(memory_format=torch.channels_last_3d).eval()
    grid = model.space.grid()
    size = cfg.DATA.TRAIN_CROP_SIZE
    mn.calibrate(model, [torch.randn(2, 3, cfg.DATA.NUM_FRAMES, size, size)], grid)
    videos = TestVideos(entries, cfg, cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS)
    items = [videos[number] for number in range(len(videos))]
    clips = [
        normalise(batch.permute(0, 4, 1, 2, 3), cfg.DATA.MEAN, cfg.DATA.STD)
        for batch in view_batches(items, cfg.TEST.BATCH_SIZE)
    ]
    counts = [count for count in arguments.counts if count <= len(grid)]
    times, decoding = {count: ([], []) for count in counts}, {}
    for round_number in range(arguments.rounds + 1):
        for count in counts:
            chosen, timed = spread(grid, count), Timed(videos)
            if round_number == 0:  # warms up
                evaluate_grid(model, timed, chosen, cfg)
                decoding[count] = timed
                continue
            times[count][0].append(seconds(lambda c=chosen: evaluate_grid(model, video_loader(videos, cfg), c, cfg)))
            times[count][1].append(seconds(lambda c=chosen: forward_alone(model, clips, c)))
    print(
        f"{cfg.MODEL.ARCH}, {len(entries)} videos x {sum(map(len, clips)) // len(entries)} views, batches of "
        f"{cfg.TEST.BATCH_SIZE}, {torch.get_num_threads()} threads, {cfg.DATA_LOADER.NUM_WORKERS} workers"
    )
    print(" K   evaluation    forward alone   evaluation / forward      decoding in one process")
    for count, (whole, alone) in times.items():
        ratios = [a / b for a, b in zip(whole, alone, strict=True)]
        print(
            f"{count:2d}   {statistics.median(whole):8.2f} s   {statistics.median(alone):10.2f} s   "
            f"{statistics.median(ratios):8.2f} ({min(ratios):.2f} .. {max(ratios):.2f})   "
            f"{decoding[count].seconds:6.2f} s, {decoding[count].decoded} videos"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
