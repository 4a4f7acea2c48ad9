"""A deployed network at every budget: a video and a budget in, classes out."""

from mutualnet3d.predictor.prediction import Prediction, StageTimes
from mutualnet3d.predictor.predictor import AdaptivePredictor

__all__ = ["AdaptivePredictor", "Prediction", "StageTimes"]
