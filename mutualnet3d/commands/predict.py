"""The command line of ``tools/predict_net.py``."""

from __future__ import annotations

import argparse
import csv
import io
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mutualnet3d.commands.target_options import add_class_names, add_target_options, open_named
from mutualnet3d.configuration import Configuration
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.data.check import list_videos
from mutualnet3d.data.file_names import is_image, is_video
from mutualnet3d.deployment import Deployment
from mutualnet3d.errors import DataError, DeploymentError, VideoError
from mutualnet3d.files import refuse_overwriting, write_text
from mutualnet3d.guard import guarded
from mutualnet3d.help import tool_parser
from mutualnet3d.logs import setup_logging, visible
from mutualnet3d.output_files import MODEL_FILE
from mutualnet3d.predictor import AdaptivePredictor, Prediction
from mutualnet3d.predictor.labels import LabelRule
from mutualnet3d.predictor.prediction import checked_views
from mutualnet3d.summary import print_plain

_logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Predict. Exit status: 0 done, 1 an error or a video that cannot be read, 2 usage, 130 stopped by Ctrl-C.

    Whatever happens, --output holds what was predicted by then.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    budgets = ("max_gmacs", "max_latency_ms", "min_accuracy", "configuration")
    budget = {name: getattr(arguments, name) for name in budgets if getattr(arguments, name) is not None}
    if "configuration" in budget and len(budget) > 1:
        parser.error("--configuration names what runs, a budget chooses it: give one of the two")
    setup_logging()
    return guarded(lambda: _predict(arguments, budget), "stopped; what was predicted is written")


def _predict(arguments: argparse.Namespace, budget: dict) -> None:
    if "configuration" in budget:
        budget["configuration"] = Configuration.parse(budget["configuration"])
    rule = LabelRule(arguments.top_k, arguments.threshold)
    prepare_cpu()
    deployment = _open(arguments)
    kind = is_image if deployment.preprocessing.clip is None else is_video
    files = list_videos(arguments.files, arguments.prefix, kinds=[kind])
    refuse_overwriting([arguments.output], [*arguments.files, *files, arguments.class_names])
    views = arguments.views or _views_of(deployment)
    predictor = AdaptivePredictor(deployment)
    entry = predictor.choose(**budget)
    _logger.info(
        "%s: %.4g GMACs a view, %.1f %% %s in the test; %d x %d views a video",
        *(entry.configuration, entry.gmacs, entry.accuracy, predictor.table.metric_name, *views),
    )
    console, answers, failures = Console(), [], 0
    try:
        for path in files:
            try:
                found = predictor.predict(path, top_k=rule.top_k, threshold=rule.threshold, views=views, **budget)
            except VideoError as error:
                failures += 1
                answers.append(_Answer(path, error=error.reason))
            else:
                answers.append(_Answer(path, found))
            print_plain(console, visible(str(answers[-1])))
    finally:
        if arguments.output:
            write_text(arguments.output, to_csv(answers))
            _logger.info("written: %s, %d videos", arguments.output, len(answers))
    if failures:
        raise DataError(f"{failures} of {len(files)} videos cannot be read; they are named above")


@dataclass(frozen=True)
class _Answer:
    """What was found in the video ``path``, or why it cannot be read."""

    path: str
    found: Prediction | None = None
    error: str = ""

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.path}: cannot be read: {self.error}"
        labels = ", ".join(f"{name} {100 * p:.1f} %" for name, p in self.found.labels) or "nothing above the threshold"
        return f"{self.path}: {labels}  ({self.found.configuration})"


def to_csv(answers: Sequence[_Answer]) -> str:
    """A row a video: path, configuration, error, and label and probability of each place."""
    places = max((len(answer.found.labels) for answer in answers if answer.found), default=0)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    columns = [f"{what}_{place}" for place in range(1, places + 1) for what in ("label", "probability")]
    rows.writerow(["video", "configuration", *columns, "error"])
    for answer in answers:
        pairs = answer.found.labels if answer.found else ()
        cells = [cell for name, p in pairs for cell in (name, f"{p:.6f}")]
        cells += [""] * (2 * places - len(cells))
        path = answer.path.encode("utf-8", "backslashreplace").decode()
        rows.writerow([path, answer.found.configuration if answer.found else "", *cells, answer.error])
    return text.getvalue()


def _open(arguments: argparse.Namespace) -> Deployment:
    path = Path(arguments.model)
    directory = path.parent if path.name == MODEL_FILE and path.is_file() else path
    deployment = open_named(directory, arguments)
    if deployment.detects:
        raise DeploymentError(
            f"{directory}: a detection network, which needs the boxes of people: tools/demo_net.py {directory} --boxes "
            "FILE, or AdaptivePredictor.detect"
        )
    if deployment.classes is None:
        _logger.warning("classes are numbers: %s knows no names; give them with --class-names classes.txt", directory)
    return deployment


def _views_of(deployment: Deployment) -> tuple[int, int]:
    """Those that the accuracies of the query table were measured with."""
    views = deployment.table.provenance.get("views")
    if deployment.preprocessing.clip is None or not isinstance(views, dict):  # images; a table that does not say
        return 1, 1
    return checked_views((views.get("temporal"), views.get("spatial")))


def _views(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)[x,](\d+)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not CLIPSxCROPS, such as 10x3")
    return int(found[1]), int(found[2])


def _parser() -> argparse.ArgumentParser:
    parser = tool_parser(
        "Say what videos (of a network of images: pictures) show, a line for each.",
        "predict_net",
        "python tools/predict_net.py --model outputs/demo video.mp4 more_videos/ --max-gmacs 0.2",
        "Without a budget the most accurate configuration runs. A video that cannot be read is named, the\n"
        "others are predicted, and the exit status is 1.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="videos, folders of them, or lists (.csv)")
    add = parser.add_argument_group("network").add_argument
    add("--model", required=True, metavar="DIR", help="OUTPUT_DIR of a run, or an export")
    add_target_options(add)
    add = parser.add_argument_group("budget").add_argument
    add("--max-gmacs", type=float, metavar="X", help="10^9 multiply-adds a view; default: any")
    add("--max-latency-ms", type=float, metavar="X", help="a view, of an export that measured it; default: any")
    add("--min-accuracy", type=float, metavar="X", help="per cent of the table's metric; default: any")
    add("--configuration", metavar="C", help="this one, such as 0.63-50-3; default: by the budget")
    add = parser.add_argument_group("answers").add_argument
    add("--top-k", type=int, metavar="N", help="labels of a video; default: 5, or all above --threshold")
    add("--threshold", type=float, metavar="P", help="least probability of a label; default: none")
    add("--views", type=_views, metavar="10x3", help="clips x crops of a video; default: as it was tested")
    text = "write a csv: video, configuration, labels, probabilities, error; default: only print"
    add("--output", metavar="FILE", help=text)
    add = parser.add_argument_group("files").add_argument
    add_class_names(add)
    add("--prefix", metavar="DIR", help="folder that the paths in a .csv are below; default: as check_data finds it")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
