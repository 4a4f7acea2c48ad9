"""Dense networks as one file: what is written, what is read back, and what is refused."""

import json
import subprocess
import sys

import pytest
import safetensors.torch
import torch
from torch import nn

import mutualnet3d as mn
from mutualnet3d.deployment import load_dense, save_dense
from mutualnet3d.deployment.dense_file import _digest
from mutualnet3d.errors import DeploymentError
from tests.deployment.networks import CASES, DETECTION, relative

BLOCKED = ("slowfast", "fvcore", "pytorchvideo", "iopath", "mutualnet3d.config", "mutualnet3d.models")
BLOCK = f"""
import importlib.abc, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {BLOCKED!r} or name.startswith(tuple(n + "." for n in {BLOCKED!r})):
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocker())
"""


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("case", [*CASES, *DETECTION])
def test_a_loaded_network_equals_the_switched_one(case, fold, networks, tmp_path):
    network = networks(case)
    for configuration in network.configurations:
        dense = mn.extract_dense(network.model, configuration, fold_bn=fold)
        save_dense(tmp_path / "net.safetensors", dense, network.describe(configuration))
        loaded = load_dense(tmp_path / "net.safetensors")
        assert not loaded.training
        assert not any(parameter.requires_grad for parameter in loaded.parameters())
        for batch in (1, 2, 3):
            clip, boxes = network.clip(batch, seed=batch), network.boxes(batch)
            views, scaled = network.inputs(clip, configuration, boxes)
            with torch.no_grad():
                got = loaded(*views, boxes=scaled)
            assert relative(got, network.switched(clip, configuration, boxes)) < 1e-5


def test_the_file_says_what_it_is(networks, tmp_path):
    network, path = networks("slowfast"), tmp_path / "net.safetensors"
    dense = mn.extract_dense(network.model, network.small)
    names = tuple(f"class {n}" for n in range(10))
    save_dense(path, dense, network.describe(network.small, classes=names, source_sha256="ab" * 32))
    description = load_dense(path).description
    assert description.configuration == network.small
    assert description.pathways == network.model.pathway_rule
    assert description.preprocessing == network.preprocessing
    assert description.classes == names
    assert (description.architecture, description.detects, description.source_sha256) == ("slowfast", False, "ab" * 32)
    assert description.versions == {"mutualnet3d": mn.__version__, "torch": str(torch.__version__)}
    clip = network.clip()
    assert description.view_shapes(batch=2) == tuple(tuple(v.shape) for v in network.inputs(clip, network.small)[0])
    assert all(torch.equal(a, b) for a, b in zip(description.pathways.views(clip, network.small),
                                                 network.inputs(clip, network.small)[0], strict=True))  # fmt: skip


def test_the_file_has_the_size_of_the_sub_network(networks, tmp_path):
    network = networks("slowfast")
    for configuration in network.configurations:
        path = tmp_path / f"{configuration}.safetensors"
        dense = mn.extract_dense(network.model, configuration, fold_bn=True)
        save_dense(path, dense, network.describe(configuration))
        weights = 4e6 * mn.complexity(network.model, configuration).mparams
        assert 0.99 * weights < path.stat().st_size < weights + 100_000  # the graph; BatchNorm's biases moved
    small, *_, full = (p.stat().st_size for p in sorted(tmp_path.iterdir()))
    assert small < 0.7 * full


def test_bfloat16_is_kept(networks, tmp_path):
    network = networks("slow")
    dense = mn.extract_dense(network.model, network.small, fold_bn=True).bfloat16()
    dense.head.projection.float()
    save_dense(tmp_path / "half.safetensors", dense, network.describe(network.small))
    loaded = load_dense(tmp_path / "half.safetensors")
    assert loaded.graph.head.projection.weight.dtype == torch.float32
    assert {p.dtype for name, p in loaded.named_parameters() if "head" not in name} == {torch.bfloat16}
    (view,), _ = network.inputs(network.clip(), network.small)
    with torch.no_grad():
        assert torch.equal(loaded(view.bfloat16()), dense(view.bfloat16()))


def test_what_was_loaded_can_be_saved_again(networks, tmp_path):
    network = networks("x3d")
    dense = mn.extract_dense(network.model, network.small)
    save_dense(tmp_path / "one.safetensors", dense, network.describe(network.small))
    save_dense(tmp_path / "two.safetensors", load_dense(tmp_path / "one.safetensors"), network.describe(network.small))
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_loading_needs_torch_alone(networks, tmp_path):
    network = networks("slowfast detection")
    clip, boxes = network.clip(), network.boxes()
    views, scaled = network.inputs(clip, network.small, boxes)
    dense = mn.extract_dense(network.model, network.small, fold_bn=True)
    save_dense(tmp_path / "net.safetensors", dense, network.describe(network.small))
    torch.save((views, scaled, network.switched(clip, network.small, boxes)), tmp_path / "case.pt")
    code = f"""{BLOCK}
import torch
from mutualnet3d.deployment import load_dense
views, boxes, expected = torch.load({str(tmp_path / "case.pt")!r})
with torch.no_grad():
    got = load_dense({str(tmp_path / "net.safetensors")!r})(*views, boxes=boxes)
assert (got - expected).abs().max() < 1e-4 * expected.abs().max()
try:
    import slowfast
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "slowfast is blocked"), done.stderr


@pytest.fixture
def saved(networks, tmp_path):
    network = networks("slow")
    dense = mn.extract_dense(network.model, network.small, fold_bn=True)
    save_dense(tmp_path / "net.safetensors", dense, network.describe(network.small))
    return tmp_path / "net.safetensors"


def test_damage_is_noticed_anywhere(saved):
    whole = saved.read_bytes()
    for at in (4, 100, len(whole) // 5, len(whole) // 2, len(whole) - 3):  # header, graph, weights
        saved.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(DeploymentError, match=r"net\.safetensors"):
            load_dense(saved)
    for length in (0, 5, 1000, len(whole) - 1):
        saved.write_bytes(whole[:length])
        with pytest.raises(DeploymentError, match="damaged"):
            load_dense(saved)
    saved.write_bytes(whole)
    load_dense(saved)


def test_other_files_are_refused(saved, tmp_path):
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(DeploymentError, match="not a dense network of mutualnet3d"):
        load_dense(tmp_path / "other.safetensors")
    with pytest.raises(DeploymentError, match="no such file"):
        load_dense(tmp_path / "absent.safetensors")
    rewrite(saved, lambda values: None, version=2)
    with pytest.raises(DeploymentError, match="version 2, this release reads 1"):
        load_dense(saved)


def rewrite(path, change, **metadata):
    """The file with another description, whose checksum is right: what someone could forge."""
    with safetensors.safe_open(path, "pt") as file:
        old = json.loads(file.metadata()["mutualnet3d"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    values = json.loads(old["network"])
    change(values)
    text = json.dumps(values)
    header = old | {"network": text, "sha256": _digest(text, tensors)} | metadata
    safetensors.torch.save_file(tensors, path, {"mutualnet3d": json.dumps(header)})


def first(values, op):
    return next(node for node in values["graph"]["nodes"] if node["op"] == op)


def layer(values):
    return next(iter(values["graph"]["layers"].values()))


FORGERIES = {
    "layer": (lambda v: layer(v).update({"class": "Embedding"}), "class 'Embedding', which is none of Conv2d"),
    "arguments": (lambda v: layer(v)["arguments"].update(device="cuda"), "has the arguments"),
    "sizes": (lambda v: layer(v)["arguments"].update(out_channels=10**9), "size mismatch"),
    "function": (lambda v: first(v, "call_function").update(target="os.system"), "calls 'os.system'"),
    "method": (lambda v: first(v, "call_method").update(target="numpy"), "method 'numpy'"),
    "attribute": (
        lambda v: next(n for n in v["graph"]["nodes"] if n["target"] == "getattr")["args"].__setitem__(1, "__class__"),
        "only",
    ),
    "code in an input": (lambda v: first(v, "placeholder").update(target="x=print(1)"), "the name 'x=print"),
    "code in a name": (lambda v: first(v, "call_module").update(name="x\nprint(1)"), "which is not one"),
    "kind of node": (lambda v: first(v, "call_module").update(op="root"), "kind 'root'"),
    "layer that is not there": (lambda v: first(v, "call_module").update(target="s9"), "'s9' that the file does not"),
    "value": (lambda v: first(v, "call_function")["args"].__setitem__(0, {"code": "1"}), "kind 'code'"),
    "node before its input": (lambda v: v["graph"]["nodes"].reverse(), "malformed"),
    "no graph": (lambda v: v.pop("graph"), "graph"),
    "no output": (lambda v: v["graph"]["nodes"].pop(), "output"),
    "configuration": (lambda v: v["description"].update(configuration="big"), "'big' is not width"),
    "no pathways": (lambda v: v["description"].pop("pathways"), "pathways"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_file_can_ask_for_nothing_unknown(forgery, saved, capfd):
    change, message = FORGERIES[forgery]
    rewrite(saved, change)
    with pytest.raises(DeploymentError, match=message):
        load_dense(saved)
    assert capfd.readouterr().out == ""  # no code ran


class Unwritable(nn.Module):
    def __init__(self, act, conv):
        super().__init__()
        self.act, self.conv = act, conv

    def forward(self, view):
        return self.act(self.conv(view))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Unwritable(nn.GELU(), nn.Conv3d(3, 3, 1)), "layer act is a GELU; a dense file can hold only Conv2d"),
        (Unwritable(nn.ReLU(), nn.Conv3d(3, 3, 1, padding_mode="circular")), "pads with 'circular'"),
        (Unwritable(torch.sigmoid, nn.Conv3d(3, 3, 1)), "calls .*sigmoid"),
    ],
)
def test_what_a_file_cannot_hold_is_said_when_it_is_written(module, message, networks, tmp_path):
    network = networks("slow")
    with pytest.raises(DeploymentError, match=message):
        save_dense(tmp_path / "net.safetensors", module.eval(), network.describe(network.small))
    assert not list(tmp_path.iterdir())


def test_boxes_are_for_detection(networks, tmp_path):
    for case, boxes, message in (("slow", (torch.zeros(1, 5),), "classification"), ("slow detection", None, "needs")):
        network = networks(case)
        dense = mn.extract_dense(network.model, network.small)
        save_dense(tmp_path / "net.safetensors", dense, network.describe(network.small))
        views, _ = network.inputs(network.clip(), network.small)
        with pytest.raises(ValueError, match=message):
            load_dense(tmp_path / "net.safetensors")(*views, boxes=boxes)
