"""The order of an epoch, the batches, and that workers change nothing."""

import os
import subprocess
import sys

import pytest
import torch
from processes import ENVIRONMENT
from tiny import ROOT

from mutualnet3d.data import loader
from mutualnet3d.data.kinetics import TestVideos, TrainClips
from mutualnet3d.data.kinetics_list import VideoEntry, read_list
from mutualnet3d.data.loader import EpochSampler
from mutualnet3d.errors import ConfigError

# Python 3.12 and later warn of every fork beside threads; torch's workers are forked
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture
def entries(videos, broken):
    """Six videos of which the second cannot be read."""
    paths = [videos[0], broken, *videos[2:]]
    return [VideoEntry(str(path), number % 4) for number, path in enumerate(paths)]


def test_an_epoch_is_a_permutation_drawn_from_seed_and_epoch():
    keys = list(EpochSampler(20, seed=0, epoch=3, batch_size=5))
    assert sorted(keys) == [(3, index) for index in range(20)]
    assert keys == list(EpochSampler(20, seed=0, epoch=3, batch_size=5))
    assert [i for _, i in keys] != [i for _, i in EpochSampler(20, seed=0, epoch=4, batch_size=5)]
    assert [i for _, i in keys] != [i for _, i in EpochSampler(20, seed=1, epoch=3, batch_size=5)]


def test_the_last_partial_batch_is_dropped():
    sampler = EpochSampler(23, seed=0, epoch=0, batch_size=5)
    assert (len(sampler), sampler.num_batches, len(list(sampler))) == (20, 4, 20)


def test_an_interrupted_epoch_goes_on():
    whole = list(EpochSampler(23, seed=0, epoch=1, batch_size=5))
    rest = EpochSampler(23, seed=0, epoch=1, batch_size=5, start_batch=3)
    assert list(rest) == whole[15:]
    assert len(rest) == 5
    assert list(EpochSampler(23, seed=0, epoch=1, batch_size=5, start_batch=4)) == []


def test_ranks_share_the_epoch():
    parts = [list(EpochSampler(23, 0, 0, batch_size=4, rank=rank, world_size=2)) for rank in range(2)]
    assert [len(part) for part in parts] == [8, 8]
    assert len({*parts[0], *parts[1]}) == 16


def test_set_epoch():
    sampler = EpochSampler(23, seed=0, epoch=0, batch_size=5, start_batch=2)
    sampler.set_epoch(7)
    assert list(sampler) == list(EpochSampler(23, seed=0, epoch=7, batch_size=5))


def test_refusals():
    with pytest.raises(ConfigError, match=r"has 7 items, fewer than one batch of 8.*lower TRAIN\.BATCH_SIZE"):
        EpochSampler(7, 0, 0, batch_size=8)
    with pytest.raises(ConfigError, match="fewer than one batch of 16"):
        EpochSampler(15, 0, 0, batch_size=8, world_size=2)
    with pytest.raises(ConfigError, match="BATCH_SIZE gives 0"):
        EpochSampler(7, 0, 0, batch_size=0)
    with pytest.raises(ConfigError, match="start_batch is 9"):
        EpochSampler(7, 0, 0, batch_size=2, start_batch=9)


def batches(entries, cfg, workers, epochs=(0, 1)):
    cfg.DATA_LOADER.NUM_WORKERS = workers
    sampler = EpochSampler(len(entries), seed=5, epoch=0, batch_size=2)
    train = loader.train_loader(TrainClips(entries, cfg, seed=5), sampler, cfg)
    for epoch in epochs:
        sampler.set_epoch(epoch)
        assert len(train) == 3
        yield from train


def test_train_batches_are_the_same_whatever_the_number_of_workers(entries, cfg):
    alone, helped = list(batches(entries, cfg, 0)), list(batches(entries, cfg, 2))
    assert len(alone) == len(helped) == 6
    for one, other in zip(alone, helped, strict=True):
        assert one.clips.shape == (2, 3, 4, 32, 32)
        assert one.clips.dtype == torch.uint8
        assert one.labels.dtype == one.indices.dtype == torch.int64
        assert other.clips.is_contiguous(memory_format=torch.channels_last_3d)
        assert torch.equal(one.clips, other.clips)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.indices, other.indices)
        assert one.failures == other.failures
    failures = [failure for batch in alone for failure in batch.failures]
    assert len(failures) >= 2, "the broken video is met once an epoch"
    assert {path for path, _ in failures} == {entries[1].path}
    assert not torch.equal(alone[0].clips, alone[3].clips)


def test_batches_move_to_a_device(entries, cfg):
    batch = next(batches(entries, cfg, 0)).to("cpu")
    assert batch.clips.device.type == "cpu"


@pytest.mark.parametrize("workers", [0, 2])
def test_test_videos_come_in_order(entries, cfg, workers):
    cfg.DATA_LOADER.NUM_WORKERS = workers
    videos = TestVideos(entries, cfg, num_views=2, num_crops=3)
    items = list(loader.video_loader(videos, cfg))
    assert [item.index for item in items] == list(range(6))
    assert [item.error is None for item in items] == [True, False, True, True, True, True]
    assert torch.equal(items[4].cut.frames, videos[4].cut.frames)
    assert sum(1 for _ in items[4].views()) == 6


def test_ranks_share_the_test_videos(entries, cfg):
    videos = TestVideos(entries, cfg, num_views=1, num_crops=1)
    indices = [item.index for rank in range(4) for item in loader.video_loader(videos, cfg, range(rank, 6, 4))]
    assert sorted(indices) == list(range(6))


def test_real_clips_through_workers(shared_data, cfg):
    cfg.MODEL.NUM_CLASSES = 8
    cfg.DATA.PATH_PREFIX = str(shared_data / "jhmdb")
    cfg.DATA.PATH_TO_DATA_DIR = str(shared_data / "jhmdb" / "splits" / "micro4")
    entries = read_list(cfg, "train")[:12]
    cfg.DATA_LOADER.NUM_WORKERS = 2
    sampler = EpochSampler(len(entries), seed=0, epoch=0, batch_size=4)
    for batch in loader.train_loader(TrainClips(entries, cfg, seed=0), sampler, cfg):
        assert batch.failures == ()
        assert batch.clips.float().std() > 5


def test_workers_end_with_a_parent_that_is_killed():
    """They are in process groups of their own, which no terminal and no torchrun ends for them."""
    code = """
import os, time
from torch.utils.data import DataLoader
from mutualnet3d.config import load_config
from mutualnet3d.data.loader import _worker_options

cfg = load_config("configs/Demo/MN_SLOW_SMALL.yaml", ["DATA_LOADER.NUM_WORKERS", 2])
numbers = iter(DataLoader(range(1000), **_worker_options(cfg)))
next(numbers), next(numbers)  # the first is of the first worker, the second of the second: both have begun
print(*(worker.pid for worker in numbers._workers), flush=True)
time.sleep(60)
"""
    words = [sys.executable, "-c", code]
    parent = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT, cwd=ROOT)
    try:
        workers = [int(word) for word in parent.stdout.readline().split()]
        assert [os.getpgid(worker) for worker in workers] == workers
    finally:
        parent.kill()
        parent.communicate(timeout=30)  # until nobody holds its output open: parent and workers are gone
