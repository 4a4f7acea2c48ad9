"""A budget and a video or image in, classes out: the query table chooses, sub-networks are built when first needed."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Sequence
from numbers import Real

import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.data.images import open_media
from mutualnet3d.data.views import VideoViews
from mutualnet3d.deployment import Deployment, open_deployment
from mutualnet3d.errors import BudgetError, ConfigurationError, DataError, DeploymentError, QueryTableError
from mutualnet3d.predictor.prediction import (
    Frames,
    Prediction,
    StageTimes,
    checked_frames,
    checked_image,
    checked_top_k,
    checked_views,
)
from mutualnet3d.predictor.scoring import Scoring
from mutualnet3d.predictor.subnetworks import SubNetworks, SwitchingCost
from mutualnet3d.query_table import Entry, QueryTable

_VIEWS_PER_PASS = 8  # of a video that has many: bounds the memory


class AdaptivePredictor:
    """One deployed network at every budget; may be used by any number of threads at once.

    Args:
        deployment: what :func:`mutualnet3d.deployment.open_deployment` gives.
        max_networks: sub-networks kept ready; the least recently used one makes room.

    Raises:
        DeploymentError: it is a detection network.
        QueryTableError: the query table names an unknown ensembling.
    """

    def __init__(self, deployment: Deployment, max_networks: int = 4):
        if deployment.detects:
            raise DeploymentError(
                "AdaptivePredictor classifies whole videos and images; a detection network also needs boxes: build its "
                "sub-networks with open_deployment(...).build(configuration) and give them the boxes"
            )
        self.deployment, self._scoring = deployment, Scoring.of(deployment)
        self._networks = SubNetworks(deployment.build, max_networks)

    @classmethod
    def load(
        cls,
        directory: str | os.PathLike,
        backend: str = "torch",
        precision: str = "float32",
        threads: int | None = None,
        device: str | None = None,
        max_networks: int = 4,
    ) -> AdaptivePredictor:
        """Open an export, or the OUTPUT_DIR of a run; the arguments but the last are ``open_deployment``'s."""
        deployment = open_deployment(directory, backend=backend, precision=precision, threads=threads, device=device)
        return cls(deployment, max_networks)

    @property
    def table(self) -> QueryTable:
        """What each configuration costs and reaches."""
        return self.deployment.table

    @property
    def switching(self) -> SwitchingCost:
        """What building sub-networks has cost so far."""
        return self._networks.cost()

    def warm(self, configurations: Iterable[Configuration]) -> None:
        """Build sub-networks ahead of their use; no more stay than ``max_networks``."""
        for configuration in [self._entry(each).configuration for each in configurations]:
            self._networks.get(configuration)

    def choose(
        self,
        *,
        max_gmacs: float | None = None,
        max_latency_ms: float | None = None,
        min_accuracy: float | None = None,
        configuration: Configuration | None = None,
    ) -> Entry:
        """The entry that :meth:`predict` would run: the named one, or :meth:`QueryTable.best` of the budgets.

        Budgets are per view. With none at all it is the most accurate entry, of equals the cheaper: more budget never
        gives less accuracy, and no limit is the largest budget.

        Raises:
            BudgetError: nothing fits, or a budget was given beside a configuration.
            QueryTableError: a latency budget where none was measured for this backend.
            ConfigurationError: the configuration is not in the table.
        """
        budgets = {"max_gmacs": max_gmacs, "max_latency_ms": max_latency_ms, "min_accuracy": min_accuracy}
        given = [name for name, value in budgets.items() if value is not None]
        if configuration is not None:
            if given:
                raise BudgetError(f"configuration {configuration} and {', '.join(given)} were given: give one of them")
            return self._entry(configuration)
        if max_latency_ms is not None and any(entry.latency_ms is None for entry in self.table.entries):
            raise QueryTableError(
                "max_latency_ms: the query table has no latencies that were measured with this backend, precision and "
                "device; measure them, or give max_gmacs"
            )
        return self.table.best(**budgets)

    def predict(
        self,
        source: str | os.PathLike | Frames,
        *,
        max_gmacs: float | None = None,
        max_latency_ms: float | None = None,
        min_accuracy: float | None = None,
        configuration: Configuration | None = None,
        top_k: int = 5,
        views: tuple[int, int] = (1, 1),
        fps: float = 30.0,
    ) -> Prediction:
        """The classes of a whole video, or of an image, at the configuration that :meth:`choose` names.

        Args:
            source: a video file; or all its frames, uint8 (F, H, W, 3), RGB. For a network of images an image file (its
                EXIF orientation is applied); or its pixels, uint8 (H, W, 3), RGB.
            max_gmacs, max_latency_ms, min_accuracy, configuration: see :meth:`choose`.
            top_k: how many labels, at least 1; all where there are fewer classes.
            views: temporal clips and spatial crops (1 or 3) whose scores are joined; ``(10, 3)`` as papers do. The
                table's accuracies hold for those that its provenance names. Of an image ``(1, 1)``.
            fps: frames per second of frames in memory; a file knows its own.

        Raises:
            VideoError: the file cannot be read, or is an image where the network takes videos, or the reverse.
            DataError: frames of another shape or type; ``top_k``, ``views`` or ``fps`` out of bounds.
            BudgetError, QueryTableError, ConfigurationError: see :meth:`choose`.
        """
        preprocessing = self.deployment.preprocessing
        images = preprocessing.clip is None
        top_k, views = checked_top_k(top_k), checked_views(views, images)
        entry = self.choose(
            max_gmacs=max_gmacs, max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, configuration=configuration
        )
        start = time.perf_counter()
        if isinstance(source, (str, os.PathLike)):
            with open_media(source, images) as video:
                cut = preprocessing.cut_video(video, *views)
            return self._run(entry, cut, top_k, decode_ms=_milliseconds(start), scale_ms=0.0)
        if isinstance(fps, bool) or not isinstance(fps, Real) or not 0 < fps < float("inf"):
            raise DataError(f"fps {fps!r} of frames in memory must be a number above 0")
        frames = checked_image(source)[None] if images else checked_frames(source, at_least=1)
        cut = preprocessing.cut_frames(frames, fps, *views)
        return self._run(entry, cut, top_k, decode_ms=0.0, scale_ms=_milliseconds(start))

    def predict_clip(
        self,
        frames: Frames,
        *,
        max_gmacs: float | None = None,
        max_latency_ms: float | None = None,
        min_accuracy: float | None = None,
        configuration: Configuration | None = None,
        top_k: int = 5,
    ) -> Prediction:
        """The classes of one clip: exactly these frames, uint8 (T, H, W, 3), RGB, one centre view.

        T is the length that the network was trained with, or another that the temporal resolution scales with, at least
        ``alpha``. The rest is as for :meth:`predict`; a network of images has no clips, and raises DataError.
        """
        if self.deployment.preprocessing.clip is None:
            raise DataError("this network classifies images, which are no clips: call predict(image) with one of them")
        top_k = checked_top_k(top_k)
        entry = self.choose(
            max_gmacs=max_gmacs, max_latency_ms=max_latency_ms, min_accuracy=min_accuracy, configuration=configuration
        )
        start = time.perf_counter()
        cut = self.deployment.preprocessing.cut_clip(checked_frames(frames, self.deployment.pathways.alpha))
        return self._run(entry, cut, top_k, decode_ms=0.0, scale_ms=_milliseconds(start))

    @torch.no_grad()
    def _run(self, entry: Entry, cut: VideoViews, top_k: int, decode_ms: float, scale_ms: float) -> Prediction:
        run, switch_ms = self._networks.get(entry.configuration)
        preprocess_ms, network_ms, parts = scale_ms, 0.0, []
        views = iter(cut)
        for _ in range(0, len(cut), _VIEWS_PER_PASS):
            start = time.perf_counter()
            some = torch.stack(list(itertools.islice(views, _VIEWS_PER_PASS)))
            clips = self.deployment.preprocessing.normalise(some.to(self.deployment.target.device))
            inputs = self.deployment.pathways.views(clips, entry.configuration)
            preprocess_ms += _milliseconds(start)
            start = time.perf_counter()
            logits = run(inputs).cpu()
            network_ms += _milliseconds(start)
            parts.append(self._scoring.join(self._scoring.activate(logits)))
        scores = self._scoring.join(torch.stack(parts))
        labels = self._labels(self._scoring.probabilities(scores, len(cut)), top_k)
        return Prediction(
            entry.configuration, entry, labels, scores, StageTimes(decode_ms, preprocess_ms, network_ms, switch_ms)
        )

    def _labels(self, probabilities: torch.Tensor, top_k: int) -> tuple[tuple[str | int, float], ...]:
        best = probabilities.topk(min(top_k, len(probabilities)))
        names: Sequence[str | int] = self.deployment.classes or range(len(probabilities))
        return tuple((names[i], p) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True))

    def _entry(self, configuration: Configuration) -> Entry:
        for entry in self.table.entries:
            if entry.configuration == configuration:
                return entry
        raise ConfigurationError(
            f"{configuration!r} is not a Configuration in the query table; it has "
            f"{', '.join(str(entry.configuration) for entry in self.table.entries)}"
        )


def _milliseconds(start: float) -> float:
    return 1000 * (time.perf_counter() - start)
