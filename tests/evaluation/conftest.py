"""What was decoded."""

import pytest

from mutualnet3d.data import kinetics_list


@pytest.fixture
def opened(monkeypatch):
    """Paths of the videos that were opened, in order."""
    paths, original = [], kinetics_list.open_video

    def counting(path, *args):
        paths.append(path)
        return original(path, *args)

    monkeypatch.setattr(kinetics_list, "open_video", counting)
    return paths
