"""From logits to the scores of a video, as the evaluation that measured the accuracies made them."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.deployment import Deployment
from mutualnet3d.errors import QueryTableError
from mutualnet3d.predictor.prediction import milliseconds_since
from mutualnet3d.predictor.subnetworks import Run

_ACTIVATIONS = {  # those that a Description may name
    "softmax": lambda logits: logits.softmax(1),
    "sigmoid": torch.sigmoid,
}
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
            QueryTableError: the ensembling is unknown.
        """
        ensemble = deployment.table.provenance.get("ensemble", "sum")
        if ensemble not in _ENSEMBLES:
            raise QueryTableError(f"ensemble {ensemble!r} in the query table is not one of {', '.join(_ENSEMBLES)}")
        return cls(deployment.activation, ensemble)

    @torch.no_grad()
    def score(
        self,
        deployment: Deployment,
        run: Run,
        configuration: Configuration,
        clips: torch.Tensor,
        start: float,
        boxes: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, float, float]:
        """Scores of clips, or of the boxes in them; milliseconds since ``start`` until the network ran, and of it.

        Args:
            run: of the sub-network at ``configuration``.
            clips: uint8 (N, 3, T, H, W).
            start: a ``time.perf_counter()``.
            boxes: float32 (R, 5), rows [clip, x1, y1, x2, y2] in pixels of the clips.

        Returns:
            float32 (N, K), or (R, K), on the CPU.
        """
        clips = deployment.preprocessing.normalise(clips.to(deployment.target.device))
        inputs = [deployment.pathways.views(clips, configuration)]
        if boxes is not None:
            inputs.append(deployment.pathways.boxes(boxes, clips, inputs[0]))
        preprocess_ms, start = milliseconds_since(start), time.perf_counter()
        logits = run(*inputs).cpu()
        return _ACTIVATIONS[self.activation](logits.float()), preprocess_ms, milliseconds_since(start)

    def join(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores (N, K) of views, or of parts of a video that were joined, to those of the whole (K,)."""
        return _ENSEMBLES[self.ensemble](scores)

    def probabilities(self, scores: torch.Tensor, views: int) -> torch.Tensor:
        """Scores of a video of so many ``views`` on the scale of one view, in [0, 1]."""
        return scores / views if self.ensemble == "sum" else scores
