"""PersonDetector: what the network says and no more, and weights that are there, absent, damaged or of another one."""

from urllib.error import URLError

import numpy as np
import pytest
import torch
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

from mutualnet3d.errors import DataError, DeploymentError
from mutualnet3d.predictor import PersonDetector, person_detector

NAME = "fasterrcnn_mobilenet_v3_large_320_fpn"
FILE = "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth"


def network(**options):
    torch.manual_seed(0)
    return fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, **options).eval()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch.hub's cache, empty; a download that nobody asked for fails the test."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda *_, **__: pytest.fail("a download"))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_people_above_the_threshold():
    """Beside the network itself, of three classes: people are 1."""
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    model = network(num_classes=3, box_score_thresh=0.0, box_detections_per_img=1000)
    torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight)  # or all scores were equal
    with torch.no_grad():
        (said,) = model([torch.from_numpy(image).permute(2, 0, 1) / 255])
    columns = (said[name].tolist() for name in ("scores", "labels", "boxes"))
    people = [(score, box) for score, label, box in zip(*columns, strict=True) if label == 1]
    least = sorted({score for score, _ in people})[2]
    expected = [box for score, box in sorted(people, key=lambda each: -each[0]) if score >= least]
    found = PersonDetector(model, min_score=least)(image)
    assert 0 < len(found) < len(people) < len(said["labels"])
    np.testing.assert_allclose(found, expected)
    np.testing.assert_array_equal(PersonDetector(model, least)(image[:, ::-1].copy()[:, ::-1]), found)
    nobody = PersonDetector(model, min_score=1.0)(image)
    assert (nobody.shape, nobody.dtype) == ((0, 4), np.float64)


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan"), True, "0.5"])
def test_a_threshold_out_of_bounds(wrong):
    with pytest.raises(DataError, match=r"min_score .* must be a number in \[0, 1\]"):
        PersonDetector(torch.nn.Identity(), wrong)


def test_weights_that_are_there(cache, tmp_path, monkeypatch):
    torch.save(network().state_dict(), tmp_path / "own.pth")
    torch.save(network().state_dict(), cache / FILE)
    image = np.zeros((90, 120, 3), np.uint8)
    own = PersonDetector.load(tmp_path / "own.pth", NAME, min_score=0.0)
    assert own(image).shape[1] == 4
    with pytest.raises(DeploymentError, match=f"{FILE}: damaged: its SHA-256 does not begin with 907ea3f9"):
        PersonDetector.load(name=NAME)
    monkeypatch.setattr(person_detector, "sha256", lambda path: "907ea3f9" + 56 * "0")
    np.testing.assert_array_equal(PersonDetector.load(name=NAME, min_score=0.0)(image), own(image))


def test_weights_that_are_not_there(cache, monkeypatch):
    with pytest.raises(DeploymentError) as refused:
        PersonDetector.load()
    message = str(refused.value)
    assert str(cache / "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth") in message
    for part in ("https://download.pytorch.org/", "ask for their download", "give the boxes of the people"):
        assert part in message

    def offline(*_, **__):
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(DeploymentError, match=rf"{FILE}: cannot be downloaded \(.*no network.*\); fetch https:"):
        PersonDetector.load(name=NAME, download=True)


def test_other_files_and_names(tmp_path):
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    torch.save([1], tmp_path / "list.pth")
    for name in ("text", "other", "list", "absent"):
        with pytest.raises(DeploymentError, match=rf"{name}\.pth: cannot be read as weights of torchvision's"):
            PersonDetector.load(tmp_path / f"{name}.pth", NAME)
    for name in ("resnet50", "abacus"):
        with pytest.raises(DeploymentError, match=f"no detection network '{name}'"):
            PersonDetector.load(name=name)
