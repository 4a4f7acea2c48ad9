"""What the tools set for a process on a CPU, and that the libraries listen."""

import os
import platform
import subprocess
import sys

import pytest
from processes import ENVIRONMENT

from mutualnet3d.cpu import keep_kernels, keep_large_blocks

SHAPES = """
import sys, torch
from mutualnet3d.cpu import prepare_cpu
if "ours" in sys.argv:
    prepare_cpu()
torch.set_num_threads(2)  # with one, torch convolves small float32 images by itself
weight, once = torch.randn(2, 2, 1, 1), [torch.randn(2, 2, 2, length) for length in range(2, 1202)]
for number in range(2):
    print("round", number, flush=True)
    for images in once:
        torch.nn.functional.conv2d(images, weight)
"""


@pytest.mark.parametrize(("words", "misses"), [([], True), (["ours"], False)])
def test_kernels_are_compiled_once(words, misses):
    """1200 shapes: more than oneDNN keeps by itself."""
    own = {name: value for name, value in ENVIRONMENT.items() if not name.endswith("NN_PRIMITIVE_CACHE_CAPACITY")}
    environment = own | {"ONEDNN_VERBOSE": "profile_create"}
    command = [sys.executable, "-c", SHAPES, *words]
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    first, second = said.split("round 0")[1].split("round 1")
    if "convolution" not in first:
        pytest.skip("this torch convolves without oneDNN")
    assert "cache_miss" in first
    assert ("cache_miss,cpu,convolution" in second) == misses


@pytest.mark.parametrize("name", ["ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_PRIMITIVE_CACHE_CAPACITY"])
def test_the_users_number_stays(monkeypatch, name):
    for each in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_PRIMITIVE_CACHE_CAPACITY"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "5")
    before = dict(os.environ)
    keep_kernels()
    assert dict(os.environ) == before


def test_large_blocks_are_kept_where_glibc_is():
    assert keep_large_blocks() == (platform.libc_ver()[0] == "glibc")
