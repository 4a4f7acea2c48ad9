"""Which configurations a config or a command line names."""

import pytest
from tiny import tiny_cfg

import mutualnet3d as mn
from mutualnet3d.errors import ConfigError, ConfigurationError
from mutualnet3d.evaluation.choice import read_configurations, table_configurations

SPACE = mn.build_model(tiny_cfg()).space


def widths(*overrides):
    chosen = table_configurations(tiny_cfg("QUERY_TABLE.WIDTHS", [], *overrides), SPACE)
    assert len(chosen) == 4 * len({c.width for c in chosen})
    return sorted({c.width for c in chosen})


def test_width_steps():
    assert widths("QUERY_TABLE.WIDTH_STEP", 0.1) == [0.63, 0.73, 0.83, 0.93, 1.0]
    assert widths("QUERY_TABLE.WIDTH_STEP", 0.05) == [0.63, 0.68, 0.73, 0.78, 0.83, 0.88, 0.93, 0.98, 1.0]
    assert widths("QUERY_TABLE.WIDTH_STEP", 0.37) == [0.63, 1.0]
    assert widths("QUERY_TABLE.WIDTH_STEP", 3) == [0.63, 1.0]
    assert len(widths("QUERY_TABLE.WIDTH_STEP", 0.01)) == 38
    assert widths() == [0.63, 0.81, 1.0]  # rounded middle of the range


def test_listed_ones_take_the_place_of_the_grid_and_full_is_among_them():
    cfg = tiny_cfg("QUERY_TABLE.CONFIGURATIONS", ["0.7-20-2"])
    assert [str(c) for c in table_configurations(cfg, SPACE)] == ["0.7-20-2", "1.0-32-4"]


@pytest.mark.parametrize("step", [-0.1, 0.0001])
def test_steps_out_of_bounds(step):
    with pytest.raises(ConfigError, match=r"QUERY_TABLE\.WIDTH_STEP is .*at least"):
        tiny_cfg("QUERY_TABLE.WIDTHS", [], "QUERY_TABLE.WIDTH_STEP", step)


def test_widths_and_a_step_contradict_each_other():
    with pytest.raises(ConfigError, match=r"WIDTH_STEP is 0\.1 and QUERY_TABLE\.WIDTHS \[0\.63, 1\.0\]"):
        tiny_cfg("QUERY_TABLE.WIDTH_STEP", 0.1)


def test_words_and_files(tmp_path):
    listed = tmp_path / "listed.txt"
    listed.write_text("0.63-20-2\n\n# a comment\n  1.00-32-4  # full\n")
    assert read_configurations(["0.8-32-2", str(listed)]) == ["0.8-32-2", "0.63-20-2", "1.0-32-4"]
    with pytest.raises(ConfigurationError, match="nowhere"):
        read_configurations(["nowhere.txt"])
