"""Appearance of the synthetic videos: tileable textures and textured shapes, drawn at random, alike for every class.

Objects are bright and backgrounds dark: with that one regularity a narrow network learns motion from a few thousand
clips, and it says nothing about the class.
"""

import math

import cv2
import numpy as np

SUPERSAMPLING = 4  # shapes are filled at this multiple of their size and averaged down: smooth edges


def draw_texture(
    rng: np.random.Generator, height: int, width: int, brightness: tuple[float, float], max_periods: int
) -> np.ndarray:
    """A pattern in two random colours that tiles the plane: each edge continues at the opposite one.

    Args:
        rng: source of every choice.
        height, width: pixels.
        brightness: lowest and highest value of any channel, 0-255.
        max_periods: how often the waves of the pattern repeat over the texture at most, along each axis.

    Returns:
        (height, width, 3) float32.
    """
    low, high = brightness
    middle, width_of_range = 0.5 * (low + high), high - low
    dark = rng.uniform(low, middle + 0.2 * width_of_range, 3).astype(np.float32)
    bright = rng.uniform(middle - 0.1 * width_of_range, high, 3).astype(np.float32)

    waves = 4
    periods = rng.integers(1, max_periods + 1, (waves, 2)) * rng.choice(
        [-1, 1], (waves, 2)
    )  # whole ones, so that it tiles
    phase = rng.uniform(0.0, 2.0 * math.pi, waves)
    y = (2.0 * math.pi / height * np.arange(height, dtype=np.float32))[:, None]
    x = (2.0 * math.pi / width * np.arange(width, dtype=np.float32))[None, :]
    angle = [periods[i, 0] * y + periods[i, 1] * x + phase[i] for i in range(waves)]
    kind = rng.integers(3)
    if kind == 0:  # blotches
        pattern = 0.6 * sum(np.sin(each) for each in angle)
    elif kind == 1:  # checks
        pattern = 2.0 * np.sin(angle[0]) * np.sin(angle[1]) + 0.4 * np.sin(angle[2])
    else:  # stripes, bent so that a shift along them can be seen
        pattern = np.sin(angle[0] + 1.2 * np.sin(angle[1])) + 0.5 * np.sin(angle[2])
    mix = 0.5 + 0.5 * np.tanh(2.0 * pattern, dtype=np.float32)[..., None]
    return dark + mix * (bright - dark)


def _draw_outline(rng: np.random.Generator) -> np.ndarray:
    """A random polygon, (K, 2) x, y within the unit circle; long enough in one direction for its turning to be seen."""
    kind = rng.integers(5)
    aspect = rng.uniform(0.35, 0.55)
    if kind == 0:  # ellipse
        angle = np.linspace(0.0, 2.0 * math.pi, 48, endpoint=False)
        points = np.stack([np.cos(angle), aspect * np.sin(angle)], axis=1)
    elif kind == 1:  # rectangle
        points = np.array([[1, aspect], [-1, aspect], [-1, -aspect], [1, -aspect]])
    elif kind == 2:  # triangle
        points = np.array([[1, 0], [-0.8, aspect], [-0.8, -aspect]])
    elif kind == 3:  # letter L
        points = np.array([[-1, -0.7], [-1 + aspect, -0.7], [-1 + aspect, 0.2], [1, 0.2], [1, 0.7], [-1, 0.7]])
    else:  # letter T
        half = 0.5 * aspect
        points = np.array(
            [[-0.6, -1], [0.6, -1], [0.6, -0.5], [half, -0.5], [half, 1], [-half, 1], [-half, -0.5], [-0.6, -0.5]]
        )
    return points / np.linalg.norm(points, axis=1).max()


def draw_sprite(
    rng: np.random.Generator, size: int, brightness: tuple[float, float], max_periods: int
) -> tuple[np.ndarray, np.ndarray]:
    """A textured shape that reaches the circle inscribed in a square of `size` pixels.

    Returns:
        colour already multiplied by opacity, and opacity (0-1, thrice the same channel): two (size, size, 3) float32.
    """
    large = size * SUPERSAMPLING
    mask = np.zeros((large, large, 3), np.uint8)
    points = (0.5 * large * (1.0 + 0.97 * _draw_outline(rng))).astype(np.int32)
    cv2.fillPoly(mask, [points], (255, 255, 255))
    opacity = cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    return draw_texture(rng, size, size, brightness, max_periods) * opacity, opacity
