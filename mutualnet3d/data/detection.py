"""What detection data sets give: training clips and batches with boxes, key frames to test on.

Boxes are x1, y1, x2, y2. R counts boxes, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class DetectionTrainItem:
    """One training clip around a key frame.

    Attributes:
        clip: uint8 (3, T, crop, crop), RGB; stored channels last.
        boxes: float32 (R, 4), pixels of the clip; R is 0 where the crop shows nobody.
        labels: float32 (R, K), 1 for each action of a box.
        index: key frame that the clip comes from; not the one asked for where that could not be read.
        failures: (path, reason) of every video that was tried before and could not be read.
    """

    clip: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    index: int
    failures: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class DetectionBatch:
    """N training clips.

    Attributes:
        clips: uint8 (N, 3, T, H, W), stored channels last (``torch.channels_last_3d``).
        boxes: float32 (R, 5), clip in the batch and box in its pixels, of all clips; R may be 0.
        labels: float32 (R, K).
        indices: int64 (N,), the key frames that the clips come from.
        failures: (path, reason) of the unreadable videos met on the way.
    """

    clips: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    indices: torch.Tensor
    failures: tuple[tuple[str, str], ...] = ()

    def pin_memory(self) -> "DetectionBatch":
        """A copy in pinned memory."""
        clips, boxes, labels = (part.pin_memory() for part in (self.clips, self.boxes, self.labels))
        return replace(self, clips=clips, boxes=boxes, labels=labels)

    def to(self, device, non_blocking: bool = True) -> "DetectionBatch":
        """A copy with clips, boxes and labels on ``device``."""
        move = {"device": device, "non_blocking": non_blocking}
        return replace(self, clips=self.clips.to(**move), boxes=self.boxes.to(**move), labels=self.labels.to(**move))


@dataclass(frozen=True)
class KeyFrameItem:
    """The clip of one key frame and the boxes of its people.

    Attributes:
        clip: uint8 (3, T, H, W), RGB, stored channels last, the shorter side DATA.TEST_CROP_SIZE; None where the video
            cannot be read.
        boxes: float32 (R, 4), pixels of the clip; empty where there is no clip. R >= 1 otherwise.
        normalised_boxes: float64 (R, 4), the same in fractions of the frame, as the list has them.
        video, second: name of the key frame.
        path: of the video.
        index: position in the table.
        error: why the video cannot be read; None where it can.
    """

    clip: torch.Tensor | None
    boxes: torch.Tensor
    normalised_boxes: torch.Tensor
    video: str
    second: int
    path: str
    index: int
    error: str | None = None

    def without_frames(self) -> "KeyFrameItem":
        """What is known of the key frame, without its pixels."""
        return replace(self, clip=None)

    def pin_memory(self) -> "KeyFrameItem":
        """A copy whose clip and boxes lie in pinned memory."""
        if self.clip is None:
            return self
        return replace(self, clip=self.clip.pin_memory(), boxes=self.boxes.pin_memory())


def collate_detections(items: Sequence[DetectionTrainItem]) -> DetectionBatch:
    """Stack clips, which stay stored channels last, and number the boxes by their clips."""
    stacked = torch.stack([item.clip.permute(1, 2, 3, 0) for item in items])
    clip = torch.repeat_interleave(torch.tensor([len(item.boxes) for item in items]))
    return DetectionBatch(
        clips=stacked.permute(0, 4, 1, 2, 3),
        boxes=torch.cat([clip[:, None].float(), torch.cat([item.boxes for item in items])], dim=1),
        labels=torch.cat([item.labels for item in items]),
        indices=torch.tensor([item.index for item in items]),
        failures=tuple(failure for item in items for failure in item.failures),
    )
