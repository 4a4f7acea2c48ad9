"""Image files of every kind, the test view and the random views: beside Pillow and torchvision."""

import numpy as np
import pytest
import torch
from image_files import scene, write_kinds
from PIL import Image, ImageOps
from torchvision.transforms import v2
from torchvision.transforms.functional import InterpolationMode

from mutualnet3d.config.validate import AUGMENTATIONS
from mutualnet3d.data.augmentation import PRESETS, Augmentation, centre_view
from mutualnet3d.data.images import ArrayEntry, ImageEntry
from mutualnet3d.errors import ConfigError, VideoError


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    return write_kinds(tmp_path_factory.mktemp("kinds of images"))


def read(path) -> np.ndarray:
    with ImageEntry(str(path), 3).open("pyav") as video:
        assert video.num_frames == 1
        return video.frames([0])[0]


def test_every_kind_is_what_pillow_reads(kinds):
    for name, path in kinds.items():
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"), np.int64)
        if name == "16-bit grey.png":  # Pillow cuts values above 255 off
            expected = scene()[..., :1].repeat(3, axis=2)
        found = read(path)
        assert (found.dtype, found.shape) == (np.uint8, expected.shape), name
        assert np.abs(found - expected).max() <= (1 if name == "cmyk.jpg" else 0), name
    assert read(kinds["turned.jpg"]).shape == (64, 48, 3)


def test_what_cannot_be_read_is_named(kinds, tmp_path):
    for name in ("jpeg.jpg", "progressive.jpg", "palette.png", "lossless.webp", "bitmap.bmp", "tiff.tif"):
        content = kinds[name].read_bytes()
        cut = tmp_path / name
        cut.write_bytes(content[: len(content) * 3 // 5])
        with pytest.raises(VideoError) as caught:
            read(cut)
        assert caught.value.path == str(cut), name
    for content, reason in ((b"", "empty"), (b"no image\n", "not a readable picture"), (None, "cannot be opened")):
        path = tmp_path / "other.jpg"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(VideoError, match=reason):
            read(path)


def test_images_in_memory():
    entry = ArrayEntry("test/7", 4, scene())
    with entry.open("pyav") as video:
        assert np.array_equal(video.frames([0])[0], scene())
        assert (video.size, video.count_decodable(), entry.clip_label(0, 0, 1.0)) == ((48, 64), 1, 4)


@pytest.mark.parametrize("size", [(48, 64), (65, 43), (32, 32), (20, 31), (1, 1), (7, 50)])
def test_the_centre_view_is_torchvisions(size):
    image = scene(1, *size)
    ours = torch.from_numpy(centre_view(image, 36, 32)).permute(2, 0, 1)
    planes = torch.from_numpy(image).permute(2, 0, 1)
    preset = v2.Compose([v2.Resize(36, InterpolationMode.BILINEAR, antialias=True), v2.CenterCrop(32)])
    assert torch.equal(ours, preset(planes))
    by_pillow = torch.from_numpy(np.array(preset(Image.fromarray(image)))).permute(2, 0, 1)
    assert (ours.int() - by_pillow.int()).abs().max() <= 1


def test_an_image_that_fits_is_left_alone():
    image = scene(1, 32, 32)
    assert np.array_equal(centre_view(image, 32, 32), image)


def test_a_line_of_pixels_does_not_fill_the_memory():
    assert centre_view(scene(1, 1, 60_000), 256, 224).shape == (224, 224, 3)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("size", [(48, 64), (32, 32), (1, 1), (3, 90)])
def test_random_views_follow_from_their_generator(preset, size):
    image, augment = scene(2, *size), Augmentation(preset, 32, 36, flip=True)
    before = torch.get_rng_state()
    views = [augment(image, np.random.default_rng(seed)) for seed in range(6)]
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    again = [augment(image, np.random.default_rng(seed)) for seed in range(6)]
    for one, other in zip(views, again, strict=True):
        assert np.array_equal(one, other)
        assert (one.dtype, one.shape, one.flags.c_contiguous) == (np.uint8, (32, 32, 3), True)
    if size == (48, 64):
        assert len({view.tobytes() for view in views}) > 1


def test_the_presets():
    image, rng = scene(2, 32, 32), np.random.default_rng(0)
    assert np.array_equal(Augmentation("none", 32, 32, flip=False)(image, rng), image)
    flips = [Augmentation("none", 32, 32, flip=True)(image, rng) for _ in range(40)]
    mirrored = sum(np.array_equal(view, image[:, ::-1]) for view in flips)
    assert 8 < mirrored < 32
    assert mirrored + sum(np.array_equal(view, image) for view in flips) == 40

    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    windows = {padded[t : t + 32, u : u + 32].tobytes(): (t, u) for t in range(9) for u in range(9)}
    cifar = Augmentation("cifar", 32, 32, flip=False)
    places = {windows[cifar(image, rng).tobytes()] for _ in range(400)}
    assert len(places) > 70  # of 81

    wide = np.broadcast_to(
        np.arange(200, dtype=np.uint8)[None, :, None], (200, 200, 3)
    ).copy()  # a pixel says its column
    for preset, low in (("resnet", 0.08), ("mobile", 0.25)):
        augment = Augmentation(preset, 50, 57, flip=False)
        views = [augment(wide, np.random.default_rng(seed)).astype(float) for seed in range(150)]
        spans = [float(view[25, -1].mean() - view[25, 0].mean()) / 196 for view in views]  # part of the width
        slack = 1.15 if preset == "mobile" else 1.02  # colours change
        assert min(spans) > (low * 3 / 4) ** 0.5 / slack
        assert min(spans) < (low * 3 / 4) ** 0.5 * 1.6
        assert max(spans) > 0.8
    with pytest.raises(ConfigError, match=r"'imagenet'; it must be one of none, cifar, resnet, mobile"):
        Augmentation("imagenet", 32, 36, True)


def test_the_config_knows_the_presets():
    assert PRESETS == AUGMENTATIONS


def test_views_do_not_change_what_they_are_cut_from():
    image = scene(3, 32, 32)
    for preset in PRESETS:
        Augmentation(preset, 32, 32, flip=True)(image, np.random.default_rng(1))
    assert np.array_equal(image, scene(3, 32, 32))
