"""What the commands that start from a model file share: its config, its network, and what that needs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fvcore.common.config import CfgNode

from mutualnet3d.config import load_config, load_config_text
from mutualnet3d.configuration import Configuration
from mutualnet3d.errors import NotCalibratedError
from mutualnet3d.evaluation.choice import uncalibrated
from mutualnet3d.models import AdaptiveNetwork, build_model
from mutualnet3d.models.artefact import check_space, load_state, read_checkpoint
from mutualnet3d.output_files import MODEL_FILE


def model_path(path: str | os.PathLike) -> Path:
    """``path``, or the model file in the folder ``path`` of a run."""
    return Path(path) / MODEL_FILE if Path(path).is_dir() else Path(path)


class ModelFile:
    """What is in the file ``path``, or in the model file of the run's folder ``path``, read once; CheckpointError if it
    is missing, damaged, or not of this package."""

    def __init__(self, path: str | os.PathLike):
        self.path = model_path(path)
        self._entries = read_checkpoint(self.path)

    def config(self, overrides: Sequence[str] = (), files: Sequence[str] = ()) -> CfgNode:
        """The config of ``files``, or without them the one inside the file; then the overrides."""
        if files:
            return load_config(files, overrides)
        return load_config_text(self._entries["cfg"], overrides, f"the config in {self.path}")

    def network(self, cfg: CfgNode) -> AdaptiveNetwork:
        """The network, in eval mode; CheckpointError if it is another than ``cfg`` describes."""
        model = build_model(cfg)
        check_space(self._entries, model, self.path)
        load_state(self._entries, model, self.path)
        return model.eval()


def require_statistics(
    model: AdaptiveNetwork, cfg: CfgNode, configurations: Sequence[Configuration], path: str | os.PathLike
) -> None:
    """NotCalibratedError, with the command that helps, unless ``model`` of the file has statistics of all."""
    lacking = [str(c) for c in uncalibrated(model, cfg, configurations)]
    if lacking:
        shown = " ".join(lacking[:5]) + (" ..." if len(lacking) > 5 else "")
        raise NotCalibratedError(
            f"{path} has no BatchNorm statistics of {len(lacking)} of {len(configurations)} configurations; compute "
            f"them: tools/calibrate_net.py --model {path} --configurations {shown}"
        )
