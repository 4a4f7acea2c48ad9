"""What a machine does to a run: each fault is named with its remedy, and nothing that was written is lost."""

import errno
import os
import resource
import signal
import subprocess
import sys

import av
import pytest
import torch
from killing import differences, run_until_done
from processes import ENVIRONMENT
from tiny import OVERRIDES, RECIPE, ROOT, tiny_cfg

from mutualnet3d import faults
from mutualnet3d.data import build_entries, train_dataset
from mutualnet3d.data.frames import read_picture
from mutualnet3d.errors import ConfigError, ResourceError
from mutualnet3d.faults import named_faults, refuse_machine_fault
from mutualnet3d.lock import alone_in
from mutualnet3d.models.artefact import read_checkpoint
from mutualnet3d.pipeline import run
from mutualnet3d.training import loop


def command(data, output, *overrides) -> list[str]:
    places = ["DATA.PATH_TO_DATA_DIR", data, "OUTPUT_DIR", output]
    return list(map(str, [ROOT / "tools" / "run_net.py", "--cfg", RECIPE, *OVERRIDES, *places, *overrides]))


def test_killed_again_and_again(tiny_data, tmp_path):
    """In the middle of an epoch, at the end of one, where its checkpoint is due, in calibration and in the test."""
    assert run_until_done(command(tiny_data, tmp_path / "whole"), []) == []
    moments = ["epoch 1/2 3/4", "epoch 2/2 4/4", "calibrating", "testing 4 videos"]
    assert len(run_until_done(command(tiny_data, tmp_path / "killed"), moments)) == len(moments)
    assert differences(tmp_path / "killed", tmp_path / "whole") == []


def test_a_second_run_in_the_same_folder_is_refused(tiny_data, tmp_path):
    cfg = tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(tmp_path / "out"))
    with alone_in(tmp_path / "out"):
        before = set((tmp_path / "out").iterdir())
        with pytest.raises(ConfigError, match="is in use by another run: two would mix their files"):
            run(cfg)
        assert set((tmp_path / "out").iterdir()) == before
    with alone_in(tmp_path / "out"):
        pass


def test_a_run_that_was_killed_holds_nothing(tmp_path):
    """What it had half-written goes; what lies in a folder that is not a run's stays, whatever its name."""
    code = """
import contextlib, os, pathlib, signal, sys
from mutualnet3d.files import atomic_write
from mutualnet3d.lock import alone_in

with contextlib.ExitStack() as stack:
    stack.enter_context(alone_in(pathlib.Path(sys.argv[1])))
    for folder in sys.argv[1:]:
        stack.enter_context(atomic_write(pathlib.Path(folder) / "file")).write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    own = [tmp_path / name for name in ("", "checkpoints", "test_scores", "search_scores")]
    users = tmp_path / "notes"
    words = [sys.executable, "-c", code, *own, users]
    assert subprocess.run(words, env=ENVIRONMENT, check=False).returncode == -signal.SIGKILL
    assert [len(list(folder.glob(".file.*"))) for folder in (*own, users)] == [1] * 5
    with alone_in(tmp_path):
        assert [len(list(folder.glob(".file.*"))) for folder in (*own, users)] == [0, 0, 0, 0, 1]


def test_the_disk_is_full(tiny_data, tmp_path):
    """Files may not grow beyond what the first checkpoint needs: the run says so, and its files are whole."""
    words = command(tiny_data, tmp_path / "out", "TEST.ENABLE", False)

    def no_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, check=False, env=ENVIRONMENT, preexec_fn=no_room
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "ResourceError: " in done.stdout
    assert "cannot take more files" in done.stdout
    assert list((tmp_path / "out" / "checkpoints").iterdir()) == []
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    read_checkpoint(tmp_path / "out" / "model.pyth")


def test_a_worker_is_killed(tiny_data, tmp_path, monkeypatch):
    cfg = tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data), "OUTPUT_DIR", str(tmp_path / "out"))
    cfg.DATA_LOADER.NUM_WORKERS = 1
    original = loop._Run.train_iteration

    def killing(self, epoch, iteration, batch, lr):
        if (epoch, iteration) == (1, 0):
            (worker,) = self.loader._iterator._workers
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()
        return original(self, epoch, iteration, batch, lr)

    monkeypatch.setattr(loop._Run, "train_iteration", killing)
    with pytest.raises(ResourceError, match=r"worker .* was killed.*lower DATA_LOADER.NUM_WORKERS \(now 1\)"):
        run(cfg)
    assert (tmp_path / "out" / "checkpoints" / "checkpoint_epoch_00001.pyth").is_file()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried ..."),
        MemoryError(),
        RuntimeError("could not create a primitive"),
    ],
)
def test_out_of_memory(error):
    what = r"out of memory .*lower TRAIN.BATCH_SIZE \(now 2\) .*TEST.BATCH_SIZE .*CALIBRATION.BATCH_SIZE \(now 2\)"
    with pytest.raises(ResourceError, match=what), named_faults(tiny_cfg()):
        raise error


def test_a_kernel_that_onednn_lacks_is_no_lack_of_memory():
    lacks = "could not create a primitive descriptor for a convolution forward propagation primitive"
    with pytest.raises(RuntimeError, match=lacks), named_faults(tiny_cfg()):
        raise RuntimeError(lacks)


def test_real_allocation_that_fails():
    with pytest.raises(ResourceError, match="out of memory"), named_faults(tiny_cfg()):
        torch.empty(1 << 50)


@pytest.fixture
def no_more_files():
    """No file can be opened, as in a process that has opened too many."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.dup(0)
    os.close(first_free)
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, before[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_too_many_open_files_are_no_unreadable_video(tiny_data, no_more_files):
    """Another video in its place would change the run, and nobody would know why."""
    cfg = tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tiny_data))
    clips = train_dataset(build_entries(cfg, "train"), cfg, 0)
    assert clips[0, 0].failures == ()
    no_more_files()
    with pytest.raises(ResourceError, match=r"too many open files; raise the limit \(ulimit -n\)"):
        clips[0, 0]


def test_pictures_and_other_files_of_too_many(tmp_path, no_more_files):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8")
    cfg = tiny_cfg()
    no_more_files()
    with pytest.raises(ResourceError, match="too many open files"):
        read_picture(str(tmp_path / "a.jpg"))
    with pytest.raises(ResourceError, match="too many open files"), named_faults(cfg):
        (tmp_path / "a.jpg").read_bytes()


def test_memory_that_a_damaged_file_claims_is_not_the_machines(monkeypatch):
    """FFmpeg says the same where a header asks for 2 GB: what tells them apart is whether there is memory."""
    error = av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")
    refuse_machine_fault(error)

    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr(faults.np, "empty", no_memory)
    with pytest.raises(ResourceError, match="out of memory while a file was read"):
        refuse_machine_fault(error)


def test_other_errors_pass():
    for error in (RuntimeError("another"), PermissionError(13, "Permission denied"), KeyboardInterrupt()):
        with pytest.raises(type(error)), named_faults(tiny_cfg()):
            raise error
