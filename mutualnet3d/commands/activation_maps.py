"""The command line of ``tools/activation_maps_net.py``."""

from __future__ import annotations

import argparse
import csv
import io
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mutualnet3d.commands.model_file import ModelFile, require_statistics
from mutualnet3d.config.command_line import argument_parser, parse_arguments
from mutualnet3d.configuration import Configuration
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.data import Entries, ImageEntry, Preprocessing, build_entries, open_media, read_list
from mutualnet3d.data.class_names import read_class_names
from mutualnet3d.data.frame_boxes import FrameBoxes
from mutualnet3d.errors import ConfigError, DataError
from mutualnet3d.evaluation.choice import read_configurations
from mutualnet3d.evaluation.localization import MATCHING_IOU, THRESHOLD, Localization
from mutualnet3d.files import refuse_overwriting, write_text
from mutualnet3d.guard import guarded
from mutualnet3d.logs import setup_logging
from mutualnet3d.models import AdaptiveNetwork
from mutualnet3d.streaming.writer import VideoWriter
from mutualnet3d.training.device import choose_device
from mutualnet3d.visualization.activation_maps import PATHWAYS, check_pools_globally
from mutualnet3d.visualization.clips import all_clips, middle_clip
from mutualnet3d.visualization.drawing import plain
from mutualnet3d.visualization.localization import localize
from mutualnet3d.visualization.map_panel import draw_moment, heat, to_pixels
from mutualnet3d.visualization.video_maps import VideoMaps, plot_video_maps, video_maps

EXAMPLE = """
python tools/activation_maps_net.py --model outputs/demo --input golf.mp4 --output maps.png
python tools/activation_maps_net.py --model outputs/demo --input golf.mp4 --video maps.mp4
python tools/activation_maps_net.py --model outputs/demo --localization boxes.csv --list test.csv
python tools/activation_maps_net.py --model outputs/cifar_small --input bird.jpg --output maps.png
""".strip()
HELP = f"""
A map holds what each place and moment adds to the logit of the class: its mean is the logit less
the bias. A box is drawn around the largest region above a share (--threshold) of the frame's
highest value; it is right at an IoU of {MATCHING_IOU} or more with a true box. The config inside the
model file is used, changed by KEY VALUE. Of a network of images, --input and the list are images,
and the boxes' file has a column image in place of video and frame.
"""
COLUMNS = 8  # of the picture of a video
_logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw or measure where configurations look. Exit status: 0 done, 1 an explained error, 2 usage, 130 Ctrl-C."""
    parser = _parser()
    arguments = parse_arguments(argv, parser, require_cfg=False)
    if (arguments.input is None) == (arguments.localization is None):
        parser.error("give a video or an image with --input, or true boxes with --localization")
    if arguments.input and not (arguments.output or arguments.video):
        parser.error("say what to write: --output maps.png, --video maps.mp4, or both")
    if arguments.localization and (arguments.video or arguments.label is not None):
        parser.error("--localization takes the true class of every video, and draws none: leave --class, --video out")

    def body() -> None:
        setup_logging()
        prepare_cpu()
        refuse_overwriting(
            [arguments.output, arguments.video], [arguments.input, arguments.localization, arguments.list]
        )
        file = ModelFile(arguments.model)
        path = file.path
        cfg = file.config(arguments.overrides, arguments.cfg_files)
        model = file.network(cfg).to(choose_device(cfg))
        check_pools_globally(model)
        _complete(arguments, model, path)
        configurations = _configurations(arguments, model)
        require_statistics(model, cfg, configurations, path)
        (_localize if arguments.localization else _draw)(arguments, cfg, model, configurations)

    return guarded(body, "stopped; files that were not finished are not there")


def _draw(arguments: argparse.Namespace, cfg, model: AdaptiveNetwork, configurations: list[Configuration]) -> None:
    names, why = read_class_names(cfg, cfg.MODEL.NUM_CLASSES)
    if names is None:
        _logger.info(why)
    label, preprocessing, name = _label(arguments.label, names, cfg), Preprocessing.from_cfg(cfg), arguments.input
    with open_media(name, _is_of_images(model), cfg.DATA.DECODING_BACKEND) as video:
        clips = middle_clip(video, preprocessing) if arguments.output else None
        whole = all_clips(video, preprocessing) if arguments.video else None
    if whole is not None:
        maps = video_maps(model, cfg, whole, configurations, label, names, arguments.pathway)
        label = maps.label  # the picture shows the class of the video
        _write_video(maps, arguments.video, Path(name).name)
        _logger.info("written %s", arguments.video)
    if clips is not None:
        maps = video_maps(model, cfg, clips, configurations, label, names, arguments.pathway)
        plot_video_maps(maps, arguments.output, Path(name).name, arguments.frames)
        _logger.info("written %s", arguments.output)


def _write_video(maps: VideoMaps, path: str, name: str) -> None:
    """The frames that clips are made of, at the pace of the video."""
    heats = [heat(maps.images, row.maps) for row in maps.rows]
    title = f"Evidence for {plain(maps.class_name)} in {plain(name)}"
    pictures = (
        to_pixels(draw_moment(maps.images, maps.rows, heats, i, f"{title}, {frame / maps.fps:.2f} s"))
        for i, frame in enumerate(maps.frames.tolist())
    )
    first = next(pictures)
    fps = maps.fps * len(maps.frames) / max(1, int(maps.frames[-1] - maps.frames[0]) + 1)
    with VideoWriter(path, first.shape[:2], fps) as writer:
        writer.write(first, 0)
        for number, picture in enumerate(pictures, start=1):
            writer.write(picture, number)


def _localize(arguments: argparse.Namespace, cfg, model: AdaptiveNetwork, configurations: list[Configuration]) -> None:
    images = _is_of_images(model)
    truth, entries = FrameBoxes(arguments.localization, images), _entries(arguments.list, cfg, images)
    results = localize(model, cfg, entries, truth, configurations, arguments.threshold, arguments.pathway)
    print_localization(results, Console(), "images" if images else "frames")
    if arguments.output:
        with io.StringIO(newline="") as file:
            writer = csv.DictWriter(file, list(asdict(results[0])), lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(result) for result in results)
            write_text(arguments.output, file.getvalue())
        _logger.info("written %s", arguments.output)


def print_localization(results: Sequence[Localization], console: Console, counted: str = "frames") -> None:
    """A row for each configuration and threshold, then the baselines; ``counted``: frames or images."""
    title = f"per cent of {results[0].frames} {counted}; a box is right at IoU {MATCHING_IOU} or more"
    shown = Table(title=title, title_justify="left")
    for name in ("maps of", "threshold", "top-1", "box right", "both right", "mean IoU"):
        shown.add_column(name, justify="left" if name == "maps of" else "right", overflow="fold")
    for number, result in enumerate(results):
        values = (result.top1, result.localized, result.localized_and_top1, result.mean_iou)
        threshold = "-" if result.threshold is None else f"{result.threshold:g}"
        cells = ("-" if value is None else f"{value:.1f}" for value in values)
        shown.add_row(result.method, threshold, *cells)
        if result.threshold is not None and results[number + 1].threshold is None:
            shown.add_section()
    console.print(shown)


def _configurations(arguments: argparse.Namespace, model: AdaptiveNetwork) -> list[Configuration]:
    """Those that the words name, each once: full, smallest, all (that have statistics), texts, files of texts."""
    words = arguments.configurations or (["all"] if arguments.localization else ["full", "smallest"])
    named = {"full": (model.space.full,), "smallest": (model.space.smallest,), "all": model.calibrated}
    chosen: list[Configuration] = []
    for word in words:
        chosen += named.get(word) or [Configuration.parse(text) for text in read_configurations([word])]
    return list(dict.fromkeys(model.space.check(configuration) for configuration in chosen))


def _label(word: str | None, names: Sequence[str] | None, cfg) -> int | None:
    if word is None:
        return None
    if names is not None and word in names:
        return names.index(word)
    if word.isascii() and word.isdigit() and int(word) < cfg.MODEL.NUM_CLASSES:
        return int(word)
    known = f" or one of {', '.join(names)}" if names and len(names) <= 30 else ""
    raise DataError(f"--class {word}: is no class; give a number in 0..{cfg.MODEL.NUM_CLASSES - 1}{known}")


def _entries(path: str | None, cfg, images: bool) -> Entries:
    if path is None:
        return build_entries(cfg, "test")
    listed = Path(path)
    if listed.suffix != ".csv":
        raise DataError(f"--list {path}: name a list in Kinetics format, a .csv file of lines 'path label'")
    cfg = cfg.clone()
    cfg.DATA.PATH_TO_DATA_DIR = str(listed.parent)
    entries = read_list(cfg, listed.stem)
    return [ImageEntry(*entry) for entry in entries] if images else entries


def _is_of_images(model: AdaptiveNetwork) -> bool:
    return model.space.temporal is None


def _complete(arguments: argparse.Namespace, model: AdaptiveNetwork, path: Path) -> None:
    """Refuse the options of videos where the network is of images; else set those that were left out."""
    for option in ("video", "pathway", "frames"):
        if _is_of_images(model) and getattr(arguments, option) is not None:
            raise ConfigError(
                f"--{option}: {path} holds a network of images, which have no frames and one pathway; leave it out, "
                "and name the picture to write with --output"
            )
    arguments.pathway = arguments.pathway or PATHWAYS[0]
    arguments.frames = COLUMNS if arguments.frames is None else arguments.frames


def _parser() -> argparse.ArgumentParser:
    parser = argument_parser(
        "Where do configurations of a network look? Class activation maps over space and time.",
        "activation_maps_net",
        EXAMPLE,
        HELP,
        "--model FILE (--input FILE | --localization CSV)",
    )
    add = parser.add_argument_group("what is asked").add_argument
    add("--model", required=True, metavar="FILE", help="model.pyth of a run, or the run's OUTPUT_DIR")
    add("--class", dest="label", metavar="C", help="name or number; default: what the first configuration sees")
    add(
        "--configurations",
        nargs="+",
        metavar="C",
        help="full, smallest, all (that have statistics), texts such as 0.63-142-3, or text files with one a line; "
        "default: full smallest, for --localization all",
    )
    add("--pathway", choices=PATHWAYS, help=f"of SlowFast; both: summed; default: {PATHWAYS[0]}")
    add = parser.add_argument_group(
        "maps of one video or image", "of a video a clip from its middle as a picture, or all of it"
    ).add_argument
    add("--input", metavar="FILE", help="video, or image for a network of images; default: none")
    add("--output", metavar="FILE", help="PNG of the maps, or CSV of the localization; default: none")
    add("--video", metavar="FILE", help="mp4 with the maps of each configuration over it; default: none")
    add("--frames", type=int, metavar="N", help=f"columns of the picture of a video; default: {COLUMNS}")
    add = parser.add_argument_group("how often the maps find what the class is about").add_argument
    add(
        "--localization",
        metavar="CSV",
        help="true boxes: video,frame,x1,y1,x2,y2,width,height, in pixels; of images image,x1,...; default: none",
    )
    add("--list", metavar="CSV", help="files and classes; default: the config's test list, or folder")
    add(
        "--threshold",
        nargs="+",
        type=float,
        default=[THRESHOLD],
        metavar="T",
        help="share of a frame's highest value above which the box is drawn, one or several",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
