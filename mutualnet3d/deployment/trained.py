"""The weight-shared network of a run, from which sub-networks are taken. Needs pyslowfast; exports do not."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import torch.fx
from torch import nn

from mutualnet3d.config import load_config_text
from mutualnet3d.configuration import Configuration
from mutualnet3d.data.class_names import read_class_names
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.deployment.dense import DenseNetwork, Description
from mutualnet3d.files import sha256
from mutualnet3d.layers import FULL, copy_dense, extract_dense, fold_batchnorm, trace_dense
from mutualnet3d.models import AdaptiveNetwork, build_model
from mutualnet3d.models.artefact import check_space, load_state, read_checkpoint
from mutualnet3d.output_files import MODEL_FILE, TABLE_FILE
from mutualnet3d.query_table import QueryTable


class TrainedNetwork:
    """A network of a file that training wrote, with all that a deployment of it must know.

    Attributes:
        path: of the file.
        model: the network, in eval mode on the CPU.
        cfg: its config.
        sha256: of the file.

    Raises:
        CheckpointError: the file is missing, damaged, or not of this package.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path) / MODEL_FILE if Path(path).is_dir() else Path(path)
        entries = read_checkpoint(self.path)
        self.cfg = load_config_text(entries["cfg"])
        self.model: AdaptiveNetwork = build_model(self.cfg)
        check_space(entries, self.model, self.path)
        load_state(entries, self.model, self.path)
        self.model.eval().requires_grad_(False)
        self.sha256 = sha256(self.path)
        self._classes, _ = read_class_names(self.cfg, self.cfg.MODEL.NUM_CLASSES)
        # Tracing changes torch for the whole process while it lasts: once, here, and never while others run networks.
        self._graph = trace_dense(copy_dense(self.model, FULL, skeleton=True).eval()).graph
        self._lock = threading.Lock()

    def describe(self, configuration: Configuration, crop: int | None = None) -> Description:
        """What the sub-network at ``configuration`` is; ``crop``: of the views in pixels, default the test crop's."""
        preprocessing = Preprocessing.from_cfg(self.cfg)
        if crop is not None:
            preprocessing = replace(preprocessing, crop=crop, short_side=max(crop, preprocessing.short_side))
        return Description(
            configuration,
            self.model.pathway_rule,
            preprocessing,
            architecture=self.cfg.MODEL.ARCH,
            classes=self._classes,
            detects=self.model.detects,
            source_sha256=self.sha256,
            activation=self.cfg.MODEL.HEAD_ACT,
        )

    def extract(self, configuration: Configuration, crop: int | None = None) -> DenseNetwork:
        """The sub-network at ``configuration``, BatchNorm folded; may be called while others run networks.

        Raises:
            ConfigurationError: it lies outside the space.
            NotCalibratedError: its statistics were never computed.
        """
        with self._lock:
            dense: nn.Module = extract_dense(self.model, configuration)
            graph = fold_batchnorm(torch.fx.GraphModule(dense, self._graph, "DenseGraph"))
        return DenseNetwork.trace(graph, self.describe(configuration, crop))

    def table(self, path: str | os.PathLike | None = None) -> QueryTable:
        """The query table at ``path``, by default the one beside the model.

        Raises:
            QueryTableError: it is missing, malformed, or of another model.
        """
        table = QueryTable.load(self.path.parent / TABLE_FILE if path is None else path)
        table.check_model(self.sha256)
        return table
