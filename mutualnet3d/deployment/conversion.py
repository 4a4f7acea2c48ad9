"""Networks in the formats of other libraries: torch.export, ONNX, OpenVINO's intermediate representation."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from mutualnet3d.deployment.dense import DenseNetwork, Description
from mutualnet3d.deployment.extras import openvino_core, optional_module
from mutualnet3d.errors import DeploymentError

if TYPE_CHECKING:
    import openvino

OPSET = 20  # read by onnxruntime since 1.17 and OpenVINO since 2024; 23 brings these networks nothing
OUTPUT = "logits"


def input_names(description: Description) -> tuple[str, ...]:
    """What files of other formats call the inputs of a network: ``image``, ``slow``, or ``slow`` and ``fast``."""
    pathways = description.pathways
    if pathways.space.temporal is None:
        return ("image",)
    return ("slow", "fast") if pathways.fast else ("slow",)


def require_no_boxes(detects: bool) -> None:
    """DeploymentError of a network that ``detects``: other formats than torch have no place for its boxes."""
    if detects:
        raise DeploymentError("detection networks are exported to the format torch alone: their boxes vary in number")


def to_exported_program(network: DenseNetwork) -> torch.export.ExportedProgram:
    """``network``, in float32, by ``torch.export``: for any batch, and views of the size that its preprocessing gives.

    Tracing changes torch for the whole process while it lasts: no other thread may run torch networks meanwhile.

    Raises:
        DeploymentError: a detection network: the number of its boxes has no place in these formats.
    """
    require_no_boxes(network.description.detects)
    views = tuple(torch.zeros(shape) for shape in network.description.view_shapes(batch=2))
    batch = torch.export.Dim("batch", min=1, max=4096)
    with torch.no_grad():
        return torch.export.export(network.graph, views, dynamic_shapes=tuple({0: batch} for _ in views), strict=False)


def to_onnx(program: torch.export.ExportedProgram, inputs: Sequence[str]) -> bytes:
    """An ONNX model of opset 20 with the ``inputs`` (:func:`input_names`) and the output ``logits``, checked."""
    onnx = optional_module("onnx", "onnx")
    optional_module("onnxscript", "onnx")
    exported = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        input_names=list(inputs),
        output_names=[OUTPUT],
        verbose=False,
    )
    model = exported.model_proto
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def to_openvino(onnx_model: bytes) -> openvino.Model:
    """OpenVINO's form of a model that :func:`to_onnx` made."""
    return openvino_core().read_model(io.BytesIO(onnx_model))
