"""What every slimmable image network adds: logits of images, and a classifier outside autocast.

Shapes: N images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from mutualnet3d.configuration import Configuration
from mutualnet3d.layers import SlimmableLinear, activate, make_slimmable
from mutualnet3d.models.heads import without_autocast
from mutualnet3d.models.image.rule import ImageRule
from mutualnet3d.models.network import AdaptiveNetwork


class ImageNetwork(AdaptiveNetwork):
    """:class:`AdaptiveNetwork` of images, whose backbone has ``forward(image)``: torchvision's, or of their kind."""

    def forward(
        self,
        images: torch.Tensor,
        configuration: Configuration | None = None,
        boxes: None = None,
        *,
        shared: tuple[()] = (),
    ) -> torch.Tensor:
        """Logits (N, K) of ``images`` at ``configuration`` (default: full).

        Args:
            images: (N, C, H, W) float, normalised, at full resolution.
            configuration: a member of ``space``.
            boxes, shared: there are none; the callers of video networks pass them.

        Raises:
            ConfigurationError: the configuration is outside the space.
            NotCalibratedError: in eval mode, the configuration has no BatchNorm statistics.
            ValueError: the images have another shape or type, or boxes are given.
        """
        if boxes is not None or shared:
            raise ValueError("boxes or shared features were given to a network of images, which has neither")
        (view,) = self.pathways(images, configuration)
        with activate(self, configuration):
            return super().forward(view)

    def slim(self, rule: ImageRule, dropout: float = 0.0) -> None:
        """Make the layers slimmable by ``rule``; ``dropout`` acts before the last."""
        make_slimmable(self, rule)
        parent, _, child = rule.classifier.rpartition(".")
        linear = self.get_submodule(rule.classifier)
        last = Classifier.from_dense(linear, linear.in_slim, linear.out_slim)
        last.dropout = dropout
        setattr(self.get_submodule(parent), child, last)


class Classifier(SlimmableLinear):
    """The last layer, outside autocast (``heads.project``), with the dropout that a backbone has no layer for."""

    dropout: float = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with without_autocast():
            return super().forward(F.dropout(x.to(self.weight.dtype), self.dropout, self.training))
