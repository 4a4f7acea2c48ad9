"""What a file is by its name: a video, an image, or one that does not count."""

from __future__ import annotations

from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

VIDEO_SUFFIXES = frozenset(
    (
        *(".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
        *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
    )
)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or something that macOS, Windows or a NAS adds."""
    return name.startswith((".", "__MACOSX", "@eaDir")) or name in ("Thumbs.db", "desktop.ini")


def is_video(path: Path) -> bool:
    """Whether a file is called a video, and not hidden."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not is_hidden(path.name)


def is_image(path: Path) -> bool:
    """Whether a file is called an image, of the suffixes that torchvision knows, and not hidden."""
    return path.suffix.lower() in IMG_EXTENSIONS and not is_hidden(path.name)
