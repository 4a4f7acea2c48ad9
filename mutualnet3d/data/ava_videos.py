"""Where the frames of AVA lie: pictures in folders, or the movies themselves."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mutualnet3d.data.decode import VideoReader, open_video, resolve_backend
from mutualnet3d.data.decode_index import FrameIndex
from mutualnet3d.data.frame_list import FrameList, read_frame_lists
from mutualnet3d.data.frames import FrameReader
from mutualnet3d.errors import ConfigError

EXTENSIONS = (".mp4", ".mkv", ".webm", ".avi")  # of movies; the first that is there counts


class Movies(Protocol):
    """Videos by name.

    Attributes:
        videos: names, where they are listed, in that order; None: any name may be asked for.
    """

    videos: tuple[str, ...] | None

    def path(self, video: str) -> str:
        """Names the video in messages."""

    def open(self, video: str) -> VideoReader:
        """The open video. Raises VideoError."""


@dataclass(frozen=True)
class ListedPictures:
    """Videos of PySlowFast's frame lists, taken at ``fps`` frames per second."""

    frames: FrameList = field(repr=False)
    fps: float
    numbers: dict[str, int] = field(repr=False)

    @property
    def videos(self) -> tuple[str, ...]:
        """Names in the order of the lists."""
        return self.frames.videos

    def path(self, video: str) -> str:
        """Folder of the pictures and name of the video."""
        return os.path.join(self.frames.prefix, video)

    def open(self, video: str) -> VideoReader:
        """A reader of the pictures."""
        number = self.numbers[video]
        count = self.frames.num_frames(number)
        return FrameReader(self.path(video), count, lambda frame: self.frames.path(number, frame), self.fps)


@dataclass(frozen=True)
class MovieFiles:
    """Files ``<video>.mp4`` (or .mkv, .webm, .avi) in a folder.

    Attributes:
        indexes: of the movies that were opened before, so that no packet of a long movie is read twice.
    """

    folder: Path
    backend: str
    indexes: dict[str, FrameIndex | None] = field(default_factory=dict, repr=False)
    videos: None = None

    def path(self, video: str) -> str:
        """The file of a video, whether it is there or not."""
        candidates = [str(self.folder / (video + extension)) for extension in EXTENSIONS]
        return next(filter(os.path.isfile, candidates), candidates[0])

    def open(self, video: str) -> VideoReader:
        """The open file."""
        return open_video(self.path(video), self.backend, self.indexes.get(video))


def find_movies(cfg, lists: list[str]) -> Movies:
    """The movies of AVA.VIDEO_DIR; or else the pictures of the frame ``lists`` in AVA.FRAME_LIST_DIR, which lie in
    AVA.FRAME_DIR and were taken at AVA.FPS frames per second.

    Raises:
        ConfigError: both are given, or neither.
        DataError: naming file and line, see :func:`mutualnet3d.data.frame_list.read_frame_lists`.
    """
    ava = cfg.AVA
    if bool(ava.VIDEO_DIR) == bool(ava.FRAME_LIST_DIR):
        raise ConfigError(
            f"AVA.VIDEO_DIR is {ava.VIDEO_DIR!r} and AVA.FRAME_LIST_DIR is {ava.FRAME_LIST_DIR!r}; give one of them: "
            "the folder of the movies, or the folder of PySlowFast's frame lists (with AVA.FRAME_DIR)"
        )
    if ava.VIDEO_DIR:
        return MovieFiles(Path(ava.VIDEO_DIR), resolve_backend(cfg.DATA.DECODING_BACKEND))
    frames = read_frame_lists([os.path.join(ava.FRAME_LIST_DIR, name) for name in lists], ava.FRAME_DIR)
    return ListedPictures(frames, float(ava.FPS), {name: number for number, name in enumerate(frames.videos)})
