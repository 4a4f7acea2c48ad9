"""Trained sub-networks as files, and what runs them. Importing it needs neither pyslowfast nor the other runtimes."""

from mutualnet3d.deployment.dense import DenseNetwork, Description
from mutualnet3d.deployment.dense_file import load_dense, save_dense
from mutualnet3d.deployment.opening import Deployment, build_runner, open_deployment
from mutualnet3d.deployment.runner import Runner
from mutualnet3d.deployment.target import Target

__all__ = [
    "DenseNetwork",
    "Deployment",
    "Description",
    "Runner",
    "Target",
    "build_runner",
    "load_dense",
    "open_deployment",
    "save_dense",
]
