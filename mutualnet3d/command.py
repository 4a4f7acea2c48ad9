"""The command line of ``tools/run_net.py``."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mutualnet3d.allocator import keep_large_blocks
from mutualnet3d.config import load_config
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.errors import MutualNetError
from mutualnet3d.pipeline import run
from mutualnet3d.summary import print_table, print_usage
from mutualnet3d.training.log import setup_logging


def main(argv: Sequence[str] | None = None) -> int:
    """Run a config. Exit status: 0 done, 1 an error that the message explains, 130 stopped by Ctrl-C."""
    arguments = parse_arguments(
        argv, argument_parser("Train, calibrate, test and tabulate, each as the config enables it.")
    )
    try:
        cfg = load_config(arguments.cfg_files, arguments.overrides)
        setup_logging(cfg.OUTPUT_DIR)
        keep_large_blocks()
        if arguments.init_method:
            logging.getLogger("mutualnet3d").warning("--init_method is not used: this version runs on one device")
        table = run(cfg)
    except (MutualNetError, OSError) as error:
        logging.getLogger("mutualnet3d").error("%s: %s", type(error).__name__, error)
        return 1
    except KeyboardInterrupt:
        logging.getLogger("mutualnet3d").warning("stopped; the same command goes on from the last checkpoint")
        return 130
    if table is not None:
        print_table(table)
        print_usage(table, cfg.OUTPUT_DIR, cfg.QUERY_TABLE.FILE)
    return 0
