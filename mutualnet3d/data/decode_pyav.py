"""Frames by PyAV: seek to the key frame, decode up to the last wanted frame, convert only the wanted ones."""

import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

from mutualnet3d.data.decode import VideoReader, resize
from mutualnet3d.data.decode_index import FrameIndex, read_index
from mutualnet3d.errors import VideoError
from mutualnet3d.faults import refuse_machine_fault

# Playlists that name network addresses must not be followed: no video file may make a training run wait for a server.
_OPTIONS = {"protocol_whitelist": "file,crypto,data"}


class PyAVReader(VideoReader):
    """See :class:`mutualnet3d.data.decode.VideoReader`. One decoding thread: workers are the parallelism."""

    def __init__(self, path: str, index: FrameIndex | None = None):
        self.path = path
        self._reformatter = VideoReformatter()
        self._open()
        self.index = index or read_index(self._container, self._stream)
        self.num_frames = self.index.num_frames
        self.promised_frames = self._stream.frames or None
        if self.num_frames == 0:
            self.close()
            raise VideoError(path, "the video stream holds no frame")
        rate = self._stream.average_rate or self._stream.guessed_rate or self._stream.base_rate
        if not rate:
            self.close()
            raise VideoError(path, "the container names no frame rate")
        self.fps = float(rate)

    @cached_property
    def size(self) -> tuple[int, int]:
        """(height, width) after rotation; decodes the first frame, which knows the rotation."""
        return self._decode([0], None)[0].shape[:2]

    def count_decodable(self) -> int:
        """Decode everything from the start and count."""
        self._reopen()
        with _silence():
            return sum(1 for _ in self._decoded_frames())

    def all_frames(self) -> Iterator[np.ndarray]:
        """See :meth:`VideoReader.all_frames`. No other method may be called between two frames."""
        self._reopen()
        frames = self._decoded_frames()
        while True:
            with _silence():
                frame = next(frames, None)
            if frame is None:
                return
            yield self._picture(frame, None)

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _decode(self, wanted: list[int], short_side: int | None) -> dict[int, np.ndarray]:
        with _silence():
            images = self._decode_by_time(wanted, short_side)
            return self._decode_by_counting(wanted, short_side) if images is None else images

    def _decode_by_time(self, wanted: list[int], short_side: int | None) -> dict[int, np.ndarray] | None:
        """Decode from the nearest key frame on and tell frames by their times. None where the decoder's frames are not
        those that the packets announced (gradual refresh, wrong times): then only counting from the start is exact."""
        start = self.index.seek_point(wanted[0])
        if start is None:
            return None
        key_frame, seek_time = start
        try:
            self._container.seek(seek_time, stream=self._stream)
        except av.FFmpegError as error:
            refuse_machine_fault(error)
            return None
        times = self.index.times
        # Only H.264 says reliably which frames no other frame needs: those are not decoded where they are not wanted.
        skippable = self._stream.codec_context.name == "h264"
        needed = set(times[[key_frame, *wanted]].tolist()) if skippable else None
        images, previous = {}, key_frame - 1
        for frame in self._decoded_frames(needed):
            if frame.pts is None:
                return None
            current = int(np.searchsorted(times, frame.pts))
            if previous < key_frame and current < key_frame:
                continue  # shown before the key frame: belongs to the group of pictures before it
            in_order = current == previous + 1 or (skippable and current > previous >= key_frame)
            if not in_order or current == self.num_frames or times[current] != frame.pts:
                return None
            previous = current
            if current == wanted[len(images)]:
                images[current] = self._picture(frame, short_side)
                if len(images) == len(wanted):
                    return images
            elif current > wanted[len(images)]:
                return None
        return None

    def _decode_by_counting(self, wanted: list[int], short_side: int | None) -> dict[int, np.ndarray]:
        """Decode from the start of the file and count frames as they come out."""
        self._reopen()
        images, last, count = {}, None, 0
        for frame in self._decoded_frames():
            position = bisect.bisect_left(wanted, count)
            if position < len(wanted) and wanted[position] == count:
                images[count] = self._picture(frame, short_side)
            last, count = frame, count + 1
            if count > wanted[-1]:
                return images
        if last is None:
            raise VideoError(self.path, "no frame can be decoded")
        picture = images[count - 1] if count - 1 in images else self._picture(last, short_side)
        return images | {index: picture for index in wanted if index >= count}

    def _decoded_frames(self, needed: set[int] | None = None) -> Iterator[av.VideoFrame]:
        """Frames from the current position on, in the order of presentation; without those that no other frame refers
        to if their times are not among the ``needed`` (None: every frame is needed).

        Damage in the last packet of the file ends the video there (a cut-off file); elsewhere it is a VideoError.
        """
        packets = _until_unreadable(self._container.demux(self._stream))
        context = self._stream.codec_context
        for packet in packets:
            context.skip_frame = "DEFAULT" if needed is None or packet.pts in needed else "NONREF"
            try:
                yield from packet.decode()
            except av.FFmpegError as error:
                refuse_machine_fault(error)
                if any(later.size for later in packets):
                    raise VideoError(self.path, f"damaged at {_second(packet)}: {error.strerror}") from error
        try:
            yield from context.decode(None)  # what the decoder still holds back
        except av.EOFError:
            return
        except av.FFmpegError as error:  # damage in the last packet, reported late
            refuse_machine_fault(error)
            return

    def _picture(self, frame: av.VideoFrame, short_side: int | None) -> np.ndarray:
        """uint8 (H, W, 3) RGB of one frame, of the size that the file begins with, upright and scaled."""
        rgb = self._reformatter.reformat(frame, *self._size, format="rgb24", threads=1).to_ndarray()
        return resize(_upright(rgb, frame), short_side)

    def _open(self) -> None:
        # "file:" keeps names such as "a:b.mp4" from being read as addresses; titles may be in any encoding.
        with _silence():
            try:
                self._container = av.open("file:" + self.path, options=_OPTIONS, metadata_errors="replace")
            except (av.FFmpegError, ValueError) as error:
                refuse_machine_fault(error)
                raise VideoError(self.path, f"is not a readable video: {_reason(error)}") from error
        self._stream = _best_video_stream(self._container)
        if self._stream is None:
            self._container.close()
            raise VideoError(self.path, "has no video stream that can be decoded")
        context = self._stream.codec_context
        context.thread_count = 1
        self._size = context.width, context.height  # joined files change it on their way

    def _reopen(self) -> None:
        self.close()
        self._open()


def _best_video_stream(container):
    """The stream that a player would choose, never a cover picture; None where there is no video to decode."""
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None
    ]
    best = container.streams.best("video")
    return best if best in streams else next(iter(streams), None)


def _upright(rgb: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Turned and mirrored by quarters as the display matrix of ``frame`` says; PyAV's ``rotation`` knows no mirror."""
    matrices = [bytes(data) for data in frame.side_data if data.type == av.sidedata.sidedata.Type.DISPLAYMATRIX]
    if not matrices:
        return rgb
    a, b, _, c, d = np.frombuffer(matrices[0], np.int32)[:5].tolist()  # x' = a x + c y, y' = b x + d y
    turned, right, down = (rgb.swapaxes(0, 1), c, b) if abs(b) > abs(a) else (rgb, a, d)
    return np.ascontiguousarray(turned[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])


def _until_unreadable(packets) -> Iterator:
    """Packets up to the point where the file cannot be read further."""
    try:
        yield from packets
    except av.FFmpegError as error:
        refuse_machine_fault(error)
        return


def _second(packet) -> str:
    time = packet.pts if packet.pts is not None else packet.dts
    return "an unknown time" if time is None else f"second {float(time * packet.time_base):.2f}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def _silence():
    """Keep FFmpeg's own messages off standard error while one of our calls runs."""
    before = av.logging.get_level()
    av.logging.set_level(None)
    try:
        yield
    finally:
        av.logging.set_level(before)
