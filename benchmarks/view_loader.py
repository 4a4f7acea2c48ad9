"""Loading the 30 views of a 10-second video: ours against PySlowFast 1.0's own Kinetics dataset, on the same files.

    python benchmarks/view_loader.py [--clips FOLDER_OF_VIDEOS] [--rounds 5]

The video is made of real clips, one after another, or rendered: 300 frames of 340 x 256 at 30 fps, H.264, with a key
frame every 30 and every 250 frames. Ours: ``TestVideos`` and all 30 views as contiguous uint8 clips, and the same plus
normalisation to float32, which is what PySlowFast's 30 items are. Both in one process and one thread, in turns.

The frames are checked bit by bit. The two rules differ where a view starts between two frames: we take frame
floor(start), PySlowFast the first one whose time stamp is not before it, ceil(start).
"""

import math
import sys
from pathlib import Path

import numpy as np
import torch
from pairs import Ratio, paired, ratio_of, report, threads
from slowfast.config.defaults import get_cfg as pyslowfast_cfg
from slowfast.datasets.kinetics import Kinetics
from source_video import WIDTH, decoded, video_parser, videos

import mutualnet3d as mn
from mutualnet3d.data import TestVideos, VideoEntry, normalise
from mutualnet3d.evaluation.grid import view_batches

CROP, LENGTH, RATE, VIEWS = 256, 8, 8, 10
ROOT = Path(__file__).resolve().parents[1]


def our_dataset(path: Path) -> TestVideos:
    overrides = ["DATA.TEST_CROP_SIZE", CROP, "DATA.NUM_FRAMES", LENGTH, "DATA.SAMPLING_RATE", RATE]
    cfg = mn.load_config(ROOT / "configs" / "Kinetics" / "MN_SLOW_8x8.yaml", overrides)
    return TestVideos([VideoEntry(str(path), 0)], cfg, VIEWS, 3)


def their_dataset(path: Path, folder: Path) -> Kinetics:
    """As it is; only its config, and a list of one video."""
    (folder / "test.csv").write_text(f"{path} 0\n")
    cfg = pyslowfast_cfg()
    cfg.DATA.PATH_TO_DATA_DIR, cfg.DATA.TEST_CROP_SIZE = str(folder), CROP
    cfg.DATA.NUM_FRAMES, cfg.DATA.SAMPLING_RATE, cfg.MODEL.ARCH = LENGTH, RATE, "slowonly"
    cfg.TEST.NUM_ENSEMBLE_VIEWS, cfg.TEST.NUM_SPATIAL_CROPS = VIEWS, 3
    return Kinetics(cfg, "test")


def check(path: Path, ours: torch.Tensor, theirs: list[torch.Tensor]) -> tuple[int, int]:
    """(views that are bit-equal, views that are bit-equal one frame later); AssertionError for any other."""
    frames = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded(path)])
    equal = later = 0
    for view in range(VIEWS):
        start = (len(frames) - LENGTH * RATE) * view / VIEWS
        for crop, left in enumerate((0, math.ceil((WIDTH - CROP) / 2), WIDTH - CROP)):
            own, other = ours[3 * view + crop], theirs[3 * view + crop]
            for first, clip in (
                (math.floor(start), normalise(own[None], [0.45] * 3, [0.225] * 3)[0]),
                (math.ceil(start), other),
            ):
                numbers = first + 9 * np.arange(LENGTH)  # floor(linspace(0, 63, 8))
                expected = torch.from_numpy(frames[numbers, :, left : left + CROP]).permute(3, 0, 1, 2)
                expected = (expected.float() / 255.0 - 0.45) / 0.225
                assert torch.equal(clip, expected), f"view {view}, crop {crop}"
            equal += start == int(start)
            later += start != int(start)
    return equal, later


def measure(path: Path, rounds: int, name: str) -> list[Ratio]:
    """Of one video, ``name`` in the table; AssertionError where the frames are not those of a plain decoding."""
    ours, theirs = our_dataset(path), their_dataset(path, path.parent)
    results: dict[str, torch.Tensor | list[torch.Tensor]] = {}

    def as_uint8() -> torch.Tensor:
        (batch,) = view_batches([ours[0]], 3 * VIEWS)
        return batch.permute(0, 4, 1, 2, 3)

    def as_float() -> None:
        clips = results["ours"] = as_uint8()
        normalise(clips, [0.45] * 3, [0.225] * 3)

    def pyslowfast() -> None:
        results["theirs"] = [theirs[number][0][0] for number in range(3 * VIEWS)]

    with threads(1):
        times = paired({"PySlowFast 1.0": pyslowfast, "uint8": as_uint8, "float32": as_float}, rounds)
    equal, later = check(path, results["ours"], results["theirs"])
    print(f"{name}: {equal} views bit-equal, {later} bit-equal one frame later in PySlowFast", file=sys.stderr)
    return [
        ratio_of(f"{3 * VIEWS} views, {name}: PySlowFast 1.0's loader / ours, {kind}", times, "PySlowFast 1.0", kind)
        for kind in ("uint8", "float32")
    ]


def main() -> int:
    arguments = video_parser(__doc__.splitlines()[0], rounds=5).parse_args()
    for path, name in videos(arguments.clips, arguments.gops):
        report(measure(path, arguments.rounds, name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
