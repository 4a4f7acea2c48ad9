"""What the packets of a video file say about its frames, read without decoding any of them."""

from dataclasses import dataclass

import av
import numpy as np

from mutualnet3d.faults import refuse_machine_fault

# Containers that carry decoding times only: the times of their B-frames are guesses, so frames are counted instead.
_WITHOUT_PRESENTATION_TIMES = ("avi",)
_VP8_SHOW_FRAME = 0x10


@dataclass(frozen=True)
class FrameIndex:
    """The frames of one video stream.

    Attributes:
        num_frames: packets that hold a shown frame.
        times: presentation times in the stream's time base, ascending, one per frame; None where the packets carry
            no usable ones, and then frames can only be counted from the start.
        key_times: presentation times of the key frames, in the order of decoding; empty where ``times`` is None.
        key_seeks: where to seek for each of them (same length), in the stream's time base.
    """

    num_frames: int
    times: np.ndarray | None
    key_times: np.ndarray
    key_seeks: np.ndarray

    def seek_point(self, frame: int) -> tuple[int, int] | None:
        """(frame number, seek time) of the last key frame shown at or before ``frame``; None: start at frame 0."""
        if self.times is None:
            return None
        usable = np.flatnonzero(self.key_times <= self.times[frame])
        if usable.size == 0:
            return None
        best = usable[np.argmax(self.key_times[usable])]
        return int(np.searchsorted(self.times, self.key_times[best])), int(self.key_seeks[best])


def read_index(container, stream) -> FrameIndex:
    """Read every packet of ``stream`` (about 6 microseconds each). The container is left at its end.

    A file whose end is missing yields the packets that are there.
    """
    times, keys = [], []
    for packet in _packets(container, stream):
        times.append(packet.pts)
        if packet.is_keyframe:
            keys.append((packet.pts, packet.dts))
    timed = (
        len(times) > 0
        and None not in times
        and len(set(times)) == len(times)
        and not any(name in container.format.name.split(",") for name in _WITHOUT_PRESENTATION_TIMES)
    )
    if not timed:
        return FrameIndex(len(times), None, np.empty(0, np.int64), np.empty(0, np.int64))
    # MP4 and MOV look a seek time up among decoding times, the others among presentation times.
    by_decoding_time = "mp4" in container.format.name
    seeks = [dts if by_decoding_time and dts is not None else pts for pts, dts in keys]
    key_times = np.array([pts for pts, _ in keys], dtype=np.int64)
    return FrameIndex(len(times), np.sort(np.array(times, dtype=np.int64)), key_times, np.array(seeks, dtype=np.int64))


def _packets(container, stream):
    """Packets that hold a frame which is shown."""
    is_vp8 = stream.codec_context.name in ("vp8", "libvpx")
    try:
        for packet in container.demux(stream):
            hidden = packet.is_discard or (is_vp8 and packet.size and not memoryview(packet)[0] & _VP8_SHOW_FRAME)
            if packet.size and not hidden:
                yield packet
    except av.FFmpegError as error:  # the file ends within a packet: what came before it is what there is
        refuse_machine_fault(error)
        return
