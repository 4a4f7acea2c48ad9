"""The record of the videos that could not be read."""

import json
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mutualnet3d.output_files import UNREADABLE_FILE


class UnreadableVideos:
    """Counts unreadable videos, warns once about each and lists each once in OUTPUT_DIR/unreadable_videos.jsonl.

    A run that goes on in the same folder does not list or report a video again.

    Attributes:
        counts: how often each path failed in this run.
    """

    def __init__(self, output_dir: str | Path, logger: logging.Logger | None = None):
        self.path = Path(output_dir) / UNREADABLE_FILE
        self.counts: Counter[str] = Counter()
        self._logger = logger or logging.getLogger(__name__)
        self._listed = {path for path, _ in read_unreadable(self.path)}

    def add(self, failures: Iterable[tuple[str, str]]) -> None:
        """Record (path, reason) pairs, as batches carry them."""
        for path, reason in failures:
            self.counts[path] += 1
            if path in self._listed:
                continue
            self._listed.add(path)
            self._logger.warning("unreadable video %s: %s (listed in %s)", path, reason, self.path)
            self._append(json.dumps({"path": path, "reason": reason}) + "\n")

    def _append(self, line: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a+b") as file:
            file.seek(0)
            whole_lines = file.read().rfind(b"\n") + 1
            file.truncate(whole_lines)  # drops what a run that was killed left half-written
            file.write(line.encode())

    def __len__(self) -> int:
        """Number of different videos that failed in this run."""
        return len(self.counts)


def read_unreadable(path: str | Path) -> tuple[tuple[str, str], ...]:
    """(path, reason) of each video in such a file, none where there is no file; a cut-off line does not count."""
    found = []
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines() if Path(path).exists() else ():
        try:
            value = json.loads(line)
            found.append((str(value["path"]), str(value["reason"])))
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return tuple(found)
