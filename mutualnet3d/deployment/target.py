"""What runs a deployed network: library, precision, threads, device. A value that is checked when it is made."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

import torch

from mutualnet3d.errors import DeploymentError
from mutualnet3d.latency import Setting

BACKENDS = {  # library -> its precisions on a CPU, on CUDA
    "torch": (("float32", "bfloat16"), ("float32", "bfloat16", "float16")),
    "onnxruntime": (("float32",), ()),
    "openvino": (("float32", "bfloat16"), ()),
}


@dataclass(frozen=True)
class Target:
    """One way to run networks.

    Args:
        backend: ``torch``, ``onnxruntime`` or ``openvino``.
        precision: of the weights and activations; the classifier of torch networks stays float32. ``bfloat16`` of
            openvino is its inference precision: which layers use it is its choice.
        threads: of the processor; ``None`` is torch's number when the target is made. Not used on a GPU.
        device: ``cpu``, or for torch ``cuda`` or ``cuda:1``.

    Raises:
        DeploymentError: the backend is unknown, or cannot run this precision on this device.
    """

    backend: str = "torch"
    precision: str = "float32"
    threads: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise DeploymentError(f"backend {self.backend!r} is not one of {', '.join(BACKENDS)}")
        try:
            kind = torch.device(self.device).type
        except (RuntimeError, TypeError) as error:
            raise DeploymentError(f"device {self.device!r} is neither 'cpu' nor 'cuda'") from error
        if kind not in ("cpu", "cuda"):
            raise DeploymentError(f"device {self.device!r} is neither 'cpu' nor 'cuda'")
        precisions = BACKENDS[self.backend][kind == "cuda"]
        if not precisions:
            raise DeploymentError(f"{self.backend} runs on device 'cpu' here; use backend 'torch' on {self.device!r}")
        if self.precision not in precisions:
            raise DeploymentError(
                f"precision {self.precision!r}: {self.backend} runs {', '.join(precisions)} on {self.device!r}"
            )
        if kind == "cuda" and not torch.cuda.is_available():
            raise DeploymentError(f"device {self.device!r}: torch sees no CUDA GPU; use 'cpu'")
        threads = torch.get_num_threads() if self.threads is None else self.threads
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise DeploymentError(f"threads {self.threads!r} must be a whole number of at least 1")
        object.__setattr__(self, "threads", threads if kind == "cpu" else None)

    def setting(self) -> Setting:
        """What latencies measured with this target, a clip at a time, are labelled with."""
        version = None if self.backend == "torch" else importlib.metadata.version(self.backend)
        values = {"backend": self.backend, "precision": self.precision, "backend_version": version, "batch": 1}
        return Setting.here(self.device, threads=self.threads, **values)
