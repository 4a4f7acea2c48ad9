"""A deployed sub-network as a module, and what it must be known to be run."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.fx
from torch import nn

from mutualnet3d.configuration import Configuration
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.errors import DeploymentError
from mutualnet3d.layers import trace_dense
from mutualnet3d.pathways import PathwayRule
from mutualnet3d.provenance import versions

ACTIVATIONS = ("softmax", "sigmoid")


@dataclass(frozen=True)
class Description:
    """What a dense sub-network is.

    Attributes:
        configuration: the one it was extracted at.
        pathways: how a clip becomes its views; holds the space.
        preprocessing: how a video becomes a clip.
        architecture: of the network it was taken from (MODEL.ARCH).
        classes: names in the order of the logits, where they are known.
        detects: it also needs boxes, and its logits are per box.
        source_sha256: of the file that holds the weight-shared network; "" if there is none.
        versions: of what wrote it, by name; default: those that run here.
        activation: what makes scores of logits: ``softmax``, or ``sigmoid`` where videos have several labels.

    Raises:
        DeploymentError: the activation is another, or a value has not its type or lies outside its bounds.
    """

    configuration: Configuration
    pathways: PathwayRule
    preprocessing: Preprocessing
    architecture: str = ""
    classes: tuple[str, ...] | None = None
    detects: bool = False
    source_sha256: str = ""
    versions: dict[str, str] = field(default_factory=versions)
    activation: str = "softmax"

    def __post_init__(self) -> None:
        if self.activation not in ACTIVATIONS:
            raise DeploymentError(f"activation {self.activation!r} is not one of {', '.join(ACTIVATIONS)}")
        rule, preprocessing, clip = self.pathways, self.preprocessing, self.preprocessing.clip
        wrong = {
            "alpha": not _whole(rule.alpha),
            "channels": not _whole(rule.channels),
            "fast": not isinstance(rule.fast, bool),
            "clip, which videos have and images not": (clip is None) != (rule.space.temporal is None),
            "crop": not _whole(preprocessing.crop),
            "short_side": not _whole(preprocessing.short_side),
            "num_frames": clip is not None and not _whole(clip.num_frames),
            "sampling_rate": clip is not None and not _positive(clip.sampling_rate),
            "target_fps": clip is not None and not _positive(clip.target_fps),
            "source_frames": clip is not None and not isinstance(clip.source_frames, bool),
            "mean": len(preprocessing.mean) != 3 or not all(map(_finite, preprocessing.mean)),
            "std": len(preprocessing.std) != 3 or not all(map(_positive, preprocessing.std)),
            "architecture": not isinstance(self.architecture, str),
            "classes": self.classes is not None and not all(isinstance(name, str) for name in self.classes),
            "detects": not isinstance(self.detects, bool),
            "source_sha256": not isinstance(self.source_sha256, str),
            "versions": not isinstance(self.versions, dict),
        }
        if names := [name for name, is_wrong in wrong.items() if is_wrong]:
            raise DeploymentError(f"the description of the network is malformed: {', '.join(names)}")

    def view_shapes(self, batch: int = 1) -> tuple[tuple[int, ...], ...]:
        """Shapes of the network's inputs for clips of the preprocessing, (N, C, t, h, w) each."""
        side, clip = self.preprocessing.crop, self.preprocessing.clip
        shape = self.pathways.clip_shape(batch, clip and clip.num_frames, side, side)
        views = self.pathways.views(torch.empty(shape, device="meta"), self.configuration)
        return tuple(tuple(view.shape) for view in views)

    def to_dict(self) -> dict:
        """Plain values for JSON; :meth:`from_dict` reads them back."""
        return {
            "configuration": str(self.configuration),
            "pathways": self.pathways.to_dict(),
            "preprocessing": self.preprocessing.to_dict(),
            "architecture": self.architecture,
            "classes": None if self.classes is None else list(self.classes),
            "detects": self.detects,
            "source_sha256": self.source_sha256,
            "versions": dict(self.versions),
            "activation": self.activation,
        }

    @classmethod
    def from_dict(cls, values: dict) -> Description:
        """What :meth:`to_dict` described.

        Raises:
            DeploymentError: a value has not its type, or lies outside its bounds.
            ConfigurationError: the configuration or the space is malformed.
            KeyError, TypeError: a value is missing or of another kind; readers of files say which file.
        """
        classes = values["classes"]
        return cls(
            Configuration.parse(values["configuration"]),
            PathwayRule.from_dict(values["pathways"]),
            Preprocessing.from_dict(values["preprocessing"]),
            values["architecture"],
            None if classes is None else tuple(classes),
            values["detects"],
            values["source_sha256"],
            values["versions"],
            values["activation"],
        )


def _finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def _positive(value: object) -> bool:
    return _finite(value) and value > 0


def _whole(value: object) -> bool:
    return _positive(value) and isinstance(value, int)


class DenseNetwork(nn.Module):
    """A sub-network as its graph and weights: ordinary layers, no class of this package's networks.

    ``forward(*views, boxes=None)`` -> logits (N, K), or (R, K) with ``boxes``, one (R, 5) tensor a view.

    Attributes:
        graph: the computation, an ordinary ``torch.fx.GraphModule``.
        description: what it is.
    """

    def __init__(self, graph: torch.fx.GraphModule, description: Description):
        super().__init__()
        self.graph, self.description = graph, description

    @classmethod
    def trace(cls, dense: nn.Module, description: Description) -> DenseNetwork:
        """``dense``, an extracted sub-network or its graph, whose layers the result shares."""
        graph = dense.graph if isinstance(dense, DenseNetwork) else trace_dense(dense)
        return cls(graph, description).eval()

    def forward(self, *views: torch.Tensor, boxes: tuple[torch.Tensor, ...] | None = None) -> torch.Tensor:
        if self.description.detects and boxes is None:
            raise ValueError("a detection network needs boxes: (R, 5) rows [index, x1, y1, x2, y2], one tensor a view")
        if boxes is not None and not self.description.detects:
            raise ValueError("boxes were given to a classification network")
        return self.graph(*views, *(boxes or ()))
