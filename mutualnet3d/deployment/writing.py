"""One sub-network into files of each format, and back into something that runs."""

from __future__ import annotations

from pathlib import Path

import torch

from mutualnet3d.deployment.conversion import OPSET, input_names, to_exported_program, to_onnx, to_openvino
from mutualnet3d.deployment.dense import DenseNetwork, Description
from mutualnet3d.deployment.dense_file import load_dense, write_dense
from mutualnet3d.deployment.extras import optional_module
from mutualnet3d.deployment.manifest import SUFFIXES, ExportedNetwork, describe_files
from mutualnet3d.deployment.onnx_runner import OnnxRunner
from mutualnet3d.deployment.openvino_runner import OpenVinoRunner
from mutualnet3d.deployment.parity import Run
from mutualnet3d.deployment.runner import Runner
from mutualnet3d.deployment.target import Target
from mutualnet3d.deployment.torch_runner import TorchRunner
from mutualnet3d.files import atomic_write

BACKEND_OF = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}  # torch_export is run by torch.export


def write_formats(folder: Path, network: DenseNetwork, formats: tuple[str, ...]) -> list[ExportedNetwork]:
    """Write ``network`` in each of ``formats``, as ``<configuration><suffix>``; parity is still to be measured."""
    written = []
    names = input_names(network.description)
    program = to_exported_program(network) if set(formats) - {"torch"} else None
    onnx_model = to_onnx(program, names) if {"onnx", "openvino"} & set(formats) else None
    for each in formats:
        path = folder / f"{network.description.configuration}{SUFFIXES[each]}"
        paths = [path]
        if each == "torch":
            write_dense(path, network)
        elif each == "torch_export":
            torch.export.save(program, path)
        elif each == "onnx":
            with atomic_write(path) as file:
                file.write(onnx_model)
        else:
            openvino = optional_module("openvino", "openvino")
            openvino.save_model(to_openvino(onnx_model), path, compress_to_fp16=False)
            paths.append(path.with_suffix(".bin"))
        shapes = network.description.view_shapes()
        inputs = {name: ("N", *shape[1:]) for name, shape in zip(names, shapes, strict=True)}
        opset = OPSET if each == "onnx" else None
        written.append(ExportedNetwork(network.description.configuration, each, describe_files(paths), inputs, opset))
    return written


def open_format(path: Path, form: str, description: Description, target: Target) -> Runner:
    """The runner of a file of the format ``form``, which is one of ``target``'s backend."""
    if form == "torch":
        return TorchRunner(load_dense(path), target)
    return (OnnxRunner if target.backend == "onnxruntime" else OpenVinoRunner)(path, description, target)


def open_exported_program(path: Path) -> Run:
    """What a file of ``torch.export`` computes."""
    module = torch.export.load(path).module()
    return lambda views, boxes: module(*views)
