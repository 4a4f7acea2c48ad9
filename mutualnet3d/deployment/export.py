"""From a trained network and its query table to a directory that runs without this package's networks."""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mutualnet3d.configuration import Configuration
from mutualnet3d.counting import complexities
from mutualnet3d.deployment.clips import Clips
from mutualnet3d.deployment.conversion import require_no_boxes
from mutualnet3d.deployment.extras import optional_module
from mutualnet3d.deployment.manifest import MANIFEST_FILE, SUFFIXES, ExportedNetwork, Manifest
from mutualnet3d.deployment.openvino_runner import precisions_here
from mutualnet3d.deployment.parity import measure_parity
from mutualnet3d.deployment.runner import Runner
from mutualnet3d.deployment.target import BACKENDS, Target
from mutualnet3d.deployment.trained import TrainedNetwork
from mutualnet3d.deployment.writing import BACKEND_OF, open_exported_program, open_format, write_formats
from mutualnet3d.errors import DeploymentError
from mutualnet3d.files import atomic_directory
from mutualnet3d.latency import measure_many
from mutualnet3d.output_files import TABLE_FILE
from mutualnet3d.pathways import whole_frame_boxes
from mutualnet3d.progress import show_progress
from mutualnet3d.provenance import now
from mutualnet3d.query_table import QueryTable

_logger = logging.getLogger(__name__)

_NEEDS = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}


@dataclass(frozen=True)
class ExportPlan:
    """What is exported, and how it is checked.

    Attributes:
        configurations: at least one, each in the query table.
        formats: of ``torch`` (safetensors), ``onnx``, ``openvino``, ``torch_export``.
        precisions: that parity and latency are measured in, each format in those that this CPU has for it (OpenVINO's
            bfloat16 needs one with bfloat16), at least one; files hold float32 weights.
        crop: side of the views in pixels; None is the test crop.
        latency: whether to measure it.
        threads: see :class:`Target`.

    Raises:
        DeploymentError: a format or precision is unknown, a format could not be checked in any of the precisions, or a
            package is missing.
    """

    configurations: tuple[Configuration, ...]
    formats: tuple[str, ...] = ("torch",)
    precisions: tuple[str, ...] = ("float32",)
    crop: int | None = None
    latency: bool = True
    threads: int | None = None

    def __post_init__(self) -> None:
        if not (self.configurations and self.formats and self.precisions):
            raise DeploymentError("an export needs at least one configuration, one format and one precision")
        for form in self.formats:
            if form not in SUFFIXES:
                raise DeploymentError(f"format {form!r} is not one of {', '.join(SUFFIXES)}")
            for package in _NEEDS.get(form, ()):
                optional_module(package, "openvino" if package == "openvino" else "onnx")
            if not self._checked_in(form):
                known = _precisions_of(form)
                raise DeploymentError(
                    f"format {form!r} can be checked in {' and '.join(known)}, not in {', '.join(self.precisions)}: "
                    f"add --precision {known[0]}, or leave the format out"
                )
            self.targets(form)  # checks the threads
        for precision in self.precisions:
            if not any(precision in self._checked_in(form) for form in self.formats):
                raise DeploymentError(
                    f"precision {precision!r}: no backend of {', '.join(self.formats)} has it on this CPU"
                )
        if self.crop is not None and self.crop < 1:
            raise DeploymentError(f"crop {self.crop} must be at least 1 pixel")

    def targets(self, form: str) -> list[Target]:
        """What runs files of a format here; files of ``torch_export`` are only checked, in float32."""
        backend = BACKEND_OF.get(form)
        return [Target(backend, precision, self.threads) for precision in self._checked_in(form)] if backend else []

    def unchecked_in(self, form: str) -> list[str]:
        """The precisions of the plan that this CPU does not have for files of a format."""
        return [precision for precision in self.precisions if precision not in _precisions_of(form)]

    def _checked_in(self, form: str) -> list[str]:
        """The precisions that parity of a format is measured in."""
        return [precision for precision in self.precisions if precision in _precisions_of(form)]


def _precisions_of(form: str) -> tuple[str, ...]:
    """What files of a format can be run in on this CPU."""
    backend = BACKEND_OF.get(form)
    if backend == "openvino":
        return precisions_here()
    return BACKENDS[backend][0] if backend else ("float32",)


def export(
    trained: TrainedNetwork,
    table: QueryTable,
    output: str | os.PathLike,
    plan: ExportPlan,
    clips: Clips,
    overwrite: bool = False,
) -> Manifest:
    """Write ``plan`` into the folder ``output``: files, ``query_table.json``, ``manifest.json``; all of it or nothing.

    Raises:
        DeploymentError: ``output`` holds something else, a file differs too much from the trained network, or the
            network cannot be written in a format.
        QueryTableError: the table is of another model, or lacks a configuration.
        NotCalibratedError: a configuration has no statistics.
    """
    output = Path(output)
    _check_output(output, overwrite)
    table = _table_of(trained, table, plan)
    if set(plan.formats) != {"torch"}:
        require_no_boxes(trained.model.detects)
    for configuration in plan.configurations:
        trained.model.require_statistics(configuration)
    for form in plan.formats:
        for precision in plan.unchecked_in(form):
            _logger.info("%s is not checked in %s, which this CPU does not have for it", form, precision)
    written: list[ExportedNetwork] = []
    runners: dict[Target, dict[Configuration, Runner]] = {}
    networks = show_progress("exporting", len(plan.configurations), "networks")
    with atomic_directory(output) as folder, networks as steps:
        for configuration in steps.over(plan.configurations):
            _logger.info("exporting %s", configuration)
            network = trained.extract(configuration, plan.crop)
            for exported in write_formats(folder, network, plan.formats):
                path = folder / next(iter(exported.files))
                opened = {
                    target: open_format(path, exported.format, network.description, target)
                    for target in plan.targets(exported.format)
                }
                written.append(_checked(exported, path, trained, clips, opened))
                for target, runner in opened.items() if plan.latency else ():
                    runners.setdefault(target, {})[configuration] = runner
        for target, by_configuration in runners.items():
            table = _with_latencies(table, target, by_configuration, clips)
        table = table if not runners else table.on(next(iter(runners)).setting().label)
        table.save(folder / TABLE_FILE)
        manifest = _manifest(trained, plan, written, clips)
        manifest.save(folder)
    return manifest


def _check_output(output: Path, overwrite: bool) -> None:
    if output.exists() and not output.is_dir():
        raise DeploymentError(f"{output}: a file, where the export's folder should be; choose another path")
    if not output.is_dir() or not any(output.iterdir()):
        return
    if not (output / MANIFEST_FILE).is_file():
        raise DeploymentError(f"{output}: holds files, and no export of this tool; choose another folder")
    if not overwrite:
        raise DeploymentError(
            f"{output}: already holds an export; replace it with --overwrite, or choose another folder"
        )
    Manifest.load(output)  # only what is an export is replaced


def _table_of(trained: TrainedNetwork, table: QueryTable, plan: ExportPlan) -> QueryTable:
    """The entries that are exported; at another crop than the table's their multiply-adds are counted again."""
    table.check_model(trained.sha256)
    table = table.select(plan.configurations)
    tested = table.provenance.get("crop")
    if plan.crop is None or plan.crop == tested:
        return table
    costs = complexities(trained.model, plan.configurations, plan.crop)
    entries = [replace(e, gmacs=costs[e.configuration].gmacs, latency_ms=None, latencies=()) for e in table.entries]
    provenance = table.provenance | {"crop": plan.crop, "accuracy_crop": tested, "latency": {}}
    return replace(table, entries=tuple(entries), provenance=provenance, device=None)


def _checked(
    exported: ExportedNetwork, path: Path, trained: TrainedNetwork, clips: Clips, opened: Mapping[Target, Runner]
) -> ExportedNetwork:
    """``exported`` with the parity of each runner of its file."""
    runs = {(target.backend, target.precision): runner for target, runner in opened.items()}
    if exported.format == "torch_export":
        runs = {("torch.export", "float32"): open_exported_program(path)}
    parity = []
    for (backend, precision), run in runs.items():
        parity += measure_parity(run, trained.model, clips.tensor, exported.configuration, backend, precision)
    return replace(exported, parity=tuple(parity))


def _with_latencies(
    table: QueryTable, target: Target, runners: Mapping[Configuration, Runner], clips: Clips
) -> QueryTable:
    """``table`` with the milliseconds per view of each runner, batch 1."""
    _logger.info("measuring %s %s", target.backend, target.precision)
    calls = {}
    for configuration, runner in runners.items():
        views = runner.description.pathways.views(clips.tensor[:1], configuration)
        boxes = tuple(map(whole_frame_boxes, views)) if runner.description.detects else None
        calls[configuration] = functools.partial(runner, views, boxes)
    return table.with_latencies(measure_many(calls), target.setting())


def _manifest(trained: TrainedNetwork, plan: ExportPlan, written: Sequence[ExportedNetwork], clips: Clips) -> Manifest:
    description = trained.describe(plan.configurations[0], plan.crop)
    versions = dict(description.versions)
    for form in plan.formats:
        versions |= {package: importlib.metadata.version(package) for package in _NEEDS.get(form, ())}
    return Manifest(replace(description, versions=versions), tuple(written), clips.source, now())
