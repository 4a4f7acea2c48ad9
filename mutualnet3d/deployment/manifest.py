"""What an export directory holds: ``manifest.json``, a value that is checked when it is read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mutualnet3d.configuration import Configuration
from mutualnet3d.deployment.dense import Description
from mutualnet3d.errors import DeploymentError, MutualNetError
from mutualnet3d.files import sha256, write_text

MANIFEST_FILE = "manifest.json"
FORMAT, VERSION = "mutualnet3d export", 1
SUFFIXES = {"torch": ".safetensors", "onnx": ".onnx", "openvino": ".xml", "torch_export": ".pt2"}


@dataclass(frozen=True)
class Parity:
    """How far a deployed network is from the switched weight-shared one on the same clips.

    Attributes:
        backend, precision: what ran it.
        batch: clips per call; ``clips`` in all.
        max_abs: largest absolute difference of a logit.
        max_rel: ``max_abs`` over the largest absolute logit.
        top1_agreement: fraction of the clips (or boxes) whose most likely class is the same.
        tolerance: of ``max_rel``.
    """

    backend: str
    precision: str
    batch: int
    clips: int
    max_abs: float
    max_rel: float
    top1_agreement: float
    tolerance: float


@dataclass(frozen=True)
class ExportedNetwork:
    """One sub-network in one format.

    Attributes:
        configuration: the operating point.
        format: a key of ``SUFFIXES``.
        files: name -> (SHA-256, bytes); the first is the one to open.
        inputs: shapes of the views by name; the batch, ``"N"``, is free.
        opset: of ONNX files.
        parity: one figure per backend, precision and batch.
    """

    configuration: Configuration
    format: str
    files: dict[str, tuple[str, int]]
    inputs: dict[str, tuple]
    opset: int | None = None
    parity: tuple[Parity, ...] = ()

    def to_dict(self) -> dict:
        """Plain values for JSON; :meth:`from_dict` reads them back."""
        files = {name: {"sha256": digest, "bytes": size} for name, (digest, size) in self.files.items()}
        return asdict(self) | {"configuration": str(self.configuration), "files": files}

    @classmethod
    def from_dict(cls, values: dict) -> ExportedNetwork:
        """What :meth:`to_dict` described.

        Raises:
            DeploymentError: there is no file, a file lies outside the directory, or the format is unknown.
            ConfigurationError: the configuration cannot be parsed.
            KeyError, TypeError: a value is missing or of another kind.
        """
        if not values["files"]:
            raise DeploymentError("a network has no file")
        for name in values["files"]:
            if Path(name).name != name:
                raise DeploymentError(f"file {name!r} lies outside the export directory")
        files = {name: (each["sha256"], each["bytes"]) for name, each in values["files"].items()}
        if values["format"] not in SUFFIXES:
            raise DeploymentError(f"format {values['format']!r} is not one of {', '.join(SUFFIXES)}")
        parity = tuple(Parity(**each) for each in values["parity"])
        inputs = {name: tuple(shape) for name, shape in values["inputs"].items()}
        configuration = Configuration.parse(values["configuration"])
        return cls(configuration, values["format"], files, inputs, values["opset"], parity)


@dataclass(frozen=True)
class Manifest:
    """The contents of an export directory.

    Attributes:
        description: of the first network; the others differ in the configuration alone.
        networks: what was exported, at least one.
        clips: which clips parity was measured on, in words.
        date: when, ISO 8601.
    """

    description: Description
    networks: tuple[ExportedNetwork, ...]
    clips: str
    date: str

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """Those that were exported, each once."""
        return tuple(dict.fromkeys(network.configuration for network in self.networks))

    def describe(self, configuration: Configuration) -> Description:
        """What the sub-network at ``configuration`` is."""
        return replace(self.description, configuration=configuration)

    def find(self, configuration: Configuration, formats: tuple[str, ...]) -> ExportedNetwork:
        """The network of ``configuration`` in the first of ``formats`` that there is; DeploymentError if in none."""
        for wanted in formats:
            for network in self.networks:
                if (network.configuration, network.format) == (configuration, wanted):
                    return network
        raise DeploymentError(
            f"{configuration} was not exported to {' or '.join(formats)}; there is {', '.join(self._names())}. Export "
            f"it with tools/export_net.py --configurations {configuration} --formats {formats[0]}"
        )

    def _names(self) -> Iterator[str]:
        return (f"{network.configuration} ({network.format})" for network in self.networks)

    def save(self, directory: str | os.PathLike) -> None:
        """Write ``manifest.json``, atomically."""
        values = {
            "format": FORMAT,
            "version": VERSION,
            **self.description.to_dict(),
            "networks": [network.to_dict() for network in self.networks],
            "clips": self.clips,
            "date": self.date,
        }
        del values["configuration"]  # each network has its own
        write_text(Path(directory) / MANIFEST_FILE, json.dumps(values, indent=2) + "\n")

    @classmethod
    def load(cls, directory: str | os.PathLike) -> Manifest:
        """Read ``manifest.json``; DeploymentError where it is missing, damaged, or of another format or version."""
        path = Path(directory) / MANIFEST_FILE
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise DeploymentError(f"{path}: cannot be read as JSON: {error}") from error
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise DeploymentError(f"{path}: not the manifest of an export of mutualnet3d")
        if values.get("version") != VERSION:
            raise DeploymentError(f"{path}: version {values.get('version')!r}, this release reads {VERSION}")
        try:
            networks = tuple(ExportedNetwork.from_dict(each) for each in values["networks"])
            description = Description.from_dict(values | {"configuration": str(networks[0].configuration)})
            return cls(description, networks, values["clips"], values["date"])
        except (MutualNetError, LookupError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise DeploymentError(f"{path}: malformed: {error!r}") from error


def describe_files(paths: list[Path]) -> dict[str, tuple[str, int]]:
    """Name -> (SHA-256, bytes) of each file."""
    return {path.name: (sha256(path), path.stat().st_size) for path in paths}


def check_files(directory: Path, network: ExportedNetwork) -> Path:
    """The file of ``network`` to open; DeploymentError if one of its files is missing or was changed."""
    for name, (digest, _) in network.files.items():
        path = directory / name
        if not path.is_file():
            raise DeploymentError(f"{path}: missing; export again")
        if sha256(path) != digest:
            raise DeploymentError(f"{path}: damaged or changed: its SHA-256 is not the manifest's; export again")
    return directory / next(iter(network.files))
