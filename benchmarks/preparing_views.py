"""What a configuration sees of a clip that is stored channels last: cut and resized as it is stored, or frame by frame.

    python benchmarks/preparing_views.py [--batch 8] [--channels 3] [--frames 8] [--side 224] [--rounds 9]

For each configuration the plain way over ours: frames by a list of indices, then channels and frames as the channels
of one image, and back into channels last for the first convolution. The pixels are equal up to rounding, which is
checked.
"""

import argparse
import sys

import torch
from pairs import paired, ratio_of, report, threads
from torch.nn import functional as F

from mutualnet3d.configuration import frame_indices
from mutualnet3d.operators import keep_frames, resize_frames

PLAIN, OURS = "plain", "ours"


def plain(clip: torch.Tensor, side: int, frames: int) -> torch.Tensor:
    kept = clip[:, :, list(frame_indices(clip.shape[2], frames))]
    flat = F.interpolate(kept.flatten(1, -3), size=(side, side), mode="bilinear", align_corners=False)
    return flat.unflatten(1, kept.shape[1:-2]).contiguous(memory_format=torch.channels_last_3d)


def ours(clip: torch.Tensor, side: int, frames: int) -> torch.Tensor:
    return resize_frames(keep_frames(clip, frames), (side, side))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {"batch": 8, "channels": 3, "frames": 8, "side": 224, "rounds": 9}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    clip = torch.randn(given.batch, given.channels, given.frames, given.side, given.side)
    clip = clip.to(memory_format=torch.channels_last_3d)
    found = []
    with threads(1):
        for side, frames in ((0.63, 1.0), (0.63, 0.4), (1.0, 0.4)):
            size = round(side * given.side), max(1, round(frames * given.frames))
            torch.testing.assert_close(ours(clip, *size), plain(clip, *size))
            calls = {name: lambda f=f, size=size: f(clip, *size) for name, f in ((PLAIN, plain), (OURS, ours))}
            times = paired(calls, given.rounds)
            found.append(
                ratio_of(f"{given.side} -> {size[0]} pixels, {size[1]} frames: {PLAIN} / {OURS}", times, PLAIN, OURS)
            )
    report(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
