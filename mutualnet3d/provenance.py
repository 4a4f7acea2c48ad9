"""When something was made, and by which versions: what tables, exports and statistics say of themselves."""

from __future__ import annotations

import datetime

import torch

import mutualnet3d


def now() -> str:
    """The time in UTC to the second, ISO 8601."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Of this package and of torch, by name."""
    return {"mutualnet3d": mutualnet3d.__version__, "torch": str(torch.__version__)}
