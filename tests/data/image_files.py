"""Image files of every kind that is met in the wild."""

import io
import pickle
from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def scene(seed: int = 0, height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth random image, uint8 (H, W, 3), RGB."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def write_folder(root: Path, splits: dict[str, int], classes=("ant", "bee", "cat"), side: int = 32) -> Path:
    """``splits[name]`` JPEGs of each class in root/name/class; a class has its colour."""
    for split, count in splits.items():
        for label, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                image = scene(1000 * label + number + (500 if split == "train" else 0), side, side)
                image[..., label % 3] = 0.4 * image[..., label % 3] + 150
                Image.fromarray(image).save(folder / f"{number:03d}.jpg", quality=95)
    return root


def encoded(image: Image.Image, **options) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def write_kinds(folder: Path) -> dict[str, Path]:
    """Readable files by what they are; all but "16-bit grey" are what Pillow's convert("RGB") makes of them."""
    rgb, exif = Image.fromarray(scene()), Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    palette = rgb.convert("P")
    palette.info["transparency"] = 0
    kinds = {
        "jpeg.jpg": encoded(rgb, format="JPEG"),
        "progressive.jpg": encoded(rgb, format="JPEG", progressive=True),
        "grey.jpg": encoded(rgb.convert("L"), format="JPEG"),
        "turned.jpg": encoded(rgb, format="JPEG", exif=exif),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), format="JPEG"),
        "palette.png": encoded(palette, format="PNG", transparency=0),
        "1-bit.png": encoded(rgb.convert("1"), format="PNG"),
        "alpha.png": encoded(rgb.convert("RGBA"), format="PNG"),
        "grey and alpha.png": encoded(rgb.convert("LA"), format="PNG"),
        "16-bit grey.png": encoded(Image.fromarray(scene()[..., 0].astype(np.uint16) * 257), format="PNG"),
        "lossless.webp": encoded(rgb, format="WEBP", lossless=True),
        "bitmap.bmp": encoded(rgb, format="BMP"),
        "tiff.tif": encoded(rgb, format="TIFF"),
        "one pixel.png": encoded(rgb.crop((0, 0, 1, 1)), format="PNG"),
        "line.png": encoded(rgb.crop((0, 0, 64, 1)), format="PNG"),
        "named jpg.jpg": encoded(rgb, format="PNG"),
    }
    for name, content in kinds.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in kinds}


def write_cifar(root: Path, monkeypatch, kind, per_file: int = 4) -> Path:
    """Files in the format of CIFAR-10 or CIFAR-100; ``kind``, torchvision's class, is told their checksums."""
    import hashlib

    folder = root / kind.base_folder
    folder.mkdir(parents=True)
    coarse = kind.meta["key"] == "fine_label_names"
    count = 100 if coarse else 10

    def write(name, values):
        content = pickle.dumps(values)
        (folder / name).write_bytes(content)
        return [name, hashlib.md5(content).hexdigest()]

    def batch(number):
        pixels = np.random.default_rng(number).integers(0, 256, (per_file, 3072)).astype(np.uint8)
        labels = [(number + i) % count for i in range(per_file)]
        return {"data": pixels, "fine_labels" if coarse else "labels": labels}

    for part in ("train_list", "test_list"):
        names = [name for name, _ in getattr(kind, part)]
        monkeypatch.setattr(kind, part, [write(name, batch(n)) for n, name in enumerate(names, len(part))])
    name, digest = write(kind.meta["filename"], {kind.meta["key"]: [f"class {n}" for n in range(count)]})
    monkeypatch.setattr(kind, "meta", kind.meta | {"filename": name, "md5": digest})
    return root
