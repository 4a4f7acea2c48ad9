"""What a run and an export of it leave."""

from pathlib import Path

import pytest

from mutualnet3d.commands.export import main
from tests.deployment.networks import write_run


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory, networks) -> Path:
    """The OUTPUT_DIR of a SlowFast run."""
    return write_run(tmp_path_factory.mktemp("run"), networks("slowfast"))


@pytest.fixture(scope="session")
def export_directory(tmp_path_factory, run_directory, networks) -> Path:
    """Two configurations of that run in all formats and both precisions, with latencies."""
    output = tmp_path_factory.mktemp("export") / "exported"
    chosen = [str(configuration) for configuration in networks("slowfast").configurations[:2]]
    words = ["--formats", "torch", "onnx", "openvino", "torch_export", "--precision", "float32", "bfloat16"]
    words = ["--model", str(run_directory), "--output", str(output), "--configurations", *chosen, *words]
    assert main([*words, "--threads", "1"]) == 0
    return output
