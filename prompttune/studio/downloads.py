"""Masks and overlays in one archive, under the images' own names."""

import io
import zipfile

from prompttune.outputs.drawing import index_image, overlay
from prompttune.prompts.palette import Palette
from prompttune.studio.examples import Examples
from prompttune.studio.wanted import Download
from prompttune.utils.contact_sheet import encode_png


def zipped(examples: Examples, wanted: Download) -> bytes:
    """Return the archive: `masks/NAME.png` with class indices, and `overlays/NAME.png`."""
    palette, file, taken = Palette.of(wanted.classes), io.BytesIO(), set()
    with zipfile.ZipFile(file, "w") as archive:
        for number, item in enumerate(wanted.items, 1):
            stem = plain_stem(item.name)
            stem = stem if stem not in taken and stem.strip(". ") else f"{number}-{stem}"
            taken.add(stem)
            pixels = examples.pixels(item.image)
            size = pixels.shape[0], pixels.shape[1]
            classes = examples.store.class_map(item.mask, size)
            classes[classes > len(palette.classes)] = 0
            pictures = {
                "masks": index_image(classes, palette),
                "overlays": overlay(pixels, classes, palette),
            }
            for folder, picture in pictures.items():
                archive.writestr(f"{folder}/{stem}.png", encode_png(picture, level=1))
    return file.getvalue()


def plain_stem(name: str) -> str:
    """Return a file's name without folders, suffix and characters that systems refuse."""
    stem = name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return "".join(c for c in stem if c.isprintable() and c not in '<>:"|?*') or "image"
