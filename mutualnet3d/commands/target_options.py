"""Options of every command that opens a network: what runs it, and what its classes are called."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from mutualnet3d.data.class_names import read_names
from mutualnet3d.deployment import Deployment, open_deployment


def add_target_options(add: Callable[..., argparse.Action]) -> None:
    """Library, precision, threads and device; ``add`` is a group's ``add_argument``."""
    add("--backend", default="torch", metavar="B", help="torch, onnxruntime, openvino")
    add("--precision", default="float32", metavar="P", help="float32, bfloat16, float16")
    add("--threads", type=int, metavar="N", help="of the processor; default: torch's number")
    add("--device", metavar="D", help="cpu, cuda; default: cpu")


def add_class_names(add: Callable[..., argparse.Action]) -> None:
    """The file of the classes' names; ``add`` as above."""
    text = "one name a line, or .json: name -> label; default: those of the model"
    add("--class-names", metavar="FILE", help=text)


def open_named(directory: str | Path, arguments: argparse.Namespace) -> Deployment:
    """The deployment in ``directory`` on the target, and with the class names, that the arguments ask for."""
    deployment = open_deployment(directory, arguments.backend, arguments.precision, arguments.threads, arguments.device)
    return deployment.with_classes(read_names(arguments.class_names)) if arguments.class_names else deployment
