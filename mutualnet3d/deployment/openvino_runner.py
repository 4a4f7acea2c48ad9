"""Sub-networks in OpenVINO, on the CPU, in float32 or bfloat16."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import torch

from mutualnet3d.deployment.dense import Description
from mutualnet3d.deployment.extras import openvino_core
from mutualnet3d.deployment.runner import Runner, check_exported
from mutualnet3d.deployment.target import Target
from mutualnet3d.errors import DeploymentError

if TYPE_CHECKING:
    import openvino

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


def precisions_here() -> tuple[str, ...]:
    """float32, and bfloat16 where OpenVINO says that this CPU has it."""
    has_bfloat16 = "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return tuple(_HINTS) if has_bfloat16 else ("float32",)


class OpenVinoRunner(Runner):
    """``model`` is OpenVINO's model in memory, or the file of one (``.xml`` or ``.onnx``)."""

    def __init__(self, model: openvino.Model | str | os.PathLike, description: Description, target: Target):
        super().__init__(description, target)
        core = openvino_core()
        if target.precision not in precisions_here():
            raise DeploymentError("precision 'bfloat16': OpenVINO says that this CPU does not have it; use 'float32'")
        if isinstance(model, (str, os.PathLike)):
            model = core.read_model(os.fspath(model))
        config = {
            "INFERENCE_PRECISION_HINT": _HINTS[target.precision],
            "INFERENCE_NUM_THREADS": target.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        self._compiled = core.compile_model(model, "CPU", config)
        self._shapes = [
            tuple(size.get_length() if size.is_static else None for size in each.get_partial_shape())
            for each in self._compiled.inputs
        ]
        self._requests = threading.local()  # a request holds the buffers of one call

    def _run(self, views: tuple[torch.Tensor, ...], boxes: tuple[torch.Tensor, ...] | None) -> torch.Tensor:
        check_exported(self.description, self._shapes, views, boxes)
        if not hasattr(self._requests, "own"):
            self._requests.own = self._compiled.create_infer_request()
        feed = {number: view.cpu().contiguous().numpy() for number, view in enumerate(views)}
        return torch.from_numpy(self._requests.own.infer(feed)[0].copy())
