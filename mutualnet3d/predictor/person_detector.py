"""People in an image, found by torchvision's Faster R-CNN. Weights are downloaded only where the user asks for it."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch
from torch import nn

from mutualnet3d.errors import DataError, DeploymentError
from mutualnet3d.files import sha256
from mutualnet3d.predictor.people import MIN_SCORE

PERSON = 1  # COCO's category


class PersonDetector:
    """``detector(image)`` -> boxes of people; any number of threads may call it at once.

    Args:
        network: takes a list of float images (3, H, W) in [0, 1] and gives dicts of ``boxes`` (R, 4) in pixels,
            ``labels`` (R,) and ``scores`` (R,), as torchvision's detection networks do; label 1 is a person.
        min_score: people with a lower score are left out, in [0, 1].
        device: ``cpu``, ``cuda``.

    Raises:
        DataError: ``min_score`` is out of bounds.
    """

    def __init__(self, network: nn.Module, min_score: float = MIN_SCORE, device: str = "cpu"):
        if isinstance(min_score, bool) or not isinstance(min_score, (int, float)) or not 0 <= min_score <= 1:
            raise DataError(f"min_score {min_score!r} must be a number in [0, 1]")
        self.min_score, self.device = min_score, device
        self._network = network.eval().requires_grad_(False).to(device)

    @classmethod
    def load(
        cls,
        weights: str | os.PathLike | None = None,
        name: str = "fasterrcnn_resnet50_fpn_v2",
        min_score: float = MIN_SCORE,
        device: str = "cpu",
        download: bool = False,
    ) -> PersonDetector:
        """One of torchvision's detection networks, trained on COCO.

        Args:
            weights: a state dict of it; None: the file of torchvision's best weights in torch.hub's cache.
            name: of torchvision's constructor.
            download: fetch that file where it is not there.

        Raises:
            DeploymentError: the name is unknown; the file is missing and not to be downloaded, cannot be downloaded,
                or is damaged or of another network. The message names the file and where it belongs.
        """
        import torchvision  # takes a while, and only this needs it
        from torchvision.models import get_model, get_model_weights, list_models

        if name not in list_models(torchvision.models.detection):
            raise DeploymentError(f"torchvision has no detection network {name!r}")
        best = get_model_weights(name).DEFAULT
        path = _cached(best, download) if weights is None else Path(weights)
        network = get_model(name, weights=None, weights_backbone=None)
        try:
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, EOFError, TypeError, AttributeError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            raise DeploymentError(f"{path}: cannot be read as weights of torchvision's {name}: {reason}") from error
        return cls(network, min_score, device)

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Boxes, float64 (R, 4), x1, y1, x2, y2 in pixels of ``image``, uint8 (H, W, 3), RGB; the surest first."""
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self.device).permute(2, 0, 1).float() / 255
        (found,) = self._network([pixels])
        wanted = (found["labels"] == PERSON) & (found["scores"] >= self.min_score)
        boxes, scores = found["boxes"][wanted].double().cpu().numpy(), found["scores"][wanted].cpu().numpy()
        return boxes[np.argsort(-scores, kind="stable")]


def _cached(weights: Any, download: bool) -> Path:
    """The file of torchvision's ``weights`` in torch.hub's cache."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[1]
    remedy = f"fetch {weights.url} to that place; or give the boxes of the people, which need no detector"
    if not path.is_file():
        if not download:
            raise DeploymentError(
                f"the weights of the person detector are not there: {path}; ask for their download (--download, or "
                f"PersonDetector.load(download=True)), or {remedy}"
            )
        try:
            torch.hub.load_state_dict_from_url(weights.url, check_hash=True, map_location="cpu", weights_only=True)
        except (URLError, OSError, RuntimeError) as error:
            raise DeploymentError(f"{path}: cannot be downloaded ({error}); {remedy}") from error
    digits = path.stem.rsplit("-", 1)[1]  # torchvision's file names end with the first digits of the SHA-256
    if not sha256(path).startswith(digits):
        raise DeploymentError(f"{path}: damaged: its SHA-256 does not begin with {digits}; {remedy}")
    return path
