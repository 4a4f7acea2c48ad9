"""Checkpoints and weight files of unknown origin."""

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import mutualnet3d as mn
from mutualnet3d.errors import CheckpointError, WeightsError
from mutualnet3d.models import build_model
from mutualnet3d.models.artefact import model_entries, read_checkpoint
from mutualnet3d.models.weight_files import read_weight_file
from mutualnet3d.models.weights import load_weights
from mutualnet3d.training.checkpoint import restore
from tests.fuzz.fuzzing import VALUES, examples, only_our_errors, spoiled_bytes, spoiled_values
from tests.tiny import tiny_cfg

ODD = [
    *(
        torch.zeros(()),
        torch.zeros(0),
        torch.zeros(2, 3),
        torch.full((8,), float("nan")),
        torch.zeros(8, dtype=torch.int8),
    ),
    *(
        torch.zeros(8, dtype=torch.complex64),
        torch.zeros(8, dtype=torch.bool),
        torch.zeros(4, 4).to_sparse(),
        torch.Size([1]),
    ),
    *(
        torch.zeros(1).expand(8),
        torch.nn.Parameter(torch.ones(8)),
    ),
    *(torch.empty(8, device="meta"), {}, [], "x", None, 1, 10**30),
]


@pytest.fixture(scope="session")
def network():
    cfg = tiny_cfg()
    model = build_model(cfg)
    mn.calibrate(model, [torch.rand(2, 3, 4, 32, 32)], [model.space.smallest])
    return model, cfg


@pytest.fixture(scope="session")
def entries(network):
    """All that is in a checkpoint of training."""
    model, cfg = network
    optimizer, scaler = training_of(model)
    sum(parameter.sum() for parameter in model.parameters()).backward()
    optimizer.step()
    return model_entries(model, cfg) | {
        "epoch": 0,
        "iteration": 3,
        "optimizer_state": optimizer.state_dict(),
        "scaler_state": scaler.state_dict(),
        "random_states": [{"cpu": torch.get_rng_state()}],
    }


def training_of(model):
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    return optimizer, torch.amp.GradScaler("cpu", enabled=False)


def saved(values, zipped=True) -> bytes:
    file = io.BytesIO()
    torch.save(values, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def read_all(path, network) -> None:
    """Whatever reads a checkpoint or weights."""
    model, _ = network
    with only_our_errors(path.name):
        load_weights(model, path, allow_missing="*")
    with only_our_errors():
        restore(path, read_checkpoint(path), model, *training_of(model))


def test_the_checkpoint_is_good_before_it_is_spoiled(tmp_path, network, entries):
    path = tmp_path / "a.pyth"
    path.write_bytes(saved(entries))
    assert restore(path, read_checkpoint(path), network[0], *training_of(network[0])).iteration == 3
    assert load_weights(network[0], path).matched
    assert mn.load_model(path).calibrated == network[0].calibrated


@examples(40)
@given(data=st.data())
def test_checkpoints_of_other_bytes(folder, network, entries, data):
    small = {"model_state": {"a.weight": torch.zeros(2), "b": torch.ones(3)}, "format": entries["format"]}
    small |= {"cfg": "NUM_GPUS: 0", "space": entries["space"], "epoch": np.int64(3), "loss": np.float32(0.5)}
    path = folder / "bytes.pyth"
    path.write_bytes(data.draw(spoiled_bytes(saved(small, data.draw(st.booleans())))))
    read_all(path, network)


@examples(40)
@given(data=st.data())
def test_checkpoints_of_other_values(folder, network, entries, data):
    values = dict(entries)
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from(sorted(values)))
        if name == "model_state":
            state = dict(values[name])
            key = data.draw(st.sampled_from(sorted(state)))
            edit = data.draw(st.sampled_from(("change", "remove", "rename")))
            value = state.pop(key)
            if edit != "remove":
                new = key if edit == "change" else data.draw(st.sampled_from(("", "s1.x", f"{key}.mean", key + "\0")))
                state[new] = data.draw(st.sampled_from(ODD)) if edit == "change" else value
            values[name] = state
        elif data.draw(st.booleans()) or not isinstance(values[name], (dict, list)):
            values[name] = data.draw(st.sampled_from([*VALUES, *ODD]))
        else:
            values[name] = data.draw(spoiled_values(values[name]))
    path = folder / "values.pyth"
    path.write_bytes(saved(values))
    read_all(path, network)


@examples(15)
@given(data=st.data())
def test_models_of_other_values(folder, entries, data):
    values = {name: entries[name] for name in ("format", "model_state", "space", "statistics_provenance", "cfg")}
    edit = data.draw(st.sampled_from(("space", "statistics_provenance", "cfg")))
    if edit == "cfg":
        values["cfg"] = data.draw(spoiled_bytes(values["cfg"].encode())).decode(errors="replace")
    else:
        values[edit] = data.draw(spoiled_values(values[edit]))
    path = folder / "model.pyth"
    path.write_bytes(saved(values))
    with only_our_errors():
        mn.load_model(path)


@examples(120)
@given(data=st.data())
def test_pickled_arrays_of_other_bytes(folder, data):
    blobs = {"conv1_w": np.arange(8, dtype=np.float32), "n": np.float64(3), "t": np.array(["a", "b"]), b"k": [1, (2,)]}
    content = pickle.dumps({"blobs": blobs}, protocol=data.draw(st.integers(0, 5)))
    path = folder / "bytes.pkl"
    path.write_bytes(data.draw(spoiled_bytes(content)))
    with only_our_errors("bytes.pkl"):
        read_weight_file(path)


class Call:
    """Pickled as a call of ``function``; ``state`` is what the object is then given."""

    def __init__(self, function, *arguments, state=None):
        self.made = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.made


LOOSE = np.dtype("O"), (3, "|", None, None, None, -1, -1, 0)  # a state that takes the mark of objects from a type
POINTERS = {
    "array over bytes": Call(np.ndarray, (1,), np.dtype("O"), b"A" * 8),
    "objects from a buffer": Call(np.empty(0).__reduce_ex__(5)[0], b"A" * 8, np.dtype("O"), (1,), "C"),
    "scalar of an object": Call(np.float64(0).__reduce__()[0], LOOSE[0], b"A" * 8),
    "a type made loose": Call(np.dtype, "O", False, True, state=LOOSE[1]),
    "a list as objects": np.array([1, "a"], dtype=object),
    "a structure": np.zeros(2, dtype=[("a", "O"), ("b", "f4")]),
    "a long type": Call(np.dtype, "V8", False, True, state=(3, "|", None, None, None, 10**6, 1, 0)),
}


@pytest.mark.parametrize("form", ["pickle", "torch", "old torch"])
@pytest.mark.parametrize("name", POINTERS)
def test_arrays_that_would_hold_pointers_are_refused(tmp_path, name, form):
    """numpy would take eight bytes of the file for the address of an object."""
    path = tmp_path / "a.pkl"
    values = {"blobs": {"conv1_w": POINTERS[name]}}
    path.write_bytes(pickle.dumps(values, protocol=2) if form == "pickle" else saved(values, zipped=form == "torch"))
    with pytest.raises(WeightsError, match=r"a\.pkl"):
        read_weight_file(path)
    if form != "pickle":
        with pytest.raises(CheckpointError, match=r"a\.pkl"):
            read_checkpoint(path)


def test_arrays_that_claim_more_than_they_hold(tmp_path):
    reconstruct, arguments, state = np.arange(8.0).__reduce__()
    for shape in ((10**12,), (-1,), (2**62, 4), "x"):
        path = tmp_path / "a.pkl"
        path.write_bytes(pickle.dumps(Call(reconstruct, *arguments, state=(state[0], shape, *state[2:])), protocol=2))
        with pytest.raises(WeightsError, match=r"a\.pkl.*damaged"):
            read_weight_file(path)


def test_paths_inside_a_zip_are_not_written(tmp_path):
    path = tmp_path / "inside" / "a.pyth"
    path.parent.mkdir()
    path.write_bytes(saved({"a": torch.zeros(2)}))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("../../outside.txt", "x")
        file.writestr("/outside.txt", "x")
    with only_our_errors():
        read_weight_file(path)
    with only_our_errors():
        read_checkpoint(path)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.pyth", "inside"]


def test_what_a_checkpoint_must_hold(tmp_path, entries):
    for name, value in (("cfg", 5), ("model_state", [1]), ("space", "x")):
        torch.save(entries | {name: value}, tmp_path / "a.pyth")
        with pytest.raises(CheckpointError, match=rf"a\.pyth: {name} is a {type(value).__name__}"):
            read_checkpoint(tmp_path / "a.pyth")
