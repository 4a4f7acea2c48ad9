"""What every slimmable network shares: a space, the views of a configuration, and which of them are calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from fvcore.common.config import CfgNode
from torch import nn

from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.layers import activation_of, slimmable_norms
from mutualnet3d.models.space import space_from_config
from mutualnet3d.pathways import PathwayRule


class AdaptiveNetwork(nn.Module):
    """Mixin that makes a slimmable backbone run at any configuration of its space.

    A concrete network is ``class Slow(VideoNetwork, SlowBackbone)`` or ``class ResNet(ImageNetwork,
    torchvision.models.ResNet)``: the backbone is an ordinary network of ``forward(*views)``, whose layers were made
    slimmable; ``dense_class`` names it, so an extracted sub-network is an instance of it. ``forward(clip,
    configuration)`` gives logits, always; it is that of :class:`VideoNetwork` or :class:`ImageNetwork`.

    Attributes:
        space: the configurations that the network runs at.
        alpha: frames of the clip per frame of the Slow pathway; 1 for one-branch networks.
        num_frames: frames of a training clip; ``None`` for images.
        input_channels: of the clip or the image.
        detects: whether it needs boxes, and its logits are per box.
        statistics_provenance: of calibrated configurations, where their statistics come from; ``calibrate`` fills it.
        training_provenance: method, clips, seconds and the like of the weights' training, which fills it.
    """

    space: ConfigurationSpace
    num_frames: int | None
    input_channels: int
    statistics_provenance: dict[Configuration, dict]
    training_provenance: dict
    alpha: int = 1
    has_fast_pathway: bool = False
    detects: bool = False

    def configure(self, cfg: CfgNode) -> None:
        """Read from ``cfg`` what this mixin needs."""
        self.space = space_from_config(cfg)
        self.num_frames = None if self.space.temporal is None else cfg.DATA.NUM_FRAMES
        self.input_channels = cfg.DATA.INPUT_CHANNEL_NUM[0]
        self.statistics_provenance, self.training_provenance = {}, {}

    def pathways(self, clip: torch.Tensor, configuration: Configuration | None = None) -> tuple[torch.Tensor, ...]:
        """The inputs of the backbone: ``(slow,)``, ``(slow, fast)`` or ``(image,)``; see :meth:`PathwayRule.views`."""
        return self.pathway_rule.views(clip, configuration)

    @property
    def pathway_rule(self) -> PathwayRule:
        """How clips become the inputs of this network, as a value that a deployment keeps."""
        return PathwayRule(self.space, self.alpha, self.has_fast_pathway, self.input_channels)

    def shared_features(
        self, clip: torch.Tensor, configuration: Configuration | None = None
    ) -> tuple[torch.Tensor, ...]:
        """What every configuration computes alike, to be given to :meth:`forward`; () where that is nothing."""
        return ()

    def sharing_groups(self, configurations: Sequence[Configuration]) -> list[list[Configuration]]:
        """``configurations`` in groups that one :meth:`shared_features` serves in eval mode."""
        return [list(configurations)]

    def can_share(self, configurations: Sequence[Configuration]) -> bool:
        """Whether one :meth:`shared_features` now serves all ``configurations``."""
        return True

    def whole_frame_boxes(self, clip: torch.Tensor) -> torch.Tensor | None:
        """One box a clip that spans its frames, for detection networks; ``None`` for others."""
        return None

    @property
    def calibrated(self) -> tuple[Configuration, ...]:
        """The configurations whose BatchNorm statistics the network holds; full has its running ones.

        A network without BatchNorm (VGG-16) needs none: of it, those that calibration was asked for.
        """
        banks: list[Mapping] = [norm.statistics for norm in slimmable_norms(self)] or [self.statistics_provenance]
        known = (c for c in banks[0] if c != self.space.full and all(c in bank for bank in banks))
        return (self.space.full, *known)

    def require_statistics(self, configuration: Configuration) -> None:
        """NotCalibratedError unless ``configuration`` can be evaluated."""
        for norm in slimmable_norms(self):
            norm.statistics_of(activation_of(configuration, self.space.full))
