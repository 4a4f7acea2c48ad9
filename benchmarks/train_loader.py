"""Loading training clips: ours against the datasets of PySlowFast 1.0 and pytorchvideo, on the same files and frames.

    python benchmarks/train_loader.py [--clips FOLDER_OF_VIDEOS] [--items 40] [--rounds 3] [--workers 0 1 2]

The videos are made of real clips, or rendered: 300 frames of 340 x 256 at 30 fps, H.264, a key frame every 30 and 250
frames. A clip is 8 frames at every 8th, jittered to a shorter side of 256..320 and cropped to 224, from random places,
the same for all. PySlowFast's is its Kinetics dataset, pytorchvideo's its LabeledVideoDataset with the decoder "pyav"
and the transforms of its own tutorial; those import a module that torchvision has renamed since, which is given back
its old name here, and nothing else is changed.
Both give float32, ours uint8 that the device normalises; normalisation is measured here as part of ours. One process
and one thread each, in turns; seconds on the clock and of the processor, which give the clips a second that one core
loads. Then our loader and pytorchvideo's with 0 and more workers.

All are checked to read the very frames that a plain decoding of the file gives at the same places.
"""

import importlib
import itertools
import random
import sys
import time
from pathlib import Path
from unittest import mock

import av
import numpy as np
from fvcore.common.config import CfgNode
from pairs import CLOCK, PROCESSOR, Ratio, paired, ratio_of, report, threads
from pytorchvideo.data import LabeledVideoDataset, make_clip_sampler
from pytorchvideo.data.encoded_video import EncodedVideo
from slowfast.config.defaults import get_cfg as pyslowfast_cfg
from slowfast.datasets import decoder
from slowfast.datasets.kinetics import Kinetics
from source_video import FRAMES, decoded, video_parser, videos
from torch.utils.data import DataLoader, SequentialSampler
from torchvision import transforms

import mutualnet3d as mn
from mutualnet3d.data import EpochSampler, TrainClips, VideoEntry, kinetics, normalise, open_video, train_loader

ROOT = Path(__file__).resolve().parents[1]
LENGTH, RATE, MEAN, STD = 8, 8, [0.45] * 3, [0.225] * 3
SECONDS = LENGTH * RATE / 30  # of a clip


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


def pytorchvideo_dataset(path: Path, copies: int) -> LabeledVideoDataset:
    """As in its tutorial on Kinetics."""
    renamed = importlib.import_module("torchvision.transforms._functional_tensor")
    with mock.patch.dict(sys.modules, {"torchvision.transforms.functional_tensor": renamed}):
        theirs = importlib.import_module("pytorchvideo.transforms")
    steps = [
        theirs.UniformTemporalSubsample(LENGTH),
        theirs.Div255(),
        theirs.Normalize(MEAN, STD),
        theirs.RandomShortSideScale(256, 320),
        transforms.RandomCrop(224),
        transforms.RandomHorizontalFlip(),
    ]
    return LabeledVideoDataset(
        [(str(path), {"label": 0})] * copies,
        make_clip_sampler("random", SECONDS),
        SequentialSampler,
        theirs.ApplyTransformToKey("video", transforms.Compose(steps)),
        decode_audio=False,
        decoder="pyav",
    )


def check(path: Path) -> int:
    """How many frames of each, read from whole-numbered starts, are those of a plain decoding; raises for another."""
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
        video = EncodedVideo.from_path(str(path), decode_audio=False, decoder="pyav")
        clip = video.get_clip(start / 30, start / 30 + SECONDS)["video"].permute(1, 2, 3, 0).numpy()
        assert len(clip) in (LENGTH * RATE, LENGTH * RATE + 1)  # the last one may lie on the end
        assert np.array_equal(clip, frames[start : start + len(clip)])
        checked += len(numbers)
    return checked


def measure(path: Path, items: int, rounds: int, name: str) -> list[Ratio]:
    """Of ``items`` clips of one video, ``name`` in the table, by both clocks."""
    ours, pyslowfast = our_dataset(path, items)[0], their_dataset(path)
    number, first_frames = itertools.count(), []

    def own() -> None:
        first_frames.clear()
        epoch = next(number)
        with mock.patch.object(kinetics, "random_clip", recorder(first_frames)):
            for index in range(items):
                normalise(ours[epoch, index].clip[None], MEAN, STD)

    def slowfast() -> None:  # at the places that ours just read, as pytorchvideo below
        with mock.patch.object(random, "uniform", side_effect=list(first_frames)):
            for _ in range(items):
                pyslowfast[0]

    def pytorchvideo() -> None:
        with mock.patch.object(random, "uniform", side_effect=[frame / 30 for frame in first_frames]):
            shapes = [item["video"].shape for item in pytorchvideo_dataset(path, items)]
        assert shapes == [(3, LENGTH, 224, 224)] * items

    calls = {"ours": own, "PySlowFast 1.0": slowfast, "pytorchvideo": pytorchvideo}
    with threads(1):
        times = paired(calls, rounds, alternate=False)
    print(f"{name}: {check(path)} frames of each are bit-equal to a plain decoding", file=sys.stderr)
    return [
        ratio_of(f"training clip, {name}: {other}'s loader / ours, {clock}", times, other, "ours", clock=clock)
        for clock in (CLOCK, PROCESSOR)
        for other in list(calls)[1:]
    ]


def recorder(places: list[float]):
    """Our choice of frames; the first of each clip is kept, so that PySlowFast reads the same places."""
    choose = kinetics.random_clip

    def random_clip(*arguments) -> np.ndarray:
        indices = choose(*arguments)
        places.append(float(indices[0]))
        return indices

    return random_clip


def scaling(path: Path, workers: list[int], items: int) -> None:
    for count in workers:
        clips, cfg = our_dataset(path, 2 * items, count)
        ours = train_loader(clips, EpochSampler(len(clips), 0, 0, batch_size=4), cfg)
        theirs = DataLoader(pytorchvideo_dataset(path, 2 * items), batch_size=4, num_workers=count)
        rates = clips_a_second(ours, count), clips_a_second(theirs, count)
        print(f"  {count} workers: {rates[0]:.1f} clips a second, pytorchvideo {rates[1]:.1f}")


def clips_a_second(loader: DataLoader, workers: int) -> float:
    batches = iter(loader)
    for _ in range(workers + 1):  # workers are up
        next(batches)
    start, count = time.perf_counter(), sum(1 for _ in batches)
    return count * loader.batch_size / (time.perf_counter() - start)


def main() -> int:
    parser = video_parser(__doc__.splitlines()[0], rounds=3)
    parser.add_argument("--items", type=int, default=40, help="clips a round")
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2], help="numbers of workers to try")
    arguments = parser.parse_args()
    least = 2 * (max(arguments.workers, default=0) + 2)  # 2 a batch: those that start the workers, and one to measure
    if arguments.workers and arguments.items < least:
        parser.error(f"--items {arguments.items} with {max(arguments.workers)} workers: take at least {least}")
    for path, name in videos(arguments.clips, arguments.gops):
        report(measure(path, arguments.items, arguments.rounds, name))
        scaling(path, arguments.workers, arguments.items)
    return 0


if __name__ == "__main__":
    sys.exit(main())
