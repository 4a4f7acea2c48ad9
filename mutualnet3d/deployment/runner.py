"""What every backend gives: a callable from views to logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from mutualnet3d.deployment.dense import Description
from mutualnet3d.deployment.target import Target
from mutualnet3d.errors import DeploymentError


class Runner(ABC):
    """One sub-network, ready to run; any number of threads may call it at once.

    Attributes:
        description: what it is: configuration, pathways, preprocessing.
        target: what runs it: backend, precision, threads, device.
    """

    def __init__(self, description: Description, target: Target):
        self.description, self.target = description, target

    def __call__(self, views: Sequence[torch.Tensor], boxes: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        """Logits, float32 (N, K), or (R, K) with boxes; on the CPU, of a target on a GPU there.

        Args:
            views: what ``description.pathways.views(clip, configuration)`` gives: float32 (N, C, t, h, w) each.
            boxes: for detection networks one (R, 5) tensor a view, in its pixels.

        Raises:
            DeploymentError: another number of views, another type, or a size that this runner was not made for.
        """
        count = 2 if self.description.pathways.fast else 1
        if len(views) != count or any(v.dtype != torch.float32 or len(v) != len(views[0]) or not len(v) for v in views):
            got = ", ".join(f"{view.dtype} {tuple(view.shape)}" for view in views)
            raise DeploymentError(f"expected {count} float32 view(s) of one batch of at least 1, got {got or 'none'}")
        with torch.no_grad():
            return self._run(tuple(views), None if boxes is None else tuple(boxes))

    @abstractmethod
    def _run(self, views: tuple[torch.Tensor, ...], boxes: tuple[torch.Tensor, ...] | None) -> torch.Tensor:
        """Checked views to logits."""


def check_exported(
    description: Description, shapes: Sequence[tuple], views: Sequence[torch.Tensor], boxes: object
) -> None:
    """DeploymentError unless ``views`` have the ``shapes`` (N aside) that a network was exported for."""
    if boxes is not None:
        raise DeploymentError("boxes were given to a classification network")
    for view, shape in zip(views, shapes, strict=True):
        if tuple(view.shape[1:]) != tuple(shape[1:]):
            raise DeploymentError(
                f"a view of shape {tuple(view.shape)} was given to a network exported at {description.configuration} "
                f"for (N, {', '.join(map(str, shape[1:]))}); give clips of that size, or use the torch backend, which "
                "takes any"
            )
