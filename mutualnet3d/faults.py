"""Faults of the machine, said with their remedy."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from mutualnet3d.errors import ResourceError

_FILES = (errno.EMFILE, errno.ENFILE)
_PROBE = 64 << 20  # bytes
_TOO_MANY_FILES = "too many open files; raise the limit (ulimit -n) or lower DATA_LOADER.NUM_WORKERS"
_CPU_MEMORY = re.compile(  # the last line is oneDNN's, which does not say why; without a "descriptor" it lacks a kernel
    r"can't allocate memory|not enough memory|Cannot allocate memory"
    r"|could not (create|execute) a primitive(?! descriptor)|could not create a memory"
)
_WORKER = re.compile(r"DataLoader worker \(pid\(?s?\)? ?([\d, ]+)\)")
_WRITER = re.compile(r"PytorchStreamWriter|file write failed|unexpected pos")


@contextlib.contextmanager
def named_faults(cfg, folder: Path | None = None) -> Iterator[None]:
    """Turn what the machine does to a run into a ResourceError that says what to lower or free; other errors pass.

    ``folder`` is where the body writes; None = OUTPUT_DIR.
    """
    written = folder or cfg.OUTPUT_DIR
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ResourceError(_memory(cfg, str(error).splitlines()[0])) from error
    except MemoryError as error:
        raise ResourceError(_memory(cfg, "no more memory")) from error
    except OSError as error:
        if error.errno in _FILES:
            raise ResourceError(_TOO_MANY_FILES) from error
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ResourceError(_disk(written, error.strerror)) from error
    except RuntimeError as error:
        text = str(error)
        if worker := _WORKER.search(text):
            raise ResourceError(
                f"a data loading worker (process {worker[1].strip()}) was killed, probably because memory ran out; "
                f"lower DATA_LOADER.NUM_WORKERS (now {cfg.DATA_LOADER.NUM_WORKERS}) or the batch size; the same "
                "command goes on where the last checkpoint was written"
            ) from error
        if _CPU_MEMORY.search(text):
            raise ResourceError(_memory(cfg, text.splitlines()[0])) from error
        if _WRITER.search(text):  # torch.save hides the reason, which the file system gave
            raise ResourceError(_disk(written, text.splitlines()[0])) from error
        raise


def refuse_machine_fault(error: Exception) -> None:
    """Raise where a file could not be read because of the machine: another one must not take its place in the run.

    A damaged file may claim to need more memory than there is: it is the machine only where 64 MiB are not to be
    had either.

    Raises:
        ResourceError: too many files are open, or there is no more memory.
    """
    if isinstance(error, OSError) and error.errno in _FILES:
        raise ResourceError(_TOO_MANY_FILES) from error
    if isinstance(error, MemoryError):
        try:
            np.empty(_PROBE, np.uint8)
        except MemoryError:
            raise ResourceError(
                "out of memory while a file was read; lower DATA_LOADER.NUM_WORKERS or the batch size; the same "
                "command goes on where the last checkpoint was written"
            ) from error


def _memory(cfg, reason: str) -> str:
    return (
        f"out of memory ({reason}); lower TRAIN.BATCH_SIZE (now {cfg.TRAIN.BATCH_SIZE}) and SOLVER.BASE_LR in "
        f"proportion, TEST.BATCH_SIZE (now {cfg.TEST.BATCH_SIZE}) or CALIBRATION.BATCH_SIZE (now "
        f"{cfg.CALIBRATION.BATCH_SIZE or cfg.TRAIN.BATCH_SIZE}), whichever ran, or set TRAIN.MIXED_PRECISION True; the "
        "same command goes on where the last checkpoint was written"
    )


def _disk(folder: str | Path, reason: str) -> str:
    return (
        f"{folder} cannot take more files ({reason}); the files before are whole; free some space and give the "
        "same command again"
    )
