"""What every slimmable video network adds: boxes, and features that several configurations share.

Shapes: N clips, C channels, T frames, H height, W width, K classes, R boxes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mutualnet3d.configuration import Configuration
from mutualnet3d.layers import activate, activation_of, slimmable_norms
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.pathways import whole_frame_boxes


class VideoNetwork(AdaptiveNetwork):
    """:class:`AdaptiveNetwork` of clips, whose backbone has ``forward(*views, boxes=None)``."""

    def configure(self, cfg) -> None:
        super().configure(cfg)
        self.detects = cfg.DETECTION.ENABLE

    def forward(
        self,
        clip: torch.Tensor,
        configuration: Configuration | None = None,
        boxes: torch.Tensor | None = None,
        *,
        shared: tuple[torch.Tensor, ...] = (),
    ) -> torch.Tensor:
        """Logits of ``clip`` at ``configuration`` (default: full).

        Args:
            clip: (N, C, T, H, W) float, normalised, at full resolution.
            configuration: a member of ``space``.
            boxes: for detection networks, (R, 5) float rows ``[clip index, x1, y1, x2, y2]`` in full-resolution pixels.
            shared: what :meth:`shared_features` made of this clip, to be used instead of computing it again.

        Returns:
            (N, K) logits, or (R, K) for detection.

        Raises:
            ConfigurationError: the configuration is outside the space.
            NotCalibratedError: in eval mode, the configuration has no BatchNorm statistics.
            ValueError: the clip or the boxes have another shape or type.
        """
        views = self.pathways(clip, configuration)
        if boxes is not None:
            boxes = self.pathway_boxes(boxes, clip, views)
        with activate(self, configuration):
            if shared:
                return self.slow_pathway(views[0], shared, boxes)
            return super().forward(*views, boxes=boxes)

    def shared_features(
        self, clip: torch.Tensor, configuration: Configuration | None = None
    ) -> tuple[torch.Tensor, ...]:
        """What every configuration computes alike: SlowFast's Fast pathway and lateral features; () for one branch.

        In training mode they are the same for all configurations (batch statistics of the same clip); in eval mode for
        those of one group of :meth:`sharing_groups`, so ``configuration`` says whose statistics to use.
        """
        if not self.has_fast_pathway:
            return ()
        fast = self.pathways(clip, configuration)[1]
        with activate(self, configuration):
            return self.fast_pathway(fast)

    def sharing_groups(self, configurations: Sequence[Configuration]) -> list[list[Configuration]]:
        """``configurations`` in groups whose members have equal statistics in all layers with fixed channels only."""
        fixed = [norm for norm in slimmable_norms(self) if not any(s.slimmable for s in norm.slim.segments)]
        groups: list[list[Configuration]] = []
        for configuration in configurations:
            for group in groups:
                if all(_equal_statistics(norm, group[0], configuration, self.space.full) for norm in fixed):
                    group.append(configuration)
                    break
            else:
                groups.append([configuration])
        return groups

    def can_share(self, configurations: Sequence[Configuration]) -> bool:
        """Whether :meth:`shared_features` now serves all ``configurations``: not where frozen BatchNorms differ."""
        frozen = any(not norm.training for norm in slimmable_norms(self))
        return not frozen or len(self.sharing_groups(configurations)) == 1

    def whole_frame_boxes(self, clip: torch.Tensor) -> torch.Tensor | None:
        """One box a clip that spans its frames, (N, 5), for detection networks; ``None`` for others."""
        return whole_frame_boxes(clip) if self.detects else None

    def pathway_boxes(
        self, boxes: torch.Tensor, clip: torch.Tensor, views: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        """``boxes`` (R, 5) of the clip in the pixels of each view; see :meth:`PathwayRule.boxes`."""
        return self.pathway_rule.boxes(boxes, clip, views)


def _equal_statistics(norm: nn.Module, one: Configuration, other: Configuration, full: Configuration) -> bool:
    pairs = zip(
        norm.statistics_of(activation_of(one, full)), norm.statistics_of(activation_of(other, full)), strict=True
    )
    return all(a is b or torch.equal(a, b) for a, b in pairs)
