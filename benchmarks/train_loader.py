"""Loading training clips: ours against PySlowFast 1.0's own Kinetics dataset, on the same files, of the same frames.

    python benchmarks/train_loader.py --clips FOLDER_OF_VIDEOS [--items 40] [--rounds 3] [--workers 1 2]

The videos are made of real clips: 300 frames of 340 x 256 at 30 fps, H.264, with a key frame every 30 and every 250
frames. A clip is 8 frames at every 8th, jittered to a shorter side of 256..320 and cropped to 224, from random places,
the same for both.
PySlowFast gives float32, ours uint8 that the device normalises; normalisation is measured here as part of ours. One
process and one thread each, in turns; seconds on the clock and of the processor. Then our loader with several workers.

Both are checked to read the very frames that a plain decoding of the file gives at the same places.
"""

import argparse
import itertools
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import av
import cv2
import numpy as np
import torch
from fvcore.common.config import CfgNode
from real_video import FRAMES, decoded, real_frames, write_video
from slowfast.config.defaults import get_cfg as pyslowfast_cfg
from slowfast.datasets import decoder
from slowfast.datasets.kinetics import Kinetics

import mutualnet3d as mn
from mutualnet3d.data import EpochSampler, TrainClips, VideoEntry, kinetics, normalise, open_video, train_loader

ROOT = Path(__file__).resolve().parents[1]
LENGTH, RATE, MEAN, STD = 8, 8, [0.45] * 3, [0.225] * 3


def our_dataset(path: Path, copies: int, workers: int = 0) -> tuple[TrainClips, CfgNode]:
    cfg = mn.load_config(ROOT / "configs" / "Kinetics" / "MN_SLOW_8x8.yaml", ["DATA_LOADER.NUM_WORKERS", workers])
    return TrainClips([VideoEntry(str(path), 0)] * copies, cfg, 0), cfg


def their_dataset(path: Path) -> Kinetics:
    """As it is; only its config, and a list of one video."""
    (path.parent / "train.csv").write_text(f"{path} 0\n")
    cfg = pyslowfast_cfg()
    cfg.DATA.PATH_TO_DATA_DIR, cfg.DATA.TRAIN_JITTER_SCALES, cfg.DATA.TRAIN_CROP_SIZE = (
        str(path.parent),
        [256, 320],
        224,
    )
    cfg.DATA.NUM_FRAMES, cfg.DATA.SAMPLING_RATE, cfg.MODEL.ARCH = LENGTH, RATE, "slowonly"
    return Kinetics(cfg, "train")


def check(path: Path) -> int:
    """How many frames of both, read from whole-numbered starts, are those of a plain decoding; raises for another."""
    frames = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded(path)])
    numbers = np.floor(np.linspace(0, LENGTH * RATE - 1, LENGTH)).astype(int)
    checked = 0
    for start in range(0, FRAMES - LENGTH * RATE, 37):
        with mock.patch.object(random, "uniform", lambda low, high, start=start: float(start)):
            theirs = decoder.decode(av.open(str(path)), RATE, LENGTH, -1).numpy()
        with open_video(str(path)) as video:
            ours = video.frames(start + numbers)
        assert np.array_equal(ours, frames[start + numbers])
        assert np.array_equal(theirs, frames[start + numbers])
        checked += len(numbers)
    return checked


def compare(path: Path, gop: int, items: int, rounds: int) -> None:
    ours, theirs = our_dataset(path, items)[0], their_dataset(path)
    seconds = {"ours": [], "theirs": []}
    for number in range(rounds + 1):
        first_frames: list[float] = []
        starts = [clocks()]
        with mock.patch.object(kinetics, "random_clip", recorder(first_frames)):
            for index in range(items):
                normalise(ours[number, index].clip[None], MEAN, STD)
        starts.append(clocks())
        with mock.patch.object(random, "uniform", side_effect=first_frames):
            for _ in range(items):
                theirs[0]
        starts.append(clocks())
        if number:  # the first round warms up
            for name, (before, after) in zip(seconds, itertools.pairwise(starts), strict=True):
                seconds[name].append(after - before)
    print(f"GOP {gop}: {check(path)} frames of each are bit-equal to a plain decoding")
    for column, clock in enumerate(("clock", "processor")):
        own, other = (np.array(seconds[name])[:, column] / items for name in ("ours", "theirs"))
        ratios = other / own
        print(
            f"  {clock:9s}: PySlowFast 1.0 {1000 * statistics.median(other):.0f} ms a clip, ours "
            f"{1000 * statistics.median(own):.0f} ms: {statistics.median(ratios):.2f} times as fast "
            f"({ratios.min():.2f} .. {ratios.max():.2f})"
        )


def recorder(places: list[float]):
    """Our choice of frames; the first of each clip is kept, so that PySlowFast reads the same places."""
    choose = kinetics.random_clip

    def random_clip(*arguments) -> np.ndarray:
        indices = choose(*arguments)
        places.append(float(indices[0]))
        return indices

    return random_clip


def clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def scaling(path: Path, workers: list[int], items: int) -> None:
    for count in workers:
        clips, cfg = our_dataset(path, 2 * items, count)
        loader = iter(train_loader(clips, EpochSampler(len(clips), 0, 0, batch_size=4), cfg))
        for _ in range(count + 1):  # workers are up
            next(loader)
        start, got = time.perf_counter(), 0
        for batch in loader:
            got += len(batch.clips)
        print(f"  {count} workers: {got / (time.perf_counter() - start):.1f} clips a second")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True, help="folder of real videos to make the video of")
    parser.add_argument("--items", type=int, default=40, help="clips a round")
    parser.add_argument("--rounds", type=int, default=3, help="paired repetitions")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="numbers of workers to try")
    parser.add_argument("--gops", type=int, nargs="+", default=[30, 250], help="frames from key frame to key frame")
    arguments = parser.parse_args()
    least = 2 * (max(arguments.workers, default=0) + 2)  # 2 a batch: those that start the workers, and one to measure
    if arguments.workers and arguments.items < least:
        parser.error(f"--items {arguments.items} with {max(arguments.workers)} workers: take at least {least}")
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    frames = real_frames(arguments.clips)
    with tempfile.TemporaryDirectory() as folder:
        for gop in arguments.gops:
            path = Path(folder) / f"gop{gop}.mp4"
            write_video(path, frames, gop)
            compare(path, gop, arguments.items, arguments.rounds)
            scaling(path, arguments.workers, arguments.items)
    return 0


if __name__ == "__main__":
    sys.exit(main())
