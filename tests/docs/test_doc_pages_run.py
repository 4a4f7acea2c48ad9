"""The short blocks of docs/ (and of the README, which has a test of its own beside) do what they say."""

import re
import shlex
import shutil

import pytest
import torch
from doc_blocks import ROOT, block, blocks_of
from following import check_quotation, loosely, printed_by, run_python
from tiny import CROP, DEEP, NUM_FRAMES, OVERRIDES, RECIPE, tiny_cfg

import mutualnet3d as mn
from mutualnet3d.commands.check_data import main as check_data
from mutualnet3d.config.supported import check_supported
from mutualnet3d.counting import complexities
from mutualnet3d.models.artefact import save_model


@pytest.fixture
def clone(clone, tiny_run, tiny_data):
    """A clone with a finished run at outputs/demo and outputs/run, and a video, as the pages assume."""
    (clone / "outputs").mkdir()
    for name in ("demo", "run"):
        shutil.copytree(tiny_run, clone / "outputs" / name)
    for name in ("video.mp4", "clip.mp4"):
        shutil.copy(tiny_data / "video 8.mp4", clone / name)
    return clone


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
    words = shlex.split(train, comments=True)
    check_supported(mn.load_config(words[words.index("--cfg") + 1], words[words.index("--cfg") + 2 :]))


def test_the_space():
    code, quoted = (each.text for each in blocks_of(ROOT / "docs/concepts/configurations.md"))
    assert run_python(code) == quoted


def test_code_about_a_run(clone):
    names = {}
    exec(block("docs/index.md", "AdaptivePredictor.load").replace("top_k=5", "top_k=3"), names)  # it has 3 classes
    assert len(names["prediction"].labels) == 3
    table = mn.QueryTable.load("outputs/demo/query_table.json")
    best = table.best(max_gmacs=0.2)
    output = run_python(block("docs/concepts/query_table.md", "table.best"))
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
    output = run_python(seeded, names)
    assert f"{len(trained.state_dict())} entries loaded" in output
    for name, value in names["model"].state_dict().items():
        torch.testing.assert_close(value, trained.state_dict()[name], rtol=0, atol=0)


def test_weights_for_pyslowfast(tmp_path, monkeypatch, pyslowfast_resnet):
    """Of a network with calibrated configurations, by the loader of its release 1.0."""
    from slowfast.utils.checkpoint import load_checkpoint

    monkeypatch.chdir(tmp_path)
    cfg = tiny_cfg(*DEEP)
    model, clip = mn.build_model(cfg), torch.randn(2, 3, NUM_FRAMES, CROP, CROP)
    mn.calibrate(model, [clip], [model.space.smallest])
    (tmp_path / "outputs/kinetics").mkdir(parents=True)
    save_model("outputs/kinetics/model.pyth", model, cfg)
    exec(block("docs/from_pyslowfast.md", "for_pyslowfast.pyth"), {})
    theirs = pyslowfast_resnet(cfg)
    load_checkpoint("for_pyslowfast.pyth", theirs, data_parallel=False)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=0, atol=0)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*\.statistics\."):
        load_checkpoint("outputs/kinetics/model.pyth", theirs, data_parallel=False)


def test_activation_maps(clone, tiny_data):
    lines = ["video,frame,x1,y1,x2,y2,width,height", *(f"video 8,{frame},0,0,60,48,60,48" for frame in range(28))]
    (clone / "boxes.csv").write_text("\n".join(lines) + "\n")
    shutil.copy(tiny_data / "test.csv", clone)
    for line in block("docs/activation_maps.md", "--input clip.mp4").strip().splitlines():
        words = shlex.split(line)
        printed_by([{"0.81-64-5": "0.63-32-4"}.get(word, word) for word in words[1:]])
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
    """docs/tools.md: every command does its work, and prints the page's words with other numbers."""
    cheapest = min(entry.gmacs for entry in mn.QueryTable.load("outputs/demo/query_table.json").entries)
    ours = {"0.7-38-3": "0.7-20-2", "0.124": "1", "0.1": str(cheapest / 2)}  # the tiny network's
    for each in blocks_of(ROOT / "docs/tools.md"):
        for call in re.split(r"^\$ ", each.text, flags=re.MULTILINE)[1:]:
            line, _, quoted = call.partition("\n")
            words = [ours.get(word, word) for word in shlex.split(line, comments=True)]
            output = printed_by(words[1:], 1 if "# exit code 1" in line else 0) + caplog.text
            caplog.clear()
            check_quotation(quoted, output, lambda quotation: loosely(quotation, r"\d"))


def test_the_numbers_that_the_pages_quote_of_the_demo():
    """Those that do not depend on a training: what is counted, and how many there are of what."""
    cfg = mn.load_config("configs/Demo/MN_SLOWFAST_SYNTHETIC.yaml")
    model = mn.build_model(cfg)
    pages = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/tools.md")}
    rows = re.findall(r"^│ [* ] │ +([\d.]+) │ +(\d+) │ +(\d+) │ +([\d.]+) │ +([\d.]+) │", "".join(pages.values()), re.M)
    assert len(rows) == 7
    asked = {row: mn.Configuration.parse("-".join(row[:3])) for row in rows}
    counted = complexities(model, asked.values(), crop=cfg.DATA.TEST_CROP_SIZE)
    for (*_, gmacs, mparams), configuration in asked.items():
        assert (f"{counted[configuration].gmacs:.4g}", f"{counted[configuration].mparams:.3g}") == (gmacs, mparams)
    grid, videos = len(model.space.grid()), cfg.SYNTHETIC.NUM_TEST * cfg.MODEL.NUM_CLASSES
    said = " ".join("".join(pages.values()).split())
    for words in (f"query table: {grid} configurations", f"of {videos} videos", f"testing {videos} videos"):
        assert words in said
    assert f"calibrating 1 configurations on {cfg.CALIBRATION.NUM_BATCHES} batches" in said
    assert f"outputs/more/model.pyth: {grid} configurations are calibrated" in said  # one more than the grid, less full
