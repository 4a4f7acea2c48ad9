"""Small real videos, written with PyAV."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_video(
    path,
    num_frames=40,
    size=(48, 64),
    codec="libx264",
    fps=30,
    pix_fmt="yuv420p",
    first_pts=0,
    rotation=0,
    options=None,
    container_options=None,
) -> Path:
    """Encode noise that moves: every frame differs from every other. ``size`` is (height, width)."""
    height, width = size
    noise = np.random.default_rng(0).integers(0, 255, (height // 4 + 8, width // 4 + num_frames + 8, 3), dtype=np.uint8)
    noise = noise.repeat(4, axis=0).repeat(4, axis=1)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width, stream.pix_fmt = height, width, pix_fmt
        stream.codec_context.thread_count = 1
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(num_frames):
            image = np.ascontiguousarray(noise[:height, 3 * number : 3 * number + width])
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = first_pts + number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)


def write_sound(path) -> Path:
    """A file with a sound track and no pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, 8192, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)


def decode_all(path) -> np.ndarray:
    """Every frame as the plainest possible program gives it: uint8 (N, H, W, 3)."""
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.best("video")))
    return np.stack([np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90) for frame in frames])
