"""What is compared with what: data, network and schedule of a study, and the arms, of which each is one key away."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from movie_data import film, small_frames, write_video
from runs import ROOT, Run

from mutualnet3d.config import load_config
from mutualnet3d.configuration import Configuration
from mutualnet3d.data.synthetic import ensure_dataset
from mutualnet3d.files import write_text

ARMS = ("independent", "mutual", "usnet", "multiscale")
VARIANTS = {  # of mutual training
    "kl_1": ("MUTUALNET.DISTILL_WEIGHT", 1.0),
    "kl_third": ("MUTUALNET.DISTILL_WEIGHT", 0.33),
    "labels": ("MUTUALNET.TEACHER", "labels"),
    "kl_alone": ("MUTUALNET.LABEL_EPOCHS", 0),
    "random_2": ("MUTUALNET.NUM_RANDOM", 2),
    "smallest_lowest": ("MUTUALNET.SMALLEST", "lowest"),
    "smallest_full": ("MUTUALNET.SMALLEST", "full"),
    "paper": (  # as the paper trains videos
        *("MUTUALNET.DISTILL_WEIGHT", 1.0, "MUTUALNET.SMALLEST", "lowest", "MUTUALNET.LABEL_EPOCHS", 0),
    ),
}
LISTS = ("train", "val", "test")


@dataclass(frozen=True)
class Study:
    """A recipe with overrides, trained in every arm.

    Args:
        recipe: file name in configs/Demo.
        words: overrides that all arms share.
        budgets: configurations that are compared, full first: of one network in the shared arms, of a network each in
            ``independent``.
        epochs: of every run.
        label_epochs: epochs at the beginning in which the sub-networks of all shared arms learn labels: full, which
            teaches them afterwards, knows nothing yet.
        folds: parts of the data; each is the test list of a run that is trained on the others. 0: the recipe's lists.
        data: folder below MUTUALNET3D_DATA; empty: rendered into the output folder.
    """

    name: str
    recipe: str
    words: tuple
    budgets: tuple[str, ...]
    epochs: int
    label_epochs: int = 0
    folds: int = 0
    data: str = ""


IN_MEMORY = ("DATA_LOADER.NUM_WORKERS", 0, "DATA_LOADER.CACHE_GB", 1.0)  # each file is decoded once


def _budgets(*sizes: int) -> tuple[str, ...]:
    """Full, a middle configuration, a small one with all frames, the smallest; ``sizes`` ascend."""
    low, middle, high = sizes
    return (f"1.0-{high}-8", f"0.8-{middle}-5", f"0.63-{low}-8", f"0.63-{low}-3")


VIDEO = (  # a network of 0.02 GMACs at full: what trains often enough on a laptop
    *(*IN_MEMORY, "CALIBRATION.NUM_CLIPS", 256, "LOG_PERIOD", 20),
    *("RESNET.DEPTH", 10, "RESNET.NUM_BLOCK_TEMP_KERNEL", [[1], [1], [1], [1]], "RESNET.WIDTH_PER_GROUP", 8),
    *("DATA.TRAIN_CROP_SIZE", 48, "DATA.TEST_CROP_SIZE", 48),
    *("MUTUALNET.SPATIAL", [32, 40, 48], "MUTUALNET.DISTILL_WEIGHT", 0.33),
)
GENERATED = Study(
    "generated",
    "MN_SLOW_SMALL.yaml",
    (
        *VIDEO,
        *("TRAIN.DATASET", "synthetic", "TEST.DATASET", "synthetic", "MODEL.NUM_CLASSES", 10),
        *("SYNTHETIC.DIFFICULTY", "hard", "SYNTHETIC.NUM_TRAIN", 200, "SYNTHETIC.NUM_TEST", 60, "SYNTHETIC.NUM_VAL", 5),
        *("SYNTHETIC.SIZE", [56, 56], "SYNTHETIC.NUM_FRAMES", 10, "DATA.SAMPLING_RATE", 1, "DATA.RANDOM_FLIP", False),
        *("DATA.TRAIN_JITTER_SCALES", [50, 54], "MODEL.DROPOUT_RATE", 0.0),
    ),
    _budgets(32, 40, 48),
    epochs=20,
    label_epochs=10,
)
LARGER = replace(  # the larger network, twice as long
    GENERATED,
    name="generated_larger",
    words=(*GENERATED.words, "RESNET.DEPTH", 18, "RESNET.NUM_BLOCK_TEMP_KERNEL", [[2], [2], [2], [2]]),
    epochs=40,
    label_epochs=0,
)
MINI8 = Study(
    "mini8",
    "MN_SLOW_SMALL.yaml",
    (*VIDEO, "DATA.TRAIN_JITTER_SCALES", [52, 64]),
    _budgets(32, 40, 48),
    epochs=20,
    label_epochs=10,
    folds=2,
    data="jhmdb",
)
CIFAR = Study(
    "cifar",
    "MN_CIFAR_SMALL.yaml",
    (  # a quarter of the recipe's multiply-adds; few images need much weight decay
        *(*IN_MEMORY, "IMAGE.STEM_STRIDE", 2, "SOLVER.LABEL_SMOOTHING", 0.1),
        *("SOLVER.BASE_LR", 0.2, "SOLVER.WEIGHT_DECAY", 0.002),
    ),
    ("1.0-32", "0.85-28", "0.7-24", "0.5-20"),
    epochs=60,
    data="cifar10_jpeg_mini",
)
STUDIES = {study.name: study for study in (GENERATED, MINI8, CIFAR, LARGER)}


def small(study: Study) -> Study:
    """A test of the machinery in a minute: one epoch, few clips, the largest and the smallest budget."""
    few = ["LOG_PERIOD", 1, "CALIBRATION.NUM_BATCHES", 1, "CALIBRATION.NUM_CLIPS", 0, "BN.NUM_BATCHES_PRECISE", 1]
    if not study.data:
        few += ["SYNTHETIC.NUM_TRAIN", 2, "SYNTHETIC.NUM_VAL", 1, "SYNTHETIC.NUM_TEST", 2, "TRAIN.BATCH_SIZE", 8]
    chosen = (study.budgets[0], study.budgets[-1])
    return replace(study, words=(*study.words, *few), budgets=chosen, epochs=1, folds=min(study.folds, 2))


def prepare(study: Study, output: Path) -> list[tuple]:
    """Overrides that name the data of each fold; what must be rendered, listed or copied small, so that decoding does
    not take most of the time, is written into ``output``."""
    if not study.data:
        place = ("DATA.PATH_TO_DATA_DIR", str(output / "data"))
        ensure_dataset(load_config(ROOT / "configs" / "Demo" / study.recipe, [*study.words, *place]))
        return [place]
    folder = Path(os.environ.get("MUTUALNET3D_DATA", "")) / study.data
    if "MUTUALNET3D_DATA" not in os.environ or not folder.is_dir():
        raise SystemExit(f"{folder}: no such folder; set MUTUALNET3D_DATA to the folder that holds {study.data}")
    if not study.folds:
        return [("DATA.PATH_TO_DATA_DIR", folder)]
    lines = [x for part in LISTS for x in (folder / "splits" / "mini8" / f"{part}.csv").read_text().splitlines() if x]
    for number, (train, test) in enumerate(split_by_film(lines, study.folds)):
        for part, chosen in (("train", train), ("val", test[:8]), ("test", test)):  # nothing is chosen by val
            write_text(output / "lists" / str(number) / f"{part}.csv", "".join(f"{line}\n" for line in chosen))
    clips = output / "clips"
    for path in (line.rsplit(maxsplit=1)[0] for line in lines):
        if not (clips / path).exists():
            write_video(clips / path, small_frames(folder / path))
    lists = [output / "lists" / str(number) for number in range(study.folds)]
    return [("DATA.PATH_TO_DATA_DIR", each, "DATA.PATH_PREFIX", clips) for each in lists]


def split_by_film(lines: Sequence[str], folds: int) -> list[tuple[list[str], list[str]]]:
    """(training, test) lines of each fold: no film is in both, and every fold has its share of every class.

    ``lines`` are "<path> <label>".
    """
    films: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for line in lines:
        path, label = line.rsplit(maxsplit=1)
        films[label][film(path)].append(line)
    parts: list[list[str]] = [[] for _ in range(folds)]
    for label in sorted(films):
        counts = [0] * folds
        by_size = sorted(
            films[label].items(), key=lambda item: (-len(item[1]), hashlib.sha256(item[0].encode()).digest())
        )
        for _, clips in by_size:  # the largest first, each to the fold that has the fewest clips of the class
            fold = counts.index(min(counts))
            parts[fold] += clips
            counts[fold] += len(clips)
    return [([x for j, part in enumerate(parts) if j != i for x in part], parts[i]) for i in range(folds)]


@dataclass(frozen=True)
class Trial:
    """One training run. ``evaluated``: the configurations of its table."""

    arm: str
    seed: int
    fold: int
    run: Run
    evaluated: tuple[str, ...]


def trials(study: Study, seeds: Sequence[int], arms: Sequence[str], data: Sequence[tuple]) -> list[Trial]:
    """Every run of the study: whole comparisons of one seed after another."""
    recipe, made = ROOT / "configs" / "Demo" / study.recipe, []
    if not recipe.is_file():
        raise SystemExit(f"{recipe}: no such recipe, which study {study.name} needs")
    for seed in seeds:
        for fold, place in enumerate(data):
            for arm in arms:
                for label, words, evaluated in _networks(study, arm):
                    name = f"seed_{seed}/fold_{fold}/{arm}{label and '_' + label}"
                    shared = (*study.words, *place, *_schedule(study.epochs), "RNG_SEED", seed)
                    run = Run(name, recipe, (*shared, *words, "QUERY_TABLE.CONFIGURATIONS", list(evaluated)))
                    made.append(Trial(arm, seed, fold, run, evaluated))
    return made


def _networks(study: Study, arm: str) -> list[tuple[str, tuple, tuple[str, ...]]]:
    """(name, overrides, configurations to evaluate) of each network that ``arm`` trains."""
    if arm == "independent":
        return [(text, ("MUTUALNET.METHOD", arm, "MUTUALNET.FIXED", text), (text,)) for text in study.budgets]
    method = "mutual" if arm in VARIANTS else arm
    words = ("MUTUALNET.METHOD", method, "MUTUALNET.LABEL_EPOCHS", study.label_epochs)
    if method == "mutual":  # the smallest as in the paper's study of images, whose default it is there
        words += ("MUTUALNET.SMALLEST", "random", *VARIANTS.get(arm, ()))
    return [("", words, tuple(dict.fromkeys((*study.budgets, *(at_full(study) if arm == "usnet" else ())))))]


def at_full(study: Study) -> tuple[str, ...]:
    """The widths of the budgets at full resolution: what US-Net, which has no other resolution, offers."""
    full = Configuration.parse(study.budgets[0])
    widths = sorted({Configuration.parse(text).width for text in study.budgets}, reverse=True)
    return tuple(str(Configuration(width, full.spatial, full.temporal)) for width in widths)


def _schedule(epochs: int) -> tuple:
    """The same for all arms; the first twentieth is warm-up, and nothing is chosen by an evaluation in between."""
    once = ("TRAIN.EVAL_PERIOD", epochs, "TRAIN.CHECKPOINT_PERIOD", max(epochs // 2, 1))
    return ("SOLVER.MAX_EPOCH", epochs, "SOLVER.WARMUP_EPOCHS", 0.05 * epochs, *once)
