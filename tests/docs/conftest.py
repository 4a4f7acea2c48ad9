"""Fixtures of the tests that do what a page says."""

import pytest
from doc_blocks import ROOT
from following import follow


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """The current folder: it has the configs and the tools of a clone."""
    for name in ("configs", "tools"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def guide(request, tmp_path_factory):
    """Of the test module's PAGE: (folder in which it was followed, what each quoting block is a quotation of)."""
    folder = tmp_path_factory.mktemp("a guide")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, follow(request.module.PAGE)
