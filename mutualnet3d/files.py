"""Files that are either whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from mutualnet3d.errors import DataError

_PARTIAL = ".partial"


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A binary file that appears under ``path`` only when the body ends without an error.

    Written beside its destination, flushed to disk, then renamed; an error or a full disk leaves what was there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_PARTIAL, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """An empty folder that becomes ``path`` only when the body ends without an error; what was there is replaced.

    It lies beside its destination until then. An error leaves what was there. A link stays, and what it
    leads to is replaced.
    """
    path = Path(path).resolve()  # the last part of "x/.." or of a link names no place to put a folder
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        before = temporary.with_name(f"{temporary.name}.before")
        if path.exists():
            os.replace(path, before)
        try:
            os.replace(temporary, path)
        except BaseException:
            if before.exists():
                os.replace(before, path)
            raise
        if before.exists():
            shutil.rmtree(before)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def remove_partial(folder: Path) -> None:
    """Remove what :func:`atomic_write` left in ``folder`` when its process was killed; nobody may write there."""
    for path in folder.glob(f".*{_PARTIAL}"):
        path.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_write(path) as file:
        file.write(text.encode())


def refuse_overwriting(outputs: Iterable[str | os.PathLike | None], inputs: Iterable[str | os.PathLike | None]) -> None:
    """DataError where a file that would be written is one that is read, or is written twice; None names no file."""
    written = [os.path.realpath(os.path.expanduser(path)) for path in outputs if path]
    read = {os.path.realpath(os.path.expanduser(path)) for path in inputs if path}
    for path in written:
        if path in read or written.count(path) > 1:
            raise DataError(
                f"{path}: would be overwritten, and this very command {'reads' if path in read else 'writes'} it; name "
                "another file to write"
            )


def sha256(path: str | os.PathLike) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
