"""What reading AVA's key frames costs: from pictures and from a movie, one by one and in runs of neighbours.

    python benchmarks/key_frames.py [--seconds 900] [--frames 32] [--rate 2] [--count 48]

Renders a movie of moving noise (340 x 256, 30 frames a second, H.264 with its usual key frame every 250 frames) and its
pictures, and reads key frames a second apart with the shorter side at 256. One process, no workers.
"""

import argparse
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

import mutualnet3d as mn
from mutualnet3d.data import build_entries, test_dataset, train_dataset

SIZE, FPS = (256, 340), 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=900, help="length of the movie")
    parser.add_argument("--frames", type=int, default=32, help="frames of a clip")
    parser.add_argument("--rate", type=int, default=2, help="distance between them")
    parser.add_argument("--count", type=int, default=48, help="key frames to read")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render(folder, options.seconds)
        for source in ("pictures", "movie"):
            measure(folder, source, options)
    return 0


def render(folder: Path, seconds: int) -> None:
    """movie.mp4, its pictures, and the lists of both."""
    (folder / "movie").mkdir()
    noise = np.random.default_rng(0).integers(0, 255, (SIZE[0] // 4, SIZE[1], 3), np.uint8)
    scene = cv2.GaussianBlur(noise.repeat(4, axis=0).repeat(4, axis=1), (0, 0), 5)
    lines = ["original_vido_id video_id frame_id path labels\n"]
    with av.open(str(folder / "movie.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(seconds * FPS):
            left = number * 2 % (scene.shape[1] - SIZE[1])
            image = np.ascontiguousarray(scene[:, left : left + SIZE[1]])
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            picture = folder / "movie" / f"{number:06d}.jpg"
            cv2.imwrite(str(picture), image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
            lines.append(f'movie 0 {number} movie/{picture.name} ""\n')
        container.mux(stream.encode())
    (folder / "train.csv").write_text("".join(lines))
    (folder / "val.csv").write_text("".join(lines))
    (folder / "boxes.csv").write_text("".join(f"movie,{s},0.1,0.1,0.9,0.9,1,0\n" for s in range(seconds)))


def measure(folder: Path, source: str, options) -> None:
    """Print seconds to build the table and milliseconds for each key frame."""
    lists = {"AVA.FRAME_LIST_DIR": folder, "AVA.FRAME_DIR": folder}
    overrides = {
        "TRAIN.DATASET": "ava",
        "TEST.DATASET": "ava",
        "DETECTION.ENABLE": True,
        "AVA.ANNOTATION_DIR": folder,
        "AVA.TRAIN_GT_BOX_LISTS": ["boxes.csv"],
        "AVA.TEST_PREDICT_BOX_LISTS": ["boxes.csv"],
        "AVA.EXCLUSION_FILE": "",
        "AVA.START_SECOND": 0,
        "DATA.NUM_FRAMES": options.frames,
        "DATA.SAMPLING_RATE": options.rate,
        **({"AVA.VIDEO_DIR": folder} if source == "movie" else lists),
    }
    cfg = mn.load_config((), [part for pair in overrides.items() for part in pair])
    begun = time.perf_counter()
    entries = build_entries(cfg, "test")
    print(f"{source}: table of {len(entries)} key frames in {time.perf_counter() - begun:.2f} s")
    frames, count = test_dataset(entries, cfg, 1, 1), min(options.count, len(entries))
    clips = train_dataset(build_entries(cfg, "train"), cfg, 0)
    anywhere = np.random.default_rng(0).permutation(len(entries))[:count].tolist()
    runs = [range(start, min(start + 8, count)) for start in range(0, count, 8)]
    for name, read in (
        ("test, one by one", lambda: [frames[index] for index in range(count)]),
        ("test, runs of 8", lambda: [frames.read(run) for run in runs]),
        ("training, anywhere", lambda: [clips[(0, index)] for index in anywhere]),
    ):
        begun = time.perf_counter()
        read()
        print(f"{source}: {name}: {1000 * (time.perf_counter() - begun) / count:.1f} ms per key frame")


if __name__ == "__main__":
    sys.exit(main())
