"""Exports of unknown origin: manifests, dense networks."""

import json
import shutil
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from mutualnet3d.deployment import load_dense, open_deployment
from mutualnet3d.deployment.dense_file import _digest
from mutualnet3d.deployment.manifest import Manifest
from mutualnet3d.deployment.target import Target
from mutualnet3d.deployment.torch_runner import TorchRunner
from mutualnet3d.errors import DeploymentError
from tests.fuzz.fuzzing import examples, only_our_errors, spoiled_bytes, spoiled_values


@pytest.fixture(scope="session")
def export(folder, tiny_export) -> Path:
    return Path(shutil.copytree(tiny_export, folder / "export"))


@pytest.fixture(scope="session")
def dense(export) -> tuple[dict, dict]:
    """Header and tensors of one network of the export."""
    path = sorted(export.glob("*.safetensors"))[0]
    with safetensors.safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["mutualnet3d"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def signed(header: dict, tensors: dict, text: str) -> bytes:
    """A file whose checksum is right, as its maker would write it."""
    try:
        header = header | {"network": text, "sha256": _digest(text, tensors)}
    except ValueError:  # half of a pair of UTF-16: has no bytes to sum
        header = header | {"network": text}
    return safetensors.torch.save(tensors, {"mutualnet3d": json.dumps(header)})


def manifest_of(export: Path, values) -> Path:
    """An export with another manifest and the files of this one."""
    place = export.parent / "other export"
    place.mkdir(exist_ok=True)
    for path in export.iterdir():
        if not (place / path.name).exists():
            (place / path.name).symlink_to(path)
    (place / "manifest.json").unlink()
    (place / "manifest.json").write_text(values if isinstance(values, str) else json.dumps(values))
    return place


def use(place: Path) -> None:
    with only_our_errors():
        deployment = open_deployment(place, threads=1)
        assert deployment.classes is None or all(isinstance(name, str) for name in deployment.classes)
        for configuration in deployment.configurations[:2]:
            deployment.build(configuration)


@examples(60)
@given(data=st.data())
def test_manifests_of_other_values(export, data):
    values = json.loads((export / "manifest.json").read_text())
    values["networks"] = values["networks"][:2]
    use(manifest_of(export, data.draw(spoiled_values(values))))


@examples(30)
@given(data=st.data())
def test_manifests_of_other_bytes(export, data):
    content = data.draw(spoiled_bytes((export / "manifest.json").read_bytes()))
    place = manifest_of(export, {})
    (place / "manifest.json").write_bytes(content)
    use(place)


@pytest.mark.parametrize("name", ["../{}", "/{}", "a/../../{}", "..", "", "\0", "a/{}"])
def test_files_outside_of_the_export_are_not_opened(export, tmp_path, name):
    values = json.loads((export / "manifest.json").read_text())
    network = values["networks"][0]
    (file,) = list(network["files"].items())
    named = name.format(file[0]).replace("/", str(tmp_path) + "/", 1) if name.startswith("/") else name.format(file[0])
    network["files"] = {named: file[1]}
    place = manifest_of(export, values)
    with pytest.raises(DeploymentError, match=r"outside the export directory|missing"):
        open_deployment(place).build(Manifest.load(place).configurations[0])


@examples(20)
@given(data=st.data())
def test_dense_networks_of_other_bytes(export, dense, data):
    header, tensors = dense
    path = export.parent / "bytes.safetensors"
    small = {name: tensors[name] for name in list(tensors)[:1]}
    path.write_bytes(data.draw(spoiled_bytes(signed(header, small, json.dumps({"graph": {}})))))
    with only_our_errors("bytes.safetensors"):
        load_dense(path)


@examples(60)
@given(data=st.data())
def test_signed_dense_networks_of_other_values(export, dense, data):
    header, tensors = dense
    values = json.loads(header["network"])
    part = data.draw(st.sampled_from(("description", "graph", "nodes", "layers")))
    if part in ("nodes", "layers"):  # deep inside
        values["graph"][part] = data.draw(spoiled_values(values["graph"][part]))
    else:
        values[part] = data.draw(spoiled_values(values[part]))
    path = export.parent / "values.safetensors"
    path.write_bytes(signed(header, tensors, json.dumps(values)))
    with only_our_errors():
        TorchRunner(load_dense(path), Target(threads=1))


@examples(20)
@given(data=st.data())
def test_signed_dense_networks_of_other_tensors(export, dense, data):
    header, tensors = dense
    tensors = dict(tensors)
    name, edit = (
        data.draw(st.sampled_from(sorted(tensors))),
        data.draw(st.sampled_from(("remove", "rename", "shape", "type"))),
    )
    other = data.draw(st.sampled_from(("", "x", name + ".x", "graph.x")))
    kinds = ("int8", "bool", "float64", "complex64", "float8_e4m3fn", "bfloat16")
    kind = getattr(torch, data.draw(st.sampled_from(kinds)))
    tensor = tensors.pop(name)
    if edit == "rename":
        tensors[other] = tensor
    elif edit == "shape":
        tensors[name] = tensor.reshape(-1)[:-1].clone()
    elif edit == "type":
        tensors[name] = tensor.to(kind)
    path = export.parent / "tensors.safetensors"
    path.write_bytes(signed(header, tensors, header["network"]))
    with only_our_errors("tensors.safetensors"):
        TorchRunner(load_dense(path), Target(threads=1))


CODE = 'x"), open("ran", "w") or ("'


@pytest.mark.parametrize("key", ["name", "target", "args", "kwargs"])
@pytest.mark.parametrize("text", [CODE, "import", "a;b", "a\nb", "__import__('os')", "lambda"])
def test_no_text_of_a_graph_becomes_code(export, dense, key, text, tmp_path, monkeypatch):
    """torch.fx writes Python from a graph: names are checked, values are written as they are quoted."""
    monkeypatch.chdir(tmp_path)
    header, tensors = dense
    values, loaded = json.loads(header["network"]), []
    number_of = {node["op"]: number for number, node in enumerate(values["graph"]["nodes"])}
    for op, number in number_of.items():
        values = json.loads(header["network"])
        values["graph"]["nodes"][number][key] = {"args": [text], "kwargs": {text: text}}.get(key, text)
        path = tmp_path / "a.safetensors"
        path.write_bytes(signed(header, tensors, json.dumps(values)))
        with only_our_errors(path.name):
            load_dense(path)
            loaded.append(op)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    assert key == "args" or loaded in ([], ["output"])  # which has no use for a target


def test_halves_of_utf16_pairs(export, dense):
    header, tensors = dense
    path = export.parent / "half.safetensors"
    path.write_bytes(signed(header, tensors, '"\ud800"'))
    with pytest.raises(DeploymentError, match=r"half\.safetensors"):
        load_dense(path)


def test_manifest_that_nests_without_end(export):
    with pytest.raises(DeploymentError, match=r"manifest\.json"):
        Manifest.load(manifest_of(export, "[" * 100_000))
