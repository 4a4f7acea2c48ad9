"""Jobs of several machines: the words that each of them runs, and one that is stopped and queued again."""

import os
import re
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import submitit
from processes import ENVIRONMENT
from tiny import OVERRIDES, RECIPE

from mutualnet3d.commands.submit import TrainingJob, main


@dataclass
class Machine:
    """What a job sees of its place in the cluster."""

    node: int = 0
    num_nodes: int = 2
    hostnames: list[str] = field(default_factory=lambda: ["first", "second"])
    raw_job_id: str = "1234567"


def test_each_machine_runs_its_part():
    job = TrainingJob(("--cfg", "a.yaml", "NUM_GPUS", "8"), 8)
    first, second = (job.command(Machine(node)) for node in range(2))
    torchrun = [*("--nproc_per_node", "8", "--nnodes", "2", "--node_rank", "1")]
    torchrun += ["--master_addr", "first", "--master_port", "24567"]
    run = ["-m", "mutualnet3d.commands.run", "--cfg", "a.yaml", "NUM_GPUS", "8", "--num_shards", "2", "--shard_id", "1"]
    assert second == [sys.executable, "-m", "torch.distributed.run", *torchrun, *run]
    assert [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]] == [("0", "1"), ("0", "1")]
    alone = job.command(Machine(num_nodes=1))
    assert "--standalone" in alone
    assert "--num_shards" not in alone


def test_the_announcement_of_the_limit_lets_the_run_save(monkeypatch, tmp_path):
    """It reaches every process of a job: torchrun must not end by it, but be told to stop, and be waited for."""
    script = (
        "import pathlib, signal, sys, time\n"
        "def save(*_):\n    time.sleep(0.3)\n    pathlib.Path('saved').touch()\n    sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, save)\npathlib.Path('ready').touch()\ntime.sleep(60)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(submitit, "JobEnvironment", Machine)
    monkeypatch.setattr(TrainingJob, "command", lambda *_: [sys.executable, "-c", script])
    job, ended = TrainingJob(("--cfg", "a.yaml"), 2), []

    def work():
        try:
            job()
        except RuntimeError as error:
            ended.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    while not Path("ready").exists():
        time.sleep(0.01)
    os.kill(job._torchrun.pid, signal.SIGUSR2)
    again = job.checkpoint()
    assert Path("saved").exists()
    assert again.function == TrainingJob(("--cfg", "a.yaml"), 2)
    thread.join()
    assert ended == ["torchrun ended with status 1; see what it says above"]


def test_a_job_that_is_stopped_goes_on(tiny_data, tmp_path, monkeypatch, capsys):
    """submitit's own queue on this machine, two real processes; once it is told that its time is over."""
    for name in set(os.environ) - set(ENVIRONMENT):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    output = tmp_path / "output"
    words = ["--cfg", RECIPE, *OVERRIDES, "TEST.ENABLE", False, "SOLVER.MAX_EPOCH", 8, "TRAIN.EVAL_PERIOD", 8]
    words += ["CALIBRATION.ENABLE", False, "DATA.PATH_TO_DATA_DIR", tiny_data, "OUTPUT_DIR", output]
    options = ["--cluster", "local", "--folder", tmp_path / "jobs", "--gpus", 0, "--processes", 2]
    assert main([str(word) for word in (*options, *words)]) == 0
    number, log = re.fullmatch(r"submitted job (\d+): 1 x 2 processes .*: (.*)\n", capsys.readouterr().out).groups()
    wait_until(lambda: (output / "log.jsonl").is_file(), log)
    (task,) = (int(pid) for pid in Path(f"/proc/{number}/task/{number}/children").read_text().split())
    os.kill(task, signal.SIGUSR2)
    wait_until(lambda: "Job completed successfully" in Path(log).read_text(), log)
    said = Path(log).read_text()
    assert "stopped; saved" in said
    assert "Requeued job" in said
    assert "going on from" in said
    assert (output / "checkpoints" / "checkpoint_epoch_00008.pyth").is_file()


def wait_until(condition, log: str):
    end = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < end, Path(log).read_text()
        time.sleep(0.05)


def test_what_is_wrong_is_said_before_a_job_waits(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = ["--folder", str(tmp_path / "jobs")]
    assert main([*folder, "--cfg", str(RECIPE), "SOLVER.BASE_LRR", "1"]) == 1
    assert "SOLVER.BASE_LRR" in caplog.text
    assert main([*folder, "--cfg", str(RECIPE)]) == 1
    assert "Could not detect" in caplog.text
    assert "--cluster local runs the job on this machine" in caplog.text
    with pytest.raises(SystemExit, match="2"):
        main([*folder, "--slurm", "account", "--cfg", str(RECIPE)])
    with pytest.raises(SystemExit, match="2"):
        main(folder)
