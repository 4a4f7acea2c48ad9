"""Does a mutually trained network help other tasks, and does adaptive fine-tuning cost accuracy? On real clips.

    python benchmarks/learning/fine_tuning.py --output outputs/fine_tuning [--seeds 0 1 2] [--threads 1] [--small]

Trains Slow and SlowFast on detection (AVA's format) and on several labels (Charades' format): from scratch, from a
mutually trained single-label network, and from it adaptively. The data are those of MUTUALNET3D_DATA. Finished runs are
kept, an interrupted one goes on; --output then holds ``runs.csv``, ``table.md`` and ``map_gmacs.png``.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from fine_tuning_summary import summarise
from movie_data import Amount, prepare

import mutualnet3d as mn
from mutualnet3d.cpu import prepare_cpu
from mutualnet3d.errors import DataError
from mutualnet3d.files import write_text
from mutualnet3d.guard import guarded
from mutualnet3d.logs import setup_logging
from mutualnet3d.output_files import CONFIG_FILE
from mutualnet3d.pipeline import run

ROOT = Path(__file__).resolve().parents[2]
RECIPES = {"slow": "MN_SLOW_SMALL.yaml", "slowfast": "MN_SLOWFAST_SMALL.yaml"}
PATHWAYS, FEWEST_AND_MOST = {"slow": 1, "slowfast": 2}, {"slow": (3, 8), "slowfast": (2, 4)}
TASKS = ("detection", "several labels")
ARMS = ("scratch", "plain", "adaptive", "longer")
CLASSES, SIZES = 8, (30, 38, 48)
DONE = "seconds.txt"  # in the folder of a finished run


@dataclass(frozen=True)
class Plan:
    """What is trained, and for how long: epochs of the single-label network and of each run on a task."""

    archs: tuple[str, ...] = ("slow", "slowfast")
    arms: tuple[str, ...] = ARMS
    source_epochs: int = 20
    task_epochs: int = 6
    amount: Amount = field(default_factory=Amount)


SMALL = Plan(("slow",), ("plain", "adaptive"), 1, 1, Amount(movies=2, clips=16))


@dataclass(frozen=True)
class Trial:
    """One training run on a task. ``arm``: "scratch"; "plain" and "adaptive" start from the single-label network;
    "longer" is from scratch for as many epochs as that network and the fine-tuning took together."""

    arch: str
    task: str
    arm: str
    seed: int

    def folder(self, output: Path) -> Path:
        return output / self.arch / self.task.replace(" ", "_") / f"{self.arm}_{self.seed}"


def trials(plan: Plan, seeds: list[int]) -> list[Trial]:
    """In the order in which they are run: whole comparisons of one seed after another, the first network's first."""
    last = [arm for arm in plan.arms if arm == "longer"]  # a control that takes longer than the rest together
    first = [arm for arm in plan.arms if arm not in last]
    order = [(arch, arms) for arms in (first, last) for arch in plan.archs]
    return [Trial(arch, task, arm, seed) for arch, arms in order for seed in seeds for task in TASKS for arm in arms]


def network(arch: str) -> list:
    """What both trainings of a network share; what is not here is the recipe's. The sizes are the demo's."""
    crop = SIZES[-1]
    # The recipe fuses to 512 channels before stage 5, as many as its output: with the stride of 1 of detection
    # nothing would tell the two apart. A Fast pathway half as wide does.
    narrower = ["SLOWFAST.BETA_INV", 4] if arch == "slowfast" else []
    return [
        *narrower,
        *("DATA.TRAIN_JITTER_SCALES", [52, 64], "DATA.TRAIN_CROP_SIZE", crop, "DATA.TEST_CROP_SIZE", crop),
        *("MUTUALNET.SPATIAL", list(SIZES), "MODEL.NUM_CLASSES", CLASSES, "CALIBRATION.NUM_BATCHES", 8),
        *("DATA_LOADER.NUM_WORKERS", 0, "LOG_PERIOD", 100),
    ]


def source_cfg(arch: str, plan: Plan, output: Path):
    """The mutual training on mini8, one label a clip."""
    data = str(output / "data" / "mini8")
    words = ["DATA.PATH_TO_DATA_DIR", data, "DATA.PATH_PREFIX", data, "TEST.ENABLE", False, *epochs(plan.source_epochs)]
    words += ["MODEL.NUM_CLASSES", CLASSES + 1]  # the last is empty: so the tasks do not take the classifier over
    words += ["CALIBRATION.ENABLE", False]  # every task calibrates anew
    return load(arch, [*words, "OUTPUT_DIR", str(output / arch / "source")])


def task_cfg(trial: Trial, plan: Plan, output: Path):
    """The training of ``trial``; nothing but these keys differs between the arms."""
    longer = trial.arm == "longer"
    words = [*epochs(plan.task_epochs + longer * plan.source_epochs), "RNG_SEED", trial.seed]
    words += ["MUTUALNET.ENABLE", trial.arm == "adaptive", "OUTPUT_DIR", str(trial.folder(output))]
    if trial.arm in ("plain", "adaptive"):
        words += ["TRAIN.CHECKPOINT_FILE_PATH", str(output / trial.arch / "source" / "model.pyth")]
    task = detection if trial.task == "detection" else several_labels
    few, most = FEWEST_AND_MOST[trial.arch]
    grid = [f"{width}-{size}-{time}" for width in (1.0, 0.63) for size in SIZES[::-2] for time in (most, few)]
    return load(trial.arch, [*words, *task(trial.arch, output / "data"), "QUERY_TABLE.CONFIGURATIONS", grid])


def detection(arch: str, data: Path) -> list:
    """Key frames of the movies; the last stage is dilated, as in the recipes of configs/AVA."""
    strides, dilations = ([[n] * PATHWAYS[arch] for n in values] for values in ((1, 2, 2, 1), (1, 1, 1, 2)))
    return [
        *("TRAIN.DATASET", "ava", "TEST.DATASET", "ava", "DETECTION.ENABLE", True, "MODEL.LOSS_FUNC", "bce"),
        *("MODEL.HEAD_ACT", "sigmoid", "RESNET.SPATIAL_STRIDES", strides, "RESNET.SPATIAL_DILATIONS", dilations),
        *("AVA.VIDEO_DIR", str(data / "movies"), "AVA.ANNOTATION_DIR", str(data / "ava"), "AVA.START_SECOND", 900),
        *("AVA.TRAIN_GT_BOX_LISTS", ["jm_train_v1.csv"], "AVA.TRAIN_PREDICT_BOX_LISTS", []),
        *("AVA.TEST_PREDICT_BOX_LISTS", ["jm_val_predicted_boxes.csv"], "AVA.DETECTION_SCORE_THRESH", 0.5),
        *("AVA.GROUNDTRUTH_FILE", "jm_val_v1.csv", "AVA.LABEL_MAP_FILE", "jm_action_list_v1.pbtxt"),
        *("AVA.EXCLUSION_FILE", "jm_val_excluded_timestamps_v1.csv"),
    ]


def several_labels(arch: str, data: Path) -> list:
    """Parts of the movies, two clips each; the highest of five views' scores counts."""
    folder = str(data / "parts")
    return [
        *("TRAIN.DATASET", "charades", "TEST.DATASET", "charades", "DATA.MULTI_LABEL", True),
        *("CHARADES.LISTS", "segments", "CHARADES.TRAIN_FILE", "train.csv", "CHARADES.TEST_FILE", "val.csv"),
        *("DATA.PATH_TO_DATA_DIR", folder, "DATA.PATH_PREFIX", folder, "DATA.ENSEMBLE_METHOD", "max"),
        *("MODEL.LOSS_FUNC", "bce_logit", "MODEL.HEAD_ACT", "sigmoid", "TEST.NUM_ENSEMBLE_VIEWS", 5),
    ]


def epochs(count: int) -> list:
    """A schedule of ``count`` epochs, the first tenth of it warm-up; no evaluation before the last."""
    once = ["TRAIN.EVAL_PERIOD", count, "TRAIN.CHECKPOINT_PERIOD", max(count // 2, 1)]
    return ["SOLVER.MAX_EPOCH", count, "SOLVER.WARMUP_EPOCHS", 0.1 * count, *once]


def load(arch: str, words: list):
    return mn.load_config(ROOT / "configs" / "Demo" / RECIPES[arch], [*network(arch), *words])


def run_once(cfg) -> None:
    """Run ``cfg`` unless it is finished; DataError if the folder holds a run of another config."""
    done = Path(cfg.OUTPUT_DIR) / DONE
    if done.exists():
        if (done.parent / CONFIG_FILE).read_text() != cfg.dump():
            raise DataError(f"{done.parent} holds a run of another config; choose another --output")
        return
    setup_logging(cfg.OUTPUT_DIR)
    start = time.perf_counter()
    run(cfg)
    write_text(done, f"{time.perf_counter() - start:.1f}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of runs, table and picture")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the runs on a task")
    parser.add_argument("--threads", type=int, default=1, help="of the processor")
    parser.add_argument("--summary", action="store_true", help="train nothing, summarise the runs that are finished")
    parser.add_argument("--small", action="store_true", help="a part of the data, one epoch, two arms of Slow: a test")
    arguments = parser.parse_args()
    data = os.environ.get("MUTUALNET3D_DATA")
    if not data or not (Path(data) / "jhmdb_movies").is_dir():
        parser.error(f"MUTUALNET3D_DATA is {data!r}; it must be the folder that holds jhmdb and jhmdb_movies")
    setup_logging()
    torch.set_num_threads(arguments.threads)
    prepare_cpu()
    plan, output = SMALL if arguments.small else Plan(), arguments.output
    wanted = trials(plan, arguments.seeds)

    def body() -> None:
        prepare(Path(data), output / "data", plan.amount)
        for trial in [] if arguments.summary else wanted:
            run_once(source_cfg(trial.arch, plan, output))
            run_once(task_cfg(trial, plan, output))
        finished = [trial for trial in wanted if (trial.folder(output) / DONE).exists()]
        print(summarise(output, finished, lambda trial: task_cfg(trial, plan, output)))

    return guarded(body, "stopped; the same command goes on where it stopped")


if __name__ == "__main__":
    sys.exit(main())
