"""How far deployed networks are from the weight-shared one that they come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.deployment.manifest import Parity
from mutualnet3d.errors import DeploymentError

if TYPE_CHECKING:
    from mutualnet3d.models import AdaptiveNetwork

TOLERANCES = {"float32": 1e-4, "bfloat16": 5e-2}  # of the largest difference over the largest logit
BATCHES = (1, 2)

Run = Callable[[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...] | None], torch.Tensor]


def measure_parity(
    run: Run, model: AdaptiveNetwork, clips: torch.Tensor, configuration: Configuration, backend: str, precision: str
) -> tuple[Parity, ...]:
    """``run(views, boxes)`` beside ``model.eval()(clip, configuration)`` on all ``clips``, for each of ``BATCHES``.

    Detection networks get one box a clip, the whole frame.

    Args:
        clips: float32 (M, 3, T, H, W), M at least 2.
        backend, precision: of ``run``; the precision has a tolerance.

    Raises:
        DeploymentError: a difference is over the tolerance, or not a number.
    """
    return tuple(_at_batch(run, model, clips, configuration, backend, precision, batch) for batch in BATCHES)


def _at_batch(
    run: Run,
    model: AdaptiveNetwork,
    clips: torch.Tensor,
    configuration: Configuration,
    backend: str,
    precision: str,
    batch: int,
) -> Parity:
    expected, got = [], []
    with torch.no_grad():
        for start in range(0, len(clips) - batch + 1, batch):
            clip = clips[start : start + batch]
            views, boxes = model.pathways(clip, configuration), model.whole_frame_boxes(clip)
            expected.append(model(clip, configuration, boxes))
            got.append(run(views, None if boxes is None else model.pathway_boxes(boxes, clip, views)).float().cpu())
    parity = _compare(torch.cat(got), torch.cat(expected), backend, precision, batch, len(expected) * batch)
    if not parity.max_rel <= parity.tolerance:
        raise DeploymentError(
            f"{configuration} in {backend} {precision}, batch {batch}, differs from the trained network by "
            f"{parity.max_rel:.2g} of the largest logit; the tolerance is {parity.tolerance:g}"
        )
    return parity


def _compare(got: torch.Tensor, expected: torch.Tensor, backend: str, precision: str, batch: int, clips: int) -> Parity:
    if got.shape != expected.shape:
        raise DeploymentError(f"{backend} gives logits of shape {tuple(got.shape)} for {tuple(expected.shape)}")
    difference, largest = float((got - expected).abs().max()), float(expected.abs().max())
    agreement = float((got.argmax(1) == expected.argmax(1)).float().mean())
    relative = difference / largest if largest else difference
    return Parity(backend, precision, batch, clips, difference, relative, agreement, TOLERANCES[precision])
