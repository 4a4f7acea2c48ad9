"""Opening what is deployed: an export directory, or the output directory of a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

from mutualnet3d.configuration import Configuration
from mutualnet3d.deployment.conversion import input_names, to_exported_program, to_onnx, to_openvino
from mutualnet3d.deployment.dense import DenseNetwork, Description
from mutualnet3d.deployment.manifest import MANIFEST_FILE, Manifest, check_files
from mutualnet3d.deployment.onnx_runner import OnnxRunner
from mutualnet3d.deployment.openvino_runner import OpenVinoRunner
from mutualnet3d.deployment.runner import Runner
from mutualnet3d.deployment.target import Target
from mutualnet3d.deployment.torch_runner import TorchRunner
from mutualnet3d.deployment.writing import open_format
from mutualnet3d.errors import ConfigurationError, DeploymentError, QueryTableError
from mutualnet3d.output_files import MODEL_FILE, TABLE_FILE
from mutualnet3d.query_table import QueryTable

FORMATS_OF = {"torch": ("torch",), "onnxruntime": ("onnx",), "openvino": ("openvino", "onnx")}


@dataclass(frozen=True)
class Deployment:
    """Sub-networks that can be built, and what chooses among them.

    Attributes:
        table: costs and accuracies of ``configurations``; ``latency_ms`` are those of this target, where measured.
        description: of any of the networks; but for the configuration they are alike. Its ``preprocessing``,
            ``pathways``, ``classes``, ``architecture``, ``detects`` and ``activation`` are attributes here too.
        configurations: those that :meth:`build` can build.
        target: what runs the networks.
        converts: whether :meth:`build` converts: onnxruntime and openvino from the directory of a run. It takes
            seconds, and no other thread may run torch meanwhile.
    """

    table: QueryTable
    description: Description
    configurations: tuple[Configuration, ...]
    target: Target
    _build: Callable[[Configuration], Runner]
    converts: bool = False

    preprocessing = property(attrgetter("description.preprocessing"))
    pathways = property(attrgetter("description.pathways"))
    classes = property(attrgetter("description.classes"))
    architecture = property(attrgetter("description.architecture"))
    detects = property(attrgetter("description.detects"))
    activation = property(attrgetter("description.activation"))

    def with_classes(self, names: Sequence[str]) -> Deployment:
        """The same with other names of the classes, in the order of the logits."""
        return replace(self, description=replace(self.description, classes=tuple(names)))

    def build(self, configuration: Configuration) -> Runner:
        """A new runner of the sub-network at ``configuration``, which holds its own weights.

        Safe while other threads run networks, unless it :attr:`converts`.

        Raises:
            ConfigurationError: it is not one of ``configurations``.
            DeploymentError: its file is damaged, or a package is missing.
        """
        if configuration not in self.configurations:
            known = ", ".join(map(str, self.configurations))
            raise ConfigurationError(f"{configuration} cannot be built here; there is {known}")
        return self._build(configuration)


def open_deployment(
    directory: str | os.PathLike,
    backend: str = "torch",
    precision: str = "float32",
    threads: int | None = None,
    device: str | None = None,
) -> Deployment:
    """Open an export of ``tools/export_net.py``, or the OUTPUT_DIR of a run.

    An export needs neither pyslowfast nor the config. From a run's ``model.pyth``, sub-networks are taken and, for
    other backends than torch, converted in memory when they are built.

    Args:
        directory: an export (it holds ``manifest.json``) or a run (``model.pyth`` and ``query_table.json``).
        backend: see :class:`Target`.
        precision: see :class:`Target`.
        threads: see :class:`Target`.
        device: see :class:`Target`; None is the CPU.

    Raises:
        DeploymentError: it is neither, is damaged, or the target cannot run here.
        QueryTableError: the query table is missing, malformed, or of another model.
        CheckpointError: the run's model cannot be read.
    """
    target = Target(backend, precision, threads, device or "cpu")
    directory = Path(directory)
    if (directory / MANIFEST_FILE).is_file():
        return _open_export(directory, target)
    if (directory / MODEL_FILE).is_file():
        return _open_run(directory, target)
    raise DeploymentError(
        f"{directory}: neither an export ({MANIFEST_FILE}, written by tools/export_net.py) nor the output directory of "
        f"a run ({MODEL_FILE} and {TABLE_FILE})"
    )


def _open_export(directory: Path, target: Target) -> Deployment:
    manifest = Manifest.load(directory)
    table = QueryTable.load(directory / TABLE_FILE)
    table.check_model(manifest.description.source_sha256)
    formats = FORMATS_OF[target.backend]
    configurations = tuple(dict.fromkeys(n.configuration for n in manifest.networks if n.format in formats))
    if not configurations:
        found = ", ".join(sorted({network.format for network in manifest.networks}))
        raise DeploymentError(
            f"{directory} holds {found or 'nothing'}, which {target.backend} does not read; export again with "
            f"--formats {formats[0]}"
        )

    def build(configuration: Configuration) -> Runner:
        network = manifest.find(configuration, formats)
        path = check_files(directory, network)
        return open_format(path, network.format, manifest.describe(configuration), target)

    description = manifest.describe(configurations[0])
    return Deployment(_table_of(table, configurations, target), description, configurations, target, build)


def _open_run(directory: Path, target: Target) -> Deployment:
    from mutualnet3d.deployment.trained import TrainedNetwork

    trained = TrainedNetwork(directory)
    table = trained.table()
    configurations = tuple(entry.configuration for entry in table.entries)
    for configuration in configurations:
        trained.model.require_statistics(configuration)
    description = trained.describe(trained.model.space.full)

    def build(configuration: Configuration) -> Runner:
        return build_runner(trained.extract(configuration), target)

    table, converts = _table_of(table, configurations, target), target.backend != "torch"
    return Deployment(table, description, configurations, target, build, converts)


def build_runner(network: DenseNetwork, target: Target) -> Runner:
    """A runner of a sub-network in memory; onnxruntime and openvino convert it first."""
    if target.backend == "torch":
        return TorchRunner(network, target)
    model = to_onnx(to_exported_program(network), input_names(network.description))
    if target.backend == "onnxruntime":
        return OnnxRunner(model, network.description, target)
    return OpenVinoRunner(to_openvino(model), network.description, target)


def _table_of(table: QueryTable, configurations: tuple[Configuration, ...], target: Target) -> QueryTable:
    """The entries of ``configurations``, with the latencies of ``target`` if they were measured, else with none."""
    try:
        kept = table.select(configurations)
    except QueryTableError as error:
        raise DeploymentError(f"the query table is not the one of this export: {error}") from error
    label = target.setting().label
    if all(label in dict(entry.latencies) for entry in kept.entries):
        return kept.on(label)
    return replace(kept, device=None, entries=tuple(replace(e, latency_ms=None, latencies=()) for e in kept.entries))
