"""What docs/images.md and the part of docs/activation_maps.md about images say: their blocks run, quicker."""

import csv
import os
import re
from pathlib import Path

import pytest
from doc_blocks import ROOT, block, changed
from following import check_quotation, run_bash

import mutualnet3d as mn
from tests.data.image_files import write_folder

PAGE = "docs/images.md"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
QUICK = {"CALIBRATION.NUM_CLIPS 512": "CALIBRATION.NUM_CLIPS 64", "SOLVER.MAX_EPOCH 2": "SOLVER.MAX_EPOCH 1"}


def pattern(line: str) -> str:
    """``line`` as it may look with other images and fewer epochs."""
    if line.endswith(")"):  # a prediction
        return re.escape(line.partition(" ")[0]) + r" \w+ [\d.]+ %, \w+ [\d.]+ % \([\d.]+-\d+\)"
    words = re.escape(" ".join(line.split()))
    if re.search(r"[│%]", line):
        words = re.sub(r"\d+(\\\.\d+)?", r"[0-9.]+", words)
        words = re.sub(r"│\\ (\\\*\\ )?│", r"│( \\*)? │", words)
    return words


def test_food_and_indoor_scenes_become_folders(clone):
    """Of names with and without the suffix; a name that no file has is an error, not a dead link."""
    for root, images in (("food-101", "images"), ("indoor67", "Images")):
        for name in ("pie", "ice cream"):
            (clone / root / images / name).mkdir(parents=True)
            for number in range(3):
                (clone / root / images / name / f"{number}.a.jpg").write_bytes(b"%d" % number)
    (clone / "food-101/meta").mkdir()
    (clone / "food-101/meta/train.txt").write_text("pie/0.a\nice cream/1.a\n")
    (clone / "food-101/meta/test.txt").write_text("pie/2.a\n")
    (clone / "indoor67/TrainImages.txt").write_text("pie/0.a.jpg\r\nice cream/1.a.jpg\r\n")
    (clone / "indoor67/TestImages.txt").write_text("pie/2.a.jpg")
    names: dict = {}
    exec(block(PAGE, "def link"), names)
    for data in ("food101", "indoor67"):
        found = {path.relative_to(f"data/{data}").as_posix(): path for path in Path("data", data).rglob("*.jpg")}
        assert sorted(found) == ["train/ice cream/1.a.jpg", "train/pie/0.a.jpg", "val/pie/2.a.jpg"]
        assert found["val/pie/2.a.jpg"].read_bytes() == b"2"
    (clone / "more.txt").write_text("pie/9.a\n")
    with pytest.raises(FileNotFoundError):
        names["link"]("food-101/images", {"train": "more.txt"}, "data/more")


def test_the_first_run(clone):
    """On some of the images that the page speaks of where they are here, else on rendered ones."""
    real = Path(os.environ.get("MUTUALNET3D_DATA", ROOT.parent / "shared" / "data")) / "cifar10_jpeg_mini"
    if real.is_dir():
        for split, count in (("train", 20), ("test", 4)):
            for name in CLASSES:
                (clone / "my_images" / split / name).mkdir(parents=True)
                for file in sorted((real / split / name).iterdir())[:count]:
                    (clone / "my_images" / split / name / file.name).symlink_to(file)
    else:
        write_folder(clone / "my_images", {"train": 20, "test": 4}, CLASSES)
        for name in ("ship/0005.jpg", "cat/0009.jpg"):
            Path("my_images/test", name).with_name("000.jpg").rename(Path("my_images/test", name))
    output = run_bash(changed(block(PAGE, "configs/Demo/MN_CIFAR_SMALL.yaml"), QUICK))
    check_quotation(block(PAGE, "query table: 3 configurations"), output, pattern)
    table = mn.QueryTable.load("outputs/cifar/query_table.json")
    assert [str(entry.configuration) for entry in table.entries] == ["0.5-20", "0.75-28", "1.0-32"]
    assert {entry.configuration for entry in table.entries} <= set(mn.load_model("outputs/cifar/model.pyth").calibrated)


def test_maps_of_shapes(clone):
    """The page's shapes, its training for an epoch on few, its picture and its table."""
    few = {'{"train": 300, "test": 60}': '{"train": 12, "test": 6}'}
    exec(changed(block("docs/activation_maps.md", "CORNERS"), few), {})
    with open("shapes_boxes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 18
    assert all(0 <= int(r["x1"]) < int(r["x2"]) <= 96 and 20 < int(r["y2"]) - int(r["y1"]) < 50 for r in rows)
    short = {"MAX_EPOCH 12": "MAX_EPOCH 1", "WARMUP_EPOCHS 1": "WARMUP_EPOCHS 0"}
    commands = changed(block("docs/activation_maps.md", "outputs/shapes"), short)
    extra = "CALIBRATION.NUM_CLIPS 16 BN.USE_PRECISE_STATS False TRAIN.BATCH_SIZE 12 DATA_LOADER.NUM_WORKERS 0"
    output = run_bash(commands.replace("OUTPUT_DIR", f"{extra} OUTPUT_DIR", 1))
    assert "per cent of 18 images" in output
    assert Path("maps.png").stat().st_size
    with open("localization.csv", newline="") as file:
        found = {(row["method"], row["threshold"]): row["frames"] for row in csv.DictReader(file)}
    assert len(found) == 4 * 2 + 2
    assert set(found.values()) == {"18"}
