"""A calibrated model file."""

from types import SimpleNamespace

import pytest
from tiny import OVERRIDES, RECIPE

from mutualnet3d.commands.run import main as run_net


@pytest.fixture(scope="session")
def trained(tiny_data, tmp_path_factory):
    """A finished run: ``output`` its folder, ``model`` its model file, ``words(...)`` a command line of its config."""
    output = tmp_path_factory.mktemp("trained") / "output"
    places = ["DATA.PATH_TO_DATA_DIR", tiny_data, "OUTPUT_DIR", output, "SOLVER.MAX_EPOCH", 1]

    def words(*overrides):
        return [str(word) for word in ("--cfg", RECIPE, *OVERRIDES, *places, *overrides)]

    assert run_net(words()) == 0
    return SimpleNamespace(output=output, model=output / "model.pyth", words=words)


@pytest.fixture
def said(capfd):
    """What was printed since it was last called."""
    return lambda: "".join(capfd.readouterr())
