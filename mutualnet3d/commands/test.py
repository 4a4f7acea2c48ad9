"""The command line of ``tools/test_net.py``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mutualnet3d.commands.launch import launch
from mutualnet3d.commands.model_file import ModelFile, require_statistics
from mutualnet3d.config import load_config
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.config.supported import check_supported
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.data import build_entries
from mutualnet3d.distributed import Processes, processes
from mutualnet3d.errors import ConfigError
from mutualnet3d.evaluation.choice import read_configurations, table_configurations
from mutualnet3d.evaluation.measures import check_truth
from mutualnet3d.guard import guarded
from mutualnet3d.lock import run_in_output_dir
from mutualnet3d.logs import setup_logging
from mutualnet3d.output_files import MODEL_FILE
from mutualnet3d.query_table import QueryTable
from mutualnet3d.summary import print_table
from mutualnet3d.testing import evaluate_and_tabulate, search
from mutualnet3d.training.device import to_device

EXAMPLE = """
python tools/test_net.py --model outputs/demo/model.pyth OUTPUT_DIR outputs/again
torchrun --nproc_per_node 8 tools/test_net.py --model model.pyth NUM_GPUS 1
""".strip()
HELP = """
protocols (KEY VALUE, after the options):
  1 view              TEST.NUM_ENSEMBLE_VIEWS 1 TEST.NUM_SPATIAL_CROPS 1
  10 clips x 1 crop   TEST.NUM_ENSEMBLE_VIEWS 10 TEST.NUM_SPATIAL_CROPS 1
  10 clips x 3 crops  TEST.NUM_ENSEMBLE_VIEWS 10 TEST.NUM_SPATIAL_CROPS 3
  the scores of a video are the sum of its views' (DATA.ENSEMBLE_METHOD sum) or their maximum (max)

which configurations:
  QUERY_TABLE.WIDTH_STEP 0.05      widths every 0.05 x all spatial x all temporal values
  QUERY_TABLE.SEARCH_VIDEOS 400    all on 400 videos, the promising ones on the whole list

Without --cfg the config inside the model file is used, but for its OUTPUT_DIR: that is then the
folder of the model file, unless it is given here. OUTPUT_DIR gets test_results.json,
test_scores.npz, the query table, its curve and the report. An interrupted test goes on where it
stopped.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Test a calibrated network. Exit status: 0 done, 1 an error that the message explains, 130 stopped by Ctrl-C."""
    description = "Evaluate the configurations of a calibrated network on the test list; no training."
    parser = argument_parser(description, "test_net", EXAMPLE, HELP, "[--cfg FILE ...] [--model FILE] [options]")
    what = parser.add_argument_group("what is tested")
    what.add_argument(
        "--model", metavar="FILE", help="default: TEST.CHECKPOINT_FILE_PATH of --cfg, or its OUTPUT_DIR's model.pyth"
    )
    what.add_argument(
        "--configurations",
        metavar="C",
        nargs="+",
        help="texts such as 0.63-142-3, or a text file with one a line; default: the grid of QUERY_TABLE",
    )
    arguments = parse_arguments(argv, parser, require_cfg=False)
    if not (arguments.cfg_files or arguments.model):
        parser.error("name a model file with --model, or a config with --cfg")

    def body() -> None:
        setup_logging()
        overrides = list(arguments.overrides)
        if arguments.configurations:
            overrides += ["QUERY_TABLE.CONFIGURATIONS", read_configurations(arguments.configurations)]
        path = arguments.model or _model_of(load_config(arguments.cfg_files, overrides))
        file = ModelFile(path)
        cfg = file.config(overrides, arguments.cfg_files)
        if not arguments.cfg_files and "OUTPUT_DIR" not in overrides[::2]:
            cfg.OUTPUT_DIR = str(file.path.parent)  # a file that came from elsewhere must not say where to write
        prepare_cpu()
        launch(cfg, "mutualnet3d.commands.test", argv, arguments.init_method)
        with processes(cuda=cfg.NUM_GPUS > 0) as group:
            setup_logging(cfg.OUTPUT_DIR, group.first)
            with run_in_output_dir(cfg, group):
                table = evaluate_file(file, cfg, group)
        if table is not None:
            print_table(table)

    return guarded(body, "stopped; the same command goes on where it stopped")


def _model_of(cfg) -> str:
    path = cfg.TEST.CHECKPOINT_FILE_PATH or str(Path(cfg.OUTPUT_DIR) / MODEL_FILE)
    if not Path(path).is_file():
        raise ConfigError(f"nothing to test: {path} does not exist; name a model file with --model")
    return path


def evaluate_file(file: ModelFile, cfg, group: Processes) -> QueryTable | None:
    """Evaluate the network in ``file`` as ``cfg`` says and write what a run writes; the table, on rank 0.

    Raises:
        CheckpointError: the file holds another network than ``cfg`` describes.
        NotCalibratedError: the file lacks statistics of a configuration.
        DataError: the list is wrong, or no video of it can be read.
    """
    check_supported(cfg)
    model = to_device(file.network(cfg), cfg)
    adaptive = cfg.MUTUALNET.ENABLE
    configurations = table_configurations(cfg, model.space) if adaptive else (model.space.full,)
    require_statistics(model, cfg, configurations, file.path)
    entries = group.broadcast(build_entries(cfg, "test") if group.first else None)
    check_truth(entries, cfg, "test")
    candidates, searched = search(model, cfg, configurations, entries, group)
    return evaluate_and_tabulate(model, cfg, candidates, entries, file.path, searched, group)


if __name__ == "__main__":
    raise SystemExit(main())
