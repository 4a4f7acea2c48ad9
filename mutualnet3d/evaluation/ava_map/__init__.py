"""mAP at IoU 0.5 of AVA, by the rules of the official evaluation; ``python -m`` runs it on files."""

from mutualnet3d.evaluation.ava_map.metric import DetectionAccuracy, ava_map, counted, scored_boxes

__all__ = ["DetectionAccuracy", "ava_map", "counted", "scored_boxes"]
