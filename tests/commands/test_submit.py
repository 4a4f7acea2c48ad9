"""Jobs of several machines: the words that each of them runs, and one that is stopped and queued again."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import submitit
from tiny import OVERRIDES, RECIPE, ROOT

from mutualnet3d.commands.submit import TrainingJob, main
from tests.docs.doc_blocks import block


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
        "import os, pathlib, signal, sys, time\n"
        "def save(*_):\n    time.sleep(0.3)\n    pathlib.Path('saved').touch()\n    sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        "pathlib.Path('ready').write_text(os.environ['TORCH_ELASTIC_SHUTDOWN_TIMEOUT'])\ntime.sleep(60)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(submitit, "JobEnvironment", Machine)
    monkeypatch.setattr(TrainingJob, "command", lambda *_: [sys.executable, "-c", script])
    job, ended = TrainingJob(("--cfg", "a.yaml"), 2, 90), []

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
    assert again.function == TrainingJob(("--cfg", "a.yaml"), 2, 90)
    assert Path("ready").read_text() == "90"  # torchrun itself would kill the run after 30
    thread.join()
    assert ended == ["torchrun ended with status 1; see what it says above"]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A machine whose ``sbatch`` takes every job as number 42."""
    for name, says in (("srun", ""), ("sbatch", "echo Submitted batch job 42")):
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return tmp_path / "jobs"


def test_what_is_submitted(cluster, capsys):
    options = ["--nodes", 2, "--gpus", 4, "--cpus-per-process", 6, "--hours", 1.5, "--partition", "video"]
    options += ["--seconds-to-save", 200, "--slurm", "account=lab", "qos=low", "--folder", cluster]
    words = ["--cfg", str(RECIPE), "--trust-pickle", "SOLVER.BASE_LR", "0.2"]
    assert main([*map(str, options), *words]) == 0
    assert capsys.readouterr().out == f"submitted job 42: 2 x 4 GPUs; log of machine 0: {cluster}/42_0_log.out\n"
    lines = {line for line in (cluster / "42_submission.sh").read_text().splitlines() if line.startswith("#SBATCH")}
    asked = ["nodes=2", "ntasks-per-node=1", "gpus-per-node=4", "cpus-per-task=24", "time=90", "partition=video"]
    asked += ["signal=USR2@200", "account=lab", "qos=low", "open-mode=append"]
    assert {f"#SBATCH --{each}" for each in asked} <= lines
    job = submitit.core.utils.DelayedSubmission.load(cluster / "42_submitted.pkl")
    assert job.function == TrainingJob((*words, "NUM_GPUS", "4"), 4, 200)


def words_of_the_page(containing: str) -> list[str]:
    """Of the tool in that block of docs/distributed.md."""
    (command,) = [
        line for line in block("docs/distributed.md", containing).replace("\\\n", " ").splitlines() if "python" in line
    ]
    return shlex.split(command)[2:]


def test_the_job_that_the_page_submits(cluster, capsys):
    words = words_of_the_page("--partition video")
    assert main(["--folder", str(cluster), *words]) == 0
    assert capsys.readouterr().out.startswith("submitted job 42: 2 x 8 GPUs; log of machine 0: ")
    job = submitit.core.utils.DelayedSubmission.load(cluster / "42_submitted.pkl")
    assert job.function.words == (*words[words.index("--cfg") :], "NUM_GPUS", "8")


def test_the_job_that_the_page_runs_on_this_machine(tmp_path, tiny_data, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    words = words_of_the_page("--cluster local")
    more = [*OVERRIDES, "SOLVER.MAX_EPOCH", 1, "QUERY_TABLE.CONFIGURATIONS", ["1.0-32-4"]]
    words[words.index("...") : words.index("...") + 1] = map(str, [*more, "DATA.PATH_TO_DATA_DIR", tiny_data])
    said = subprocess.run([sys.executable, ROOT / "tools/submit_slurm.py", *words], capture_output=True, text=True)
    assert said.returncode == 0, said
    found = re.fullmatch(r"submitted job \d+: 1 x 2 processes on CPUs; log of machine 0: (.*)\n", said.stdout)
    log = Path(found[1])
    assert log.resolve().parent == tmp_path / "jobs"
    deadline, text = time.monotonic() + 240, ""
    while not re.search("Job completed successfully|triggered an exception", text):
        assert time.monotonic() < deadline, text
        time.sleep(0.2)
        text = log.read_text() if log.is_file() else ""
    assert "Job completed successfully" in text, text
    assert Path("outputs/slow/query_table.json").is_file()


def test_what_is_wrong_is_said_before_a_job_waits(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = ["--folder", str(tmp_path / "jobs")]
    assert main([*folder, "--cfg", str(RECIPE), "SOLVER.BASE_LRR", "1"]) == 1
    assert "SOLVER.BASE_LRR" in caplog.text
    assert main([*folder, "--gpus", "3", "--cfg", str(RECIPE), "TRAIN.BATCH_SIZE", "16"]) == 1
    assert "TRAIN.BATCH_SIZE" in caplog.text
    assert main([*folder, "--cfg", str(RECIPE)]) == 1
    assert "Could not detect" in caplog.text
    assert "--cluster local runs the job on this machine" in caplog.text
    with pytest.raises(SystemExit, match="2"):
        main([*folder, "--slurm", "account", "--cfg", str(RECIPE)])
    with pytest.raises(SystemExit, match="2"):
        main(folder)
