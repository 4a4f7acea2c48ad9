"""A sub-network as one safetensors file: weights, graph, and how videos become its inputs.

Reading it needs torch alone: neither pyslowfast nor the classes of the network it was taken from.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from mutualnet3d.deployment.dense import DenseNetwork, Description
from mutualnet3d.deployment.graph import graph_from_values, graph_to_values
from mutualnet3d.errors import DeploymentError, MutualNetError
from mutualnet3d.files import atomic_write

FORMAT, VERSION = "mutualnet3d dense network", 1
_ENTRY = "mutualnet3d"  # of the file's metadata


def save_dense(path: str | os.PathLike, dense: nn.Module, description: Description) -> None:
    """Write an extracted sub-network, folded or not, in the dtype it is in; atomically.

    Args:
        dense: what ``extract_dense`` or :func:`load_dense` returned.
        description: what it is; whether it ``detects`` is read from the network.

    Raises:
        DeploymentError: the network has a layer or a function that such a file cannot hold.
    """
    detects = dense.description.detects if isinstance(dense, DenseNetwork) else bool(getattr(dense, "detects", False))
    write_dense(path, DenseNetwork.trace(dense, replace(description, detects=detects)))


def write_dense(path: str | os.PathLike, network: DenseNetwork) -> None:
    """Write a network that knows what it is."""
    graph = network.graph
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in graph.state_dict().items()}
    text = json.dumps({"description": network.description.to_dict(), "graph": graph_to_values(graph)})
    header = {"format": FORMAT, "version": VERSION, "sha256": _digest(text, tensors), "network": text}
    with atomic_write(path) as file:  # one entry: safetensors writes several in a random order
        file.write(safetensors.torch.save(tensors, {_ENTRY: json.dumps(header)}))


def load_dense(path: str | os.PathLike) -> DenseNetwork:
    """The network of a file that :func:`save_dense` wrote, in eval mode on the CPU, in the dtype it was saved in.

    Raises:
        DeploymentError: the file is missing, damaged, of another format or version, or asks for a layer or a function
            that no network of this package has.
    """
    header, tensors = _read(path)
    if header.get("format") != FORMAT:
        raise DeploymentError(f"{path}: not a dense network of mutualnet3d")
    if header.get("version") != VERSION:
        raise DeploymentError(f"{path}: version {header.get('version')!r}, this release reads {VERSION}")
    text = str(header.get("network"))
    try:
        if header.get("sha256") != _digest(text, tensors):
            raise DeploymentError("damaged: its contents do not match the checksum in it; copy or export it again")
        values = json.loads(text)
        network = DenseNetwork(graph_from_values(values["graph"]), Description.from_dict(values["description"]))
        network.graph.load_state_dict(tensors, assign=True)
    except (MutualNetError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError) as error:
        raise DeploymentError(f"{path}: {error if isinstance(error, MutualNetError) else repr(error)}") from error
    return network.eval().requires_grad_(False)


def _read(path: str | os.PathLike) -> tuple[dict, dict[str, torch.Tensor]]:
    if not Path(path).is_file():
        raise DeploymentError(f"{path}: no such file")
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            header = json.loads((file.metadata() or {}).get(_ENTRY, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return header if isinstance(header, dict) else {}, tensors
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise DeploymentError(f"{path}: damaged or not a safetensors file ({error})") from error


def _digest(text: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of the description and of all tensors: safetensors itself notices missing bytes, not changed ones."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
