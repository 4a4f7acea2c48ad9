"""Memory settings of the command-line tools on Linux."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_large_blocks() -> bool:
    """Let glibc reuse freed tensors instead of mapping every one above 32 MiB afresh.

    On a CPU this halves the time of a training step (page faults). It changes the whole process, so entry points
    call it and imports never do. Returns whether it was possible: only glibc has the setting.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30) and libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1))
