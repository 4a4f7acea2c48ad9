"""From a folder of videos, a sub-folder a class, to lists and a config: checked, split by source, written."""

from mutualnet3d.preparation.checking import Checked, check_files
from mutualnet3d.preparation.folder import FoundVideos, Video, find_videos
from mutualnet3d.preparation.machine import Machine
from mutualnet3d.preparation.parts import Parts, divide
from mutualnet3d.preparation.settings import Plan, Setting, choose_settings
from mutualnet3d.preparation.writing import CONFIG, check_free, write_all

__all__ = [
    "CONFIG",
    "Checked",
    "FoundVideos",
    "Machine",
    "Parts",
    "Plan",
    "Setting",
    "Video",
    "check_files",
    "check_free",
    "choose_settings",
    "divide",
    "find_videos",
    "write_all",
]
