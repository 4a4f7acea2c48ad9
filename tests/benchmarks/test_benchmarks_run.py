"""Every script of benchmarks/ runs, in its smallest form: what it calls has not changed under it."""

import re
import runpy
import sys

import pytest
import torch
from tiny import OVERRIDES, RECIPE, ROOT

FOLDER = ROOT / "benchmarks"
HELPERS = {"fault_runs.py", "pairs.py", "random_network.py", "source_video.py"}  # other scripts import them
TABLE = "table.py"  # test_table.py runs it
DEMO = ROOT / "configs" / "Demo"
SLOWFAST = [
    *("RESNET.WIDTH_PER_GROUP", 8, "DATA.TRAIN_CROP_SIZE", 32, "DATA.TRAIN_JITTER_SCALES", [32, 40]),
    *("DATA.TEST_CROP_SIZE", 32, "MUTUALNET.SPATIAL", [20, 32]),
]
SMALLEST = {  # script -> its arguments; {data}: folder of tiny videos, {clips}: of real ones
    "calibrating.py": ["--cfg", RECIPE, "--count", 2, "--batches", 1, "--batch", 2, "--rounds", 1, *OVERRIDES],
    "counting.py": ["--crop", 64, "--sample", 1, "--widths", 2, "--recipes", "ImageNet/MN_MOBILENET_V1"],
    "deployed.py": [
        *("--networks", "x3d", "--widths", 0.63, "--threads", 1, "--crop", 64, "--repeats", 1, "--backends", "torch")
    ],
    "faults.py": ["--times", 1, "--only", "kill -9 while saving"],
    "grid_evaluation.py": [
        *("--cfg", RECIPE, "--data", "{data}", "--videos", 2, "--counts", 1, 2, "--rounds", 1, *OVERRIDES)
    ],
    "key_frames.py": ["--seconds", 3, "--frames", 8, "--rate", 1, "--count", 3],
    "kernel_cache.py": ["--cfg", RECIPE, "--steps", 1, "--rounds", 1, "TRAIN.BATCH_SIZE", 2, *OVERRIDES],
    "mutual_step.py": ["--cfg", DEMO / "MN_SLOWFAST_SMALL.yaml", "--batch", 2, "--rounds", 1, *SLOWFAST],
    "switched.py": ["--cfg", RECIPE, "--widths", 0.63, "--repeats", 1, *OVERRIDES],
    "view_loader.py": ["--clips", "{clips}", "--rounds", 1, "--gops", 30],
    "train_loader.py": ["--clips", "{clips}", "--items", 2, "--rounds", 1, "--gops", 30, "--workers"],
    "worker_memory.py": [
        *("--clips", 120, "--every", 20, "--warm-up", 40, "--bound", 1000, "--cfg", RECIPE, *OVERRIDES),
        *("DATA.PATH_TO_DATA_DIR", "{data}", "DATA_LOADER.NUM_WORKERS", 1),
    ],
}
SAYS = {
    "calibrating.py": r"calibrating 2 configurations / their forward passes \| [\d.]+ \|",
    "counting.py": r"counting 6 configurations one by one / together \| [\d.]+ \|(.*\n)*.*step [\d.]+ by the paper's",
    "deployed.py": r"eager pytorchvideo / torch float32 \| [\d.]+ \|",
    "faults.py": r"\| kill -9 while saving \| 1 \| 1 x .* \| 1 x killed \| nothing \|\n\n1 runs in .*lost: nothing",
    "grid_evaluation.py": r"2 videos: evaluating 2 configuration.* \| [\d.]+ \|(.*\n)*decoding +[\d.]+ ms",
    "key_frames.py": r"movie: training, anywhere: [\d.]+ ms per key frame",
    "kernel_cache.py": r"its own number / ours \| [\d.]+ \|",
    "mutual_step.py": r"nothing shared \| [\d.]+ \|(.*\n)*mutual, nothing shared +[\d.]+ ms on the clock",
    "switched.py": r"0\.63-32-4, 1 thread.*: switched in place / dense \| [\d.]+ \|",
    "view_loader.py": r"ours, uint8 \| [\d.]+ \|",
    "train_loader.py": r"loader / ours, processor \| [\d.]+ \|",
    "worker_memory.py": r"worker 0: [+-][\d.]+ MB resident, .*\n120 clips in \d+ s: flat",
}


@pytest.fixture
def run(monkeypatch, capsys):
    """``run(script, words)``: what it printed; torch's threads are given back."""
    threads = torch.get_num_threads()

    def run_script(script, words):
        monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        monkeypatch.syspath_prepend(str(FOLDER))
        monkeypatch.chdir(ROOT)  # where the scripts are meant to be called
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(FOLDER / script), run_name="__main__")
        assert not end.value.code
        return capsys.readouterr().out

    yield run_script
    torch.set_num_threads(threads)


def test_all_scripts_are_here():
    assert {path.name for path in FOLDER.glob("*.py")} - {*HELPERS, TABLE} == SMALLEST.keys() == SAYS.keys()


@pytest.mark.parametrize("script", sorted(SMALLEST))
@pytest.mark.filterwarnings("default")  # of the libraries that they are compared with
def test_it_runs(script, run, tiny_data, request):
    places = {"{data}": lambda: tiny_data, "{clips}": lambda: request.getfixturevalue("shared_data") / "jhmdb"}
    words = [places[word]() if isinstance(word, str) and word in places else word for word in SMALLEST[script]]
    assert re.search(SAYS[script], run(script, words))
