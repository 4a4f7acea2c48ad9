"""From logits to the scores of a video, as the evaluation that measured the accuracies made them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mutualnet3d.deployment import Deployment
from mutualnet3d.errors import DeploymentError, QueryTableError

_ACTIVATIONS = {"softmax": lambda logits: logits.softmax(1), "sigmoid": torch.sigmoid}
_ENSEMBLES = {"sum": lambda scores: scores.sum(0), "max": lambda scores: scores.amax(0)}


@dataclass(frozen=True)
class Scoring:
    """How views vote.

    Attributes:
        activation: ``softmax`` or ``sigmoid`` (MODEL.HEAD_ACT): what makes scores of the logits of a view.
        ensemble: ``sum`` or ``max`` (DATA.ENSEMBLE_METHOD): what makes those of a video of those of its views.
    """

    activation: str
    ensemble: str

    @classmethod
    def of(cls, deployment: Deployment) -> Scoring:
        """The network's activation; the ensembling that the query table's provenance names, ``sum`` if it names none.

        Raises:
            DeploymentError: the activation is unknown.
            QueryTableError: the ensembling is unknown.
        """
        activation, ensemble = deployment.activation, deployment.table.provenance.get("ensemble", "sum")
        if activation not in _ACTIVATIONS:
            raise DeploymentError(f"activation {activation!r} of the network is not one of {', '.join(_ACTIVATIONS)}")
        if ensemble not in _ENSEMBLES:
            raise QueryTableError(f"ensemble {ensemble!r} in the query table is not one of {', '.join(_ENSEMBLES)}")
        return cls(activation, ensemble)

    def activate(self, logits: torch.Tensor) -> torch.Tensor:
        """Logits (N, K) of views to their scores, float32."""
        return _ACTIVATIONS[self.activation](logits.float())

    def join(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores (N, K) of views, or of parts of a video that were joined, to those of the whole (K,)."""
        return _ENSEMBLES[self.ensemble](scores)

    def probabilities(self, scores: torch.Tensor, views: int) -> torch.Tensor:
        """Scores of a video of so many ``views`` on the scale of one view, in [0, 1]."""
        return scores / views if self.ensemble == "sum" else scores
