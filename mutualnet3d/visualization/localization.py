"""Do configurations look at what the class is about? Boxes of activation maps against boxes of the truth."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mutualnet3d.configuration import Configuration
from mutualnet3d.data import Entries, LabelledVideo, Preprocessing
from mutualnet3d.data.decode import resolve_backend
from mutualnet3d.data.frame_boxes import FrameBoxes
from mutualnet3d.errors import ConfigError, DataError, VideoError
from mutualnet3d.evaluation.localization import THRESHOLD, Localization, Tally, best_overlap, box_of_map, centre_box
from mutualnet3d.models.network import AdaptiveNetwork
from mutualnet3d.visualization.activation_maps import activation_maps, check_pools_globally
from mutualnet3d.visualization.clips import VideoClips, test_clip

_logger = logging.getLogger(__name__)
BASELINES = ("centre box of the mean size", "whole view")


@dataclass(frozen=True, eq=False)
class _Truth:
    """One clip or image, its class, and the true boxes (R, 4) of those of its frames that have one in view."""

    clips: VideoClips
    label: int
    boxes: dict[int, np.ndarray]


def localize(
    model: AdaptiveNetwork,
    cfg,
    entries: Entries,
    truth: FrameBoxes,
    configurations: Sequence[Configuration],
    thresholds: Sequence[float] = (THRESHOLD,),
    pathway: str = "slow",
) -> tuple[Localization, ...]:
    """How often the map of the true class gives the right box, at all configurations and thresholds; baselines.

    Each video is decoded once, into the clip that a test with one view takes, and every frame of the clip counts that
    has a true box in view. An image is a video of one frame. What configurations compute alike is computed once.

    Args:
        pathway: see :meth:`ActivationMaps.at_clip`.

    Returns:
        A result for each configuration and threshold, then those of the ``BASELINES``, which know the truth's sizes.

    Raises:
        ConfigError: the network has no activation maps, several labels a video, or no such pathway.
        NotCalibratedError: a configuration has no statistics; before anything is decoded.
        DataError: no video or image can be read, or none has a box in view.
    """
    check_pools_globally(model)
    if cfg.DATA.MULTI_LABEL:
        raise ConfigError("DATA.MULTI_LABEL True: localization needs one true class a video, whose map is taken")
    for configuration in configurations:
        model.require_statistics(model.space.check(configuration))
    if bad := [t for t in thresholds if not 0 < t < 1]:
        raise ConfigError(f"threshold {bad[0]:g} must lie between 0 and 1: it is a share of a map's maximum")
    preprocessing, device = Preprocessing.from_cfg(cfg), next(model.parameters()).device
    tallies = {(c, t): Tally(str(c), t) for c in dict.fromkeys(configurations) for t in thresholds}
    sharing = model.sharing_groups(list(dict.fromkeys(configurations)))
    true_boxes: list[np.ndarray] = []
    videos = _with_truth(entries, truth, preprocessing, resolve_backend(cfg.DATA.DECODING_BACKEND))
    for batch in iter(lambda: list(itertools.islice(videos, cfg.TEST.BATCH_SIZE)), []):
        true_boxes += [boxes for video in batch for boxes in video.boxes.values()]
        clip = torch.cat([video.clips.normalised(preprocessing) for video in batch]).to(device)
        labels = torch.tensor([video.label for video in batch], device=device)
        for group in sharing:
            with torch.no_grad():
                shared = model.shared_features(clip, group[0])
            for configuration in group:
                found = activation_maps(model, clip, configuration, labels, shared=shared)
                right, maps = (found.logits.argmax(1) == labels).tolist(), found.at_clip(pathway).cpu().numpy()
                for number, threshold in itertools.product(range(len(batch)), thresholds):
                    tally = tallies[configuration, threshold]
                    for frame, boxes in batch[number].boxes.items():
                        box = box_of_map(maps[number, frame], threshold)
                        tally.add(best_overlap(box, boxes), right[number])
    side = float(preprocessing.crop)
    guesses = (centre_box(true_boxes, side, side), np.array([0.0, 0.0, side, side]))
    baselines = [Tally(name) for name in BASELINES]
    for tally, guess in zip(baselines, guesses, strict=True):
        for boxes in true_boxes:
            tally.add(best_overlap(guess, boxes))
    return tuple(tally.result() for tally in (*tallies.values(), *baselines))


def _with_truth(
    entries: Sequence[LabelledVideo], truth: FrameBoxes, preprocessing: Preprocessing, backend: str
) -> Iterator[_Truth]:
    """The videos that can be read and have a box in view; at the end says how many there were of the others.

    DataError if there is none.
    """
    kind, used, without, unreadable = "image" if preprocessing.clip is None else "video", 0, 0, []
    for entry in entries:
        boxes = truth.of(entry.path)
        try:
            clips = None
            if boxes:
                with entry.open(backend) as video:
                    clips = test_clip(video, preprocessing)
        except VideoError as error:
            unreadable.append(str(error))
            continue
        numbers = [] if clips is None else clips.frames[0].tolist()
        once = {number: i for i, number in reversed(list(enumerate(numbers))) if number in boxes}  # short videos repeat
        seen = {i: clips.to_view(boxes[number]) for number, i in sorted(once.items())}
        seen = {i: each for i, each in seen.items() if len(each)}
        if not seen:
            without += 1
            continue
        used += 1
        yield _Truth(clips, entry.label, seen)
    left = f"{without} without a box in view in {truth.path}" + (
        f", {len(unreadable)} unreadable" if unreadable else ""
    )
    if not used:
        raise DataError(
            f"no {kind} of {len(entries)} can be used: {left}; boxes name a {kind} by its path, or the last parts of "
            "it" + (f"; {unreadable[0]}" if unreadable else "")
        )
    _logger.info("localization on %d of %d %ss: %s", used, len(entries), kind, left)
    for line in unreadable:
        _logger.warning("unreadable %s %s", kind, line)
