"""A video and a budget in; what the network sees in it, what that took, and where it looked, out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from mutualnet3d.data import open_media
from mutualnet3d.errors import MutualNetError
from mutualnet3d.page.evidence import Evidence
from mutualnet3d.page.model import PageModel
from mutualnet3d.predictor import Prediction
from mutualnet3d.visualization.clips import covering, spread_clips

TOP_K = 5


@dataclass(frozen=True, eq=False)
class Answer:
    """What a page shows.

    Attributes:
        video: name of the file.
        frames, fps: of the video.
        clips: that it was seen in, evenly spread from its first frame to its last.
        covered: whether they leave no part of the video out.
        prediction: of all clips together, with what it cost and took.
        evidence: for the most probable class; None where the model has no maps.
    """

    video: str
    frames: int
    fps: float
    clips: int
    covered: bool
    prediction: Prediction
    evidence: Evidence | None

    @property
    def seconds(self) -> float:
        """Length of the video."""
        return self.frames / self.fps


def answer(model: PageModel, video: str | os.PathLike, budget: float, cost: str = "gmacs") -> Answer:
    """The answer of the most accurate configuration within ``budget``; any number of threads may ask at once.

    Args:
        video: a file.
        budget: per view, in GMACs or milliseconds.
        cost: ``gmacs``, or ``latency_ms`` where the table has latencies.

    Raises:
        VideoError: the file cannot be read as a video.
        BudgetError: nothing costs so little.
        DataError: ``cost`` is unknown; class names of another number than the network's.
    """
    _, entry = model.scale(cost).snap(budget)
    preprocessing = model.predictor.deployment.preprocessing
    with open_media(video, images=False) as reader:
        needed = covering(reader, preprocessing)
        clips = min(needed, model.most_clips)
        prediction = model.predictor.predict(reader, top_k=TOP_K, views=(clips, 1), configuration=entry.configuration)
        evidence = None
        if model.maps:
            seen, label = spread_clips(reader, preprocessing, clips), int(prediction.scores.argmax())
            evidence = model.maps.draw(reader, seen, entry.configuration, label)
        return Answer(Path(video).name, reader.num_frames, reader.fps, clips, clips == needed, prediction, evidence)


def explain(error: MutualNetError, video: str | os.PathLike) -> str:
    """What went wrong, without the folder that the page keeps uploaded videos in."""
    return str(error).replace(str(video), Path(video).name)
