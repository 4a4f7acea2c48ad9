"""Tiny movies as pictures in folders, with frame lists, as people who bring their own data would write them."""

from pathlib import Path

import cv2
import numpy as np


def write_pictures(folder: Path, count: int, size=(48, 64), seed: int = 0) -> list[Path]:
    """JPEG files of which each differs from every other."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    paths = []
    for number in range(1, count + 1):
        image = rng.integers(0, 255, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
        paths.append(folder / f"{folder.name}_{number:06d}.jpg")
        cv2.imwrite(str(paths[-1]), image.repeat(8, axis=0).repeat(8, axis=1))
    return paths


def frame_lines(name: str, number: int, count: int, labels=lambda frame: "") -> list[str]:
    """Lines of a frame list."""
    return [f'{name} {number} {i} {name}/{name}_{i + 1:06d}.jpg "{labels(i)}"\n' for i in range(count)]


def write_list(path: Path, *lines: str) -> Path:
    """A frame list with its header."""
    path.write_text("original_vido_id video_id frame_id path labels\n" + "".join(lines))
    return path


def rgb(path) -> np.ndarray:
    """The picture as the plainest possible program reads it."""
    return cv2.imread(str(path))[:, :, ::-1]
