"""Videos or images in, uint8 clips out: decoding, sampling, cropping, batching. Knows nothing of networks."""

from mutualnet3d.data.ava_table import KeyFrameTable
from mutualnet3d.data.build import Entries, build_entries, describe_list, test_dataset, train_dataset
from mutualnet3d.data.decode import VideoReader, open_video
from mutualnet3d.data.detection import DetectionBatch, KeyFrameItem
from mutualnet3d.data.images import ImageEntry, open_media
from mutualnet3d.data.kinetics import LabelledVideo, TestItem, TestVideos, TrainClips
from mutualnet3d.data.kinetics_list import VideoEntry, read_list
from mutualnet3d.data.loader import EpochSampler, TrainBatch, train_loader, video_loader
from mutualnet3d.data.transforms import normalise
from mutualnet3d.data.unreadable import UnreadableVideos
from mutualnet3d.data.views import Preprocessing

__all__ = [
    "DetectionBatch",
    "Entries",
    "EpochSampler",
    "ImageEntry",
    "KeyFrameItem",
    "KeyFrameTable",
    "LabelledVideo",
    "Preprocessing",
    "TestItem",
    "TestVideos",
    "TrainBatch",
    "TrainClips",
    "UnreadableVideos",
    "VideoEntry",
    "VideoReader",
    "build_entries",
    "describe_list",
    "normalise",
    "open_media",
    "open_video",
    "read_list",
    "test_dataset",
    "train_dataset",
    "train_loader",
    "video_loader",
]
