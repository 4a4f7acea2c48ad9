"""The command line of ``tools/report_net.py``."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mutualnet3d.guard import guarded
from mutualnet3d.help import tool_parser
from mutualnet3d.logs import setup_logging
from mutualnet3d.output_files import REPORT_FILE
from mutualnet3d.visualization import write_report


def main(argv: Sequence[str] | None = None) -> int:
    """Write a run's report. Exit status: 0 done, 1 an error that the message explains, 2 usage, 130 Ctrl-C."""
    example = "python tools/report_net.py outputs/demo --compare outputs/more"
    parser = tool_parser("Write what a run left in its OUTPUT_DIR as one HTML file.", "report_net", example)
    parser.add_argument("output_dir", metavar="OUTPUT_DIR", help="of a run of tools/run_net.py")
    parser.add_argument("--output", metavar="FILE", help=f"file to write; default: OUTPUT_DIR/{REPORT_FILE}")
    parser.add_argument(
        "--compare",
        metavar="OTHER_OUTPUT_DIR",
        nargs="+",
        default=[],
        help="runs whose Pareto fronts are drawn beside this one's; default: none",
    )
    arguments = parser.parse_args(argv)

    def body() -> None:
        setup_logging()
        path = write_report(arguments.output_dir, arguments.output, arguments.compare)
        logging.getLogger("mutualnet3d").info("written %s (%.1f MB)", path, path.stat().st_size / 1e6)

    return guarded(body)


if __name__ == "__main__":
    raise SystemExit(main())
