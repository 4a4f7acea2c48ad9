"""Query tables and configs of unknown origin."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import mutualnet3d as mn
from mutualnet3d.config import load_config_text
from mutualnet3d.errors import ConfigError, MutualNetError, QueryTableError
from mutualnet3d.query_table.file import to_json
from mutualnet3d.query_table.text import to_csv, to_markdown
from tests import tables
from tests.fuzz.fuzzing import VALUES, examples, only_our_errors, spoiled_bytes, spoiled_values

TABLE = to_json(tables.plain(views={"temporal": 10, "spatial": 3}, date="2031-05-04", videos=20))
MEASURED = to_json(tables.on_cpu())
CONFIG = """
TRAIN: {ENABLE: True, DATASET: kinetics, BATCH_SIZE: 8}
DATA: {NUM_FRAMES: 8, SAMPLING_RATE: 8, INPUT_CHANNEL_NUM: [3], MEAN: [0.45, 0.45, 0.45], PATH_TO_DATA_DIR: "a/b"}
MODEL: {NUM_CLASSES: 400, ARCH: slow, DROPOUT_RATE: 5e-1}
SOLVER: {BASE_LR: 0.1, LR_POLICY: steps_with_relative_lrs, STEPS: [0, 44], LRS: [1, 0.1], MAX_EPOCH: 9}
MUTUALNET: {ENABLE: True, WIDTH: [0.63, 1.0], SPATIAL: [142, 178, 224], TEMPORAL: [3, 5, 8]}
CALIBRATION: {CONFIGURATIONS: ["0.63-142-3"]}
QUERY_TABLE: {WIDTHS: [0.63, 1.0]}
CONTRASTIVE: &a {T: 0.07}
NUM_GPUS: 0
"""
KEYS = [f"{node}.{key}" for node, keys in yaml.safe_load(CONFIG).items() if isinstance(keys, dict) for key in keys]


def load_table(path, content: bytes) -> None:
    path.write_bytes(content)
    with only_our_errors(path.name):
        table = mn.QueryTable.load(path)
        with only_our_errors():
            table.best(max_gmacs=20.0)
        for device in table.devices:
            table.on(device).best(max_latency_ms=30.0)
        to_csv(table, table.entries, "gmacs")
        to_markdown(table, table.entries, "gmacs")
        assert mn.QueryTable.load(path) == table or "NaN" in path.read_text()
        with only_our_errors():
            table.select([table.entries[0].configuration])
        with only_our_errors():
            mn.QueryTable.merge([table, tables.on_gpu()])


@examples(40)
@given(st.sampled_from([TABLE, MEASURED]).flatmap(lambda text: spoiled_bytes(text.encode())))
def test_query_tables_of_other_bytes(folder, content):
    load_table(folder / "bytes.json", content)


@examples(60)
@given(st.sampled_from([TABLE, MEASURED]).flatmap(lambda text: spoiled_values(json.loads(text))))
def test_query_tables_of_other_values(folder, values):
    load_table(folder / "values.json", json.dumps(values).encode())


def test_query_tables_nested_without_end(folder):
    path = folder / "deep.json"
    path.write_text('{"format": ' + "[" * 100_000)
    with pytest.raises(QueryTableError, match=r"deep\.json"):
        mn.QueryTable.load(path)


def test_many_entries_of_a_query_table_take_no_square_of_time(folder):
    values = json.loads(TABLE)
    values["entries"] = [values["entries"][0] | {"configuration": f"0.63-{n}-3"} for n in range(1, 8001)]
    (folder / "long.json").write_text(json.dumps(values))
    with only_our_errors():
        assert len(mn.QueryTable.load(folder / "long.json").entries) == 8000


@examples(60)
@given(spoiled_bytes(CONFIG.encode()))
def test_configs_of_other_bytes(folder, content):
    path = folder / "bytes.yaml"
    path.write_bytes(content)
    with only_our_errors():
        load_config_text(mn.load_config(path).dump())


@examples(60)
@given(spoiled_values(yaml.safe_load(CONFIG)))
def test_configs_of_other_values(folder, values):
    path = folder / "values.yaml"
    path.write_bytes(yaml.safe_dump(values, allow_unicode=False).encode(errors="replace"))
    with only_our_errors():
        load_config_text(mn.load_config(path).dump())


@examples(80)
@given(st.sampled_from(KEYS), st.sampled_from(VALUES) | spoiled_values([0.5, [1, [2]], "a"]), st.booleans())
def test_overrides_of_other_values(key, value, as_text):
    with only_our_errors():
        load_config_text(mn.load_config((), [key, str(value)[:6000] if as_text else value]).dump())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SOLVER: !!python/object/apply:os.system ['exit 3']\n", "not valid YAML"),
        ("SOLVER: {BASE_LR: 2001-13-45}\n", r":1: '2001-13-45' is not what"),
        ("NUM_GPUS: !!int many\n", r":1: 'many' is not what"),
        (f"NUM_GPUS: {'9' * 5000}\n", ":1: '9999"),
        (f"SOLVER: {{BASE_LR: {10**400}}}\n", "2\\^63"),
        ("OUTPUT_DIR: 2001-01-01\n", "date"),
        ("DATA: {MEAN: [2001-01-01, 1, 1]}\n", "date"),
        ('OUTPUT_DIR: "a\\0b"\n', "NUL"),
        ("_BASE_: /dev/zero\n", "no regular file"),
    ],
)
def test_values_that_no_key_takes(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        mn.load_config(tmp_path / "a.yaml")


@pytest.mark.parametrize("form", ["[{0}, {0}, {0}]", "{{A: {0}, B: {0}, C: {0}}}"])
def test_a_few_aliases_that_stand_for_billions_of_values(tmp_path, form):
    lines = ["L0: &l0 [1]", *(f"L{n}: &l{n} {form.format(f'*l{n - 1}')}" for n in range(1, 40))]
    (tmp_path / "a.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="counting each use of an alias"):
        mn.load_config(tmp_path / "a.yaml")


def test_base_files_that_name_each_other_many_times(tmp_path):
    for n in range(12):
        (tmp_path / f"{n}.yaml").write_text(f"_BASE_: [{', '.join([f'{n + 1}.yaml'] * 10)}]\n")
    (tmp_path / "12.yaml").write_text("NUM_GPUS: 0\n")
    with pytest.raises(ConfigError, match="more than 64 files"):
        mn.load_config(tmp_path / "0.yaml")


@pytest.mark.parametrize("text", ["9" * 5000 + "-1-1", "1-" + "9" * 5000, "1e999-1-1", "1-1-1\0", "٣-1-1", "a" * 10**6])
def test_configurations(text):
    with pytest.raises(MutualNetError) as caught:
        mn.Configuration.parse(text)
    assert len(str(caught.value)) < 400
