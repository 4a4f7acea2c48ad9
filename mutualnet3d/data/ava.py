"""Key frames of movies with boxes: random clips for training, whole frames for testing."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np
import torch
from torch.utils.data import Dataset

from mutualnet3d.data.ava_table import KeyFrameEntry, KeyFrameTable
from mutualnet3d.data.boxes import have_area, move_to_window, to_pixels
from mutualnet3d.data.decode import VideoReader
from mutualnet3d.data.detection import DetectionTrainItem, KeyFrameItem
from mutualnet3d.data.draws import item_generator
from mutualnet3d.data.sampling import ClipSpec, clip_around, key_frame_number
from mutualnet3d.data.substitutes import first_readable, reason_within
from mutualnet3d.data.transforms import TrainTransform, draw_scale, draw_window
from mutualnet3d.errors import VideoError

_MAX_WINDOWS = 10
_FAR = 250  # frames, about one group of pictures: clips farther apart than this share no decoding


class DetectionClips(Dataset):
    """Clips around key frames, randomly scaled, cropped and mirrored. Keys are (epoch, index), and every draw follows
    from (seed, epoch, index) alone, as in :class:`mutualnet3d.data.kinetics.TrainClips`.

    As in PySlowFast the inverse of the scale is drawn uniformly and boxes are clipped to the crop. PySlowFast keeps
    boxes that lie outside as lines on its edge; here they are dropped, and up to 10 crops are drawn until one shows
    somebody. Where none does, the item has no boxes.
    """

    def __init__(self, entries: KeyFrameTable, cfg, seed: int):
        self.entries = entries
        self._seed = seed
        self._spec = ClipSpec.from_cfg(cfg)
        self._transform = replace(TrainTransform.from_cfg(cfg), inverse_uniform=True)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: tuple[int, int]) -> DetectionTrainItem:
        """Raises DataError where 100 videos in a row cannot be read."""
        epoch, index = key
        rng = item_generator(self._seed, epoch, index)
        item, index, failures = first_readable(
            index, lambda i: self.entries[i].path, len(self), lambda i: self._item(i, rng), rng
        )
        return replace(item, failures=failures)

    def _item(self, index: int, rng: np.random.Generator) -> DetectionTrainItem:
        entry = self.entries[index]
        with self.entries.movies.open(entry.video) as video:
            indices = _clip_indices(entry, video, self.entries.start_second, self._spec)
            frames = video.frames(indices, short_side=draw_scale(self._transform, rng))
        height, width = frames.shape[1:3]
        whole = to_pixels(entry.boxes, height, width)
        for _ in range(_MAX_WINDOWS):
            window = draw_window(height, width, self._transform, rng)
            boxes = move_to_window(whole, window)
            seen = have_area(boxes)
            if seen.any():
                break
        return DetectionTrainItem(
            clip=torch.from_numpy(window.cut(frames)).permute(3, 0, 1, 2),
            boxes=torch.from_numpy(boxes[seen].astype(np.float32)),
            labels=torch.from_numpy(entry.labels[seen]),
            index=index,
        )


class KeyFrames(Dataset):
    """Key frames to test on, in the order of the table: by video, then by time. Frames are scaled and not cropped, for
    validation between epochs neither, where PySlowFast cuts out the centre.

    The key frames of an unreadable video are items with ``error`` and no clip.
    """

    def __init__(self, entries: KeyFrameTable, cfg):
        self.entries = entries
        self._spec = ClipSpec.from_cfg(cfg)
        self._short_side = cfg.DATA.TEST_CROP_SIZE

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> KeyFrameItem:
        return self.read([index])[0]

    def read(self, indices: Sequence[int]) -> list[KeyFrameItem]:
        """Several key frames. For those of one video that follow one another the video is opened once, and a frame that
        several of their clips share is decoded once."""
        runs = groupby(indices, key=lambda index: self.entries.video[index])
        return [item for _, run in runs for item in self._read_video(list(run))]

    def _read_video(self, indices: list[int]) -> list[KeyFrameItem]:
        items = []
        try:
            with self.entries.movies.open(self.entries[indices[0]].video) as video:
                for near in _neighbourhoods(indices, self._clips(indices, video)):
                    items += self._read_near(near, video)
        except VideoError as error:
            items += [self._unreadable(index, error) for index in indices[len(items) :]]
        return items

    def _clips(self, indices: list[int], video: VideoReader) -> list[np.ndarray]:
        start = self.entries.start_second
        return [_clip_indices(self.entries[index], video, start, self._spec) for index in indices]

    def _read_near(self, near: list[tuple[int, np.ndarray]], video: VideoReader) -> list[KeyFrameItem]:
        """Items of clips that lie close together; damage costs those that it lies in."""
        needed, positions = np.unique(np.concatenate([clip for _, clip in near]), return_inverse=True)
        try:
            frames = video.frames(needed, short_side=self._short_side)
        except VideoError as error:
            if len(near) == 1:
                return [self._unreadable(near[0][0], error)]
            return [item for one in near for item in self._read_near([one], video)]
        clips = positions.reshape(len(near), -1)
        return [self._item(index, frames[clip]) for (index, _), clip in zip(near, clips, strict=True)]

    def _item(self, index: int, frames: np.ndarray) -> KeyFrameItem:
        entry = self.entries[index]
        return KeyFrameItem(
            clip=torch.from_numpy(frames).permute(3, 0, 1, 2),
            boxes=torch.from_numpy(to_pixels(entry.boxes, *frames.shape[1:3]).astype(np.float32)),
            normalised_boxes=torch.from_numpy(entry.boxes),
            video=entry.video,
            second=entry.second,
            path=entry.path,
            index=index,
        )

    def _unreadable(self, index: int, error: VideoError) -> KeyFrameItem:
        entry, none = self.entries[index], torch.empty(0, 4)
        reason = reason_within(error, entry.path)
        return KeyFrameItem(None, none, none.double(), entry.video, entry.second, entry.path, index, reason)


def _clip_indices(entry: KeyFrameEntry, video: VideoReader, start_second: int, spec: ClipSpec) -> np.ndarray:
    center = key_frame_number(entry.second - start_second, video.fps)
    return clip_around(center, video.num_frames, video.fps, spec)


def _neighbourhoods(indices: list[int], clips: list[np.ndarray]) -> list[list[tuple[int, np.ndarray]]]:
    """(index, clip) in groups: a group ends where the next clip is far from those before it."""
    groups = [[(indices[0], clips[0])]]
    for index, clip in zip(indices[1:], clips[1:], strict=True):
        if abs(int(clip[0]) - int(groups[-1][-1][1][-1])) > _FAR:
            groups.append([])
        groups[-1].append((index, clip))
    return groups
