"""What a page shows: a predictor, the budgets of its table and, where they can be had, activation maps."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from mutualnet3d.deployment import open_deployment
from mutualnet3d.deployment.trained import TrainedNetwork
from mutualnet3d.errors import ConfigError, DataError, DeploymentError
from mutualnet3d.output_files import MODEL_FILE
from mutualnet3d.page.budgets import BudgetScale, scales_of
from mutualnet3d.page.evidence import EvidenceMaps
from mutualnet3d.predictor import AdaptivePredictor
from mutualnet3d.predictor.choice import chosen_by_budgets
from mutualnet3d.visualization.clips import spread

MOST_CLIPS = 16  # of one video: bounds the time that an answer takes, and the memory


@dataclass(frozen=True, eq=False)
class PageModel:
    """A deployed network of videos; any number of threads may ask it.

    Attributes:
        name: of its folder.
        predictor: its clips are spread over the whole video.
        scales: the budgets that it takes; by GMACs first.
        maps: None: ``why_no_maps`` says why.
        most_clips: that one video is seen in.
    """

    name: str
    predictor: AdaptivePredictor
    scales: tuple[BudgetScale, ...]
    maps: EvidenceMaps | None
    why_no_maps: str
    most_clips: int = MOST_CLIPS

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike,
        backend: str = "torch",
        precision: str = "float32",
        threads: int | None = None,
        device: str | None = None,
        most_clips: int = MOST_CLIPS,
    ) -> PageModel:
        """Open an export, or the OUTPUT_DIR of a run; the arguments but the last are ``open_deployment``'s.

        Raises:
            DataError: ``most_clips`` is below 1.
            DeploymentError: a network of images or a detection network; others as for ``open_deployment``.
            CheckpointError, QueryTableError: see ``open_deployment``.
        """
        if most_clips < 1:
            raise DataError(f"{most_clips} clips of a video: see at least 1")
        deployment = open_deployment(directory, backend, precision, threads, device)
        description = deployment.description
        if description.preprocessing.clip is None:
            raise DeploymentError(f"{directory}: a network of images; the page takes videos")
        if description.detects:
            raise DeploymentError(
                f"{directory}: a detection network, which needs boxes of people: tools/demo_net.py finds or reads them"
            )
        seen = replace(description, preprocessing=spread(description.preprocessing))
        scales = scales_of(deployment.table)
        front = chosen_by_budgets(deployment.table)
        kept = {"max_networks": len(front)} if deployment.converts else {}
        predictor = AdaptivePredictor(replace(deployment, description=seen), **kept)
        if deployment.converts:
            predictor.warm()  # no other thread may run torch meanwhile
        maps, why = _maps(Path(directory), deployment.target.device)
        return cls(Path(directory).resolve().name, predictor, scales, maps, why, most_clips)

    def scale(self, cost: str) -> BudgetScale:
        """The budgets by ``gmacs`` or ``latency_ms``; DataError where there are none."""
        for scale in self.scales:
            if scale.cost == cost:
                return scale
        raise DataError(f"budgets by {cost!r} are not known here; there are {', '.join(s.cost for s in self.scales)}")


def _maps(directory: Path, device: str) -> tuple[EvidenceMaps | None, str]:
    if not (directory / MODEL_FILE).is_file():
        return None, (
            "No activation maps: an export holds finished sub-networks, which do not give the features that maps are "
            "made of. Open the OUTPUT_DIR of the run that it was exported from to see them."
        )
    trained = TrainedNetwork(directory)
    try:
        return EvidenceMaps(trained.model.to(device), trained.cfg), ""
    except ConfigError as error:
        return None, f"No activation maps: {error}."
