"""A deployed network at every budget: a video and a budget in, classes out."""

from mutualnet3d.predictor.people import FileBoxes
from mutualnet3d.predictor.person_detector import PersonDetector
from mutualnet3d.predictor.prediction import Detections, Prediction, StageTimes
from mutualnet3d.predictor.predictor import AdaptivePredictor

__all__ = ["AdaptivePredictor", "Detections", "FileBoxes", "PersonDetector", "Prediction", "StageTimes"]
