"""A budget and a video or image in, classes out: the query table chooses, sub-networks are built when first needed."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.data.boxes import to_pixels
from mutualnet3d.data.decode import VideoReader
from mutualnet3d.data.memory import FramesInMemory
from mutualnet3d.data.sampling import key_frame_number
from mutualnet3d.data.views import VideoViews
from mutualnet3d.deployment import Deployment, open_deployment
from mutualnet3d.errors import DataError, DeploymentError
from mutualnet3d.predictor.choice import Budget, choose, chosen_by_budgets, entry_of
from mutualnet3d.predictor.labels import LabelRule
from mutualnet3d.predictor.people import BoxArray, Detector, People, key_seconds, people_of
from mutualnet3d.predictor.prediction import Detections, Prediction, StageTimes, checked_views, milliseconds_since
from mutualnet3d.predictor.scoring import Scoring
from mutualnet3d.predictor.source import Frames, Source, checked_frames, opened
from mutualnet3d.predictor.subnetworks import SubNetworks, SwitchingCost
from mutualnet3d.query_table import Entry, QueryTable

if TYPE_CHECKING:
    from typing_extensions import Unpack

_VIEWS_PER_PASS = 8  # of a video that has many: bounds the memory


class AdaptivePredictor:
    """One deployed network at every budget; may be used by any number of threads at once.

    Where the deployment :attr:`~mutualnet3d.deployment.Deployment.converts`, :meth:`warm` it before other threads run.

    Args:
        deployment: what :func:`mutualnet3d.deployment.open_deployment` gives.
        max_networks: sub-networks kept ready; the least recently used one makes room.

    Raises:
        QueryTableError: the query table names an unknown ensembling.
    """

    def __init__(self, deployment: Deployment, max_networks: int = 4):
        self.deployment, self._scoring = deployment, Scoring.of(deployment)
        self._networks = SubNetworks(deployment.build, max_networks, deployment.converts)

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

    def warm(self, configurations: Iterable[Configuration] | None = None) -> None:
        """Build sub-networks ahead of their use, so that no prediction waits for one.

        Args:
            configurations: None: those of the Pareto fronts by GMACs and by latency, where it was measured.

        Raises:
            ConfigurationError: one is not in the table.
            DeploymentError: more than ``max_networks``, so that some would be dropped at once.
        """
        some = chosen_by_budgets(self.table) if configurations is None else configurations
        wanted = list(dict.fromkeys(entry_of(self.table, each).configuration for each in some))
        if len(wanted) > self._networks.capacity:
            raise DeploymentError(
                f"{len(wanted)} sub-networks do not stay ready where max_networks is {self._networks.capacity}; load "
                f"with max_networks={len(wanted)}, or name fewer"
            )
        for configuration in wanted:
            self._networks.get(configuration)

    def choose(self, **budget: Unpack[Budget]) -> Entry:
        """The entry that a prediction would run: the named one, or :meth:`QueryTable.best` of the budgets.

        Budgets are per view. With none at all it is the most accurate entry, of equals the cheaper: more budget never
        gives less accuracy, and no limit is the largest budget.

        Args:
            budget: any of ``max_gmacs``, ``max_latency_ms`` and ``min_accuracy`` (per cent), or ``configuration``.

        Raises:
            BudgetError: nothing fits, or a budget was given beside a configuration.
            QueryTableError: a latency budget where none was measured for this backend.
            ConfigurationError: the configuration is not in the table.
        """
        return choose(self.table, **budget)

    def predict(
        self,
        source: Source,
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        views: tuple[int, int] = (1, 1),
        fps: float = 30.0,
        **budget: Unpack[Budget],
    ) -> Prediction:
        """The classes of a whole video, or of an image, at the configuration that :meth:`choose` names.

        Args:
            source: a video file; or all its frames, uint8 (F, H, W, 3), RGB; or what ``open_video`` gave this thread.
                For a network of images an image file, whose EXIF orientation counts; or its pixels, uint8 (H, W, 3).
            top_k: labels, at least 1; default 5, or with a threshold all above it.
            threshold: name the labels whose probability is at least so much: for videos with several labels.
            views: temporal clips and spatial crops (1 or 3) whose scores are joined; ``(10, 3)`` as papers do. The
                table's accuracies hold for those that its provenance names. Of an image ``(1, 1)``.
            fps: frames per second of frames in memory; a file knows its own.
            budget: ``max_gmacs``, ``max_latency_ms``, ``min_accuracy`` or ``configuration``; see :meth:`choose`.

        Raises:
            VideoError: the file cannot be read, or is an image where the network takes videos, or the reverse.
            DataError: frames of another shape or type; another argument out of bounds; class names of another number.
            DeploymentError: a detection network, which needs :meth:`detect`.
            BudgetError, QueryTableError, ConfigurationError: see :meth:`choose`.
        """
        preprocessing = self.deployment.preprocessing
        images = preprocessing.clip is None
        rule, views, entry = LabelRule(top_k, threshold), checked_views(views, images), self._chosen(False, budget)
        start = time.perf_counter()
        with opened(source, fps, images) as video:
            cut = preprocessing.cut_video(video, *views)
            read = _reading(video, start)
        return self._run(entry, cut, rule, *read)

    def predict_clip(
        self,
        frames: Frames,
        *,
        top_k: int | None = None,
        threshold: float | None = None,
        **budget: Unpack[Budget],
    ) -> Prediction:
        """The classes of one clip: exactly these frames, uint8 (T, H, W, 3), RGB, one centre view.

        T is the length that the network was trained with, or another that the temporal resolution scales with, at least
        ``alpha``. The rest is as for :meth:`predict`; a network of images has no clips, and raises DataError.
        """
        if self.deployment.preprocessing.clip is None:
            raise DataError("this network classifies images, which are no clips: call predict(image) with one of them")
        rule, entry = LabelRule(top_k, threshold), self._chosen(False, budget)
        start = time.perf_counter()
        cut = self.deployment.preprocessing.cut_clip(checked_frames(frames, self.deployment.pathways.alpha))
        return self._run(entry, cut, rule, 0.0, milliseconds_since(start))

    def detect(
        self,
        source: Source,
        boxes: People | Detector | Mapping[float, BoxArray] | BoxArray,
        *,
        at: float | Sequence[float] | None = None,
        every: float | None = None,
        top_k: int | None = None,
        threshold: float | None = None,
        fps: float = 30.0,
        **budget: Unpack[Budget],
    ) -> tuple[Detections, ...]:
        """What the people of a video's key frames do, at the configuration that :meth:`choose` names.

        A key frame is seen as the evaluation sees it: a clip around it, clamped at the ends of the video, not cropped.

        Args:
            source: see :meth:`predict`; of an open video, frames are read as they are needed.
            boxes: the people. An array (R, 4), x1, y1, x2, y2 in pixels of the frame, for all key frames; a dict second
                -> such an array; :class:`FileBoxes` of a csv of AVA; or a detector: :class:`PersonDetector`, or any
                function from an image, uint8 (H, W, 3), RGB, to such an array.
            at: seconds of the key frames since the first frame; default: those that ``boxes`` have, else
            every: so many seconds from the first frame on; default 1.
            top_k: see :meth:`predict`; labels are per box.
            threshold: see :meth:`predict`.
            fps: see :meth:`predict`.
            **budget: see :meth:`predict`.

        Returns:
            One value a key frame, by time. Where nobody is, no network runs.

        Raises:
            DataError: boxes that are none or lie outside the frame; a key frame without boxes or outside the video.
            DeploymentError: not a detection network: :meth:`predict` is for it.
            VideoError, BudgetError, QueryTableError, ConfigurationError: see :meth:`predict`.
        """
        rule, entry = LabelRule(top_k, threshold), self._chosen(True, budget)
        with opened(source, fps) as video:
            people = people_of(boxes, video.size)
            return tuple(self._detect(entry, video, s, people, rule) for s in key_seconds(people, at, every, video))

    def _chosen(self, detects: bool, budget: Budget) -> Entry:
        if self.deployment.detects != detects:
            raise DeploymentError(
                "a detection network tells what people in boxes do: use detect(source, boxes)"
                if self.deployment.detects
                else "this network classifies whole videos and knows no boxes: use predict(source)"
            )
        return self.choose(**budget)

    def _run(self, entry: Entry, cut: VideoViews, rule: LabelRule, decode_ms: float, scale_ms: float) -> Prediction:
        run, switch_ms = self._networks.get(entry.configuration)
        preprocess_ms, network_ms, parts = scale_ms, 0.0, []
        views = iter(cut)
        for _ in range(0, len(cut), _VIEWS_PER_PASS):
            start = time.perf_counter()
            some = torch.stack(list(itertools.islice(views, _VIEWS_PER_PASS)))
            scores, before_ms, own_ms = self._scoring.score(self.deployment, run, entry.configuration, some, start)
            preprocess_ms, network_ms = preprocess_ms + before_ms, network_ms + own_ms
            parts.append(self._scoring.join(scores))
        scores = self._scoring.join(torch.stack(parts))
        labels = rule.choose(self._scoring.probabilities(scores, len(cut)), self.deployment.classes)
        times = StageTimes(decode_ms, preprocess_ms, network_ms, switch_ms)
        return Prediction(entry.configuration, entry, labels, scores, times)

    def _detect(self, entry: Entry, video: VideoReader, second: float, people: People, rule: LabelRule) -> Detections:
        start = time.perf_counter()
        clip = self.deployment.preprocessing.cut_key_frame(video, second)
        decode_ms, preprocess_ms = _reading(video, start)
        start = time.perf_counter()
        boxes = people.at(second, video.size, lambda: video.frames([key_frame_number(second, video.fps)])[0])
        detector_ms = milliseconds_since(start) if people.finds else 0.0
        scores, network_ms, switch_ms = torch.zeros(0, 0), 0.0, 0.0
        if len(boxes):
            run, switch_ms = self._networks.get(entry.configuration)
            start = time.perf_counter()
            rois = torch.from_numpy(to_pixels(boxes, *clip.shape[2:])).float()
            rois = torch.nn.functional.pad(rois, (1, 0))  # of clip 0
            clips, at = clip[None], entry.configuration
            scores, before_ms, network_ms = self._scoring.score(self.deployment, run, at, clips, start, rois)
            preprocess_ms += before_ms
        labels = tuple(rule.choose(each, self.deployment.classes) for each in scores)
        times = StageTimes(decode_ms, preprocess_ms, network_ms, switch_ms, detector_ms)
        return Detections(second, to_pixels(boxes, *video.size), labels, scores, entry.configuration, entry, times)


def _reading(video: VideoReader, start: float) -> tuple[float, float]:
    """Milliseconds since ``start`` of decoding, and of scaling frames that were in memory."""
    taken = milliseconds_since(start)
    return (0.0, taken) if isinstance(video, FramesInMemory) else (taken, 0.0)
