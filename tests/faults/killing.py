"""A run that is killed again and again and started again until it ends."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from processes import ENVIRONMENT

from mutualnet3d.evaluation.result import load_scores
from mutualnet3d.query_table import QueryTable


def run_until_done(command: list[str], moments: Sequence[float | str]) -> list[str]:
    """Start ``command`` again and again, kill it (-9) at each of the ``moments`` in turn, and then let it end.

    Args:
        moments: seconds after its start, or what it says just before; one that ends sooner ends the whole.

    Returns:
        What each killed process had said last.
    """
    last: list[str] = []
    while True:
        process = subprocess.Popen(
            [sys.executable, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT
        )
        said = ""
        if len(last) < len(moments):
            moment = moments[len(last)]
            if isinstance(moment, str):
                said = next((line for line in process.stdout if moment in line), "")
                assert said, f"never said: {moment}"
            else:
                time.sleep(moment)
            process.send_signal(signal.SIGKILL)
        said += process.communicate(timeout=600)[0]
        if process.returncode == 0:
            return last
        assert process.returncode == -signal.SIGKILL, said
        last.append((said.strip().splitlines() or ["(nothing yet)"])[-1])


def differences(one: Path, other: Path) -> list[str]:
    """What two finished runs differ in: weights and statistics, scores, tables, bit by bit; and files half-written."""
    found = []
    first, second = (torch.load(folder / "model.pyth", weights_only=True)["model_state"] for folder in (one, other))
    if first.keys() != second.keys() or any(not torch.equal(first[name], value) for name, value in second.items()):
        found.append("model.pyth")
    scores, others = (load_scores(folder / "test_scores.npz") for folder in (one, other))
    if not torch.equal(scores.scores, others.scores) or scores.paths != others.paths:
        found.append("test_scores.npz")
    tables = [QueryTable.load(folder / "query_table.json").entries for folder in (one, other)]
    if tables[0] != tables[1]:
        found.append("query_table.json")
    names = [{path.name for path in folder.rglob("*")} for folder in (one, other)]
    return found + [f"left behind: {name}" for name in sorted(names[0] - names[1])]
