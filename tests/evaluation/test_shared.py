"""Two real processes calibrate and evaluate together what one does alone."""

from pathlib import Path

import pytest
import torch
from processes import torchrun
from test_grid import FULL, SMALL
from test_grid import calibrated as with_statistics
from tiny import tiny_cfg

import mutualnet3d as mn
from mutualnet3d.data import VideoEntry, build_entries
from mutualnet3d.distributed import ALONE, processes
from mutualnet3d.errors import ConfigError
from mutualnet3d.evaluation.result import load_scores
from mutualnet3d.evaluation.resumable import evaluate_list

CONFIGURATIONS = (SMALL, FULL)
LISTS = ("odd", "one")  # an odd number of videos, and fewer than processes


def build(calibrated=False):
    model = mn.build_model(tiny_cfg())
    return with_statistics(model) if calibrated else model.double()


def batches():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(n, 3, 4, 32, 32, generator=generator).double() * n + n for n in (2, 5, 3, 4, 2)]


def list_of(cfg, name):
    whole = build_entries(cfg, "test")
    if name == "one":
        return whole[:1]
    return [*whole, VideoEntry("gone.mp4", 0), *whole, *whole, *whole]  # 17: rank 0 has 9, rank 1 8; batches of 3


@pytest.fixture(scope="module")
def ranks(tiny_data, tmp_path_factory):
    output = tmp_path_factory.mktemp("two processes")
    done = torchrun(2, Path(__file__).with_name("share_of_two.py"), tiny_data, output)
    assert done.returncode == 0, done.stdout + done.stderr
    return output, [torch.load(output / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def test_values_travel(ranks):
    for rank, seen in enumerate(ranks[1]):
        assert (seen["rank"], seen["world_size"]) == (rank, 2)
        assert seen["gathered"] == ([0, 1] if rank == 0 else None)
        assert (seen["all"], seen["broadcast"]) == ([0, 10], "first")


@pytest.mark.parametrize("key", ["statistics", "uneven"])
def test_statistics_are_those_of_one_process_over_the_same_batches(ranks, key):
    model = build()
    mn.calibrate(model, batches() if key == "statistics" else batches()[:1], CONFIGURATIONS)
    state = model.state_dict()
    for seen in ranks[1]:
        assert len(seen[key]) > 10
        for name, value in seen[key].items():
            torch.testing.assert_close(value, state[name], rtol=1e-12, atol=1e-12)
    assert all(torch.equal(value, ranks[1][1][key][name]) for name, value in ranks[1][0][key].items())
    assert [seen["provenance"] for seen in ranks[1]] == [[16, 16]] * 2


@pytest.mark.parametrize("name", LISTS)
def test_every_rank_takes_every_second_video(ranks, tiny_data, name):
    paths = [entry.path for entry in list_of(tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data)), name)]
    for rank, seen in enumerate(ranks[1]):
        assert seen[f"{name} opened"] == paths[rank::2]


@pytest.mark.parametrize("name", LISTS)
def test_scores_are_those_of_one_process(ranks, tiny_data, tmp_path, name):
    cfg = tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data))
    alone = evaluate_list(build(calibrated=True), list_of(cfg, name), CONFIGURATIONS, cfg, tmp_path / "alone.npz")
    together = load_scores(ranks[0] / f"{name}.npz")
    torch.testing.assert_close(together.scores, alone.scores, rtol=1e-5, atol=1e-6)
    assert (together.paths, together.missing) == (alone.paths, alone.missing)
    assert together.indices.tolist() == alone.indices.tolist()
    assert torch.equal(ranks[1][0][name], together.scores)
    assert ranks[1][1][name] is None
    assert not (ranks[0] / name).exists()


def test_one_process_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with processes() as group:
        assert group is ALONE
        assert (group.gather(3), group.all_gather(3), group.broadcast(3)) == ([3], [3], 3)
        assert list(group.share_of(3)) == [0, 1, 2]


def test_more_processes_than_gpus(monkeypatch):
    for name, value in {"RANK": 9, "WORLD_SIZE": 10, "LOCAL_RANK": 9, "MASTER_ADDR": "x", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(ConfigError, match=r"process 9 of this machine has no GPU .*--nproc_per_node"), processes(True):
        pass
