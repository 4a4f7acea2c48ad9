"""What the command-line tools set for a process that computes on a CPU."""

from __future__ import annotations

import ctypes
import os
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KERNELS = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_PRIMITIVE_CACHE_CAPACITY")  # the name and its older one


def prepare_cpu() -> None:
    """Keep freed memory and compiled kernels for the next step.

    It changes the whole process, so entry points call it, before the first convolution, and imports never do.
    """
    keep_large_blocks()
    keep_kernels()


def keep_large_blocks() -> bool:
    """Let glibc reuse freed tensors instead of mapping every one above 32 MiB afresh.

    On a CPU this halves the time of a training step (page faults). Returns whether it was possible: only glibc has the
    setting.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30) and libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1))


def keep_kernels(count: int = 16384) -> None:
    """Let oneDNN keep ``count`` compiled kernels in place of 1024, unless the environment says another number.

    It compiles one for every shape, some hundred for a configuration: 1024 hold about ten configurations, and a random
    width and resolution in every iteration are hundreds. oneDNN reads the variable at its first kernel.
    """
    if not any(name in os.environ for name in _KERNELS):
        os.environ[_KERNELS[0]] = str(count)
