"""An OUTPUT_DIR as a run leaves it, without the run: two classes of colours are told apart, the third seldom."""

import json
from pathlib import Path

import numpy as np
import torch
from tiny import tiny_cfg

from mutualnet3d.configuration import ConfigurationSpace
from mutualnet3d.evaluation.result import GridResult, save_scores
from mutualnet3d.files import sha256
from mutualnet3d.query_table import Entry, QueryTable

SPACE = ConfigurationSpace((0.63, 1.0), (20, 32), (2, 4))
CONFIGURATIONS = SPACE.grid((0.63, 1.0))
VIEWS = (2, 3)


def write_run(folder: Path, data: Path, names=("red", "green", "blue"), paths=None, latency=False) -> Path:
    """Every file of a run on the test list of ``data`` (tests/tiny.py); ``paths`` stands for that list's."""
    folder.mkdir(parents=True)
    lines = [line.rsplit(" ", 1) for line in (data / "test.csv").read_text().splitlines()]
    paths = [path for path, _ in lines] if paths is None else paths
    labels = np.array([int(label) for _, label in lines])
    cfg = tiny_cfg("DATA.PATH_TO_DATA_DIR", str(folder / "data"), "OUTPUT_DIR", str(folder))
    (folder / "config.yaml").write_text(cfg.dump())
    (folder / "data").mkdir()
    (folder / "data" / "classes.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    (folder / "model.pyth").write_bytes(b"weights")
    scores = make_scores(labels)
    top1 = 100 * (scores.argmax(2) == labels).mean(1)
    write_scores(folder, scores, labels, paths)
    results = {"views": VIEWS, "videos": len(labels), "missing": [{"path": "gone.mp4", "reason": "the file is empty"}]}
    (folder / "test_results.json").write_text(json.dumps(results))
    provenance = {
        "model_sha256": sha256(folder / "model.pyth"),
        "architecture": "slow",
        "data": str(data),
        "videos": len(labels),
        "views": {"temporal": 2, "spatial": 3},
        "crop": 32,
        "frames": 4,
        "date": "2031-05-04T03:02:01+00:00",
        "mutualnet3d": "0.1.0",
        "torch": "2.6.0",
    }
    entries = [
        Entry(c, gmacs, 2 * gmacs, float(top1[i]), 100.0, 10 - gmacs if latency else None)
        for i, (c, gmacs) in enumerate(zip(CONFIGURATIONS, np.linspace(0.5, 4, 8).tolist(), strict=True))
    ]
    QueryTable(tuple(entries), "top1", provenance).save(folder / "query_table.json")
    write_log(folder)
    return folder


def make_scores(labels) -> np.ndarray:
    """float32 (8, N, 3), sums over 6 views: the wider the network, the more videos it gets right."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 0.2, (len(CONFIGURATIONS), len(labels), 3)).astype(np.float32)
    for i, c in enumerate(CONFIGURATIONS):
        for n, label in enumerate(labels):
            scores[i, n, label if n < (4 if c.width == 1.0 else i) else (label + 1) % 3] += 1
    return 6 * scores / scores.sum(2, keepdims=True)


def write_scores(folder: Path, scores, labels, paths, **facts) -> None:
    """``facts`` as a run keeps them beside the scores, but for those given."""
    result = GridResult(
        CONFIGURATIONS, torch.as_tensor(scores), torch.as_tensor(labels), torch.arange(len(paths)), paths=tuple(paths)
    )
    save_scores(folder / "test_scores.npz", result, **({"ensemble_method": "sum", "views": VIEWS} | facts))


def train_line(epoch, iteration, loss, lr=0.1, **more):
    values = {"type": "train", "epoch": epoch, "iteration": iteration, "loss_full": loss, "lr": lr, "top1": 40.0}
    return json.dumps(values | {"loss_smallest": 0.1, "loss_random1": 0.2, "loss_random2": 0.4} | more)


def write_log(folder: Path) -> None:
    lines = [train_line(epoch, iteration, 2 - 0.3 * epoch) for epoch in (1, 2) for iteration in (2, 4)]
    lines.insert(2, json.dumps({"type": "val", "epoch": 1, "top1": 30.0, "top5": 90.0}))
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
