"""A bright square on black, a network that averages: its maps find the square, at every configuration."""

from types import SimpleNamespace

import numpy as np
import pytest

import mutualnet3d as mn
from mutualnet3d.data import VideoEntry
from mutualnet3d.data.decode import open_video
from mutualnet3d.data.frame_boxes import FrameBoxes
from mutualnet3d.data.synthetic import write_video
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.errors import ConfigError, DataError, NotCalibratedError
from mutualnet3d.visualization import localization
from mutualnet3d.visualization.clips import MOST_CLIPS, all_clips, middle_clip, test_clip
from mutualnet3d.visualization.localization import BASELINES, localize
from tests.visualization.averaging import averaging_network

HEIGHT, WIDTH, SIDE, FRAMES = 120, 160, 40, 34
PLACES = [(20, 36), (60, 84), (12, 76)]  # top, left; inside the centre crop


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Three videos of a square that stands still, their boxes, and one video that no box names."""
    folder = tmp_path_factory.mktemp("squares")
    lines, entries = [",".join(("video", "frame", "x1", "y1", "x2", "y2", "width", "height"))], []
    for number, (top, left) in enumerate([*PLACES, (0, 0)]):
        frames = np.zeros((FRAMES, HEIGHT, WIDTH, 3), np.uint8)
        frames[:, top : top + SIDE, left : left + SIDE] = 255
        write_video(folder / f"v{number}.mp4", frames, 30)
        entries.append(VideoEntry(str(folder / f"v{number}.mp4"), number % 2))
        if number < len(PLACES):
            box = (left, top, left + SIDE, top + SIDE, WIDTH, HEIGHT)
            lines += [f"{folder.name}/v{number},{n},{','.join(map(str, box))}" for n in range(FRAMES)]
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    model, cfg = averaging_network("TEST.BATCH_SIZE", 2, "MODEL.NUM_CLASSES", 2)
    model.head.projection.bias.data = model.head.projection.bias.data.new_tensor([0.0, 5.0])  # always class 1
    return SimpleNamespace(folder=folder, entries=entries, model=model, cfg=cfg, truth=FrameBoxes(folder / "boxes.csv"))


def test_squares_are_found(scene, monkeypatch):
    opened = []
    monkeypatch.setattr(
        VideoEntry, "open", lambda self, backend: opened.append(self.path) or open_video(self.path, backend)
    )
    space = scene.model.space
    chosen = [space.full, mn.Configuration(0.81, 90, 5), space.smallest]
    results = localize(scene.model, scene.cfg, scene.entries, scene.truth, chosen, thresholds=(0.5, 0.99))
    assert [(r.method, r.threshold) for r in results[:-2]] == [(str(c), t) for c in chosen for t in (0.5, 0.99)]
    assert [r.method for r in results[-2:]] == list(BASELINES)
    assert len(opened) == len(PLACES)  # each once, the one without boxes never
    for result in results[:-2]:
        assert result.frames == 8 * len(PLACES)
        assert result.top1 == pytest.approx(100 / 3)  # the second video alone is of class 1
        assert result.localized == (100 if result.threshold == 0.5 else 0)
        assert result.localized_and_top1 == (pytest.approx(100 / 3) if result.threshold == 0.5 else 0)
        assert (result.mean_iou > 60) == (result.threshold == 0.5)
    centre, whole = results[-2:]
    assert centre.mean_iou < 40
    assert whole.localized == 0
    scale = 112 / HEIGHT
    assert whole.mean_iou == pytest.approx(100 * (SIDE * scale) ** 2 / 112**2, rel=0.02)


def test_where_the_view_lies(scene):
    preprocessing = Preprocessing.from_cfg(scene.cfg)
    with open_video(scene.folder / "v1.mp4") as video:
        clip, middle, cover = (cut(video, preprocessing) for cut in (test_clip, middle_clip, all_clips))
        with pytest.raises(DataError, match=rf"clips cover it, at most {MOST_CLIPS} are drawn"):
            all_clips(SimpleNamespace(num_frames=10**6, fps=30.0, path="long.mp4"), preprocessing)
    top, left = PLACES[1]
    box = np.array([[left / WIDTH, top / HEIGHT, (left + SIDE) / WIDTH, (top + SIDE) / HEIGHT]])
    (x1, y1, x2, y2), bright = clip.to_view(box)[0], clip.images[0, 0].mean(2) > 128
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    assert np.abs(np.array([x1, y1, x2, y2]) - [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).max() <= 1
    assert len(clip.to_view(np.array([[0.0, 0.0, 0.01, 0.01]]))) == 0  # left of the view
    assert clip.frames[0, 0] == 0
    assert middle.frames[0, 0] == 1
    assert cover.frames.min() == 0
    assert cover.frames.max() == FRAMES - 1
    assert len(cover.frames) == 2


def test_refusals(scene, networks):
    model, cfg, space = scene.model, scene.cfg, scene.model.space

    def run(entries=scene.entries, configurations=(space.full,), model=model, cfg=cfg, **more):
        return localize(model, cfg, entries, scene.truth, configurations, **more)

    with pytest.raises(DataError, match=r"no video of 1 can be used: 1 without a box in view in .*boxes\.csv"):
        run(scene.entries[-1:])
    gone = VideoEntry(f"{scene.folder.name}/v0.mp4", 0)
    with pytest.raises(DataError, match=r"1 unreadable.*v0\.mp4: cannot be opened"):
        run([gone])
    assert run([gone, scene.entries[0]])[0].frames == 8
    with pytest.raises(NotCalibratedError, match=r"0\.77-90-5"):
        run(configurations=[space.full, mn.Configuration(0.77, 90, 5)])
    with pytest.raises(ConfigError, match=r"threshold 1 must lie between 0 and 1"):
        run(thresholds=[0.2, 1.0])
    with pytest.raises(ConfigError, match=r"RoIHead"):
        run(model=networks("slow detection").model)
    several = cfg.clone()
    several.DATA.MULTI_LABEL = True
    with pytest.raises(ConfigError, match=r"MULTI_LABEL"):
        run(cfg=several)


def test_frames_that_a_short_video_repeats_count_once(scene, tmp_path):
    frames = np.zeros((5, HEIGHT, WIDTH, 3), np.uint8)
    frames[:, 40:80, 60:100] = 255
    write_video(tmp_path / "short.mp4", frames, 30)
    rows = "".join(f"short,{n},60,40,100,80,{WIDTH},{HEIGHT}\n" for n in range(5))
    (tmp_path / "boxes.csv").write_text("video,frame,x1,y1,x2,y2,width,height\n" + rows)
    entries = [VideoEntry(str(tmp_path / "short.mp4"), 0)]
    results = localize(scene.model, scene.cfg, entries, FrameBoxes(tmp_path / "boxes.csv"), [scene.model.space.full])
    assert results[0].frames == 2  # a clip of 8 frames, 4 apart, sees the first and then the last
    assert results[0].threshold == localization.THRESHOLD
