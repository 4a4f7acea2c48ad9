"""The command line of ``tools/run_net.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mutualnet3d.commands.launch import launch
from mutualnet3d.config import load_config
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.distributed import processes
from mutualnet3d.guard import guarded
from mutualnet3d.logs import setup_logging
from mutualnet3d.pipeline import run
from mutualnet3d.summary import print_table, print_usage

EXAMPLE = """
python tools/run_net.py --cfg configs/Demo/MN_SLOW_SMALL.yaml OUTPUT_DIR outputs/small
python tools/run_net.py --cfg configs/Kinetics/MN_SLOWFAST_4x16.yaml NUM_GPUS 8 \\
    DATA.PATH_TO_DATA_DIR /lists DATA.PATH_PREFIX /videos OUTPUT_DIR outputs/kinetics
""".strip()


def run_parser() -> argparse.ArgumentParser:
    """Of ``tools/run_net.py``; ``parse_arguments`` takes it."""
    parser = argument_parser("Train, calibrate, test and tabulate, each as the config enables it.", "run_net", EXAMPLE)
    parser.add_argument(
        "--trust-pickle",
        action="store_true",
        help="read CHECKPOINT_FILE_PATH (of TRAIN or TEST) even where it holds more than tensors and plain values: it "
        "can then run any code, so only files whose maker you trust",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a config. Exit status: 0 done, 1 an error that the message explains, 130 stopped by Ctrl-C."""
    arguments = parse_arguments(argv, run_parser())

    def body() -> None:
        setup_logging()
        cfg = load_config(arguments.cfg_files, arguments.overrides)
        prepare_cpu()
        launch(cfg, "mutualnet3d.commands.run", argv, arguments.init_method)
        with processes(cuda=cfg.NUM_GPUS > 0) as group:
            setup_logging(cfg.OUTPUT_DIR, group.first)
            table = run(cfg, group, arguments.trust_pickle)
        if table is not None:
            print_table(table)
        if group.first:
            print_usage(table, cfg.OUTPUT_DIR)

    return guarded(body, "stopped; the same command goes on where it stopped")


if __name__ == "__main__":
    raise SystemExit(main())
