"""The command line of ``tools/page_net.py``."""

from __future__ import annotations

import argparse
import logging
import signal
from collections.abc import Sequence

from mutualnet3d.commands.target_options import add_target_options
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.guard import guarded
from mutualnet3d.help import tool_parser
from mutualnet3d.logs import setup_logging
from mutualnet3d.page import PageModel
from mutualnet3d.page.app import load_gradio, serve
from mutualnet3d.page.examples import example_videos
from mutualnet3d.page.model import MOST_CLIPS

_logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the page until Ctrl-C. Exit status: 1 an error that the message explains, 2 usage, 130 Ctrl-C."""
    arguments = _parser().parse_args(argv)
    setup_logging()

    def body() -> None:
        prepare_cpu()
        load_gradio()  # first: without it the rest is in vain
        examples = example_videos(arguments.examples) if arguments.examples else ()
        model = PageModel.open(
            arguments.model,
            arguments.backend,
            arguments.precision,
            arguments.threads,
            arguments.device,
            arguments.most_clips,
        )
        if model.why_no_maps:
            _logger.info(model.why_no_maps)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends it as Ctrl-C does: uploads are deleted
        serve(model, examples, arguments.host, arguments.port)

    return guarded(body, "stopped; uploaded videos are deleted")


def port_number(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def _parser() -> argparse.ArgumentParser:
    parser = tool_parser(
        "A local web page to try a network on: a video and a budget in, classes, cost and maps out.",
        "page_net",
        "python tools/page_net.py --model outputs/demo --examples my_videos",
        'Needs gradio: pip install -e ".[page]". Works offline and sends nothing anywhere.',
    )
    add = parser.add_argument_group("page").add_argument
    add("--examples", metavar="FOLDER", help="videos that the page offers; default: none")
    add("--port", type=port_number, default=7860, metavar="N", help="0: one that is free; default: 7860")
    add("--host", default="127.0.0.1", metavar="A", help="address to listen on; default: 127.0.0.1, this machine only")
    add = parser.add_argument_group("network").add_argument
    add("--model", required=True, metavar="DIR", help="OUTPUT_DIR of a run, or an export (without maps)")
    text = "clips that a video is seen in at most; longer ones are sampled"
    add("--most-clips", type=int, default=MOST_CLIPS, metavar="N", help=text)
    add_target_options(add)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
