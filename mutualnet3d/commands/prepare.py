"""The command line of ``tools/prepare_data.py``."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from fvcore.common.config import CfgNode

import mutualnet3d
from mutualnet3d.commands.prepare_text import print_summary
from mutualnet3d.config import load_config, load_config_text
from mutualnet3d.errors import ConfigError, DataError, WeightsError
from mutualnet3d.guard import guarded
from mutualnet3d.help import tool_parser
from mutualnet3d.logs import setup_logging
from mutualnet3d.models import build_model
from mutualnet3d.models.weight_files import read_weight_file
from mutualnet3d.models.weights import load_weights
from mutualnet3d.preparation import (
    Checked,
    FoundVideos,
    Machine,
    Plan,
    check_files,
    check_free,
    choose_settings,
    divide,
    find_videos,
    write_all,
)
from mutualnet3d.preparation.settings import RECIPES
from mutualnet3d.preparation.writing import run_folder

_logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare a training. Exit status: 0 done, 1 an error that the message explains, 2 usage, 130 stopped by Ctrl-C.

    Videos that cannot be used are named and left out; the lists are then good, and the status 0.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    for name in ("val_share", "test_share"):
        share = getattr(arguments, name)
        if not 0 <= share < 1 or (name == "val_share" and share == 0):
            parser.error(f"--{name.replace('_', '-')} is {share:g}; it is a share of the videos, above 0 and below 1")
    if arguments.val_share + arguments.test_share >= 1:
        parser.error("--val-share and --test-share leave nothing to train on; together they must be below 1")
    if arguments.epochs is not None and arguments.epochs < 1:
        parser.error(f"--epochs is {arguments.epochs}; it must be at least 1")
    setup_logging()
    return guarded(lambda: _prepare(arguments))


def _prepare(arguments: argparse.Namespace) -> None:
    output, configs = Path(arguments.output).expanduser(), _configs()
    check_free(output, arguments.force)
    network = _stored_config(arguments.weights, arguments.trust_pickle) if arguments.weights else None
    found = find_videos(arguments.folder)
    _logger.info("checking %d videos of %d classes in %s", len(found.videos), len(found.labels), found.folder)
    checked = check_files(found, arguments.workers)
    videos = [video for video, _ in checked.usable]
    _require_all_classes(found, checked)
    parts = divide(videos, arguments.val_share, arguments.test_share, arguments.group_by)
    machine = Machine.found()
    plan = choose_settings(
        found.labels,
        [report for _, report in checked.usable],
        sum(part == "train" for part in parts.of.values()),
        machine,
        str(configs),
        arguments.recipe,
        arguments.epochs,
        str(Path(arguments.weights).expanduser().resolve()) if arguments.weights else "",
        network,
    )
    if arguments.weights:
        _try_weights(plan, configs, arguments.trust_pickle)
    run = run_folder(output)
    head = f"For {len(videos)} videos of {len(found.labels)} classes, on {machine}. Change here what you like."
    write_all(output, found, checked, parts, plan, configs, head, run)
    print_summary(found, checked, parts, plan, output, run, arguments.trust_pickle)


def _configs() -> Path:
    folder = Path(mutualnet3d.__file__).resolve().parents[1] / "configs"
    if not folder.is_dir():
        raise ConfigError(
            f"{folder} is missing: the recipes come with a clone of the project, installed by pip install -e ."
        )
    return folder


def _require_all_classes(found: FoundVideos, checked: Checked) -> None:
    usable, reasons = {video.label for video, _ in checked.usable}, dict(checked.left_out)
    lacking = [label for label in found.labels if label not in usable]
    if lacking:
        why = [f"{video.path}: {reasons[video.path]}" for video in found.videos if video.label in lacking]
        raise DataError(
            f"{len(lacking)} of {len(found.labels)} classes have no video that can be used "
            f"({', '.join(lacking[:5])}): {'; '.join(why[:3])}. Mend them or move the class away"
        )


def _stored_config(path: str, trust_pickle: bool) -> CfgNode | None:
    """The config that checkpoints of this package and of PySlowFast hold; None where there is none that loads."""
    entries = read_weight_file(path, trust_pickle)
    text = entries.get("cfg") if isinstance(entries, dict) else None
    if not isinstance(text, str):
        return None
    try:
        return load_config_text(text, name=f"the config in {path}")
    except ConfigError as error:
        _logger.warning("the network is taken from --recipe, not from the file: %s", error)
        return None


def _try_weights(plan: Plan, configs: Path, trust_pickle: bool) -> None:
    """Now, and not after the training was started: do the weights fit the network?"""
    cfg = load_config(configs / plan.recipe, plan.overrides())
    try:
        report = load_weights(build_model(cfg), cfg.TRAIN.CHECKPOINT_FILE_PATH, trust_pickle=trust_pickle)
    except WeightsError as error:
        raise WeightsError(
            f"{error}; they were tried with the network of configs/{plan.recipe}. --recipe chooses another one "
            f"({', '.join(RECIPES)})"
        ) from error
    _logger.info("initial weights: %s", report)


HELP = """
FOLDER may have train/ and val/ (and test/) with a sub-folder per class each: that division is kept.
Written to DIR: train.csv, val.csv, test.csv, classes.txt, config.yaml, recipe.yaml, and videos.csv,
which says of every video where it went and why. Every video is decoded once; none is changed.

Clips of one film never stand in two lists. Which belong together is read from the names, or
--group-by says it: a pattern searched in the path below the class's folder, without suffix, of
which the first group counts.
"""


def _parser() -> argparse.ArgumentParser:
    parser = tool_parser(
        "From a folder of videos, a sub-folder per class, to lists and a config for run_net.py.",
        "prepare_data",
        "python tools/prepare_data.py my_videos --output my_data",
        HELP,
    )
    parser.add_argument("folder", metavar="FOLDER", help="holds one sub-folder of videos per class")
    add = parser.add_argument_group("files").add_argument
    add("--output", required=True, metavar="DIR", help="folder to write")
    add("--force", action="store_true", help="replace the files of an earlier preparation in DIR")
    text = "videos at a time; default: all cores"
    add("--workers", type=int, default=os.cpu_count() or 1, metavar="N", help=text)
    add = parser.add_argument_group("lists").add_argument
    add("--val-share", type=float, default=0.2, metavar="X", help="of the videos of each class")
    add("--test-share", type=float, default=0.0, metavar="X", help="a third part; at 0 val is the test list too")
    text = "what clips of one film have in common; default: the name without _c01, _clip3, _10_20, _7"
    add("--group-by", metavar="REGEX", help=text)
    add = parser.add_argument_group("training").add_argument
    add("--recipe", choices=sorted(RECIPES), default="slow", help="the kind of network")
    add("--epochs", type=int, metavar="N", help="of training; default: by the number of videos")
    add("--weights", metavar="FILE", help="model.pyth or PySlowFast's, to start from; default: none")
    text = "as for run_net.py: --weights may be a file that can run code"
    add("--trust-pickle", action="store_true", help=text)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
