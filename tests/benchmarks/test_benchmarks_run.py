"""Every script of benchmarks/ runs, in its smallest form: the commands of README.md and docs/, if any shows it."""

import re
import runpy
import sys

import pytest
import torch
from tiny import OVERRIDES, RECIPE, ROOT

from tests.docs.doc_blocks import PAGES, commands_of

FOLDER = ROOT / "benchmarks"
HELPERS = {"fault_runs.py", "pairs.py", "random_network.py", "source_video.py"}  # other scripts import them
TABLE = "table.py"  # test_table.py runs it
SLOWFAST = [
    *("RESNET.WIDTH_PER_GROUP", 8, "DATA.TRAIN_CROP_SIZE", 32, "DATA.TRAIN_JITTER_SCALES", [32, 40]),
    *("DATA.TEST_CROP_SIZE", 32, "MUTUALNET.SPATIAL", [20, 32]),
]
# script: ({word of a page: ours}, options before the page's words, config keys after them); {data}: tiny videos
SMALLER = {
    "calibrating.py": ({"9": 2}, ["--cfg", RECIPE, "--batches", 1, "--batch", 2, "--rounds", 1], OVERRIDES),
    "counting.py": (
        {"3": 1},
        ["--crop", 64, "--sample", 1, "--widths", 2, "--recipes", "ImageNet/MN_MOBILENET_V1"],
        [],
    ),
    "deployed.py": ({"slow": "x3d", "2": 1}, ["--crop", 64, "--repeats", 1, "--backends", "torch"], []),
    "faults.py": ({"8": 1, "faults.json": "{out}"}, ["--only", "kill -9 while saving"], []),
    "grid_evaluation.py": ({"40": 2, "LISTS": "{data}"}, ["--counts", 1, 2, "--rounds", 1], OVERRIDES),
    "mutual_step.py": ({"7": 1}, [], [*OVERRIDES, "MUTUALNET.TEMPORAL", [3, 4]]),
    "pass_variants.py": ({"3": 1}, ["--widths", 0.63, "--backend", "eager"], OVERRIDES),
    "switched.py": ({"0.8": 0.7}, ["--cfg", RECIPE, "--repeats", 1], OVERRIDES),
    "worker_memory.py": (
        {"jhmdb/splits/mini8": "{data}", "jhmdb": "{data}"},
        ["--clips", 120, "--every", 20, "--warm-up", 40, "--bound", 1000],
        [*OVERRIDES, "TRAIN.BATCH_SIZE", 8, "NUM_GPUS", 0, "DATA_LOADER.NUM_WORKERS", 1],
    ),
}
AS_PRINTED = "CIFAR/MN_WRN28_10"  # the command with this word needs no change, and has a test of its own
UNSHOWN = {  # scripts that no page shows -> words; {data}: tiny videos, {clips}: folder of real clips
    "key_frames.py": ["--seconds", 3, "--frames", 8, "--rate", 1, "--count", 3],
    "kernel_cache.py": ["--cfg", RECIPE, "--steps", 1, "--rounds", 1, "TRAIN.BATCH_SIZE", 2, *OVERRIDES],
    "kept_in_memory.py": [
        "--cfg",
        RECIPE,
        "--rounds",
        1,
        "TRAIN.BATCH_SIZE",
        2,
        *OVERRIDES,
        "DATA.PATH_TO_DATA_DIR",
        "{data}",
    ],
    "mutual_step.py": [
        *("--cfg", ROOT / "configs/Demo/MN_SLOWFAST_SMALL.yaml", "--batch", 2, "--rounds", 1, *SLOWFAST)
    ],
    "preparing_views.py": ["--batch", 1, "--side", 20, "--frames", 4, "--rounds", 1],
    "view_loader.py": ["--clips", "{clips}", "--rounds", 1, "--gops", 30],
    "train_loader.py": ["--clips", "{clips}", "--items", 2, "--rounds", 1, "--gops", 30, "--workers"],
}
SAYS = {
    "calibrating.py": r"calibrating 2 configurations / their forward passes \| [\d.]+ \|",
    "counting.py": r"counting \d configurations one by one / together \| [\d.]+ \|(.*\n)*.*step [\d.]+ by the paper's",
    "deployed.py": r"eager pytorchvideo / torch float32 \| [\d.]+ \|",
    "faults.py": r"\| kill -9 while saving \| 1 \| 1 x .* \| 1 x killed \| nothing \|\n\n1 runs in .*lost: nothing",
    "grid_evaluation.py": r"2 videos: evaluating 2 configuration.* \| [\d.]+ \|(.*\n)*decoding +[\d.]+ ms",
    "key_frames.py": r"movie: training, anywhere: [\d.]+ ms per key frame",
    "kernel_cache.py": r"its own number / ours \| [\d.]+ \|",
    "kept_in_memory.py": r"from files / from memory, processor \| [\d.]+ \|",
    "mutual_step.py": r"slow: mutual step / plain step .* \| [\d.]+ \|",
    "mutual_step.py slowfast": r"nothing shared \| [\d.]+ \|(.*\n)*mutual, nothing shared +[\d.]+ ms on the clock",
    "mutual_step.py --memory": r"peak resident memory: plain \d+ MiB, mutual \d+ MiB\nratio [\d.]+, at most 1\.05",
    "pass_variants.py": r"0\.63-32-4: [\d.]+ s to compile(.*\n)*.*contiguous / ours \|(.*\n)*.*compiled / ours \|",
    "preparing_views.py": r"20 -> 13 pixels, 4 frames: plain / ours \| [\d.]+ \|",
    "switched.py": r"0\.63-32-4, 1 thread.*: switched in place / dense \| [\d.]+ \|",
    "view_loader.py": r"ours, uint8 \| [\d.]+ \|",
    "train_loader.py": r"loader / ours, processor \| [\d.]+ \|",
    "worker_memory.py": r"worker 0: [+-][\d.]+ MB resident, .*\n120 clips in \d+ s: flat",
}
SHOWN = {
    str(command): command
    for page in PAGES
    for command in commands_of(page)
    if command.program.startswith("benchmarks/")
    and (ROOT / command.program).parent == FOLDER
    and TABLE not in command.program
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


@pytest.fixture
def placed(tiny_data, tmp_path, request):
    """``placed(words)``: places filled in."""
    places = {
        "{data}": lambda: tiny_data,
        "{out}": lambda: tmp_path / "out.json",
        "{clips}": lambda: request.getfixturevalue("shared_data") / "jhmdb",
    }
    return lambda words: [places[word]() if isinstance(word, str) and word in places else word for word in words]


def test_all_scripts_are_here():
    shown = {command.program.removeprefix("benchmarks/") for command in SHOWN.values()}
    assert shown == SMALLER.keys()
    assert {path.name for path in FOLDER.glob("*.py")} - {*HELPERS, TABLE} == shown | UNSHOWN.keys()


@pytest.mark.parametrize("name", [name for name in SHOWN if AS_PRINTED not in name])
@pytest.mark.filterwarnings("default")  # of the libraries that they are compared with
def test_what_a_page_shows_runs(name, run, placed):
    command = SHOWN[name]
    script = command.program.removeprefix("benchmarks/")
    ours, options, keys = SMALLER[script]
    words = [*options, *(ours.get(word, word) for word in command.words), *keys]
    says = SAYS.get(f"{script} --memory" if "--memory" in words else script)
    assert re.search(says, run(script, placed(words)))


@pytest.mark.parametrize("script", sorted(UNSHOWN))
@pytest.mark.filterwarnings("default")
def test_what_no_page_shows_runs(script, run, placed):
    says = SAYS["mutual_step.py slowfast" if script == "mutual_step.py" else script]
    assert re.search(says, run(script, placed(UNSHOWN[script])))


def test_the_numbers_of_the_page_about_images(run):
    """Counted, so the same everywhere."""
    (command,) = [each for name, each in SHOWN.items() if AS_PRINTED in name]
    page = " ".join((ROOT / command.page).read_text(encoding="utf-8").split())
    said = run("counting.py", command.words)
    assert re.search(SAYS["counting.py"], said)
    (small, wide) = re.findall(r"full ([\d.]+), a mutual step ([\d.]+) by the paper's formula, ([\d.]+) counted", said)
    assert "full takes {} GMACs and an iteration {} by the formula, {} counted".format(*small) in page
    assert "WideResNet-28-10 {}, {} and {}.".format(*wide) in page
