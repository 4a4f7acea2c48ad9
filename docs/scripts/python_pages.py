"""The reference of the Python interface: a page a package, an object a section, from the docstrings."""

from __future__ import annotations

import importlib
import inspect

import mutualnet3d as mn

PACKAGES = ("config", "data", "deployment", "layers", "models", "predictor", "query_table", "visualization")
# Public, named by the guides, and behind no package's door.
BEYOND_THE_DOORS = {
    "data": ("mutualnet3d.data.check.check_video", "mutualnet3d.data.check.VideoReport"),
    "query_table": ("mutualnet3d.query_table.text.to_csv", "mutualnet3d.query_table.text.to_markdown"),
    "visualization": (
        "mutualnet3d.visualization.activation_maps.activation_maps",
        "mutualnet3d.visualization.activation_maps.ActivationMaps",
    ),
}
FOLDER = "reference/python"


def python_pages() -> dict[str, str]:
    """File under docs/ -> Markdown with mkdocstrings' directives. Every object stands on one page."""
    pages = {f"{FOLDER}/mutualnet3d.md": _door(), f"{FOLDER}/errors.md": _errors()}
    return pages | {f"{FOLDER}/{name}.md": _package(name) for name in PACKAGES}


def errors() -> list[str]:
    """Names of the errors that the door does not hold, in the file's order."""
    module = importlib.import_module("mutualnet3d.errors")
    names = [name for name, value in vars(module).items() if inspect.isclass(value)]
    return [name for name in names if name not in mn.__all__]


def _door() -> str:
    names = [name for name in mn.__all__ if name != "__version__"]
    text = "The stable interface: `import mutualnet3d as mn`. Importing it is quick; torch is loaded on the first use."
    return _page("mutualnet3d", text, [f"mutualnet3d.{name}" for name in names])


def _errors() -> str:
    text = "Every message names the value, the bound and the remedy. `except mn.MutualNetError` catches all of them."
    own = [f"[{name}][mutualnet3d.{name}]" for name in mn.__all__ if name.endswith("Error")]
    text += f"\n\nIn the door: {', '.join(own)}."
    return _page("mutualnet3d.errors", text, [f"mutualnet3d.errors.{name}" for name in errors()])


def _package(name: str) -> str:
    package = importlib.import_module(f"mutualnet3d.{name}")
    in_door = [each for each in package.__all__ if getattr(mn, each, None) is getattr(package, each)]
    text = package.__doc__.replace("``", "`")
    if in_door:
        text += "\n\nIn the door: " + ", ".join(f"[{each}][mutualnet3d.{each}]" for each in in_door) + "."
    here = [f"mutualnet3d.{name}.{each}" for each in package.__all__ if each not in in_door]
    return _page(f"mutualnet3d.{name}", text, [*here, *BEYOND_THE_DOORS.get(name, ())])


def _page(title: str, text: str, objects: list[str]) -> str:
    return "\n".join([f"# {title}\n\n{text}\n", *(f"::: {each}\n" for each in objects)])
