"""From PySlowFast's way of asking for several GPUs or machines to torchrun's processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from mutualnet3d.distributed import SECONDS_TO_SAVE, SHUTDOWN_TIMEOUT, started_by_torchrun
from mutualnet3d.errors import ConfigError
from mutualnet3d.training.device import choose_device


def launch(cfg, module: str, argv: Sequence[str] | None = None, init_method: str | None = None) -> None:
    """With NUM_GPUS or NUM_SHARDS above 1, become ``torchrun`` of ``python -m module``: a process a GPU.

    Does nothing where torchrun started this process, or where one process is all that is asked for. Otherwise it does
    not return: torchrun takes this process over, its exit status included.

    Args:
        argv: words of the command line; None = those of this process.
        init_method: where several machines meet, ``tcp://host:port`` of machine 0.

    Raises:
        ConfigError: torchrun started another number of processes than NUM_GPUS, this machine lacks the GPUs, or several
            machines are asked for without an address.
    """
    if started_by_torchrun():
        local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        if cfg.NUM_GPUS > 1 and local != cfg.NUM_GPUS:
            raise ConfigError(
                f"NUM_GPUS is {cfg.NUM_GPUS}, and torchrun started {local} processes on this machine: a process takes "
                f"one GPU; set NUM_GPUS {local} or --nproc_per_node {cfg.NUM_GPUS}"
            )
        return
    if cfg.NUM_GPUS <= 1 and cfg.NUM_SHARDS == 1:
        return
    choose_device(cfg)
    words = torchrun_options(cfg, init_method)
    words += ["-m", module, *(sys.argv[1:] if argv is None else argv)]
    sys.stdout.flush()
    os.environ.setdefault(SHUTDOWN_TIMEOUT, str(SECONDS_TO_SAVE))
    os.execv(sys.executable, [sys.executable, "-m", "torch.distributed.run", *words])


def torchrun_options(cfg, init_method: str | None) -> list[str]:
    """torchrun's own options for NUM_GPUS, NUM_SHARDS and SHARD_ID."""
    words = ["--nproc_per_node", str(max(cfg.NUM_GPUS, 1))]
    if cfg.NUM_SHARDS == 1:
        return [*words, "--standalone"]
    place = urlsplit(init_method or "")
    if place.scheme != "tcp" or not place.hostname or not place.port:
        raise ConfigError(
            f"NUM_SHARDS is {cfg.NUM_SHARDS} and --init_method {init_method!r}: several machines need the address of "
            "machine 0, such as --init_method tcp://10.0.0.1:9999, the same on all of them"
        )
    words += ["--nnodes", str(cfg.NUM_SHARDS), "--node_rank", str(cfg.SHARD_ID)]
    return [*words, "--master_addr", place.hostname, "--master_port", str(place.port)]
