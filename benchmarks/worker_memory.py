"""The memory of the training loader's processes over 10,000 clips: does it grow?

    python benchmarks/worker_memory.py --cfg configs/Kinetics/MN_SLOW_8x8.yaml [--clips 10000] [--every 500] \
        DATA.PATH_TO_DATA_DIR LISTS DATA.PATH_PREFIX VIDEOS DATA_LOADER.NUM_WORKERS 2

The loader of training, epoch after epoch, its batches thrown away. Every ``--every`` clips the memory of each worker
and of this process: *resident*, all pages in memory, and *own*, those that it shares with no other process, which also
shows pages of the list that a worker copies by touching them. Memory is read after each batch, and the least of the
readings since the last line counts, for clips in flight come and go. The slope is that of a least-squares line through
the lines after ``--warm-up`` clips. Status 1 if one of the slopes is above ``--bound`` MB per 1,000 clips: a leaked
frame of 320 x 240 a clip would be 230, a leaked string of 1 kB a clip 1. Linux only: it reads /proc.
"""

import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mutualnet3d.config import load_config
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.data import EpochSampler, build_entries, train_dataset, train_loader

_MB = 1024.0  # of the kB that /proc gives


def memory(pid: int | str) -> tuple[float, float]:
    """Resident and own memory of a process in MB (2^20 bytes)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kb = {key: int(value.split()[0]) for key, value in (line.split(":") for line in lines)}
    return kb["Rss"] / _MB, (kb["Private_Clean"] + kb["Private_Dirty"]) / _MB


def slope(clips: np.ndarray, megabytes: np.ndarray) -> float:
    """Growth in MB per 1,000 clips."""
    return 1000 * float(np.polyfit(clips, megabytes, 1)[0])


def samples(cfg, count: int, every: int) -> Iterator[tuple[int, dict[str, tuple[float, float]]]]:
    """Clips loaded so far, and (resident, own) of each process by name."""
    entries = build_entries(cfg, "train")
    sampler = EpochSampler(len(entries), cfg.RNG_SEED, 0, cfg.TRAIN.BATCH_SIZE)
    loader = train_loader(train_dataset(entries, cfg, cfg.RNG_SEED), sampler, cfg)
    loaded, due, least = 0, every, {}
    for epoch in itertools.count():
        sampler.set_epoch(epoch)
        for batch in loader:
            loaded += len(batch.labels)
            del batch
            workers = loader._iterator._workers if loader.num_workers else ()
            pids = {"parent": "self"} | {f"worker {n}": worker.pid for n, worker in enumerate(workers)}
            read = {name: memory(pid) for name, pid in pids.items()}
            least = {name: tuple(map(min, each, least.get(name, each))) for name, each in read.items()}
            if loaded >= due:
                yield loaded, least
                due, least = due + every, {}
            if loaded >= count:
                return


def main(argv: list[str] | None = None) -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=10_000, help="clips to load")
    parser.add_argument("--every", type=int, default=500, help="clips from sample to sample")
    parser.add_argument("--warm-up", type=int, default=2000, help="clips before the slope is taken")
    parser.add_argument("--bound", type=float, default=1.0, help="MB per 1,000 clips that are called flat")
    arguments = parse_arguments(argv, parser)
    cfg = load_config(arguments.cfg_files, arguments.overrides)
    start, found = time.perf_counter(), []
    for clips, megabytes in samples(cfg, arguments.clips, arguments.every):
        if not found:
            print("resident/own MB |", " | ".join(f"{name:>13}" for name in megabytes))
        print(f"{clips:9d} clips |", " | ".join(f"{r:6.1f}/{o:6.1f}" for r, o in megabytes.values()), flush=True)
        found.append((clips, megabytes))
    took = time.perf_counter() - start
    later = [sample for sample in found if sample[0] > arguments.warm_up]
    if len(later) < 3:
        raise SystemExit(f"{len(later)} samples after the warm-up, 3 are needed: more --clips or a shorter --warm-up")
    at, flat = np.array([clips for clips, _ in later]), True
    for name in found[0][1]:
        values = np.array([megabytes[name] for _, megabytes in later])
        slopes = [slope(at, column) for column in values.T]
        flat = flat and max(slopes) <= arguments.bound
        print(
            f"{name}: {slopes[0]:+.3f} MB resident, {slopes[1]:+.3f} MB own per 1,000 clips; "
            f"resident {values[:, 0].min():.1f} .. {values[:, 0].max():.1f} MB"
        )
    verdict = "flat" if flat else "growing"
    print(f"{found[-1][0]} clips in {took:.0f} s: {verdict} (bound {arguments.bound:g} MB per 1,000 clips)")
    return int(not flat)


if __name__ == "__main__":
    sys.exit(main())
