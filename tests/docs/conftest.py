"""Fixtures of the tests that do what a page says."""

import pytest
from following import follow


@pytest.fixture(scope="module")
def guide(request, tmp_path_factory):
    """Of the test module's PAGE: (folder in which it was followed, what each quoting block is a quotation of)."""
    folder = tmp_path_factory.mktemp("a guide")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, follow(request.module.PAGE)
