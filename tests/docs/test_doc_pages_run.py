"""The short blocks of docs/ (and of the README, which has a test of its own beside) do what they say."""

import contextlib
import importlib
import io
import re
import shlex
import shutil

import pytest
import torch
from doc_blocks import ROOT, block, blocks_of
from tiny import OVERRIDES, RECIPE, release_logger

import mutualnet3d as mn
from mutualnet3d.config.supported import check_supported
from mutualnet3d.data.check import main as check_data


def printed(code: str, names: dict | None = None) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(code, {} if names is None else names)
    return output.getvalue()


def call(words: list[str]) -> int:
    """``python tools/x_net.py ...`` in this process."""
    name = re.fullmatch(r"tools/(\w+)_net\.py", words[1])[1]
    try:
        return importlib.import_module(f"mutualnet3d.commands.{name}").main(words[2:])
    finally:
        release_logger()


@pytest.fixture
def clone(tmp_path, monkeypatch, tiny_run, tiny_data):
    """A folder with a finished run at outputs/demo and outputs/run, and a video, as the pages assume."""
    (tmp_path / "outputs").mkdir()
    for name in ("demo", "run"):
        shutil.copytree(tiny_run, tmp_path / "outputs" / name)
    for name in ("video.mp4", "clip.mp4"):
        shutil.copy(tiny_data / "video 8.mp4", tmp_path / name)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_first_command():
    page, readme = (block(name, "configs/Demo/MN_SLOWFAST_SYNTHETIC.yaml") for name in ("docs/index.md", "README.md"))
    assert page == readme  # which test_readme runs


def test_your_own_data(clone, tiny_data, capsys):
    """check_data as it stands; of the training, everything up to the data, which is Kinetics."""
    check, train = block("README.md", "tools/check_data.py train.csv").replace("\\\n", "").strip().splitlines()
    for name in ("train", "val", "test"):
        first = (tiny_data / f"{name}.csv").read_text().splitlines()[0]
        (clone / f"{name}.csv").write_text(first.replace(f"{tiny_data}/", ""))
    words = [{"/videos": str(tiny_data)}.get(word, word) for word in shlex.split(check, comments=True)]
    assert check_data(words[2:]) == 0
    assert capsys.readouterr().out.count('"ok"') == 3
    words = shlex.split(train)
    check_supported(mn.load_config(words[words.index("--cfg") + 1], words[words.index("--cfg") + 2 :]))


def test_the_space():
    code, quoted = (each.text for each in blocks_of(ROOT / "docs/concepts/configurations.md"))
    assert printed(code) == quoted


def test_code_about_a_run(clone):
    names = {}
    exec(block("docs/index.md", "AdaptivePredictor.load").replace("top_k=5", "top_k=3"), names)  # it has 3 classes
    assert len(names["prediction"].labels) == 3
    table = mn.QueryTable.load("outputs/demo/query_table.json")
    best = table.best(max_gmacs=0.2)
    output = printed(block("docs/concepts/query_table.md", "table.best"))
    assert output == f"{best.configuration} {best.gmacs} {best.accuracy}\n"


def test_weights_of_pyslowfast(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = mn.load_config(RECIPE, [*OVERRIDES, "MUTUALNET.ENABLE", False, "RNG_SEED", 5])
    (tmp_path / "my_pyslowfast.yaml").write_text(cfg.dump())
    trained = mn.build_model(cfg)
    entries = {"epoch": 195, "model_state": trained.state_dict(), "optimizer_state": {}, "cfg": cfg.dump()}
    torch.save(entries, tmp_path / "checkpoint_epoch_00196.pyth")
    code = block("docs/from_pyslowfast.md", "load_weights")
    seeded, names = code.replace('ENABLE", True', 'ENABLE", True, "RNG_SEED", 6'), {}
    assert seeded != code
    output = printed(seeded, names)
    assert f"{len(trained.state_dict())} entries loaded" in output
    for name, value in names["model"].state_dict().items():
        torch.testing.assert_close(value, trained.state_dict()[name], rtol=0, atol=0)


def test_activation_maps(clone, tiny_data):
    lines = ["video,frame,x1,y1,x2,y2,width,height", *(f"video 8,{frame},0,0,60,48,60,48" for frame in range(28))]
    (clone / "boxes.csv").write_text("\n".join(lines) + "\n")
    shutil.copy(tiny_data / "test.csv", clone)
    for line in block("docs/activation_maps.md", "--input clip.mp4").strip().splitlines():
        words = shlex.split(line)
        assert call([{"0.81-64-5": "0.63-32-4"}.get(word, word) for word in words]) == 0, line
    assert all((clone / name).stat().st_size for name in ("maps.png", "maps.mp4", "localization.csv"))


def test_maps_in_python(tiny_run):
    model = mn.load_model(tiny_run / "model.pyth")
    clip = torch.randn(2, 3, 4, 32, 32)
    names = {"model": model, "clip": clip, "configuration": model.space.smallest, "classes": [0, 2]}
    exec(block("docs/activation_maps.md", "import activation_maps"), names)
    assert names["maps"].at_clip().shape == (2, 4, 32, 32)


def test_the_page_in_python(clone):
    shutil.copy(clone / "video.mp4", clone / "golf.mp4")
    names = {}
    exec(block("docs/web_page.md", "import PageModel"), names)
    assert len(names["given"].evidence.pictures) > 0


def test_tools_after_training(clone, caplog):
    """docs/tools.md: every command is one of the README's, which test_readme runs; but for the query that fails."""
    readme = block("README.md", "tools/calibrate_net.py")
    known = [" ".join(shlex.split(line, comments=True)) for line in readme.splitlines()]
    names = {"outputs/deploy": "outputs/demo"}
    lines = [line for each in blocks_of(ROOT / "docs/tools.md") for line in each.text.splitlines() if line[:2] == "$ "]
    commands = [shlex.split(line.removeprefix("$ "), comments=True) for line in lines]
    others = [c for c in commands if " ".join(c) not in [" ".join(names.get(w, w) for w in k.split()) for k in known]]
    (query,) = others
    assert "exit code 1" in next(line for line in lines if "--max-gmacs 0.1 " in line)
    cheapest = min(entry.gmacs for entry in mn.QueryTable.load("outputs/demo/query_table.json").entries)
    assert call([{"0.1": str(cheapest / 2)}.get(word, word) for word in query]) == 1
    assert "BudgetError: no configuration costs at most" in caplog.text
