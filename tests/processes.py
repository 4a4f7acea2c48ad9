"""Several real processes: ``python -m torch.distributed.run``, gloo on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")} | {"OMP_NUM_THREADS": "1"}


def torchrun_command(count: int) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]


def torchrun(count: int, *words, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """``count`` processes of a script with its arguments, one thread each."""
    return subprocess.run(
        [*torchrun_command(count), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=cwd,
        env=ENVIRONMENT,
    )
