"""The public door, and who may import whom."""

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import mutualnet3d as mn
from mutualnet3d import output_files

PACKAGE = Path(mn.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# May import those above them and their own neighbours. The root ("mutualnet3d") holds the version and loads nothing.
LEVELS = (
    ("", "errors"),
    ("configuration", "files", "output_files", "architectures", "device_label"),
    ("methods",),
    ("cpu", "help", "logs", "distributed", "latency", "provenance"),
    ("guard",),
    ("faults", "lock", "progress"),
    ("operators",),
    ("pathways",),
    ("layers", "config", "query_table"),
    ("models", "data"),
    ("calibration", "counting", "evaluation", "preparation"),
    ("visualization",),
    ("training",),
    ("testing", "deployment"),
    ("pipeline",),
    ("predictor",),
    ("streaming",),
    ("page",),
    ("summary",),
    ("commands",),
)
NEVER = {
    "data": {"models", "layers", "calibration", "evaluation", "training"},
    "models": {"data", "evaluation", "training"},
    "query_table": {"models", "data", "training", "evaluation", "layers"},
    "calibration": {"data", "models"},
    "evaluation": {"training", "calibration"},
    "config": {"layers", "models", "data"},
    "preparation": {"models", "layers", "training", "evaluation", "calibration"},
    "deployment": {"training", "evaluation", "calibration", "pipeline"},
    "predictor": {"training", "evaluation", "calibration", "pipeline", "models"},
    "streaming": {"training", "evaluation", "calibration", "pipeline", "models"},
}


def python(code, *options):
    return subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)


def part(path: Path) -> str:
    """``training`` for mutualnet3d/training/loop.py, ``counting`` for mutualnet3d/counting.py, "" for the door."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Modules that a file imports, inside functions too; not what only type checkers see."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def own_parts(path: Path) -> set[str]:
    """Parts of this package that a file imports."""
    names = [name.split(".") for name in imports(path) if name.split(".")[0] == "mutualnet3d"]
    known = {part(module) for module in MODULES}
    return {name[1] for name in names if len(name) > 1 and name[1] in known} - {part(path)}


def test_import_is_quiet_and_quick():
    code = """
import sys, time
start = time.perf_counter()
import mutualnet3d
took = time.perf_counter() - start
heavy = {"torch", "numpy", "av", "cv2", "slowfast", "matplotlib"} & sys.modules.keys()
sys.exit(f"{heavy or ''} {took}" if heavy or took > 0.5 else 0)
"""
    done = python(code, "-W", "error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_module_shadows_a_name_of_the_door():
    """Importing mutualnet3d.x sets the attribute x of the package: x must not be a name of the door."""
    code = """
import importlib, pkgutil, types
import mutualnet3d as mn
for module in pkgutil.walk_packages(mn.__path__, "mutualnet3d."):
    if "decord" not in module.name:
        importlib.import_module(module.name)
import mutualnet3d.counting, mutualnet3d.calibration
for name in mn.__all__:
    value = getattr(mn, name)
    assert not isinstance(value, types.ModuleType), name
    assert name == "__version__" or (callable(value) and value.__name__ == name), name
assert mn.complexity is mutualnet3d.counting.complexity
assert mn.calibrate is mutualnet3d.calibration.calibrate
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_door():
    assert set(mn.__all__) == set(dir(mn))
    assert {"Configuration", "QueryTable", "build_model", "calibrate", "complexity", "load_config"} <= set(mn.__all__)
    with pytest.raises(AttributeError, match=r"no attribute 'calibrat'; it has .*calibrate"):
        mn.calibrat  # noqa: B018


def test_what_type_checkers_see_is_the_door():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    declared, *imported = block.body
    assert ast.unparse(declared) == "__version__: str"
    seen = {alias.name for node in imported for alias in node.names}
    assert seen == set(mn.__all__) - {"__version__"}
    for node in imported:
        for alias in node.names:
            assert getattr(__import__(node.module, fromlist=[alias.name]), alias.name) is getattr(mn, alias.name)


def test_there_is_one_version():
    """pyproject.toml's: the installed package, the door, the citation and the hooks of commits agree with it."""
    project = (PACKAGE.parent / "pyproject.toml").read_text()
    stated = re.search(r'^version = "(.*)"$', project, re.MULTILINE)[1]
    citation = yaml.safe_load((PACKAGE.parent / "CITATION.cff").read_text())
    assert mn.__version__ == importlib.metadata.version("mutualnet3d") == stated == citation["version"]
    assert citation["license"] == re.search(r'^license = "(.*)"$', project, re.MULTILINE)[1]
    hooks = yaml.safe_load((PACKAGE.parent / ".pre-commit-config.yaml").read_text())["repos"]
    oldest = re.search(r'"ruff>=([\d.]+)"', project)[1]
    assert [repo["rev"] for repo in hooks if "ruff" in repo["repo"]] == [f"v{oldest}"]
    assert (PACKAGE / "py.typed").is_file()


def test_a_source_tree_that_is_not_installed_has_a_version(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    assert mn._version() == "0+unknown"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downward(path):
    level = {name: number for number, names in enumerate(LEVELS) for name in names}
    own = part(path)
    if own in level:  # a new top-level module states its place by what imports it
        assert {name for name in own_parts(path) if level.get(name, -1) > level[own]} == set()
    assert own_parts(path) & NEVER.get(own, set()) == set()


def test_nothing_imports_the_command_line():
    for path in MODULES:
        if part(path) not in ("commands", "summary"):
            assert not own_parts(path) & {"commands", "summary"}, path


@pytest.mark.parametrize("path", sorted((PACKAGE / "layers").glob("*.py")), ids=lambda p: p.name)
def test_layers_know_torch_configurations_and_errors_only(path):
    assert own_parts(path) <= {"configuration", "errors"}
    others = {name.split(".")[0] for name in imports(path)} - {"mutualnet3d", "torch"}
    assert others <= sys.stdlib_module_names


def calls(path: Path, name: str) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == name for n in ast.walk(tree))


def is_command(name: str) -> bool:
    return name.startswith("commands/") or name.endswith("/__main__.py")


def test_only_the_command_line_reads_arguments():
    readers = {str(p.relative_to(PACKAGE)) for p in MODULES if "sys.argv" in ast.unparse(ast.parse(p.read_text()))}
    parsers = {str(p.relative_to(PACKAGE)) for p in MODULES if "argparse" in imports(p)}
    assert readers <= {"config/command_line.py", "commands/launch.py", "commands/submit.py"}
    assert {name for name in parsers if not is_command(name)} <= {"config/command_line.py", "help.py"}


def test_names_of_output_files_stand_in_one_place():
    """Whoever writes and whoever reads a file of OUTPUT_DIR cannot disagree on its name."""
    names = {value for name, value in vars(output_files).items() if name.endswith("_FILE")}
    assert {"model.pyth", "query_table.json", "test_scores.npz"} <= names
    for path in MODULES:
        if part(path) == "output_files":
            continue
        literals = {n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)}
        assert not {str(each) for each in literals} & names - {"report.html"}, path  # also a template's name


def test_only_the_command_lines_print():
    printers = {str(p.relative_to(PACKAGE)) for p in MODULES if calls(p, "print")}
    assert {name for name in printers if not is_command(name)} <= {"summary.py"}
