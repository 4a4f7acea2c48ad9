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
from dataclasses import dataclass, replace

from mutualnet3d.commands.run import run_parser
from mutualnet3d.config import load_config
from mutualnet3d.config.command_line import parse_arguments
from mutualnet3d.distributed import SECONDS_TO_SAVE, SHUTDOWN_TIMEOUT
from mutualnet3d.errors import ConfigError
from mutualnet3d.guard import guarded
from mutualnet3d.help import tool_parser

_GRACE = 60.0  # seconds in which machine 0 queues a stopped job again before another machine reports its end


@dataclass
class TrainingJob:
    """What runs on each machine: torchrun with ``processes`` processes of ``tools/run_net.py``.

    submitit calls it, and ``checkpoint`` on machine 0 when SLURM announces the time limit or a preemption (SIGUSR2).
    """

    words: tuple[str, ...]
    processes: int
    seconds_to_save: int = SECONDS_TO_SAVE

    def __call__(self) -> None:
        import submitit

        environment = submitit.JobEnvironment()
        command = self.command(environment)
        print(" ".join(command), flush=True)
        # The announcement reaches every process of a job, and would end torchrun: only this process answers it.
        patience = {SHUTDOWN_TIMEOUT: str(self.seconds_to_save)}
        self._torchrun = subprocess.Popen(command, preexec_fn=_ignore_announcements, env=os.environ | patience)
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
        return submitit.helpers.DelayedSubmission(replace(self))


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
        raise ConfigError('submitting jobs needs submitit: pip install -e ".[slurm]"') from error
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


def _parser() -> argparse.ArgumentParser:
    parser = tool_parser(
        "Submit one SLURM job that runs run_net.py on several machines.",
        "submit_slurm",
        "python tools/submit_slurm.py --nodes 2 --gpus 8 --cfg configs/Kinetics/MN_SLOW_8x8.yaml NUM_GPUS 8",
        "From --cfg on the words are those of run_net.py. The job is queued again at its time limit\n"
        'and when it is preempted, and goes on where it stopped. Needs pip install -e ".[slurm]".',
        "exit status: 0 submitted, 1 an error that the message explains, 2 wrong usage",
    )
    parser.usage, parser.allow_abbrev = "%(prog)s [options] --cfg FILE [FILE ...] [KEY VALUE ...]", False
    add = parser.add_argument_group("machines").add_argument
    add("--nodes", type=int, default=1, metavar="N", help="how many")
    add("--gpus", type=int, default=8, metavar="N", help="GPUs of each, a process each")
    add("--processes", type=int, default=1, metavar="N", help="processes of each where --gpus is 0")
    add("--cpus-per-process", type=int, default=8, metavar="N", help="cores, most of which decode")
    add = parser.add_argument_group("time").add_argument
    add("--hours", type=float, default=24.0, metavar="H", help="time limit")
    add("--requeues", type=int, default=20, metavar="N", help="how often the time limit may be reached")
    add("--seconds-to-save", type=int, default=SECONDS_TO_SAVE, metavar="S", help="from the announcement to the limit")
    add = parser.add_argument_group("job").add_argument
    add("--partition", metavar="P", help="of the cluster; default: its own default")
    add("--slurm", nargs="+", default=[], metavar="NAME=VALUE", help="more of sbatch's; default: none")
    add("--folder", default="slurm_jobs", metavar="DIR", help="logs and the job; must be seen by all machines")
    add("--cluster", default="slurm", choices=("slurm", "local"), help="local: on this machine")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Submit one job. Exit status: 0 submitted, 1 an error that the message explains."""
    parser = _parser()
    words = list(sys.argv[1:] if argv is None else argv)
    at = words.index("--cfg") if "--cfg" in words else len(words)
    options, words = parser.parse_args(words[:at]), words[at:]
    if not words:
        parser.error("--cfg: name at least one YAML file")
    if any("=" not in pair for pair in options.slurm):
        parser.error("--slurm: write NAME=VALUE")

    def body() -> None:
        command = (*words, "NUM_GPUS", str(options.gpus))
        arguments = parse_arguments(command, run_parser())
        load_config(arguments.cfg_files, arguments.overrides)  # what is wrong is said now, not when the job starts
        job = executor(options).submit(TrainingJob(command, options.gpus or options.processes, options.seconds_to_save))
        each = f"{options.gpus} GPUs" if options.gpus else f"{options.processes} processes on CPUs"
        print(f"submitted job {job.job_id}: {options.nodes} x {each}; log of machine 0: {job.paths.stdout}")

    return guarded(body)


if __name__ == "__main__":
    raise SystemExit(main())
