"""What DATA_LOADER.CACHE_GB gains: an epoch of training clips, or images, read from their files and from memory.

    python benchmarks/kept_in_memory.py --cfg configs/Demo/MN_CIFAR_SMALL.yaml [--rounds 3] [KEY VALUE ...]

In one process without workers, in turns, after a first epoch that decodes each file; the same pixels in both, which is
checked.
"""

import sys

import torch
from pairs import CLOCK, PROCESSOR, paired, ratio_of, report, threads

import mutualnet3d as mn
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.data import EpochSampler, build_entries, train_dataset, train_loader

FILES, MEMORY = "from files", "from memory"


def main() -> int:
    parser = argument_parser(__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="paired repetitions")
    arguments = parse_arguments(parser=parser)
    loaders = {}
    for name, size in ((FILES, 0.0), (MEMORY, 1.0)):
        one = ["DATA_LOADER.NUM_WORKERS", 0, "DATA_LOADER.CACHE_GB", size]
        cfg = mn.load_config(arguments.cfg_files, [*arguments.overrides, *one])
        clips = train_dataset(build_entries(cfg, "train"), cfg, cfg.RNG_SEED)
        loaders[name] = train_loader(clips, EpochSampler(len(clips), cfg.RNG_SEED, 0, cfg.TRAIN.BATCH_SIZE), cfg)
    for files, memory in zip(*loaders.values(), strict=True):
        assert torch.equal(files.clips, memory.clips)
    with threads(1):
        times = paired(
            {name: lambda loader=loader: sum(1 for _ in loader) for name, loader in loaders.items()}, arguments.rounds
        )
    print(f"{len(clips)} items")
    report(
        [
            ratio_of(f"an epoch: {FILES} / {MEMORY}, {clock}", times, FILES, MEMORY, clock=clock)
            for clock in (CLOCK, PROCESSOR)
        ]
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
