"""From a clip or an image and a configuration to the views that a backbone eats; deployed networks use it too."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.operators import keep_frames, resize_frames


def whole_frame_boxes(clip: torch.Tensor) -> torch.Tensor:
    """One box a clip, or view, (N, C, T, H, W) that spans its frames: (N, 5), as :meth:`PathwayRule.boxes` has it."""
    count, height, width = clip.shape[0], *clip.shape[3:]
    boxes = torch.tensor([[0.0, 0.0, 0.0, width, height]], device=clip.device).repeat(count, 1)
    boxes[:, 0] = torch.arange(count, device=clip.device)
    return boxes


@dataclass(frozen=True)
class PathwayRule:
    """How a clip, or an image where the space has no temporal axis, becomes the inputs of a backbone.

    Args:
        space: the configurations.
        alpha: frames of the clip per frame of the Slow pathway; 1 for one-branch networks.
        fast: whether there is a Fast pathway: the whole clip, at every configuration.
        channels: of the clip or the image.
    """

    space: ConfigurationSpace
    alpha: int = 1
    fast: bool = False
    channels: int = 3

    def views(self, clip: torch.Tensor, configuration: Configuration | None = None) -> tuple[torch.Tensor, ...]:
        """The inputs of the backbone: ``(slow,)`` or ``(slow, fast)``, each (N, C, t, h, w); of images (N, C, h, w).

        The Slow pathway keeps ``floor(linspace(0, T - 1, T // alpha))`` of the clip's frames (PySlowFast's rule), at
        a temporal resolution below full the same rule of those, and is resized bilinearly per frame
        (align_corners False, no antialias). The Fast pathway is always the whole clip (section 3.2 of the paper). An
        image is only resized.

        Raises:
            ConfigurationError: the configuration is outside the space.
            ValueError: the clip is not float (N, C, T, H, W), the image not (N, C, H, W), or the clip is too short for
                one frame of the Slow pathway.
        """
        configuration = self.space.full if configuration is None else self.space.check(configuration)
        what, axes = ("image", "H, W") if self.space.temporal is None else ("clip", "T, H, W")
        rank = 2 + len(axes.split())
        if clip.ndim != rank or not clip.is_floating_point() or clip.shape[1] != self.channels:
            raise ValueError(
                f"{what} must be a normalised float tensor (N, {self.channels}, {axes}), "
                f"got {clip.dtype} of shape {tuple(clip.shape)}"
            )
        size = [self.space.scaled_size(configuration, side) for side in clip.shape[-2:]]
        if self.space.temporal is None:
            return (resize_frames(clip, size),)
        if clip.shape[2] < self.alpha:
            raise ValueError(
                f"a clip of {clip.shape[2]} frames has no frame for the Slow pathway: alpha is {self.alpha}"
            )
        slow = keep_frames(clip, clip.shape[2] // self.alpha)
        if configuration.temporal != self.space.temporal[-1]:
            slow = keep_frames(slow, self.space.scaled_length(configuration, slow.shape[2]))
        slow = resize_frames(slow, size)
        return (slow, clip) if self.fast else (slow,)

    def clip_shape(self, batch: int, frames: int | None, height: int, width: int) -> tuple[int, ...]:
        """Shape of what :meth:`views` takes; images have no ``frames``, whatever is said of them."""
        time = () if self.space.temporal is None else (frames,)
        return (batch, self.channels, *time, height, width)

    def boxes(
        self, boxes: torch.Tensor, clip: torch.Tensor, views: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        """Boxes in the pixels of each view: the Slow pathway's shrink with its view.

        Args:
            boxes: float (R, 5), rows [clip of the batch, x1, y1, x2, y2] in pixels of the clip.
            clip: (N, C, T, H, W); its shape counts.
            views: what :meth:`views` made of it.

        Raises:
            ValueError: the boxes have another shape or type, are not finite, or name no clip of the batch.
        """
        if boxes.ndim != 2 or boxes.shape[1] != 5 or not boxes.is_floating_point():
            raise ValueError(
                f"boxes must be float (R, 5) rows [index, x1, y1, x2, y2], got {boxes.dtype} of {tuple(boxes.shape)}"
            )
        count, height, width = clip.shape[0], *clip.shape[3:]
        index = boxes[:, 0]
        if len(boxes) and boxes.device.type != "meta":
            if not bool(torch.isfinite(boxes).all()):
                raise ValueError("boxes hold values that are not finite")
            if not bool(((index >= 0) & (index < count) & (index == index.floor())).all()):
                raise ValueError(
                    f"box indices {index.tolist()} must be whole numbers in 0..{count - 1}: clips of the batch"
                )
        scaled = []
        for view in views:
            x, y = view.shape[4] / width, view.shape[3] / height
            scaled.append(boxes * boxes.new_tensor([1.0, x, y, x, y]))
        return tuple(scaled)

    def to_dict(self) -> dict:
        """Plain values for JSON; :meth:`from_dict` reads them back."""
        return {"space": self.space.to_dict(), "alpha": self.alpha, "fast": self.fast, "channels": self.channels}

    @classmethod
    def from_dict(cls, values: dict) -> PathwayRule:
        """The rule that :meth:`to_dict` described.

        Raises:
            ConfigurationError: the space is malformed.
            KeyError: a value is missing.
        """
        return cls(ConfigurationSpace.from_dict(values["space"]), values["alpha"], values["fast"], values["channels"])
