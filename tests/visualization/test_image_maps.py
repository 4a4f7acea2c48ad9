"""Images: a bright square, a network that averages: its maps and boxes find the square, in the tool too."""

import csv
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

import mutualnet3d as mn
from mutualnet3d.commands.activation_maps import main
from mutualnet3d.data import ImageEntry, open_media
from mutualnet3d.data.frame_boxes import FrameBoxes
from mutualnet3d.data.images import ArrayEntry
from mutualnet3d.data.views import Preprocessing
from mutualnet3d.models.artefact import save_model
from mutualnet3d.visualization.clips import middle_clip, test_clip
from mutualnet3d.visualization.localization import BASELINES, localize
from mutualnet3d.visualization.map_panel import draw_panel
from mutualnet3d.visualization.video_maps import video_maps
from tests.visualization.averaging import averaging_image_network

HEIGHT, WIDTH, SIDE = 96, 128, 32
PLACES = [(8, 24), (56, 76), (10, 72), (60, 20)]  # top, left; inside the centre view
NAMES = ("dark", "light")


def box_at(top, left):
    return f"{left},{top},{left + SIDE},{top + SIDE},{WIDTH},{HEIGHT}"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Images of a square, one of them grey and one CMYK, their boxes; an image without a box; a cut-off file; a run."""
    folder = tmp_path_factory.mktemp("squares")
    for split, name in (("train", NAMES[0]), ("train", NAMES[1]), *(("test", name) for name in NAMES)):
        (folder / split / name).mkdir(parents=True)
    lines, files = ["image,x1,y1,x2,y2,width,height"], []
    for number, (top, left) in enumerate([*PLACES, (0, 0), (0, 0)]):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        pixels[top : top + SIDE, left : left + SIDE] = 255
        mode = {0: "L", 1: "CMYK"}.get(number, "RGB")
        files.append(folder / "test" / NAMES[number % 2] / f"{number}.jpg")
        Image.fromarray(pixels).convert(mode).save(files[-1], quality=95)
        if number != len(PLACES):
            named = f"{NAMES[number % 2]}/{number}" + (".jpg" if number % 2 else "")  # both are found
            lines.append(f"{named},{box_at(top, left)}")
    files[-1].write_bytes(files[-1].read_bytes()[:-40])
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    model, cfg = averaging_image_network("TEST.BATCH_SIZE", 3, "MODEL.NUM_CLASSES", 2, "DATA.IN_VAL_CROP_RATIO", 0.8)
    model.fc.bias.data = model.fc.bias.data.new_tensor([0.0, 5.0])  # always class 1
    cfg.DATA.PATH_TO_DATA_DIR = str(folder)
    save_model(folder / "model.pyth", model, cfg)
    entries = [ImageEntry(str(file), number % 2) for number, file in enumerate(files)]
    return SimpleNamespace(folder=folder, model=model, cfg=cfg, files=files, entries=entries)


def view_of(scene, number):
    with open_media(scene.files[number], images=True) as image:
        return middle_clip(image, Preprocessing.from_cfg(scene.cfg))


def test_where_the_view_lies(scene):
    """Scaled to 80 pixels, of which the centre 64 are cut: the box is where the bright pixels are."""
    for number, (top, left) in enumerate(PLACES):
        clips = view_of(scene, number)
        assert clips.images.shape == (1, 1, 64, 64, 3)
        assert (clips.offset, clips.scaled) == ((21, 8), (106, 80))
        box = np.array([[left / WIDTH, top / HEIGHT, (left + SIDE) / WIDTH, (top + SIDE) / HEIGHT]])
        bright = clips.images[0, 0].mean(2) > 128
        rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert np.abs(clips.to_view(box)[0] - seen).max() <= 1


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (300, 100), (33, 1000)])
def test_the_place_of_the_view_is_exact(scene, size):
    """Each pixel holds its own place: the view's corners say where it was cut; of a long one to within a pixel."""
    places = [np.linspace(0, 255, side) for side in size]
    pixels = np.stack([*np.meshgrid(*places, indexing="ij"), np.zeros(size)], 2).astype(np.uint8)
    clips = test_clip(ArrayEntry("a", 0, pixels).open("pyav"), Preprocessing.from_cfg(scene.cfg))
    (left, top), (width, height) = clips.offset, clips.scaled
    for axis, (start, length) in enumerate(((top, height), (left, width))):
        middle = float(clips.images[0, 0, ..., axis].mean())
        assert middle == pytest.approx(255 * (start + 32) / length, abs=1 + 255 / length)


def test_the_hottest_place_is_in_the_square(scene):
    space = scene.model.space
    for number, (top, left) in enumerate(PLACES):
        clips = view_of(scene, number)
        found = video_maps(scene.model, scene.cfg, clips, [space.full, mn.Configuration(0.75, 52), space.smallest])
        assert found.label == 1
        assert found.images.shape == (1, 64, 64, 3)
        box = clips.to_view(np.array([[left, top, left + SIDE, top + SIDE]]) / [WIDTH, HEIGHT, WIDTH, HEIGHT])[0]
        for row in found.rows:
            y, x = np.unravel_index(row.maps[0].argmax(), row.maps[0].shape)
            assert box[0] <= x < box[2], row.name
            assert box[1] <= y < box[3], row.name
            assert row.maps[0][::-1, ::-1][y, x] < row.maps[0].max() / 10  # opposite of it all is black
            assert row.seen == {0}
    figure = draw_panel(found.images, found.rows, [0], [""], "title")
    said = [text.get_text() for text in figure.texts]
    assert "the image" in said
    assert not any("framed" in text for text in said)


def test_squares_are_localized(scene, caplog):
    """At every configuration; of a shifted truth none is right."""
    chosen = [scene.model.space.full, mn.Configuration(0.75, 52), scene.model.space.smallest]
    truth = FrameBoxes(scene.folder / "boxes.csv", images=True)
    with caplog.at_level("INFO", "mutualnet3d"):
        results = localize(scene.model, scene.cfg, scene.entries, truth, chosen, thresholds=(0.5,))
    assert "localization on 4 of 6 images: 1 without a box in view" in caplog.text
    assert "5.jpg: the JPEG file is cut off" in caplog.text
    assert [r.method for r in results] == [*map(str, chosen), *BASELINES]
    for result in results[: len(chosen)]:
        assert (result.frames, result.top1, result.localized, result.localized_and_top1) == (4, 50, 100, 50)
        assert result.mean_iou > 65
    text = (scene.folder / "boxes.csv").read_text().splitlines()
    moved = [text[0], *(f"{line.split(',')[0]},{box_at(*PLACES[-1 - i])}" for i, line in enumerate(text[1:5]))]
    (scene.folder / "moved.csv").write_text("\n".join(moved) + "\n")
    elsewhere = FrameBoxes(scene.folder / "moved.csv", images=True)
    for result in localize(scene.model, scene.cfg, scene.entries, elsewhere, chosen, thresholds=(0.5,))[:3]:
        assert result.localized == 0


def test_the_tool(scene, tmp_path, capfd):
    model, image = scene.folder / "model.pyth", scene.files[2]
    words = [
        "--model",
        model,
        "--input",
        image,
        "--output",
        tmp_path / "maps.png",
        "--configurations",
        "full",
        "0.5-40",
    ]
    assert main([str(word) for word in (*words, "--class", "light")]) == 0
    assert cv2.imread(str(tmp_path / "maps.png")).shape[0] > 600  # the image and two rows
    table = tmp_path / "table.csv"
    (tmp_path / "list.csv").write_text("".join(f"{entry.path} {entry.label}\n" for entry in scene.entries[:3]))
    for extra, frames in ([], 4), (["--list", tmp_path / "list.csv"], 3):
        words = ["--model", model, "--localization", scene.folder / "boxes.csv", "--threshold", 0.5, "--output", table]
        assert main([str(word) for word in (*words, "--configurations", "full", "smallest", *extra)]) == 0
        with open(table, newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["method"] for row in rows] == ["1.0-64", "0.5-40", *BASELINES]
        assert all((row["frames"], row["localized"]) == (str(frames), "100.0") for row in rows[:2])
    assert "per cent of 3 images" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--video", "{out}.mp4"], "--video: .*holds a network of images"),
        (["--pathway", "slow"], "--pathway: .*holds a network of images"),
        (["--frames", "3"], "--frames: .*holds a network of images"),
        (["--input", "{boxes}"], "boxes.csv: is no image .*this network classifies images"),
        (["--input", "{cut}"], "5.jpg: the JPEG file is cut off"),
        (["--configurations", "0.5-40-8"], "0.5-40-8"),
        (["--localization", "{video_boxes}"], "the header has no image; it must name image,x1,y1,x2,y2,width,height"),
    ],
)
def test_errors(scene, tmp_path, capfd, extra, message):
    (tmp_path / "video.csv").write_text("video,frame,x1,y1,x2,y2,width,height\n0,0,0,0,1,1,2,2\n")
    places = {"out": tmp_path / "out", "boxes": scene.folder / "boxes.csv", "cut": scene.files[-1]}
    words = [word.format(**places, video_boxes=tmp_path / "video.csv") for word in extra]
    if "--localization" not in extra:
        words = ["--input", str(scene.files[0]), "--output", str(tmp_path / "out.png"), *words]
    assert main(["--model", str(scene.folder / "model.pyth"), *words]) == 1
    assert re.search(message, "".join(capfd.readouterr()).replace("\n", " "))
    assert not list(tmp_path.glob("out*"))
