"""Opening an export and a run: the same networks, the table of the target, and what does not belong together."""

import json
import shutil
import subprocess
import sys

import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.deployment import Target, open_deployment
from mutualnet3d.deployment.openvino_runner import precisions_here
from mutualnet3d.errors import CheckpointError, ConfigurationError, DeploymentError, NotCalibratedError, QueryTableError
from mutualnet3d.latency import Latency
from mutualnet3d.layers import slimmable_norms
from tests.deployment.networks import Network, relative, write_run
from tests.deployment.test_dense_file import BLOCK

TARGETS = {
    ("torch", "float32"): 1e-5,
    ("torch", "bfloat16"): 3e-2,
    ("onnxruntime", "float32"): 1e-5,
    **{("openvino", precision): {"float32": 1e-5, "bfloat16": 3e-2}[precision] for precision in precisions_here()},
}


@pytest.mark.parametrize("target", TARGETS, ids=" ".join)
def test_an_export_runs_as_the_trained_network(target, export_directory, networks):
    network = networks("slowfast")
    deployment = open_deployment(export_directory, *target, threads=1)
    assert set(deployment.configurations) == set(network.configurations[:2])
    for configuration in deployment.configurations:  # low spatial and temporal: the fusion selects and resizes
        runner = deployment.build(configuration)
        for batch in (1, 2, 3):
            clip = network.clip(batch, seed=batch)
            got = runner(deployment.pathways.views(clip, configuration))
            assert relative(got, network.switched(clip, configuration)) < TARGETS[target]


def test_a_run_opens_like_an_export(run_directory, export_directory, networks):
    network = networks("slowfast")
    run, exported = open_deployment(run_directory), open_deployment(export_directory)
    assert run.configurations == tuple(entry.configuration for entry in run.table.entries)
    assert set(run.configurations) == set(network.configurations)
    for name in ("preprocessing", "pathways", "classes", "architecture"):
        assert getattr(run, name) == getattr(exported, name) == getattr(run.description, name)
    assert {run.converts, exported.converts} == {False}
    clip = network.clip()
    for configuration in run.configurations:
        got = run.build(configuration)(run.pathways.views(clip, configuration))
        assert relative(got, network.switched(clip, configuration)) < 1e-5


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_run_is_converted_when_it_is_built(backend, tmp_path, networks):
    network = networks("x3d")
    deployment = open_deployment(write_run(tmp_path, network), backend, threads=1)
    assert deployment.converts
    clip = network.clip(3)
    got = deployment.build(network.small)(deployment.pathways.views(clip, network.small))
    assert relative(got, network.switched(clip, network.small)) < 1e-5


def test_building_does_not_disturb_running_networks(run_directory, networks):
    """torch.fx patches torch while it traces: nothing may be traced when a sub-network is built."""
    network = networks("slowfast")
    deployment = open_deployment(run_directory)
    called = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(lambda *_: called.append(1))
    original = torch.nn.Module.__call__
    try:
        torch.nn.Module.__call__ = lambda *_: pytest.fail("a module was called while a sub-network was built")
        deployment.build(network.small)
    finally:
        torch.nn.Module.__call__ = original
        handle.remove()
    assert not called


def test_the_latencies_are_those_of_the_target(export_directory, run_directory, tmp_path):
    tables = {
        target: open_deployment(export_directory, *target, threads=1).table
        for target in [("torch", "float32"), ("openvino", precisions_here()[-1])]
    }
    for (backend, precision), table in tables.items():
        assert f"{backend} {precision}, 1 thread" in table.device
        assert all(e.latency_ms == dict(e.latencies)[table.device] > 0 for e in table.entries)
        assert len(table.entries) == 2
    assert len({table.entries[0].latency_ms for table in tables.values()}) == 2
    unmeasured = open_deployment(export_directory, threads=2).table  # no 2 threads were timed
    assert [e.latency_ms for e in unmeasured.entries] == [None, None]
    assert unmeasured.device is None
    shutil.copytree(run_directory, tmp_path / "run")
    table = mn.QueryTable.load(tmp_path / "run" / "query_table.json")
    measured = {e.configuration: Latency(7.0, 6.0, 8.0, 5, 1) for e in table.entries}
    table.with_latencies(measured, Target(threads=1).setting()).save(tmp_path / "run" / "query_table.json")
    assert {e.latency_ms for e in open_deployment(tmp_path / "run", threads=1).table.entries} == {7.0}
    assert {e.latency_ms for e in open_deployment(tmp_path / "run", threads=3).table.entries} == {None}


def test_an_export_needs_no_pyslowfast(export_directory, networks, tmp_path):
    network = networks("slowfast")
    clip = network.clip()
    torch.save((clip, network.switched(clip, network.small)), tmp_path / "case.pt")
    code = f"""{BLOCK}
import torch
from mutualnet3d.deployment import open_deployment
clip, expected = torch.load({str(tmp_path / "case.pt")!r})
for backend in ("torch", "onnxruntime", "openvino"):
    deployment = open_deployment({str(export_directory)!r}, backend, threads=1)
    configuration = deployment.table.best(max_gmacs=0.122).configuration
    got = deployment.build(configuration)(deployment.pathways.views(clip, configuration))
    assert (got - expected).abs().max() < 1e-4 * expected.abs().max()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_brings_no_other_library():
    code = """
import sys
import mutualnet3d.deployment
heavy = {"slowfast", "fvcore", "pytorchvideo", "onnx", "onnxruntime", "openvino", "matplotlib"}
found = heavy & sys.modules.keys()
sys.exit(str(found) if found else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_changed_file_is_noticed_when_it_is_built(export_directory, networks, tmp_path):
    small = networks("slowfast").small
    copy = shutil.copytree(export_directory, tmp_path / "copy")
    for name, backend in (
        (f"{small}.safetensors", "torch"),
        (f"{small}.onnx", "onnxruntime"),
        (f"{small}.bin", "openvino"),
    ):
        whole = (copy / name).read_bytes()
        (copy / name).write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
        with pytest.raises(DeploymentError, match=rf"{small}.*damaged or changed.*export again"):
            open_deployment(copy, backend).build(small)
        (copy / name).unlink()
        with pytest.raises(DeploymentError, match="missing; export again"):
            open_deployment(copy, backend).build(small)


def manifest(directory, change):
    path = directory / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_openvino_reads_the_onnx_file_where_it_is_alone(export_directory, networks, tmp_path):
    copy, network = shutil.copytree(export_directory, tmp_path / "copy"), networks("slowfast")
    manifest(copy, lambda v: v.update(networks=[n for n in v["networks"] if n["format"] == "onnx"]))
    clip = network.clip()
    runner = open_deployment(copy, "openvino", threads=1).build(network.small)
    got = runner(network.inputs(clip, network.small)[0])
    assert relative(got, network.switched(clip, network.small)) < 1e-5
    with pytest.raises(
        DeploymentError, match="holds onnx, which torch does not read; export again with --formats torch"
    ):
        open_deployment(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(format="x"), "not the manifest of an export"),
        (lambda v: v.update(version=9), "version 9, this release reads 1"),
        (lambda v: v.pop("networks"), "malformed"),
        (lambda v: v["networks"][0].update(files={"../x": {"sha256": "", "bytes": 1}}), "lies outside"),
        (lambda v: v["networks"][0].update(configuration="x"), "malformed"),
        (
            lambda v: v["networks"][0].update(configuration="0.9-48-4"),
            "not the one of this export: 0.9-48-4 is not in the query table",
        ),
    ],
)
def test_a_malformed_manifest_is_refused(change, message, export_directory, tmp_path):
    copy = shutil.copytree(export_directory, tmp_path / "copy")
    manifest(copy, change)
    with pytest.raises(DeploymentError, match=message):
        open_deployment(copy)


def test_what_does_not_belong_together_is_refused(export_directory, run_directory, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_run(other, Network("slowfast", "RNG_SEED", 7))
    shutil.copy(run_directory / "query_table.json", other)
    with pytest.raises(QueryTableError, match="belongs to the model of SHA-256"):
        open_deployment(other)
    copy = shutil.copytree(export_directory, tmp_path / "copy")
    manifest(copy, lambda v: v.update(source_sha256="0" * 64))
    with pytest.raises(QueryTableError, match="belongs to the model of SHA-256"):
        open_deployment(copy)


def test_what_cannot_be_opened_is_said(run_directory, export_directory, tmp_path, networks):
    with pytest.raises(DeploymentError, match=r"neither an export .* nor the output directory"):
        open_deployment(tmp_path)
    run = shutil.copytree(run_directory, tmp_path / "run")
    (run / "query_table.json").unlink()
    with pytest.raises(QueryTableError, match=r"query_table\.json"):
        open_deployment(run)
    (run / "model.pyth").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="truncated or not a checkpoint"):
        open_deployment(run)
    with pytest.raises(ConfigurationError, match=r"0.7-48-4 cannot be built here; there is 0.63-30-2"):
        open_deployment(export_directory).build(mn.Configuration(0.7, 48, 4))


def test_an_uncalibrated_table_is_refused(tmp_path):
    network = Network("slow")
    for norm in slimmable_norms(network.model):
        del norm.statistics[network.small]
    with pytest.raises(NotCalibratedError, match=r"0.63-30-3 has no BatchNorm statistics"):
        open_deployment(write_run(tmp_path, network))
