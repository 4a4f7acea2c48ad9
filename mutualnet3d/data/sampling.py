"""Which frames of a video make a clip: PySlowFast's rules, as pure functions of numbers."""

from dataclasses import dataclass

import numpy as np

from mutualnet3d.errors import ConfigError


@dataclass(frozen=True)
class ClipSpec:
    """What a clip is, in time.

    Attributes:
        num_frames: frames of a clip (DATA.NUM_FRAMES).
        sampling_rate: distance between them, in frames of a video of ``target_fps`` (DATA.SAMPLING_RATE).
        target_fps: frames per second that ``sampling_rate`` refers to (DATA.TARGET_FPS).
        offset_sampling: spread test views over the whole video, ends included (DATA.USE_OFFSET_SAMPLING).
        source_frames: PySlowFast's rule for Charades: ``sampling_rate`` counts the frames of the video itself, whatever
            its ``fps``; clips start at whole frames and test views are spread over the whole video, ends included.
    """

    num_frames: int
    sampling_rate: int
    target_fps: float = 30.0
    offset_sampling: bool = False
    source_frames: bool = False

    def __post_init__(self):
        for name in ("num_frames", "sampling_rate", "target_fps"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"DATA.{name.upper()} is {getattr(self, name)}; it must be above 0")

    @classmethod
    def from_cfg(cls, cfg) -> "ClipSpec":
        """Read DATA.NUM_FRAMES, SAMPLING_RATE, TARGET_FPS, USE_OFFSET_SAMPLING and TRAIN.DATASET."""
        data, charades = cfg.DATA, cfg.TRAIN.DATASET.lower() == "charades"
        return cls(data.NUM_FRAMES, data.SAMPLING_RATE, float(data.TARGET_FPS), data.USE_OFFSET_SAMPLING, charades)


def clip_span(fps: float, spec: ClipSpec) -> float:
    """Source frames that a clip spans, at least 1; a fraction where ``fps`` is not ``spec.target_fps``."""
    if spec.source_frames:
        return (spec.num_frames - 1) * spec.sampling_rate + 1
    return max(spec.sampling_rate * spec.num_frames / spec.target_fps * fps, 1.0)


def random_clip(num_frames: int, fps: float, spec: ClipSpec, rng: np.random.Generator) -> np.ndarray:
    """Frame numbers, int64 (T,), of a clip that starts anywhere in a video of ``num_frames``, uniformly.

    With ``spec.source_frames`` a clip that is longer than the video starts anywhere before it, so that either end is
    repeated, as in PySlowFast.
    """
    if spec.source_frames:
        slack = num_frames - clip_span(fps, spec)
        return _clip_from(int(rng.integers(min(slack, 0), max(slack, 0) + 1)), num_frames, fps, spec)
    slack = max(num_frames - clip_span(fps, spec), 0.0)
    return _clip_from(rng.uniform(0.0, slack), num_frames, fps, spec)


def view_clips(num_frames: int, fps: float, spec: ClipSpec, num_views: int) -> np.ndarray:
    """Frame numbers, int64 (V, T), of the ``num_views`` test clips of a video."""
    if num_views < 1:
        raise ConfigError(f"TEST.NUM_ENSEMBLE_VIEWS is {num_views}; it must be at least 1")
    slack = max(num_frames - clip_span(fps, spec), 0.0)
    starts = [_view_start(view, num_views, slack, spec) for view in range(num_views)]
    return np.stack([_clip_from(start, num_frames, fps, spec) for start in starts])


def key_frame_number(second: float, fps: float) -> int:
    """The frame that is shown ``second`` seconds after the first one."""
    return round(second * fps)


def clip_around(center: int, num_frames: int, fps: float, spec: ClipSpec) -> np.ndarray:
    """Frame numbers, int64 (T,), of the clip of a key frame: PySlowFast's rule for AVA.

    ``center - half + i * rate`` with half = T * rate // 2, clamped to the video. Distances are counted in frames of
    ``spec.target_fps``, that of the videos in AVA's lists, and rounded to source frames.
    """
    half = spec.num_frames * spec.sampling_rate // 2
    offsets = np.arange(spec.num_frames) * spec.sampling_rate - half
    positions = center + np.round(offsets * (fps / spec.target_fps))
    return np.clip(positions, 0, num_frames - 1).astype(np.int64)


def _view_start(view: int, num_views: int, slack: float, spec: ClipSpec) -> float:
    if num_views == 1 and (spec.offset_sampling or spec.source_frames):
        return slack // 2
    if spec.source_frames:
        return round(slack / (num_views - 1) * view)
    if not spec.offset_sampling:
        return slack * view / num_views
    return view * (slack // (num_views - 1))


def _clip_from(start: float, num_frames: int, fps: float, spec: ClipSpec) -> np.ndarray:
    positions = np.linspace(start, start + clip_span(fps, spec) - 1, spec.num_frames)
    # Rounding first: 8.999999999 is 9 with an error of the last digit, not 8.
    return np.clip(np.floor(np.round(positions, 6)), 0, num_frames - 1).astype(np.int64)
