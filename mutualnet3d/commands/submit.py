"""The command line of ``tools/submit_slurm.py``: a SLURM job of several machines that goes on where it was stopped."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mutualnet3d.commands.guard import guarded
from mutualnet3d.config import load_config
from mutualnet3d.config.command_line import parse_arguments
from mutualnet3d.errors import ConfigError

_GRACE = 60.0  # seconds in which machine 0 queues a stopped job again before another machine reports its end


@dataclass
class TrainingJob:
    """What runs on each machine: torchrun with ``processes`` processes of ``tools/run_net.py``.

    submitit calls it, and ``checkpoint`` on machine 0 when SLURM announces the time limit or a preemption (SIGUSR2).
    """

    words: tuple[str, ...]
    processes: int

    def __call__(self) -> None:
        import submitit

        environment = submitit.JobEnvironment()
        command = self.command(environment)
        print(" ".join(command), flush=True)
        # The announcement reaches every process of a job, and would end torchrun: only this process answers it.
        self._torchrun = subprocess.Popen(command, preexec_fn=_ignore_announcements)
        code = self._torchrun.wait()
        if code:
            if environment.node:
                time.sleep(_GRACE)
            raise RuntimeError(f"torchrun ended with status {code}; see what it says above")

    def command(self, environment) -> list[str]:
        """The words of torchrun on the machine of a ``submitit.JobEnvironment``."""
        launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(self.processes)]
        module = ["-m", "mutualnet3d.commands.run", *self.words]
        nodes, node = str(environment.num_nodes), str(environment.node)
        if environment.num_nodes == 1:
            return [*launcher, "--standalone", *module]
        port = 20_000 + int(environment.raw_job_id) % 10_000  # the same on all machines of this job, and no other's
        place = [
            "--master_addr",
            environment.hostnames[0],
            "--master_port",
            str(port),
        ]
        shards = ["--num_shards", nodes, "--shard_id", node]
        return [*launcher, "--nnodes", nodes, "--node_rank", node, *place, *module, *shards]

    def checkpoint(self):
        """Let the run save, and give submitit the same job to queue again."""
        import submitit

        self._torchrun.send_signal(signal.SIGTERM)  # passed on to the run, which saves after the iteration
        with contextlib.suppress(ChildProcessError):  # it ended just before
            os.waitid(os.P_PID, self._torchrun.pid, os.WEXITED | os.WNOWAIT)  # ``wait`` waits below this handler
        return submitit.helpers.DelayedSubmission(TrainingJob(self.words, self.processes))


def _ignore_announcements() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def executor(options: argparse.Namespace):
    """submitit's executor with the parameters of ``options``.

    Raises:
        ConfigError: submitit is not installed, or this is no machine that can submit jobs.
    """
    try:
        import submitit
    except ImportError as error:
        raise ConfigError("submitting jobs needs submitit; pip install 'mutualnet3d[slurm]'") from error
    try:
        found = submitit.AutoExecutor(options.folder, options.cluster, slurm_max_num_timeout=options.requeues)
    except RuntimeError as error:
        raise ConfigError(f"{error} --cluster local runs the job on this machine") from error
    extra = {"slurm_partition": options.partition} if options.partition else {}
    found.update_parameters(
        name="mutualnet3d",
        nodes=options.nodes,
        tasks_per_node=1,
        gpus_per_node=options.gpus,
        cpus_per_task=options.cpus_per_process * (options.gpus or options.processes),
        timeout_min=round(60 * options.hours),
        stderr_to_stdout=True,
        slurm_signal_delay_s=options.seconds_to_save,
        slurm_additional_parameters=dict(pair.split("=", 1) for pair in options.slurm),
        **extra,
    )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Submit one job. Exit status: 0 submitted, 1 an error that the message explains."""
    parser = argparse.ArgumentParser(
        description="Submit one SLURM job that runs tools/run_net.py on several machines. It is queued again at its "
        "time limit and when it is preempted, and goes on where it stopped.",
        usage="%(prog)s [options] --cfg FILE [FILE ...] [KEY VALUE ...]",
        epilog="From --cfg on the words are those of tools/run_net.py.",
        allow_abbrev=False,
    )
    parser.add_argument("--nodes", type=int, default=1, help="machines; 1")
    parser.add_argument("--gpus", type=int, default=8, help="GPUs of a machine, a process each; 8")
    parser.add_argument("--processes", type=int, default=1, help="processes of a machine where --gpus is 0; 1")
    parser.add_argument("--cpus-per-process", type=int, default=8, help="cores, most of which decode; 8")
    parser.add_argument("--hours", type=float, default=24, help="time limit; 24")
    parser.add_argument("--requeues", type=int, default=20, help="how often the time limit may be reached; 20")
    parser.add_argument("--seconds-to-save", type=int, default=120, help="from the announcement to the limit; 120")
    parser.add_argument("--partition", help="of the cluster")
    parser.add_argument(
        "--slurm", nargs="+", default=[], metavar="NAME=VALUE", help="more of sbatch's: account=a qos=b"
    )
    parser.add_argument("--folder", default="slurm_jobs", help="logs and the job; must be seen by all machines")
    parser.add_argument("--cluster", default="slurm", choices=("slurm", "local"), help="local: on this machine")
    words = list(sys.argv[1:] if argv is None else argv)
    at = words.index("--cfg") if "--cfg" in words else len(words)
    options, words = parser.parse_args(words[:at]), words[at:]
    if not words:
        parser.error("--cfg: name at least one YAML file")
    if any("=" not in pair for pair in options.slurm):
        parser.error("--slurm: write NAME=VALUE")

    def body() -> None:
        arguments = parse_arguments(words)
        load_config(arguments.cfg_files, arguments.overrides)  # what is wrong is said now, not when the job starts
        number = ["NUM_GPUS", str(options.gpus)]
        job = executor(options).submit(TrainingJob((*words, *number), options.gpus or options.processes))
        each = f"{options.gpus} GPUs" if options.gpus else f"{options.processes} processes on CPUs"
        print(f"submitted job {job.job_id}: {options.nodes} x {each}; log of machine 0: {job.paths.stdout}")

    return guarded(body)


if __name__ == "__main__":
    raise SystemExit(main())
