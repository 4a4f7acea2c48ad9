"""The command line of ``tools/calibrate_net.py``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from mutualnet3d.commands.launch import launch
from mutualnet3d.commands.model_file import ModelFile, model_path
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.config.supported import check_supported
from mutualnet3d.configuration import Configuration, ConfigurationSpace
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.data import build_entries
from mutualnet3d.distributed import Processes, processes
from mutualnet3d.errors import ConfigError
from mutualnet3d.evaluation.choice import calibration_configurations, read_configurations, table_configurations
from mutualnet3d.faults import named_faults
from mutualnet3d.guard import guarded
from mutualnet3d.logs import setup_logging
from mutualnet3d.methods import Method
from mutualnet3d.models.artefact import save_model
from mutualnet3d.query_table import QueryTable
from mutualnet3d.training.device import to_device
from mutualnet3d.training.statistics import calibrate_on_list

EXAMPLE = """
python tools/calibrate_net.py --model outputs/demo/model.pyth --configurations 0.7-38-3
torchrun --nproc_per_node 8 tools/calibrate_net.py --model model.pyth NUM_GPUS 1
""".strip()
HELP = """
The clips are those of the config's training list: CALIBRATION.NUM_BATCHES (or NUM_CLIPS),
BATCH_SIZE and RNG_SEED. Without --cfg the config inside the model file is used, and it stays in
the file as it is. Full has its running statistics, which are replaced only if --configurations
names it.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Add statistics to a model file. Exit status: 0 done, 1 an error that the message explains, 130 Ctrl-C."""
    description = "Compute BatchNorm statistics of configurations and store them in a model file."
    parser = argument_parser(description, "calibrate_net", EXAMPLE, HELP, "--model FILE [--cfg FILE ...] [options]")
    files = parser.add_argument_group("files")
    files.add_argument("--model", metavar="FILE", required=True, help="model.pyth, or a checkpoint of training")
    files.add_argument("--output", metavar="FILE", help="file to write; default: the model file itself")
    text = "one of these; default: the grid of QUERY_TABLE (WIDTHS, WIDTH_STEP, CONFIGURATIONS)"
    which = parser.add_argument_group("which configurations", text).add_mutually_exclusive_group()
    which.add_argument("--table", metavar="FILE", help="those on the Pareto front of this query table; default: none")
    which.add_argument(
        "--configurations",
        metavar="C",
        nargs="+",
        help="texts such as 0.63-142-3, or a text file with one a line; default: none",
    )
    arguments = parse_arguments(argv, parser, require_cfg=False)

    def body() -> None:
        setup_logging()
        file = ModelFile(arguments.model)
        cfg = file.config(arguments.overrides, arguments.cfg_files)
        prepare_cpu()
        launch(cfg, "mutualnet3d.commands.calibrate", argv, arguments.init_method)
        with processes(cuda=cfg.NUM_GPUS > 0) as group:
            setup_logging(first=group.first)
            with named_faults(cfg, _output(arguments).parent):
                calibrate_model(arguments, file, cfg, group)

    return guarded(body, "stopped; the model file is as it was")


def calibrate_model(arguments: argparse.Namespace, file: ModelFile, cfg, group: Processes) -> None:
    """Compute what the ``arguments`` ask for and write the model file, on rank 0.

    Raises:
        CheckpointError: the file holds another network than ``cfg`` describes.
        ConfigurationError, ConfigError, QueryTableError, DataError: what is asked for, or the list, is wrong.
    """
    check_supported(cfg)
    model = to_device(file.network(cfg), cfg)
    configurations = _configurations(arguments, cfg, model.space)
    entries = group.broadcast(build_entries(cfg, "train") if group.first else None)
    calibrate_on_list(model, cfg, entries, configurations, group)
    if group.first:
        output = _output(arguments)
        save_model(output, model, file.config())
        logging.getLogger("mutualnet3d").info(
            "%s: %d configurations are calibrated; query tables made before name another file, so test again",
            output,
            len(model.calibrated) - 1,
        )


def _output(arguments: argparse.Namespace) -> Path:
    return Path(arguments.output) if arguments.output else model_path(arguments.model)


def _configurations(arguments: argparse.Namespace, cfg, space: ConfigurationSpace) -> list[Configuration]:
    """The members of ``space`` that the command line names, or those of the config."""
    if arguments.configurations:
        return [space.check(Configuration.parse(text)) for text in read_configurations(arguments.configurations)]
    if arguments.table:
        named = [space.check(entry.configuration) for entry in QueryTable.load(arguments.table).pareto()]
    else:
        named = calibration_configurations(cfg, table_configurations(cfg, space), space)
    others = [c for c in named if c != space.full or not Method.from_cfg(cfg, space).updates_full]
    if not others:
        raise ConfigError("there is nothing to calibrate: full alone, which has its running statistics, is named")
    return others


if __name__ == "__main__":
    raise SystemExit(main())
