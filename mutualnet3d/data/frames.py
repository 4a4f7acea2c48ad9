"""Videos whose frames lie in a folder, one picture file each, behind the interface of a video file."""

from collections.abc import Callable

import cv2
import numpy as np

from mutualnet3d.data.decode import VideoReader, refuse_what_is_no_file, resize
from mutualnet3d.errors import VideoError
from mutualnet3d.faults import refuse_machine_fault


class FrameReader(VideoReader):
    """See :class:`mutualnet3d.data.decode.VideoReader`. Nothing is read before frames are asked for.

    A file that is missing, cut off or no picture is a VideoError that names it; so is one of another size than the
    others. Damage inside a whole JPEG cannot be told from its content.

    Args:
        path: name of the video, for messages.
        num_frames: how many frames it has.
        picture_path: from a frame number to its file.
        fps: frames per second that the frames were taken at.
    """

    def __init__(self, path: str, num_frames: int, picture_path: Callable[[int], str], fps: float):
        self.path, self.num_frames, self.fps = path, num_frames, fps
        self.promised_frames = num_frames
        self._picture_path = picture_path

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the first frame."""
        return read_picture(self._picture_path(0)).shape[:2]

    def count_decodable(self) -> int:
        """Decode every file, and return how many there are."""
        for frame in range(self.num_frames):
            read_picture(self._picture_path(frame))
        return self.num_frames

    def close(self) -> None:
        """Nothing is open between calls."""

    def _decode(self, wanted: list[int], short_side: int | None) -> dict[int, np.ndarray]:
        images = {}
        for index in wanted:
            path = self._picture_path(index)
            picture = read_picture(path)
            if index == wanted[0]:
                size = picture.shape
            elif picture.shape != size:
                raise VideoError(path, f"is {picture.shape[:2]} pixels high and wide, the frames before it {size[:2]}")
            images[index] = resize(picture, short_side)
        return images


def read_picture(path: str) -> np.ndarray:
    """uint8 (H, W, 3), RGB. Raises VideoError where the file is missing, cut off or no picture."""
    refuse_what_is_no_file(path)
    try:
        with open(path, "rb") as file:
            content = file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        refuse_machine_fault(error)
        raise VideoError(path, f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    if _is_cut_off(content):
        raise VideoError(path, "the JPEG file is cut off")
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    except cv2.error as error:
        raise VideoError(path, f"is not a readable picture: {error.err}") from error
    if picture is None:
        raise VideoError(path, "is not a readable picture" if content else "the file is empty")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=picture)


def _is_cut_off(content: bytes) -> bool:
    """Whether a JPEG has no end after the beginning of its first scan: OpenCV would fill the rest with grey and say
    nothing. What stands before, such as a small picture in its Exif data, and after the end is not looked at."""
    if not content.startswith(b"\xff\xd8"):
        return False
    position = content.find(b"\xff", 2)
    while 0 <= position < len(content) - 1:
        marker = content[position + 1]
        if marker == 0xDA:  # of a scan, in whose data every other FF is followed by 0 or the number of a restart
            return content.find(b"\xff\xd9", position) < 0
        filled = marker == 0xFF  # bytes FF may precede a marker
        position += 1 if filled else 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        position = content.find(b"\xff", position)
    return False  # no scan: what is wrong, OpenCV finds
