"""tools/export_net.py: what it writes, what it checks, and what it refuses."""

import hashlib
import json
import shutil
from types import SimpleNamespace

import onnx
import openvino
import pytest
import torch

import mutualnet3d as mn
from mutualnet3d.commands.export import main
from mutualnet3d.deployment import Target, openvino_runner, parity, trained
from mutualnet3d.deployment.clips import parity_clips
from mutualnet3d.deployment.export import ExportPlan
from mutualnet3d.deployment.manifest import Manifest
from mutualnet3d.deployment.openvino_runner import precisions_here
from mutualnet3d.layers import slimmable_norms
from mutualnet3d.query_table import Entry
from tests.deployment.networks import Network, relative, write_run


def run(*words):
    return main([str(word) for word in words])


def test_a_file_for_each_configuration_and_format(export_directory, networks):
    chosen = networks("slowfast").configurations[:2]
    suffixes = ("safetensors", "onnx", "xml", "bin", "pt2")
    expected = {f"{c}.{suffix}" for c in chosen for suffix in suffixes}
    assert {path.name for path in export_directory.iterdir()} == expected | {"manifest.json", "query_table.json"}
    assert not [path for path in export_directory.parent.iterdir() if path.name.startswith(".")]


def test_the_manifest_says_what_is_there(export_directory, run_directory, networks):
    network = networks("slowfast")
    manifest = Manifest.load(export_directory)
    assert manifest.configurations == network.configurations[:2]
    assert manifest.description.source_sha256 == hashlib.sha256((run_directory / "model.pyth").read_bytes()).hexdigest()
    assert (manifest.description.pathways, manifest.description.preprocessing) == (
        network.model.pathway_rule,
        network.preprocessing,
    )
    assert {"mutualnet3d", "torch", "onnx", "onnxruntime", "openvino"} <= manifest.description.versions.keys()
    assert manifest.clips == "4 rendered clips, as no video was named and no test list is here"
    for each in manifest.networks:
        for name, (digest, size) in each.files.items():
            content = (export_directory / name).read_bytes()
            assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, size)
        assert each.opset == (20 if each.format == "onnx" else None)
        side = 30  # both configurations
        assert each.inputs == {"slow": ("N", 3, each.configuration.temporal, side, side), "fast": ("N", 3, 16, 48, 48)}
        precisions = {"torch": 2, "openvino": len(precisions_here()), "onnx": 1, "torch_export": 1}[each.format]
        assert [p.batch for p in each.parity] == [1, 2] * precisions
        for figure in each.parity:
            assert figure.clips == 4
            assert 0 < figure.max_rel < figure.tolerance == parity.TOLERANCES[figure.precision]
            assert figure.precision == "bfloat16" or (figure.max_rel < 1e-5 and figure.top1_agreement == 1)


def test_the_files_are_what_they_should_be(export_directory, networks):
    network = networks("slowfast")
    small = network.small
    model = onnx.load(export_directory / f"{small}.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 20)]
    shapes = {i.name: [d.dim_value or d.dim_param for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    assert shapes["slow"][1:] == [3, 2, 30, 30]
    assert isinstance(shapes["slow"][0], str)
    assert shapes["slow"][0] == shapes["fast"][0]
    constants = openvino.Core().read_model(export_directory / f"{small}.xml").get_ordered_ops()
    kinds = {op.get_element_type().get_type_name() for op in constants if op.get_type_name() == "Constant"}
    assert "f16" not in kinds  # not compressed
    program = torch.export.load(export_directory / f"{small}.pt2").module()
    for batch in (1, 3):
        clip = network.clip(batch)
        with torch.no_grad():
            got = program(*network.inputs(clip, small)[0])
        assert relative(got, network.switched(clip, small)) < 1e-5


def test_the_table_holds_what_was_exported_and_measured(export_directory, run_directory):
    before = mn.QueryTable.load(run_directory / "query_table.json")
    table = mn.QueryTable.load(export_directory / "query_table.json")
    assert len(table.entries) == 2
    targets = 2 + len(precisions_here()) + 1  # of torch, OpenVINO, ONNX Runtime
    assert len(table.devices) == targets
    for entry in table.entries:
        assert (entry.gmacs, entry.accuracy) == (
            before[entry.configuration].gmacs,
            before[entry.configuration].accuracy,
        )
        assert len(entry.latencies) == targets
    assert "torch float32" in table.device
    assert table.provenance["model_sha256"] == before.provenance["model_sha256"]


def test_by_default_the_pareto_front_in_the_torch_format(tmp_path, networks, capsys):
    folder = write_run(tmp_path, networks("slow"))
    table = mn.QueryTable.load(folder / "query_table.json")
    worse = [Entry(e.configuration, e.gmacs, e.mparams, 50.0) for e in table.entries]
    mn.QueryTable(tuple(worse), "top1", table.provenance).save(tmp_path / "flat.json")
    assert run("--model", folder / "model.pyth", "--table", tmp_path / "flat.json", "--output", tmp_path / "out",
               "--no-latency") == 0  # fmt: skip
    assert [p.name for p in sorted((tmp_path / "out").iterdir())] == [
        "0.63-30-3.safetensors",
        "manifest.json",
        "query_table.json",
    ]
    assert mn.QueryTable.load(tmp_path / "out" / "query_table.json").devices == ()
    printed = capsys.readouterr().out
    assert "rendered clips" in printed
    assert "float32" in printed


def test_a_format_that_nothing_runs_is_still_checked(tmp_path, networks):
    """torch.export alone: opened again and compared, with no latency to measure."""
    network = networks("slow")
    folder = write_run(tmp_path, network)
    words = ("--formats", "torch_export", "--configurations", "0.63-30-3", "--precision", "float32")
    assert run("--model", folder, "--output", tmp_path / "out", *words) == 0
    (each,) = Manifest.load(tmp_path / "out").networks
    assert [(p.backend, p.precision, p.batch) for p in each.parity] == [("torch.export", "float32", n) for n in (1, 2)]
    assert max(p.max_rel for p in each.parity) < 1e-5
    assert mn.QueryTable.load(tmp_path / "out" / "query_table.json").devices == ()


def test_another_crop_is_counted_again(tmp_path, networks):
    network = networks("slow")
    folder = write_run(tmp_path, network)
    words = ("--model", folder, "--output", tmp_path / "out", "--crop", 40, "--no-latency", "--configurations", "all")
    assert run(*words) == 0
    table, manifest = mn.QueryTable.load(tmp_path / "out" / "query_table.json"), Manifest.load(tmp_path / "out")
    assert manifest.description.preprocessing.crop == 40
    assert (table.provenance["crop"], table.provenance["accuracy_crop"]) == (40, 48)
    for entry in table.entries:
        assert entry.gmacs == mn.complexity(network.model, entry.configuration, crop=40).gmacs
    full = next(each for each in manifest.networks if each.configuration == network.model.space.full)
    assert full.inputs == {"slow": ("N", 3, 8, 40, 40)}


def test_named_videos_then_the_test_list_then_rendered_clips(tiny_data, networks, tmp_path):
    network = Network("slow", "DATA.PATH_TO_DATA_DIR", str(tiny_data))
    videos = sorted(tiny_data.glob("*.mp4"))
    named = parity_clips(videos[:3], network.cfg, network.preprocessing)
    listed = parity_clips([], network.cfg, network.preprocessing)
    rendered = parity_clips([], networks("slow").cfg, network.preprocessing)
    assert (named.source, listed.source) == ("3 videos as named", "4 videos of the test list")
    assert named.tensor.shape == (3, 3, 8, 48, 48)
    assert listed.tensor.shape == rendered.tensor.shape == (4, 3, 8, 48, 48)
    assert (
        len({float(clip.sum()) for clip in (*named.tensor, *listed.tensor, *rendered.tensor)}) == 10
    )  # one is in both lists
    assert len(parity_clips(videos[:1], network.cfg, network.preprocessing).tensor) == 2  # batches of 2 are compared


def test_clips_of_other_data_sets(tiny_data, networks, tmp_path):
    """Charades' own lists name their videos otherwise; key frames are no clips of a deployed network."""
    (tmp_path / "list.csv").write_text("id,actions\nvideo 8,c001 0.0 0.5\nvideo 9,\nvideo 10,c002 0.1 0.2\n")
    task = ["TRAIN.DATASET", "charades", "TEST.DATASET", "charades", "DATA.MULTI_LABEL", True]
    lists = ["CHARADES.LISTS", "segments", "CHARADES.TEST_FILE", "list.csv", "DATA.PATH_TO_DATA_DIR", str(tmp_path)]
    network = Network("slow", *task, *lists, "DATA.PATH_PREFIX", str(tiny_data))
    listed = parity_clips([], network.cfg, network.preprocessing)
    named = parity_clips([tiny_data / f"video {n}.mp4" for n in (8, 9, 10)], network.cfg, network.preprocessing)
    assert listed.source == "3 videos of the test list"
    assert torch.equal(listed.tensor, named.tensor)
    network.cfg.DATA.PATH_PREFIX = str(tmp_path)
    gone = parity_clips([], network.cfg, network.preprocessing)
    assert gone.source.startswith("4 rendered clips, as no video was named and one of the test list cannot be read: ")
    assert str(tmp_path / "video 8.mp4") in gone.source
    detection = networks("slow detection")
    source = parity_clips([], detection.cfg, detection.preprocessing).source
    assert source == "4 rendered clips, as no video was named and key frames are not square"


def test_detection(tmp_path, networks):
    folder = write_run(tmp_path, networks("slow detection"))
    assert run("--model", folder, "--output", tmp_path / "out", "--configurations", "0.63-30-3") == 0
    (network,) = Manifest.load(tmp_path / "out").networks
    assert max(figure.max_rel for figure in network.parity) < 1e-5
    assert run("--model", folder, "--output", tmp_path / "onnx", "--formats", "onnx") == 1
    assert not (tmp_path / "onnx").exists()


def test_class_names_travel(tmp_path, networks):
    names = [f"class {n}" for n in range(10)]
    (tmp_path / "classes.txt").write_text("\n".join(names) + "\n")
    network = Network("slow", "DATA.PATH_TO_DATA_DIR", str(tmp_path))
    (tmp_path / "run").mkdir()
    run_folder = write_run(tmp_path / "run", network)
    found = trained.TrainedNetwork(run_folder)
    assert found.describe(found.model.space.full).classes == tuple(names)
    (tmp_path / "classes.txt").write_text("only one\n")
    assert found.describe(found.model.space.full).classes == tuple(names)  # read once
    again = trained.TrainedNetwork(run_folder)
    assert again.describe(again.model.space.full).classes is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--formats", "tflite"), "format 'tflite' is not one of torch, onnx, openvino, torch_export"),
        (("--configurations", "0.7-48-4"), "0.7-48-4 is not in the query table, so its accuracy is unknown"),
        (("--configurations", "fast"), "'fast' is not width-spatial-temporal"),
        (
            ("--formats", "torch", "onnx", "--precision", "bfloat16"),
            "format 'onnx' can be checked in float32, not in bfloat16: add --precision float32",
        ),
        (
            ("--formats", "torch_export", "torch", "--precision", "bfloat16"),
            "format 'torch_export' can be checked in float32, not in bfloat16: add --precision float32",
        ),
        (
            ("--formats", "onnx", "--precision", "float32", "bfloat16"),
            "precision 'bfloat16': no backend of onnx has it on this CPU",
        ),
        (("--crop", "0"), "crop 0 must be at least 1 pixel"),
        (("--threads", "0"), "threads 0 must be a whole number"),
        (("--table", "absent.json"), "absent.json"),
        (("--clips", "absent.mp4"), "absent.mp4"),
    ],
)
def test_what_cannot_be_exported_is_said(words, message, run_directory, tmp_path, capsys):
    assert run("--model", run_directory, "--output", tmp_path / "failed", *words) == 1
    assert message in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_cpu_without_bfloat16(run_directory, tmp_path, monkeypatch, capsys):
    """OpenVINO refuses it there, before anything is exported; beside float32 it is left to torch."""
    core = openvino_runner.openvino_core()
    without = SimpleNamespace(
        get_property=lambda *_: ["FP32"], read_model=core.read_model, compile_model=core.compile_model
    )
    monkeypatch.setattr(openvino_runner, "openvino_core", lambda: without)
    words = ("--model", run_directory, "--output", tmp_path / "out", "--formats", "torch", "openvino", "--no-latency")
    assert run(*words, "--precision", "bfloat16") == 1
    assert "format 'openvino' can be checked in float32, not in bfloat16: add --precision float32" in (
        capsys.readouterr().out
    )
    assert not list(tmp_path.iterdir())
    chosen = ("--configurations", "0.63-30-2", "--precision", "float32", "bfloat16")
    assert run(*words, *chosen) == 0
    assert "openvino is not checked in bfloat16, which this CPU does not have for it" in capsys.readouterr().out
    plan = ExportPlan((mn.Configuration(1.0, 48, 4),), ("torch", "openvino"), ("float32", "bfloat16"), threads=1)
    assert [target.precision for target in plan.targets("openvino")] == ["float32"]
    assert [target.precision for target in plan.targets("torch")] == ["float32", "bfloat16"]
    with pytest.raises(mn.MutualNetError, match="OpenVINO says that this CPU does not have it; use 'float32'"):
        openvino_runner.OpenVinoRunner("unread.xml", None, Target("openvino", "bfloat16"))


def test_a_difference_over_the_tolerance_leaves_nothing(run_directory, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(parity.TOLERANCES, "float32", 1e-9)
    assert run("--model", run_directory, "--output", tmp_path / "failed") == 1
    assert "differs from the trained network by" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_a_difference_that_is_no_number_is_over_the_tolerance(networks):
    network = networks("slow")
    with pytest.raises(mn.MutualNetError, match="differs from the trained network by nan"):
        parity.measure_parity(
            lambda views, boxes: torch.full((len(views[0]), 10), float("nan")),
            network.model,
            network.clip(),
            network.small,
            "torch",
            "float32",
        )


def test_a_table_of_another_model_is_refused(run_directory, tmp_path, networks, capsys):
    other = write_run(tmp_path, networks("slow"))
    words = ("--model", run_directory, "--table", other / "query_table.json", "--output", tmp_path / "failed")
    assert run(*words) == 1
    assert "QueryTableError: this table belongs to the model of SHA-256" in capsys.readouterr().out
    assert not (tmp_path / "failed").exists()


def test_an_uncalibrated_configuration_is_refused(tmp_path, capsys):
    network = Network("slow")
    for norm in slimmable_norms(network.model):
        del norm.statistics[network.small]
    folder = write_run(tmp_path, network)
    assert run("--model", folder, "--output", tmp_path / "failed", "--configurations", network.small) == 1
    assert "NotCalibratedError" in capsys.readouterr().out
    assert not (tmp_path / "failed").exists()


def test_only_an_export_is_overwritten_and_only_when_asked(tmp_path, networks, capsys):
    folder = write_run(tmp_path, networks("slow"))
    output = tmp_path / "out"
    words = ("--model", folder, "--output", output, "--no-latency", "--configurations", "0.63-30-3")
    output.mkdir()
    assert run(*words) == 0  # an empty folder is used
    assert run(*words) == 1
    assert "--overwrite" in capsys.readouterr().out
    before = json.loads((output / "manifest.json").read_text())
    (output / "more.txt").write_text("mine")
    assert run(*words, "--overwrite") == 0
    assert not (output / "more.txt").exists()
    assert json.loads((output / "manifest.json").read_text())["networks"] == before["networks"]
    shutil.rmtree(output)
    output.mkdir()
    (output / "thesis.txt").write_text("mine")
    assert run(*words, "--overwrite") == 1
    assert "holds files, and no export of this tool" in capsys.readouterr().out
    assert (output / "thesis.txt").read_text() == "mine"
    assert {p.name for p in tmp_path.iterdir()} == {"model.pyth", "query_table.json", "out"}
