"""What training on several processes adds: each one's share of a batch, and the exchange of gradients."""

from __future__ import annotations

import warnings

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mutualnet3d.distributed import Processes
from mutualnet3d.errors import ConfigError
from mutualnet3d.layers import slimmable_norms
from mutualnet3d.models.network import AdaptiveNetwork


def share_of_batch(cfg, processes: Processes) -> int:
    """Clips of a batch that one process takes: TRAIN.BATCH_SIZE is that of one machine.

    Raises:
        ConfigError: the processes of a machine cannot share it evenly.
    """
    size, local = cfg.TRAIN.BATCH_SIZE, processes.local_size
    if size % local:
        raise ConfigError(
            f"TRAIN.BATCH_SIZE is {size}, which {local} processes cannot share evenly; use a multiple of {local}"
        )
    return size // local


def exchange_gradients(model: AdaptiveNetwork, cfg, processes: Processes) -> nn.Module:
    """``model``, of several processes wrapped so that the last backward pass of a step averages their gradients.

    All start from rank 0's weights. With BN.NORM_TYPE ``sync_batchnorm`` the batch statistics are those of all
    processes, at every width; otherwise each process normalises by its own share of the batch.
    """
    for norm in slimmable_norms(model):
        norm.synchronised = cfg.BN.NORM_TYPE == "sync_batchnorm"
    if processes.world_size == 1:
        return model
    # A layer of 1 x 1 x 1 kernels has several equal layouts; torch tells of those that differ in name only.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    device = next(model.parameters()).device
    return DistributedDataParallel(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        broadcast_buffers=False,  # running statistics are made equal after an epoch, when they are first used
        gradient_as_bucket_view=True,
    )
