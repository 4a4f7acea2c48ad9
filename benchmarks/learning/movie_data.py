"""Small copies of JHMDB's clips and of the movies made of them, in the formats of Kinetics, Charades and AVA.

Every file is scaled to a shorter side of ``SHORT_SIDE`` pixels, so that decoding does not take most of the time. A
movie shows a clip every two seconds. For several labels the movies are cut into parts of two neighbouring clips, four
seconds: whole movies show three quarters of all classes, which leaves nothing to tell apart.
"""

import csv
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mutualnet3d.data.decode import resize
from mutualnet3d.errors import DataError
from mutualnet3d.files import atomic_write

SHORT_SIDE, FPS = 96, 30
FIRST_FRAME, SLOT = 30, 60  # of a movie: where the first clip's two seconds begin, and how long they last
PARTS = ("train", "val")


@dataclass(frozen=True)
class Amount:
    """How much of the data is used: movies of each list, clips of each of mini8's lists; None: all."""

    movies: int | None = None
    clips: int | None = None


def prepare(source: Path, target: Path, amount: Amount) -> None:
    """Write ``target``/mini8, /movies and /parts; what is finished stays."""
    done = target / "complete"
    if done.exists():
        if done.read_text() != str(amount):
            raise DataError(f"{target} holds {done.read_text()}, wanted is {amount}; choose another --output")
        return
    slots = read_slots(source / "jhmdb_movies" / "slots.csv")
    movies = {part: sorted(name for name in slots if f"_{part}_" in name)[: amount.movies] for part in PARTS}
    check_films(source, [slot.clip for name in movies["val"] for slot in slots[name]])
    _write_mini8(source / "jhmdb", target / "mini8", amount.clips)
    shutil.copytree(source / "jhmdb_movies" / "ava" / "annotations", target / "ava", dirs_exist_ok=True)
    classes = [name for _, name in read_list(source / "jhmdb_movies" / "charades" / "classes.txt")]
    rows = {part: ["id,actions\n"] for part in PARTS}
    for part, names in movies.items():
        for name in names:
            frames = small_frames(source / "jhmdb_movies" / "videos" / f"{name}.mp4")
            write_video(target / "movies" / f"{name}.mp4", frames)
            for first in range(0, len(slots[name]) - 1, 1 if part == "train" else 2):
                pair, start = slots[name][first : first + 2], FIRST_FRAME + SLOT * first
                write_video(target / "parts" / f"{name}_{first:02d}.mp4", frames[start : start + 2 * SLOT])
                actions = ";".join(slot.action(classes, start) for slot in pair)
                rows[part].append(f"{name}_{first:02d},{actions}\n")
    for part in PARTS:
        (target / "parts" / f"{part}.csv").write_text("".join(rows[part]))
        _keep_movies(target / "ava", part, movies[part])
    done.write_text(str(amount))


def check_films(source: Path, tested: Iterable[str]) -> None:
    """DataError if mini8's training or validation list has a clip of a film that ``tested`` clips come from."""
    films = {film(clip) for clip in tested}
    for name in PARTS:
        for path, _ in read_list(source / "jhmdb" / "splits" / "mini8" / f"{name}.csv"):
            if film(path) in films:
                raise DataError(f"{path} of mini8's {name} list is of a film that the test movies show")


def film(clip: str) -> str:
    """The source film of a clip: v_golf_g012_c03 is the third clip of film 12."""
    return Path(clip).stem.rpartition("_c")[0]


@dataclass(frozen=True)
class Slot:
    """A clip in a movie: the frames in which it moves; before and after them its first and last frame stand still."""

    clip: str
    first_frame: int
    num_frames: int

    def action(self, classes: list[str], start: int) -> str:
        """As a csv of Charades has it, of a part that begins at frame ``start`` of the movie."""
        begin = self.first_frame - start
        seconds = f"{begin / FPS:.2f} {(begin + self.num_frames) / FPS:.2f}"
        return f"c{classes.index(Path(self.clip).parent.name):03d} {seconds}"


def read_slots(path: Path) -> dict[str, list[Slot]]:
    """The clips of every movie, in time."""
    slots: dict[str, list[Slot]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            slot = Slot(row["jhmdb_clip"], int(row["first_frame"]), int(row["n_frames"]))
            slots.setdefault(row["movie"], []).append(slot)
    return slots


def read_list(path: Path) -> Iterator[tuple[str, str]]:
    """The two columns of a list, for example path and label in Kinetics format."""
    return (tuple(line.split()) for line in path.read_text().splitlines())


def small_frames(path: Path) -> np.ndarray:
    """All frames, uint8 (F, H, W, 3), the shorter side ``SHORT_SIDE``."""
    with av.open(str(path)) as container:
        return np.stack([resize(f.to_ndarray(format="rgb24"), SHORT_SIDE) for f in container.decode(video=0)])


def write_video(path: Path, frames: np.ndarray) -> None:
    """h264 of high quality, with a key frame every 15 frames so that clips are found quickly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "14", "preset": "veryfast", "g": "15"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2, "yuv420p"
        stream.codec_context.thread_count = 1
        for number, image in enumerate(frames[:, : stream.height, : stream.width]):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_mini8(source: Path, target: Path, limit: int | None) -> None:
    for name in PARTS:  # the test list shows the clips of the test movies: it is not read
        listed = list(read_list(source / "splits" / "mini8" / f"{name}.csv"))
        chosen = listed if limit is None else listed[:: len(listed) // limit][:limit]
        for path, _ in chosen:
            write_video(target / path, small_frames(source / path))
        (target / f"{name}.csv").write_text("".join(f"{path} {label}\n" for path, label in chosen))


def _keep_movies(folder: Path, part: str, movies: list[str]) -> None:
    """Leave out the rows of other movies."""
    for name in (f"jm_{part}_v1.csv", f"jm_{part}_predicted_boxes.csv"):
        rows = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join(row for row in rows if row.partition(",")[0] in movies))
