"""Tiny runs of detection and of several labels: data on disk, configs, and the plainest possible evaluation."""

from pathlib import Path

import cv2
import numpy as np
import torch
from movies import frame_lines, write_list, write_pictures
from tiny import CROP, OVERRIDES, RECIPE, ROOT
from video_files import write_video

import mutualnet3d as mn

CLASSES = ("stand", "sit", "walk", "never evaluated")
FPS, SECONDS = 5, 12
SIZES = {"one": (48, 64), "two": (64, 48), "gone": (48, 64)}
UNSEEN = ("one", 4)  # a key frame with truth of which the detector found nobody
TABLE = ("1.0-32-4", "0.63-32-2", "0.63-20-2")
SEVERAL = ["MODEL.NUM_CLASSES", len(CLASSES), "MODEL.LOSS_FUNC", "bce_logit", "MODEL.HEAD_ACT", "sigmoid"]
SLOWFAST = [
    *("RESNET.WIDTH_PER_GROUP", 8, "DATA.TRAIN_CROP_SIZE", CROP, "DATA.TEST_CROP_SIZE", CROP, "DATA.NUM_FRAMES", 8),
    *(
        "SLOWFAST.ALPHA",
        2,
        "SLOWFAST.BETA_INV",
        4,
        "MUTUALNET.SPATIAL",
        [20, CROP],
        "MUTUALNET.TEMPORAL",
        [2, 4],
        "TRAIN.BATCH_SIZE",
        2,
    ),
]


def run_cfg(arch: str, output: Path, *overrides):
    """The tiny config of ``arch``, two epochs, on the task that ``overrides`` say."""
    recipes = {"slow": RECIPE, "slowfast": ROOT / "configs" / "Demo" / "MN_SLOWFAST_SMALL.yaml"}
    own = SLOWFAST if arch == "slowfast" else []
    return mn.load_config(
        recipes[arch],
        [*OVERRIDES, *own, *SEVERAL, "QUERY_TABLE.CONFIGURATIONS", list(TABLE), "OUTPUT_DIR", str(output), *overrides],
    )


def write_ava(folder: Path) -> Path:
    """Movies of 12 seconds as pictures: a bright patch is the person, and its colour the action. "gone" has none."""
    lines, truth, found = [], [], []
    for number, (name, size) in enumerate(SIZES.items()):
        rng = np.random.default_rng(number)
        (folder / name).mkdir()
        lines.append(frame_lines(name, number, FPS * SECONDS))
        for second in range(SECONDS):
            actions = rng.choice(4, 2, replace=False)
            corners = np.array([[0.05, 0.1, 0.45, 0.8], [0.55, 0.2, 0.95, 0.9]]) + rng.uniform(-0.05, 0.05, (2, 1))
            for person, (box, action) in enumerate(zip(corners.round(3), actions, strict=True)):
                text = ",".join(map(str, box))
                truth.append(f"{name},{second},{text},{action + 1},{person}\n")
                if (name, second) != UNSEEN:
                    found.append(f"{name},{second},{text},,0.95\n")
            if name == "gone":
                continue
            for frame in range(FPS * second, FPS * (second + 1)):
                image = rng.integers(0, 90, (*size, 3), dtype=np.uint8)
                for box, action in zip(corners, actions, strict=True):
                    x1, y1, x2, y2 = (box * [size[1], size[0], size[1], size[0]]).astype(int)
                    image[y1:y2, x1:x2, action % 3] = 255 if action < 3 else 130
                cv2.imwrite(str(folder / name / f"{name}_{frame + 1:06d}.jpg"), image)
    readable = [row for row in truth if not row.startswith("gone")]
    (folder / "train_truth.csv").write_text("".join(readable))
    (folder / "val_truth.csv").write_text("".join(truth))
    (folder / "found.csv").write_text("".join(found))
    (folder / "excluded.csv").write_text("two,0003\n")
    entries = [f'item {{\n name: "{name}"\n id: {i}\n}}\n' for i, name in enumerate(CLASSES[:3], start=1)]
    (folder / "labels.pbtxt").write_text("".join(entries))
    write_list(folder / "train.csv", *lines[0], *lines[1])
    write_list(folder / "val.csv", *(line for of in lines for line in of))
    return folder


def ava_cfg(arch: str, folder: Path, output: Path, *overrides):
    lists = ["AVA.TRAIN_GT_BOX_LISTS", ["train_truth.csv"], "AVA.TRAIN_PREDICT_BOX_LISTS", []]
    files = ["AVA.TEST_PREDICT_BOX_LISTS", ["found.csv"], "AVA.GROUNDTRUTH_FILE", "val_truth.csv"]
    more = ["AVA.LABEL_MAP_FILE", "labels.pbtxt", "AVA.EXCLUSION_FILE", "excluded.csv", "AVA.START_SECOND", 0]
    places = [word for key in ("ANNOTATION_DIR", "FRAME_LIST_DIR", "FRAME_DIR") for word in (f"AVA.{key}", str(folder))]
    names = ["TRAIN.DATASET", "ava", "TEST.DATASET", "ava", "DETECTION.ENABLE", True, "AVA.FPS", FPS]
    sizes = ["DATA.TARGET_FPS", FPS, "DATA.SAMPLING_RATE", 1, "RESNET.SPATIAL_STRIDES"]
    paths = 2 if arch == "slowfast" else 1
    strides, dilations = [[n] * paths for n in (1, 2, 2, 1)], [[n] * paths for n in (1, 1, 1, 2)]
    dilated = [*sizes, strides, "RESNET.SPATIAL_DILATIONS", dilations]
    return run_cfg(arch, output, *lists, *files, *more, *places, *names, *dilated, *overrides)


def write_charades(folder: Path) -> Path:
    """Videos of three colours: frame lists with pictures, and the same classes as segments of video files."""
    parts, rows = {"train": [], "val": []}, {"train": ["id,actions\n"], "val": ["id,actions\n"]}
    for number in range(10):
        part, name, count = "train" if number < 6 else "val", f"v{number}", 20 + number
        write_pictures(folder / name, count, seed=number)
        write_video(folder / f"{name}.mp4", count, (48, 64))
        labels = {number % 3, (number * 2 + 1) % 4}
        parts[part] += frame_lines(
            name, len(rows[part]) - 1, count, lambda frame, of=labels: ",".join(map(str, of)) if frame % 2 else ""
        )
        segments = ";".join(f"c{label:03d} 0.10 0.{50 + label}" for label in labels)
        rows[part].append(f"{name},{segments}\n")
    for part in parts:
        write_list(folder / f"{part}.csv", *parts[part])
        (folder / f"{part}_segments.csv").write_text("".join(rows[part]))
    return folder


def charades_cfg(arch: str, folder: Path, output: Path, lists: str, *overrides):
    names = ["TRAIN.DATASET", "charades", "TEST.DATASET", "charades", "DATA.MULTI_LABEL", True]
    files = ["CHARADES.TRAIN_FILE", "train_segments.csv", "CHARADES.TEST_FILE", "val_segments.csv"]
    places = ["DATA.PATH_TO_DATA_DIR", str(folder), "DATA.PATH_PREFIX", str(folder), "CHARADES.LISTS", lists]
    views = ["TEST.NUM_ENSEMBLE_VIEWS", 10, "TEST.NUM_SPATIAL_CROPS", 3, "DATA.ENSEMBLE_METHOD", "max"]
    return run_cfg(arch, output, *names, *files, *places, *views, *overrides)


def normalised(clip: torch.Tensor, cfg) -> torch.Tensor:
    """uint8 (3, T, H, W) to float (1, 3, T, H, W)."""
    mean, std = (torch.tensor(v).view(3, 1, 1, 1) for v in (cfg.DATA.MEAN, cfg.DATA.STD))
    return ((clip.float() / 255 - mean) / std)[None]
