"""Writes the synthetic dataset: H.264 videos whose class is their motion, and PySlowFast's lists of them.

    <directory>/videos/<split>/<motion>/<number>.mp4
    <directory>/{train,val,test}.csv    lines "<path> <label>", paths relative to <directory>
    <directory>/classes.txt             names in label order
    <directory>/dataset.json            what was asked for; written last, so its presence means that all is complete

Every video has a random stream of its own, seeded by (seed, split, label, number): the result depends neither on the
number of workers nor on whether an interrupted rendering was taken up again.
"""

import json
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mutualnet3d.data.synthetic_motion import MOTIONS, RENDERER_VERSION, RenderSpec, render_clip
from mutualnet3d.errors import ConfigError, DataError
from mutualnet3d.progress import show_progress

__all__ = ["MOTIONS", "SPLITS", "RenderSpec", "ensure_dataset", "render_clip", "write_dataset", "write_video"]

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
MANIFEST = "dataset.json"
PLAN = "rendering.json"  # the manifest of a rendering that is under way
GOP, CRF = 30, 20  # frames between key frames at most; quality
# Has B-frames, but neither lookahead nor macroblock tree: with these, x264 reads memory that it never wrote where
# frames are small, and the same frames give other bytes from one run to the next.
PRESET = "superfast"
TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
STALE_AFTER_S = 60.0  # a video takes 0.02 s: a temporary file of this age belongs to a process that died


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def _write_text(path: Path, text: str) -> None:
    temporary = _temporary(path)
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def write_video(path: str | os.PathLike, frames: np.ndarray, fps: int) -> None:
    """Encodes `frames` (T, H, W, 3) uint8 RGB, H and W even, as H.264 (yuv420p, mp4). `path` appears once complete.

    Raises:
        DataError: `frames` has another shape or type.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise DataError(f"{path}: frames are {frames.dtype} {frames.shape}; give uint8 (T, H, W, 3)")
    if frames.shape[1] % 2 or frames.shape[2] % 2:
        raise DataError(f"{path}: frames are {frames.shape[1]} x {frames.shape[2]}; H.264 in yuv420p needs even sides")
    path = Path(path)
    temporary = _temporary(path)
    try:
        with av.open(str(temporary), "w", format="mp4") as container:
            # One thread per video: many are written side by side, and the bytes are the same on every machine.
            options = {"crf": str(CRF), "preset": PRESET, "g": str(GOP), "threads": "1"}
            stream = container.add_stream("libx264", rate=Fraction(fps), options=options)
            stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _entries(counts: Mapping[str, int]) -> Iterator[tuple[str, int, int, str]]:
    """(split, label, number, path relative to the dataset) of every video; the labels alternate within a split."""
    for split, count in counts.items():
        for number in range(count):
            for label, motion in enumerate(MOTIONS):
                yield split, label, number, f"videos/{split}/{motion}/{number:05d}.mp4"


def _manifest(spec: RenderSpec, counts: Mapping[str, int], seed: int) -> dict:
    return {
        "renderer_version": RENDERER_VERSION,
        "spec": {name: value for name, value in asdict(spec).items() if value != "easy"},  # as it was before "hard"
        "counts": dict(counts),
        "seed": seed,
        "motions": list(MOTIONS),
        "encoding": {"codec": "libx264", "crf": CRF, "preset": PRESET, "gop": GOP},
    }


def _compare(path: Path, wanted: dict) -> None:
    """Raises DataError where the manifest at `path` is not `wanted`."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}); delete the folder to have it rendered anew") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: not a manifest; delete the folder to have it rendered anew")
    differing = [name for name in sorted(wanted.keys() | found.keys()) if found.get(name) != wanted.get(name)]
    if differing:
        details = "; ".join(f"{name} is {found.get(name)}, wanted {wanted.get(name)}" for name in differing)
        raise DataError(
            f"{path}: holds another synthetic dataset ({details}); choose another folder or delete this one"
        )


def _check_only_ours(directory: Path, counts: Mapping[str, int]) -> None:
    """An unfinished folder may hold this rendering's files alone. Removes what a dead process left half-written."""
    ours = {path for *_, path in _entries(counts)} | {f"{split}.csv" for split in counts} | {"classes.txt", PLAN}
    for path in sorted(path for path in directory.rglob("*") if not path.is_dir()):
        name = path.relative_to(directory).as_posix()
        if TEMPORARY.fullmatch(path.name):
            if time.time() - path.stat().st_mtime > STALE_AFTER_S:
                path.unlink(missing_ok=True)
        elif name not in ours or not (directory / PLAN).is_file():
            raise DataError(
                f"{directory}: holds {name}, which is no part of this dataset; choose an empty or new folder"
            )


def write_dataset(
    directory: str | os.PathLike, spec: RenderSpec, counts: Mapping[str, int], seed: int, workers: int | None = None
) -> None:
    """Renders the dataset into `directory`: new, empty, or left unfinished by the same call. Complete ones are kept.

    Args:
        directory: created where it is missing.
        spec: size of the videos.
        counts: videos per class of each of ``SPLITS``, at least 1 each.
        seed: not negative. Other seeds give other videos.
        workers: videos rendered side by side; None takes one per core.

    Raises:
        DataError: the folder holds another dataset or foreign files.
        ConfigError: a count, the seed or `workers` is out of bounds.
    """
    workers = (os.cpu_count() or 1) if workers is None else workers
    if sorted(counts) != sorted(SPLITS):
        raise ConfigError(
            f"synthetic dataset: counts are for {sorted(counts)}; give one for each of {', '.join(SPLITS)}"
        )
    counts = {split: counts[split] for split in SPLITS}
    for name, value, low in (
        *((f"count of {k}", v, 1) for k, v in counts.items()),
        ("seed", seed, 0),
        ("workers", workers, 1),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise ConfigError(f"synthetic dataset: {name} is {value!r}; give a whole number of at least {low}")
    directory, manifest = Path(directory), _manifest(spec, counts, seed)
    if directory.exists() and not directory.is_dir():
        raise DataError(f"{directory}: a file, where the synthetic dataset's folder should be; choose another path")
    for name in (MANIFEST, PLAN):
        if (directory / name).is_file():
            _compare(directory / name, manifest)
    if (directory / MANIFEST).is_file():
        return
    directory.mkdir(parents=True, exist_ok=True)
    _check_only_ours(directory, counts)
    _write_text(directory / PLAN, json.dumps(manifest, indent=2) + "\n")

    entries = list(_entries(counts))
    for folder in sorted({(directory / path).parent for *_, path in entries}):
        folder.mkdir(parents=True, exist_ok=True)

    def write_one(entry: tuple[str, int, int, str]) -> None:
        split, label, number, path = entry
        if not (directory / path).exists():
            rng = np.random.default_rng((seed, SPLITS.index(split), label, number))
            write_video(directory / path, render_clip(MOTIONS[label], rng, spec), spec.fps)

    start = time.monotonic()
    logger.info("%s: rendering %d videos of %d classes", directory, len(entries), len(MOTIONS))
    # Threads, not processes: OpenCV, NumPy and the encoder work outside Python's lock, and a caller that has
    # already started torch can neither be forked safely nor be asked to guard its main module.
    pool = ThreadPoolExecutor(workers)
    try:
        with show_progress("rendering", len(entries), "videos") as steps:
            for _ in pool.map(write_one, entries):
                steps.advance()
    finally:
        pool.shutdown(cancel_futures=True)

    for split in counts:
        lines = [f"{path} {label}\n" for of, label, _, path in entries if of == split]
        _write_text(directory / f"{split}.csv", "".join(lines))
    _write_text(directory / "classes.txt", "".join(f"{motion}\n" for motion in MOTIONS))
    _write_text(directory / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    (directory / PLAN).unlink(missing_ok=True)
    logger.info("%s: %d videos rendered in %.1f s", directory, len(entries), time.monotonic() - start)


def ensure_dataset(cfg) -> str:
    """Makes sure that DATA.PATH_TO_DATA_DIR holds the dataset that `cfg` asks for, rendering it where it is missing.

    Args:
        cfg: CfgNode with SYNTHETIC (NUM_TRAIN, NUM_VAL, NUM_TEST videos per class, SEED, SIZE [height, width],
            NUM_FRAMES, FPS, DIFFICULTY), DATA.PATH_TO_DATA_DIR, DATA.PATH_PREFIX and MODEL.NUM_CLASSES.

    Returns:
        The prefix to join to the paths of the lists: DATA.PATH_TO_DATA_DIR as it was given.

    Raises:
        ConfigError: the config contradicts the dataset.
        DataError: the folder holds another dataset or foreign files.
    """
    directory, prefix, wanted = str(cfg.DATA.PATH_TO_DATA_DIR), str(cfg.DATA.PATH_PREFIX), cfg.SYNTHETIC
    if len(MOTIONS) != cfg.MODEL.NUM_CLASSES:
        raise ConfigError(
            f"MODEL.NUM_CLASSES is {cfg.MODEL.NUM_CLASSES}; the synthetic dataset has {len(MOTIONS)}: set that"
        )
    if not directory:
        raise ConfigError("DATA.PATH_TO_DATA_DIR is empty; name the folder that shall hold the synthetic dataset")
    if prefix and os.path.realpath(prefix) != os.path.realpath(directory):
        raise ConfigError(f"DATA.PATH_PREFIX is {prefix!r}; the synthetic dataset needs it empty, or {directory!r}")
    if len(wanted.SIZE) != 2:
        raise ConfigError(f"SYNTHETIC.SIZE is {wanted.SIZE}; give [height, width] in pixels")
    spec = RenderSpec(*wanted.SIZE, num_frames=wanted.NUM_FRAMES, fps=wanted.FPS, difficulty=wanted.DIFFICULTY)
    counts = {"train": wanted.NUM_TRAIN, "val": wanted.NUM_VAL, "test": wanted.NUM_TEST}
    write_dataset(directory, spec, counts, wanted.SEED)
    return directory
