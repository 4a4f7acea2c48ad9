"""PySlowFast's frame lists: ``original_vido_id video_id frame_id path labels`` for every frame of every video."""

import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mutualnet3d.errors import DataError

_HEADERS = (b"original_vido_id", b"original_video_id")  # the first is how PySlowFast's files spell it
_COLUMNS = "original_vido_id video_id frame_id path labels"


@dataclass(frozen=True)
class FrameList:
    """The frames of many videos in a few flat arrays, which worker processes share instead of copying.

    Attributes:
        videos: names, in the order of their first lines.
        first: int64 (V + 1,): frames first[v] .. first[v + 1] - 1 of the arrays below belong to video v.
        prefix: folder that the paths are relative to.
        text: the paths of all lines, one after the other, in UTF-8.
        begins, ends: int64 (F,): where the path of each frame lies in ``text``.
        label_frames: int64 (L,), ascending: the frame of each label.
        label_ids: int32 (L,): the labels.
    """

    videos: tuple[str, ...]
    first: np.ndarray
    prefix: str
    text: bytes
    begins: np.ndarray
    ends: np.ndarray
    label_frames: np.ndarray
    label_ids: np.ndarray

    def num_frames(self, video: int) -> int:
        """Frames of a video."""
        return int(self.first[video + 1] - self.first[video])

    def path(self, video: int, frame: int) -> str:
        """Where the picture of a frame lies."""
        at = self.first[video] + frame
        return os.path.join(self.prefix, self.text[self.begins[at] : self.ends[at]].decode())

    def labels(self, video: int, first: int = 0, last: int | None = None) -> list[int]:
        """Labels, ascending and each once, that any of the frames first..last (both included; None: to the end) has."""
        start = self.first[video] + first
        stop = self.first[video + 1] if last is None else self.first[video] + last + 1
        low, high = np.searchsorted(self.label_frames, [start, stop])
        return np.unique(self.label_ids[low:high]).tolist()


def read_frame_lists(paths: Sequence[str | os.PathLike], prefix: str = "", num_classes: int | None = None) -> FrameList:
    """Read lists one after the other into one.

    The frames of a video are those of its lines, in their order; columns are separated by blanks or tabs.

    Args:
        prefix: folder that the paths in the lists are relative to.
        num_classes: labels must lie below it; None: the labels are not read.

    Raises:
        DataError: naming file and line: no such file, no header, no frame, a line that has not five columns, a frame
            number that does not ascend within its video, a label that is no integer or out of range.
    """
    reader = _Reader(num_classes)
    for path in paths:
        reader.read(os.fspath(path))
    if not reader.codes:
        named = ", ".join(map(os.fspath, paths)) or "an empty list of files"
        raise DataError(f"{named}: holds no frame; write {_COLUMNS!r} and then one line per frame")
    return reader.result(prefix)


class _Reader:
    """Lines in, arrays out."""

    def __init__(self, num_classes: int | None):
        self.num_classes = num_classes
        self.names: dict[bytes, int] = {}
        self.last_frame: list[int] = []  # of each video
        self.codes = array("i")  # video of each line
        self.text, self.ends = bytearray(), array("q")
        self.label_rows, self.label_ids = array("q"), array("i")
        self.known_labels: dict[bytes, tuple[int, ...]] = {b'""': ()}

    def read(self, path: str) -> None:
        first = len(self.ends)
        try:
            with open(path, "rb") as file:
                self._read_header(file.readline().removeprefix(b"\xef\xbb\xbf"), path)
                self._read_lines(file, path)
            if not (self.text.isascii() and all(map(bytes.isascii, self.names))):
                self._decode_all(first)
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{_line_outside_utf8(path)}: is not UTF-8 text; save the list as UTF-8") from error
        except OSError as error:
            raise DataError(
                f"{path}: cannot be read: {error.strerror}; PySlowFast's frame list is expected there, with the "
                f"header {_COLUMNS!r}"
            ) from error

    def _decode_all(self, first: int) -> None:
        """UnicodeDecodeError unless every name, and every path from line ``first`` on, is UTF-8 for itself."""
        for name in self.names:
            name.decode()
        begin = self.ends[first - 1] if first else 0
        for end in self.ends[first:]:
            self.text[begin:end].decode()
            begin = end

    def _read_header(self, line: bytes, path: str) -> None:
        if not line.startswith(_HEADERS):
            shown = line[:60].decode(errors="replace").strip()
            raise DataError(f"{path}:1: the header {_COLUMNS!r} is expected, not {shown!r}")

    def _read_lines(self, lines, path: str) -> None:
        names, last_frame, codes, text, ends = self.names, self.last_frame, self.codes, self.text, self.ends
        for number, line in enumerate(lines, start=2):
            try:
                name, _, frame, picture, labels = line.split()
                frame = int(frame)
            except ValueError:
                if not line.strip():
                    continue
                raise DataError(
                    f"{path}:{number}: {line[:120].decode(errors='replace').strip()!r} is not {_COLUMNS!r} with five "
                    "columns without blanks and an integer as frame_id"
                ) from None
            code = names.setdefault(name, len(last_frame))
            if code == len(last_frame):
                last_frame.append(frame - 1)
            if frame <= last_frame[code]:
                raise DataError(
                    f"{path}:{number}: frame_id {frame} of {name.decode(errors='replace')} follows "
                    f"{last_frame[code]}; the frames of a video must be listed once each and ascend"
                )
            last_frame[code] = frame
            if self.num_classes is not None and labels != b'""':
                self._add_labels(labels, f"{path}:{number}")
            codes.append(code)
            text += picture
            ends.append(len(text))

    def _add_labels(self, text: bytes, where: str) -> None:
        """Note the labels of the line that comes next."""
        ids = self.known_labels.get(text)
        if ids is None:
            ids = self.known_labels[text] = _parse_labels(text, self.num_classes, where)
        for label in ids:
            self.label_rows.append(len(self.codes))
            self.label_ids.append(label)

    def result(self, prefix: str) -> FrameList:
        videos = tuple(name.decode() for name in self.names)
        codes, ends = np.array(self.codes, np.int64), np.array(self.ends, np.int64)
        order = np.argsort(codes, kind="stable")  # the lines of a video need not stand together
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        begins = np.concatenate([[0], ends[:-1]])
        label_frames = place[np.array(self.label_rows, np.int64)]
        by_frame = np.argsort(label_frames, kind="stable")
        return FrameList(
            videos=videos,
            first=np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(videos)))]),
            prefix=os.fspath(prefix),
            text=bytes(self.text),
            begins=begins[order],
            ends=ends[order],
            label_frames=label_frames[by_frame],
            label_ids=np.array(self.label_ids, np.int32)[by_frame],
        )


def _line_outside_utf8(path: str) -> int:
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 1


def _parse_labels(text: bytes, num_classes: int, where: str) -> tuple[int, ...]:
    """Classes of a column such as ``"3,17"``; the quotes may be missing or doubled."""
    words = text.replace(b'"', b"").decode(errors="replace")
    try:
        ids = tuple(int(word) for word in words.split(",")) if words else ()
    except ValueError:
        raise DataError(
            f'{where}: the labels are {words!r}; write integers with commas and no blanks, such as "3,17", or ""'
        ) from None
    wrong = [label for label in ids if not 0 <= label < num_classes]
    if wrong:
        raise DataError(
            f"{where}: the label is {wrong[0]}; with MODEL.NUM_CLASSES {num_classes} it must be in 0..{num_classes - 1}"
        )
    return ids
