"""One run at a time in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from mutualnet3d.distributed import Processes
from mutualnet3d.errors import ConfigError
from mutualnet3d.faults import named_faults
from mutualnet3d.files import remove_partial
from mutualnet3d.output_files import LOCK_FILE, run_folders


@contextlib.contextmanager
def run_in_output_dir(cfg, processes: Processes) -> Iterator[None]:
    """Run the body as the only run in OUTPUT_DIR, which rank 0 holds, and with its faults named.

    Raises:
        ConfigError: another run holds it.
        ResourceError: memory or disk ran out, or a worker was killed.
    """
    with alone_in(Path(cfg.OUTPUT_DIR)) if processes.first else contextlib.nullcontext(), named_faults(cfg):
        yield


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold ``folder`` while the body runs. The system lets go of it when this process ends, however that happens.

    Raises:
        ConfigError: another run holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK_FILE, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise ConfigError(
            f"OUTPUT_DIR {folder} is in use by another run: two would mix their files; wait until it ends, or choose "
            "another OUTPUT_DIR"
        ) from None
    try:
        for written in run_folders(folder):  # by a run that was killed meanwhile
            remove_partial(written)
        yield
    finally:
        lock.release()
