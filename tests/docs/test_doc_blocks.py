"""Nothing in README.md and docs/ is only text: each block is run by a test, each option exists."""

import argparse
import ast
import importlib
import re
import runpy
import sys

import pytest
from doc_blocks import PAGES, ROOT, blocks_of, commands_of, name_of, prose_of

from mutualnet3d.config import get_cfg
from mutualnet3d.config.supported import leaves

README_TEST, PAGE_TEST = "tests/test_readme.py", "tests/docs/test_doc_pages_run.py"
TRAININGS, BENCHMARKS = "tests/docs/test_doc_trainings_run.py", "tests/benchmarks/test_benchmarks_run.py"
SHOWN = f"{BENCHMARKS}::test_what_a_page_shows_runs"
# (page, what the block contains, the test that runs it)
RUN_BY = (
    ("README.md", "configs/Demo/MN_SLOWFAST_SYNTHETIC.yaml", f"{README_TEST}::test_the_code_of_the_readme_runs"),
    ("README.md", "-m pytest", f"{README_TEST}::test_ci_runs_the_test_command_of_the_readme"),
    ("README.md", "tools/check_data.py train.csv", f"{PAGE_TEST}::test_your_own_data"),
    ("README.md", "table.best(max_gmacs=0.2)", f"{README_TEST}::test_the_code_of_the_readme_runs"),
    ("README.md", "tools/calibrate_net.py", f"{README_TEST}::test_the_commands_after_training"),
    ("README.md", "AdaptivePredictor.load", f"{README_TEST}::test_the_code_of_the_readme_runs"),
    ("docs/custom_data.md", "", "tests/docs/test_custom_data_guide.py::test_every_block_prints_what_the_guide_quotes"),
    ("docs/own_videos.md", "", "tests/docs/test_own_videos_guide.py::test_every_block_prints_what_the_guide_quotes"),
    ("docs/images.md", "def link", "tests/docs/test_images_guide.py::test_food_and_indoor_scenes_become_folders"),
    ("docs/images.md", "configs/Demo/MN_CIFAR_SMALL.yaml", "tests/docs/test_images_guide.py::test_the_first_run"),
    ("docs/index.md", "configs/Demo/MN_SLOWFAST_SYNTHETIC.yaml", f"{PAGE_TEST}::test_the_first_command"),
    ("docs/index.md", "AdaptivePredictor.load", f"{PAGE_TEST}::test_code_about_a_run"),
    ("docs/concepts/configurations.md", "ConfigurationSpace", f"{PAGE_TEST}::test_the_space"),
    ("docs/concepts/query_table.md", "table.best", f"{PAGE_TEST}::test_code_about_a_run"),
    ("docs/from_pyslowfast.md", "load_weights", f"{PAGE_TEST}::test_weights_of_pyslowfast"),
    ("docs/from_pyslowfast.md", "for_pyslowfast.pyth", f"{PAGE_TEST}::test_weights_for_pyslowfast"),
    ("docs/activation_maps.md", "--input clip.mp4", f"{PAGE_TEST}::test_activation_maps"),
    ("docs/activation_maps.md", "CORNERS", "tests/docs/test_images_guide.py::test_maps_of_shapes"),
    ("docs/activation_maps.md", "outputs/shapes", "tests/docs/test_images_guide.py::test_maps_of_shapes"),
    ("docs/activation_maps.md", "import activation_maps", f"{PAGE_TEST}::test_maps_in_python"),
    ("docs/web_page.md", "import PageModel", f"{PAGE_TEST}::test_the_page_in_python"),
    ("docs/tools.md", "", f"{PAGE_TEST}::test_tools_after_training"),
    ("README.md", "tools/prepare_data.py", "tests/docs/test_own_videos_guide.py::test_the_same_as_the_readme_says_it"),
    ("docs/deployment.md", "import FileBoxes", "tests/tasks/test_predicting.py::test_what_the_page_shows"),
    ("docs/distributed.md", "--num_shards 2", f"{TRAININGS}::test_several_processes_and_machines"),
    ("docs/distributed.md", "#SBATCH", f"{TRAININGS}::test_a_part_of_a_job"),
    ("docs/distributed.md", "--partition video", "tests/commands/test_submit.py::test_the_job_that_the_page_submits"),
    (
        "docs/distributed.md",
        "--cluster local",
        "tests/commands/test_submit.py::test_the_job_that_the_page_runs_on_this_machine",
    ),
    ("docs/faults.md", "benchmarks/faults.py", SHOWN),
    ("docs/faults.md", "FUZZ_FACTOR", f"{TRAININGS}::test_the_fuzzers_take_a_factor"),
    (
        "docs/fine_tuning.md",
        "benchmarks/",
        "tests/benchmarks/test_fine_tuning_benchmark.py::test_everything_is_trained_once",
    ),
    ("docs/from_pyslowfast.md", "MUTUALNET.ENABLE True", f"{TRAININGS}::test_a_file_of_pyslowfast"),
    ("docs/images.md", "MN_MOBILENET_V1_TRANSFER", f"{TRAININGS}::test_trainings_of_the_paper_on_images"),
    ("docs/images.md", "benchmarks/counting.py", f"{BENCHMARKS}::test_the_numbers_of_the_page_about_images"),
    ("docs/learning.md", "--study generated", "tests/benchmarks/test_compare.py::test_a_small_study_is_made_once"),
    ("docs/learning.md", "--study cifar", "tests/benchmarks/test_compare.py::test_all_studies_of_the_page"),
    ("docs/performance.md", "benchmarks/table.py", "tests/benchmarks/test_table.py::test_all_ratios"),
    *(
        ("docs/performance.md", f"benchmarks/{name}.py", SHOWN)
        for name in ("mutual_step", "worker_memory", "switched", "pass_variants")
    ),
    ("docs/performance.md", "benchmarks/grid_evaluation.py", SHOWN),
    ("docs/web_page.md", "tools/page_net.py", "tests/page/test_page.py::test_in_a_browser"),
)
BLOCKS = [block for page in PAGES for block in blocks_of(page) if block.runs]
COMMANDS = {str(command): command for page in PAGES for command in commands_of(page)}


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_is_run(block):
    tests = [test for page, text, test in RUN_BY if page == block.page and text in block.text]
    assert tests, "no test runs this block: write one, and name it in RUN_BY"


@pytest.mark.parametrize("row", RUN_BY, ids=str)
def test_the_named_tests_exist(row):
    page, text, test = row
    assert any(block.page == page and text in block.text for block in BLOCKS), "no such block any more"
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


class Parsed(BaseException):
    """The arguments were understood."""


@pytest.fixture
def understand(monkeypatch):
    """``understand(command)``: the program reads the words and stops before it does anything."""

    def parse(self, args=None, namespace=None, original=argparse.ArgumentParser.parse_args):
        original(self, args, namespace)
        raise Parsed

    def refuse(self, message):
        pytest.fail(f"{self.prog}: {message}")

    def run(command):
        path = ROOT / command.program
        monkeypatch.setattr(argparse.ArgumentParser, "error", refuse)
        if command.program.startswith("mutualnet3d."):
            main = importlib.import_module(f"{command.program}.__main__").main
        elif command.program.startswith("tools/"):
            main = runpy.run_path(str(path))["main"]
        else:
            monkeypatch.syspath_prepend(path.parent)
            main = runpy.run_path(str(path))["main"]
        if not command.program.startswith("benchmarks/") and "guarded" in main.__globals__:
            monkeypatch.setitem(main.__globals__, "guarded", lambda body, *said: 0)
            assert main(list(command.words)) == 0
            return
        monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
        monkeypatch.setattr(sys, "argv", [command.program, *command.words])
        with pytest.raises(Parsed):
            main()

    return run


def test_commands_were_found():
    programs = {command.program for command in COMMANDS.values()}
    tools = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tools").glob("*.py")}
    assert tools | {"mutualnet3d.evaluation.ava_map", "benchmarks/learning/fine_tuning.py"} <= programs


@pytest.mark.filterwarnings("default")  # of the libraries that benchmarks import
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_is_understood(command, understand):
    understand(command)
    for word in command.words:
        if word.startswith("configs/") and "SLOW_8x8_R50" not in word:  # PySlowFast's own file
            assert (ROOT / word).is_file(), word


NODES = {key.partition(".")[0] for key, _ in leaves(get_cfg())}
KEYS = {key for key, _ in leaves(get_cfg())}
OPEN = ("CONTRASTIVE", "DEMO", "MASK", "MVIT")


def keys_in(text: str) -> set[str]:
    """Words such as DATA.PATH_PREFIX. What stands for several (``MULTIGRID.*_CYCLE``) is none."""
    words = re.findall(r"(?<![\w./-])([A-Z][A-Z0-9_]*(?:\.[A-Za-z0-9_]+)+)(?![\w/*.-]*\*)(?!\.?\w)", text)
    return {word for word in words if word.partition(".")[0] in NODES and not word.startswith(OPEN)}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_config_key_exists(page):
    assert keys_in(page.read_text(encoding="utf-8")) - KEYS == set()


def test_every_option_exists():
    """``--option`` within sentences, whatever the tool."""
    sources = [*(ROOT / "mutualnet3d").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    known = {option for path in sources for option in re.findall(r"\"(--[\w-]+)\"", path.read_text(encoding="utf-8"))}
    for page in PAGES:
        named = {option for code in re.findall(r"`[^`]+`", prose_of(page)) for option in re.findall(r"--[\w-]+", code)}
        assert named - known == set(), name_of(page)
