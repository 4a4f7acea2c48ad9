"""Renders one synthetic clip: a textured object over a background that drifts by itself. The class is the motion alone.

One frame says nothing about the class. All that is seen in it (texture, shape, colours, size, angle, place, background)
is drawn before the class is looked at, and the place is uniform over the frame because the scene is a torus: what
leaves on the right enters on the left, and never seems to turn back. The class only decides which property of the
object (x, y, angle or size) runs through time; the others stand still at an instant drawn at random, so that each has
the same distribution where it runs and where it stands. (Size alone cannot be made cyclic, so the very first and last
frames tell large from small: a little about growing and shrinking, and nothing about the rest.)

Eight classes are four pairs; the second of a pair is the first played backwards, frame by frame. Two more oscillate. So
a network that ignores the order of the frames cannot exceed 60 %: it has to guess within each pair.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from mutualnet3d.data.synthetic_texture import draw_sprite, draw_texture
from mutualnet3d.errors import ConfigError, DataError

RENDERER_VERSION = 1  # raise it whenever the same seed gives other frames

MOTIONS: tuple[str, ...] = (
    *("left", "right", "up", "down", "clockwise", "counterclockwise", "grow", "shrink"),
    *("sway", "bob"),  # oscillation from side to side, and up and down
)
REVERSED = {"right": "left", "down": "up", "counterclockwise": "clockwise", "shrink": "grow"}

MIN_SIDE, MIN_FRAMES = 32, 8
OBJECT_BRIGHTNESS, BACKGROUND_BRIGHTNESS = (130.0, 250.0), (10.0, 110.0)  # of any colour channel, 0-255
BACKGROUND_DRIFT = (0.0, 0.15)  # over the clip, in shorter sides of the frame: far slower than an object


@dataclass(frozen=True)
class _Difficulty:
    """Ranges of what moves, lowest and highest; lengths are in shorter sides of the frame."""

    size: tuple[float, float] = (0.55, 0.65)  # diameter at mid-growth; growing and shrinking stay below 1
    travel: tuple[float, float] = (0.55, 0.95)  # over the clip
    turns: tuple[float, float] = (0.5, 0.9)  # over the clip
    growth: tuple[float, float] = (1.8, 2.1)  # last diameter over first
    swing: tuple[float, float] = (0.14, 0.2)  # amplitude of oscillation
    swings: tuple[float, float] = (1.1, 1.5)  # periods of oscillation over the clip
    distractors: int = 0  # other objects, which stand or drift slowly whatever the class
    distractor_drift: float = 0.0  # over the clip, at most


DIFFICULTIES = {
    "easy": _Difficulty(),
    # Small, so that pixels tell; slow and fast, so that many frames tell; and several, so that a scene has to be taken
    # apart: the object is the one that moves most.
    "hard": _Difficulty(
        size=(0.24, 0.36),
        travel=(0.3, 2.2),
        turns=(0.3, 1.6),
        growth=(1.5, 2.1),
        swing=(0.08, 0.16),
        swings=(1.1, 2.6),
        distractors=2,
        distractor_drift=0.12,
    ),
}


@dataclass(frozen=True)
class RenderSpec:
    """Size of every video: `height` and `width` in pixels (even, as yuv420p wants), `num_frames`, `fps` in frames/s.

    `difficulty` is `easy` or `hard`: how large objects are, how fast, and how many (``DIFFICULTIES``).
    """

    height: int = 96
    width: int = 96
    num_frames: int = 40
    fps: int = 25
    difficulty: str = "easy"

    def __post_init__(self) -> None:
        if self.difficulty not in DIFFICULTIES:
            raise ConfigError(
                f"synthetic video: difficulty is {self.difficulty!r}; choose one of {', '.join(DIFFICULTIES)}"
            )
        for name, low in (("height", MIN_SIDE), ("width", MIN_SIDE), ("num_frames", MIN_FRAMES), ("fps", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise ConfigError(f"synthetic video: {name} is {value!r}; give a whole number of at least {low}")
            if name in ("height", "width") and value % 2:
                raise ConfigError(f"synthetic video: {name} is {value}; H.264 in yuv420p needs an even one")

    @property
    def side(self) -> int:
        """The shorter side in pixels: what sizes and distances are measured in."""
        return min(self.height, self.width)


@dataclass(frozen=True)
class _Path:
    """The object over time, each (T,) float64: centre x, y in pixels, angle in radians, diameter in pixels."""

    x: np.ndarray
    y: np.ndarray
    angle: np.ndarray
    diameter: np.ndarray


def _draw_path(motion: str, rng: np.random.Generator, spec: RenderSpec) -> _Path:
    """`motion` is the first class of a pair. The draws are the same, in number and order, whatever the class."""
    ranges = DIFFICULTIES[spec.difficulty]
    centre = rng.uniform(0.0, 1.0, 2) * (spec.width, spec.height)
    travel = rng.uniform(*ranges.travel) * spec.side
    angle, turn = rng.uniform(0.0, 2.0 * math.pi), 2.0 * math.pi * rng.uniform(*ranges.turns)
    diameter, growth = rng.uniform(*ranges.size) * spec.side, math.log(rng.uniform(*ranges.growth))
    swing, swings = rng.uniform(*ranges.swing) * spec.side, rng.uniform(*ranges.swings)
    phase = rng.uniform(0.0, 2.0 * math.pi)
    instants = rng.uniform(-0.5, 0.5, 4)  # at which x, y, angle and size stand still where they do not run
    drift = rng.normal(0.0, 0.02, 2) * spec.side  # no object stands quite still
    wobble = rng.normal(0.0, 0.05)

    time = np.linspace(-0.5, 0.5, spec.num_frames)
    runs = [motion == name for name in ("left", "up", "clockwise", "grow")]
    x, y, turned, grown = (time if run else np.full_like(time, at) for run, at in zip(runs, instants, strict=True))
    swung = swing * np.sin(phase + 2.0 * math.pi * swings * time)
    return _Path(
        x=centre[0] - travel * x + drift[0] * time + (swung if motion == "sway" else 0.0),
        y=centre[1] - travel * y + drift[1] * time + (swung if motion == "bob" else 0.0),
        angle=angle + turn * turned + wobble * time,
        diameter=diameter * np.exp(growth * grown),
    )


def _draw_distractor(rng: np.random.Generator, spec: RenderSpec) -> _Path:
    """An object that drifts slowly and straight, the same whatever the class."""
    ranges, time = DIFFICULTIES[spec.difficulty], np.linspace(-0.5, 0.5, spec.num_frames)
    centre = rng.uniform(0.0, 1.0, 2) * (spec.width, spec.height)
    drift = rng.uniform(-1.0, 1.0, 2) * ranges.distractor_drift * spec.side
    return _Path(
        x=centre[0] + drift[0] * time,
        y=centre[1] + drift[1] * time,
        angle=np.full_like(time, rng.uniform(0.0, 2.0 * math.pi)),
        diameter=np.full_like(time, rng.uniform(*ranges.size) * spec.side),
    )


def _wrap(start: int, length: int, period: int) -> Iterator[tuple[slice, slice]]:
    """Where `length` pixels from `start` lie on a circle of `period`: (slice of the circle, slice of the run)."""
    start %= period
    first = min(length, period - start)
    yield slice(start, start + first), slice(0, first)
    if first < length:
        yield slice(0, length - first), slice(first, length)


def _paste(frame: np.ndarray, sprite: tuple[np.ndarray, np.ndarray], x: float, y: float, angle: float, diameter: float):
    """Lays `sprite` over `frame` (H, W, 3), centred at x, y (any real number: a torus), turned clockwise by `angle`."""
    colour, opacity = sprite
    height, width = frame.shape[:2]
    extent = min(math.ceil(diameter) + 2, height, width)  # of the square that is touched
    left, top = math.floor(x - 0.5 * extent), math.floor(y - 0.5 * extent)
    scale, middle = diameter / colour.shape[0], 0.5 * (colour.shape[0] - 1)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    shift_x, shift_y = x - left - middle * (cosine - sine), y - top - middle * (sine + cosine)
    matrix = np.array([[cosine, -sine, shift_x], [sine, cosine, shift_y]])
    colour = cv2.warpAffine(colour, matrix, (extent, extent), flags=cv2.INTER_LINEAR)
    opacity = cv2.warpAffine(opacity, matrix, (extent, extent), flags=cv2.INTER_LINEAR)
    for rows, patch_rows in _wrap(top, extent, height):
        for columns, patch_columns in _wrap(left, extent, width):
            area = frame[rows, columns]
            area *= 1.0 - opacity[patch_rows, patch_columns]
            area += colour[patch_rows, patch_columns]


def _render_background(rng: np.random.Generator, spec: RenderSpec) -> np.ndarray:
    """A texture that tiles the frame and drifts in a random direction: (T, H, W, 3) float32, 0-255."""
    texture = draw_texture(rng, spec.height, spec.width, BACKGROUND_BRIGHTNESS, max_periods=3)
    heading, distance = rng.uniform(0.0, 2.0 * math.pi), rng.uniform(*BACKGROUND_DRIFT) * spec.side
    margin = math.ceil(distance) + 1
    texture = np.pad(texture, ((margin, margin), (margin, margin), (0, 0)), mode="wrap")
    frames = np.empty((spec.num_frames, spec.height, spec.width, 3), np.float32)
    for frame, step in zip(frames, np.linspace(0.0, distance, spec.num_frames), strict=True):
        shift_x, shift_y = step * math.cos(heading) - margin, step * math.sin(heading) - margin
        matrix = np.array([[1.0, 0.0, shift_x], [0.0, 1.0, shift_y]])
        frame[...] = cv2.warpAffine(texture, matrix, (spec.width, spec.height), flags=cv2.INTER_LINEAR)
    return frames


def _add_sensor(rng: np.random.Generator, frames: np.ndarray) -> None:
    """Slow drift of brightness (a few per cent) and noise of 2-4 grey levels, onto frames (T, H, W, 3), in place."""
    num_frames, height, width, _ = frames.shape
    strength, phase, sigma = rng.uniform(0.0, 0.05), rng.uniform(0.0, 2.0 * math.pi), rng.uniform(2.0, 4.0)
    gains = 1.0 + strength * np.sin(phase + np.linspace(0.0, math.pi, num_frames))
    # One field of noise, cut at another place for every frame: to the eye as good as fresh noise, and far quicker.
    field = np.float32(sigma) * rng.standard_normal((2 * height, 2 * width, 3), dtype=np.float32)
    tops, lefts = rng.integers(0, height, num_frames), rng.integers(0, width, num_frames)
    for frame, gain, top, left in zip(frames, gains.astype(np.float32), tops, lefts, strict=True):
        frame *= gain
        frame += field[top : top + height, left : left + width]


def render_clip(motion: str, rng: np.random.Generator, spec: RenderSpec) -> np.ndarray:
    """One clip of class `motion`.

    From an `rng` in the same state, the two classes of a pair (``REVERSED``) give the same frames in opposite order,
    and all classes give the same object and the same background in different motion.

    Returns:
        (T, H, W, 3) uint8, RGB.
    """
    if motion not in MOTIONS:
        raise DataError(f"synthetic video: there is no motion {motion!r}; choose one of {', '.join(MOTIONS)}")
    path = _draw_path(REVERSED.get(motion, motion), rng, spec)
    sprite = draw_sprite(rng, round(0.6 * spec.side), OBJECT_BRIGHTNESS, max_periods=2)
    frames = _render_background(rng, spec)
    others = [
        (_draw_distractor(rng, spec), draw_sprite(rng, sprite[0].shape[0], OBJECT_BRIGHTNESS, max_periods=2))
        for _ in range(DIFFICULTIES[spec.difficulty].distractors)
    ]
    for each, looks in [*others, (path, sprite)]:  # the object in front
        for frame, x, y, angle, diameter in zip(frames, each.x, each.y, each.angle, each.diameter, strict=True):
            _paste(frame, looks, x, y, angle, diameter)
    _add_sensor(rng, frames)
    np.clip(frames, 0.0, 255.0, out=frames)
    clip = np.rint(frames, out=frames).astype(np.uint8)
    return np.ascontiguousarray(clip[::-1]) if motion in REVERSED else clip
