"""Sub-networks in onnxruntime, on the CPU, in float32."""

from __future__ import annotations

import os

import torch

from mutualnet3d.deployment.dense import Description
from mutualnet3d.deployment.extras import optional_module
from mutualnet3d.deployment.runner import Runner, check_exported
from mutualnet3d.deployment.target import Target


class OnnxRunner(Runner):
    """``model`` is the bytes of an ONNX model, or its file."""

    def __init__(self, model: bytes | str | os.PathLike, description: Description, target: Target):
        super().__init__(description, target)
        runtime = optional_module("onnxruntime", "onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = target.threads, 1
        options.log_severity_level = 3  # errors; warnings are about machines without a GPU
        source = model if isinstance(model, bytes) else os.fspath(model)
        self._session = runtime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self._inputs = self._session.get_inputs()

    def _run(self, views: tuple[torch.Tensor, ...], boxes: tuple[torch.Tensor, ...] | None) -> torch.Tensor:
        check_exported(self.description, [each.shape for each in self._inputs], views, boxes)
        feed = {each.name: view.cpu().contiguous().numpy() for each, view in zip(self._inputs, views, strict=True)}
        (logits,) = self._session.run(None, feed)
        return torch.from_numpy(logits)
