"""Several processes of one run, as torchrun starts them. One process alone has nothing to wait for."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed as dist

from mutualnet3d.errors import ConfigError

# Seconds that torchrun, told to stop, gives its processes before it kills them. Without this variable, and in releases
# of torch that do not read it, they are 30; a step of training, its checkpoint and the end of Python may take longer.
SHUTDOWN_TIMEOUT = "TORCH_ELASTIC_SHUTDOWN_TIMEOUT"
SECONDS_TO_SAVE = 120  # how long torchrun waits for runs that it stops, where nothing else is said
_TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_TIMEOUT = datetime.timedelta(days=1)  # the first rank to finish waits for the last; torchrun ends all if one fails


@dataclass(frozen=True)
class Processes:
    """This process among those of the run. Values that travel are pickled: tensors must lie on the CPU.

    Attributes:
        rank: number of this process, from 0; 0 alone writes files.
        world_size: how many there are.
        local_size: how many of them run on this machine.
    """

    rank: int = 0
    world_size: int = 1
    local_size: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share_of(self, total: int) -> range:
        """The positions below ``total`` that are this process's: every ``world_size``-th."""
        return range(self.rank, total, self.world_size)

    def gather(self, value: Any) -> list[Any] | None:
        """The values of all ranks, in their order, on rank 0; None on the others."""
        if self.world_size == 1:
            return [value]
        values = [None] * self.world_size if self.first else None
        dist.gather_object(value, values)
        return values

    def all_gather(self, value: Any) -> list[Any]:
        """The values of all ranks, in their order, on every rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: Any) -> Any:
        """Rank 0's value, on every rank; what the others pass is not read."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values)
        return values[0]

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """The mean over the ranks of ``values``, which have one shape everywhere; a new tensor, equal on all ranks."""
        if self.world_size == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        return total / self.world_size

    def overwrite(self, tensors: Iterable[torch.Tensor]) -> None:
        """Write rank 0's values into the ``tensors`` of every rank."""
        if self.world_size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def wait(self) -> None:
        """Until every rank is here."""
        self.all_gather(None)


ALONE = Processes()


def started_by_torchrun() -> bool:
    """Whether the environment is that of a process of torchrun."""
    return all(name in os.environ for name in _TORCHRUN)


@contextlib.contextmanager
def processes(cuda: bool = False) -> Iterator[Processes]:
    """The process group of torchrun's environment while the body runs; without torchrun, this process alone.

    Args:
        cuda: whether the run computes on GPUs. Each process then takes the one of its LOCAL_RANK, and tensors on it
            travel by NCCL; those on the CPU, and so everything that :class:`Processes` moves, by gloo.

    Raises:
        ConfigError: a machine has fewer GPUs than processes.
    """
    if not started_by_torchrun() or os.environ["WORLD_SIZE"] == "1":
        yield ALONE
        return
    if cuda:
        _take_gpu(int(os.environ.get("LOCAL_RANK", os.environ["RANK"])))
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=_TIMEOUT)
    try:
        local_size = int(os.environ.get("LOCAL_WORLD_SIZE", dist.get_world_size()))
        yield Processes(dist.get_rank(), dist.get_world_size(), local_size)
    finally:
        dist.destroy_process_group()


def _take_gpu(local_rank: int) -> None:
    found = torch.cuda.device_count()
    if local_rank >= found:
        raise ConfigError(
            f"process {local_rank} of this machine has no GPU of its own: there are {found}; start torchrun with "
            f"--nproc_per_node {max(found, 1)}, or set NUM_GPUS 0 to run on the CPU"
        )
    torch.cuda.set_device(local_rank)
