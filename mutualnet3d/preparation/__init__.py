"""From a folder of videos, a sub-folder a class, to lists and a config: checked, split by source, written."""

from mutualnet3d.preparation.checking import Checked, check_files
from mutualnet3d.preparation.folder import FoundVideos, find_videos
from mutualnet3d.preparation.machine import Machine
from mutualnet3d.preparation.parts import Parts, divide
from mutualnet3d.preparation.settings import Plan, choose_settings
from mutualnet3d.preparation.writing import check_free, write_all

__all__ = [
    "Checked",
    "FoundVideos",
    "Machine",
    "Parts",
    "Plan",
    "check_files",
    "check_free",
    "choose_settings",
    "divide",
    "find_videos",
    "write_all",
]
