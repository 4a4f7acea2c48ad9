"""What the machine has."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Machine:
    """Cores that this process may use, GPUs that torch can use; memory of the machine and of one GPU, 10^9 bytes."""

    cores: int
    memory_gb: float
    gpus: int = 0
    gpu_gb: float = 0.0

    @classmethod
    def found(cls) -> Machine:
        """This one."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        names = getattr(os, "sysconf_names", {})
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if "SC_PHYS_PAGES" in names else 0
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        smallest = min((torch.cuda.get_device_properties(i).total_memory for i in range(gpus)), default=0)
        return cls(cores, memory / 1e9, gpus, smallest / 1e9)

    def __str__(self) -> str:
        gpus = f"{self.gpus} GPUs with {self.gpu_gb:.0f} GB each" if self.gpus else "no GPU"
        memory = f", {self.memory_gb:.0f} GB of memory" if self.memory_gb else ""
        return f"{self.cores} CPU cores{memory}, {gpus}"
