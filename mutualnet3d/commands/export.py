"""The command line of ``tools/export_net.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mutualnet3d.configuration import Configuration
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.deployment.clips import parity_clips
from mutualnet3d.deployment.export import ExportPlan, export
from mutualnet3d.deployment.manifest import SUFFIXES, Manifest
from mutualnet3d.deployment.parity import BATCHES, TOLERANCES
from mutualnet3d.deployment.trained import TrainedNetwork
from mutualnet3d.guard import guarded
from mutualnet3d.help import tool_parser
from mutualnet3d.logs import setup_logging
from mutualnet3d.output_files import TABLE_FILE
from mutualnet3d.query_table import QueryTable
from mutualnet3d.summary import print_table


def main(argv: Sequence[str] | None = None) -> int:
    """Export sub-networks. Exit status: 0 done, 1 an error that the message explains, 2 usage, 130 Ctrl-C."""
    arguments = _parser().parse_args(argv)

    def body() -> None:
        setup_logging()
        prepare_cpu()
        trained = TrainedNetwork(arguments.model)
        table = trained.table(arguments.table)
        plan = ExportPlan(
            _chosen(arguments.configurations, table),
            tuple(dict.fromkeys(arguments.formats)),
            tuple(dict.fromkeys(arguments.precision)),
            arguments.crop,
            arguments.latency,
            arguments.threads,
        )
        preprocessing = trained.describe(plan.configurations[0], plan.crop).preprocessing
        clips = parity_clips(arguments.clips, trained.cfg, preprocessing)
        manifest = export(trained, table, arguments.output, plan, clips, arguments.overwrite)
        console = Console()
        print_parity(manifest, console)
        print_table(QueryTable.load(Path(arguments.output) / TABLE_FILE), console)

    return guarded(body, "stopped; nothing was written")


def _chosen(words: Sequence[str], table: QueryTable) -> tuple[Configuration, ...]:
    """The configurations that ``words`` (texts, or "pareto", or "all") name, each once, by rising cost."""
    chosen: list[Configuration] = []
    for word in words:
        if word in ("pareto", "all"):
            chosen += [entry.configuration for entry in (table.pareto() if word == "pareto" else table.entries)]
        else:
            chosen.append(Configuration.parse(word))
    return tuple(dict.fromkeys(chosen))


def print_parity(manifest: Manifest, console: Console) -> None:
    """One line per file and what ran it: the distance from the trained network."""
    console.print(f"difference of the logits from the trained network's, on {manifest.clips}:", highlight=False)
    shown = Table()
    batches = [f"batch {batch}" for batch in BATCHES]
    for name in ("configuration", "run by", "max abs", *batches, "tolerance", "same top-1 %"):
        shown.add_column(name, justify="right", overflow="fold")
    for network in manifest.networks:
        for first in range(0, len(network.parity), len(BATCHES)):
            group = network.parity[first : first + len(BATCHES)]
            shown.add_row(
                str(network.configuration),
                f"{group[0].backend} {group[0].precision}",
                f"{max(parity.max_abs for parity in group):.1e}",
                *(f"{parity.max_rel:.1e}" for parity in group),
                f"{group[0].tolerance:g}",
                f"{100 * min(parity.top1_agreement for parity in group):.0f}",
            )
    console.print(shown)
    console.print("batch 1, batch 2: the largest difference over the largest logit", highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = tool_parser(
        "Write sub-networks of a trained network as files that run without it, checked against it.",
        "export_net",
        "python tools/export_net.py --model outputs/demo --output outputs/deploy --formats torch onnx",
    )
    add = parser.add_argument_group("files").add_argument
    add("--model", required=True, metavar="FILE", help="model.pyth of a run, or the run's OUTPUT_DIR")
    add("--output", required=True, metavar="DIR", help="folder that is written, whole or not at all")
    add("--table", metavar="FILE", help="query table; default: the one beside the model")
    add("--overwrite", action="store_true", help="replace an export that is there")
    add = parser.add_argument_group("networks").add_argument
    add(
        "--configurations",
        nargs="+",
        default=["pareto"],
        metavar="C",
        help="such as 0.63-142-3; pareto: those on the table's front; all: those in the table",
    )
    add("--formats", nargs="+", default=["torch"], metavar="F", help=f"of {', '.join(SUFFIXES)}")
    add("--crop", type=int, metavar="N", help="side of the views, pixels; default: the test crop")
    add = parser.add_argument_group("checks").add_argument
    add(
        "--precision",
        nargs="+",
        default=["float32"],
        choices=sorted(TOLERANCES),
        help="precisions to check and time; files hold float32 weights",
    )
    add(
        "--clips",
        nargs="+",
        default=[],
        metavar="VIDEO",
        help="videos to compare the networks on; default: 4 of the test list, else rendered ones",
    )
    timing = "measure milliseconds per view into the query table; default: %(default)s"
    add("--latency", action=argparse.BooleanOptionalAction, default=True, help=timing)
    add("--threads", type=int, metavar="N", help="of the processor; default: torch's number")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
