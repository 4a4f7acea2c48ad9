"""Videos for the loader benchmarks: real clips, one after another, or rendered ones; with key frames as asked."""

import argparse
import itertools
import tempfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from mutualnet3d.data.synthetic import MOTIONS, RenderSpec, render_clip

FRAMES, HEIGHT, WIDTH, FPS = 300, 256, 340, 30


def video_parser(description: str, rounds: int) -> argparse.ArgumentParser:
    """What every benchmark on these videos can be asked."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--clips", type=Path, help="folder of real videos to make the video of; default: rendered")
    parser.add_argument("--rounds", type=int, default=rounds, help="paired repetitions")
    parser.add_argument("--gops", type=int, nargs="+", default=[30, 250], help="frames from key frame to key frame")
    return parser


def videos(clips: Path | None, gops: Sequence[int]) -> Iterator[tuple[Path, str]]:
    """A video of each distance of key frames, and its name in tables; gone afterwards. OpenCV runs in this thread."""
    cv2.setNumThreads(0)
    frames = frames_of(clips)
    with tempfile.TemporaryDirectory() as folder:
        for gop in gops:
            path = Path(folder) / f"gop{gop}.mp4"
            write_video(path, frames, gop)
            yield path, f"GOP {gop}"


def frames_of(folder: Path | None) -> list[np.ndarray]:
    """FRAMES frames, (HEIGHT, WIDTH, 3), of the videos in ``folder``, one after another; without one, rendered."""
    if folder is None:
        spec = RenderSpec(HEIGHT, WIDTH, num_frames=FRAMES, fps=FPS)
        return list(render_clip(MOTIONS[0], np.random.default_rng(0), spec))
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".mp4", ".avi"))[::7]
    frames = (frame.to_ndarray(format="rgb24") for path in paths for frame in decoded(path))
    found = [cv2.resize(frame, (WIDTH, HEIGHT)) for frame in itertools.islice(frames, FRAMES)]
    if len(found) < FRAMES:
        raise SystemExit(f"{folder} holds {len(found)} frames of video, {FRAMES} are needed")
    return found


def decoded(path: Path):
    with av.open(str(path)) as container:
        yield from container.decode(video=0)


def write_video(path: Path, frames: list[np.ndarray], gop: int) -> None:
    """H.264 with a key frame every ``gop`` frames and nowhere else."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"g": str(gop), "sc_threshold": "0"})
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
