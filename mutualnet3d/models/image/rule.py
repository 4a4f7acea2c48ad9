"""Which channels of an image network are slimmable."""

from __future__ import annotations

from torch import nn

from mutualnet3d.layers import Channels


class ImageRule:
    """All channels are slimmable but the colours and the logits, and what ``inputs`` and ``outputs`` say.

    Args:
        divisor: active channels come in multiples of it.
        stem: name of the convolution that reads the image.
        classifier: name of the linear layer that writes the logits.
        inputs: what a convolution or linear layer reads, by its name, where that is no plain slimmable segment.
        outputs: likewise what a convolution, linear layer or BatchNorm writes.
    """

    def __init__(
        self,
        divisor: int,
        stem: str,
        classifier: str,
        inputs: dict[str, Channels] | None = None,
        outputs: dict[str, Channels] | None = None,
    ):
        self.divisor, self.stem, self.classifier = divisor, stem, classifier
        self.inputs, self.outputs = inputs or {}, outputs or {}

    def __call__(self, name: str, layer: nn.Module) -> tuple[Channels, Channels] | Channels:
        if isinstance(layer, nn.BatchNorm2d):
            return self._channels(self.outputs, name, layer.num_features)
        if isinstance(layer, nn.Linear):
            size_in, size_out = layer.in_features, layer.out_features
        else:
            size_in, size_out = layer.in_channels, layer.out_channels
        reads, writes = self._channels(self.inputs, name, size_in), self._channels(self.outputs, name, size_out)
        if name == self.stem:
            reads = Channels.fixed(size_in)
        return reads, Channels.fixed(size_out) if name == self.classifier else writes

    def _channels(self, special: dict[str, Channels], name: str, size: int) -> Channels:
        return special.get(name) or Channels.slim(size, divisor=self.divisor)
