"""Lists, legends, recipes, pools and volumes for `fuzz_readers.py`, and their readers.

Each stands in a small folder as a user would have it, and is read as a command reads it.
"""

import csv
import io
import os
import tempfile
import zipfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import yaml
from fuzz_annotations import as_json, learned, png, put

from prompttune.data.finding import Finding

LEGENDS = {
    "labelmap.txt": b"# label:color_rgb:parts:actions\nbackground:0,0,0::\ncrack:255,0,0::\n",
    "_classes.csv": b"Pixel Value, Class\n0, background\n1, crack\n",
    "class_dict.csv": b"name,r,g,b\nbackground,0,0,0\ncrack,255,0,0\n",
    "labels.json": b'{"labels": {"background": 0, "crack": 1}}',
    "legend.json": b'{"crack": [255, 0, 0], "hole": [0, 255, 0]}',
    "classes.json": b'[{"name": "crack", "color": "#ff0000"}, {"name": "hole", "id": 2}]',
    "label_map.json": b'{"0": "background", "1": "crack"}',
}


def legends() -> list[bytes]:
    """Make each kind of legend, its name in the first line."""
    return [f"{name}\n".encode() + text for name, text in LEGENDS.items()]


def read_legends(path: Path) -> object:
    """Read a legend, and the data that it explains."""
    from prompttune.tasks.data import task_data
    from prompttune.tasks.recipe import load_recipe

    name, _, text = path.read_bytes().partition(b"\n")
    path.write_bytes(text)
    known = name.decode("latin-1")
    folder = put(path, known if known in LEGENDS else "labelmap.txt", masks=True)
    return task_data(load_recipe("custom"), folder)


@cache
def pair_lists() -> list[bytes]:
    """Make lists of pairs: CSV, JSON of both kinds, JSON Lines; their ending in the first line."""
    row = {"image": "images/photo.png", "mask": "masks/photo.png", "split": "train", "id": "1"}
    table = io.StringIO()
    writer = csv.DictWriter(table, row)
    writer.writeheader()
    writer.writerow(row)
    return [
        b"csv\n" + table.getvalue().encode(),
        b"csv\nimages/photo.png;masks/photo.png\n",
        b"json\n" + as_json([row]),
        b"json\n" + as_json({row["image"]: row["mask"]}),
        b"jsonl\n" + as_json(row),
    ]


def read_pair_list(path: Path) -> object:
    """Read a list, and the images and masks that it names."""
    from prompttune.data.pair_lists import read_pair_list as read

    ending, _, text = path.read_bytes().partition(b"\n")
    path.write_bytes(text)
    known = ending.decode("latin-1")
    name = f"pairs.{known if known in ('csv', 'json', 'jsonl') else 'csv'}"
    return read(put(path, name, masks=True) / name, Finding())


@cache
def task_recipes() -> list[bytes]:
    """Return the shipped recipes, and one with every field."""
    from prompttune.tasks.recipe import Recipe

    whole = asdict(Recipe("custom", ("a", "b"), {0: 0, 7: 1}, colors="a=#ff0000,b=#00ff00"))
    whole |= {"classes": ["a", "b"], "bands": "3,2,1", "stretch": "0,100", "image_size": [64, 48]}
    shipped = sorted((Path(__file__).parents[1] / "recipes" / "tasks").glob("*.yaml"))
    return [yaml.safe_dump(whole).encode()] + [path.read_bytes() for path in shipped]


def read_task_recipe(path: Path) -> object:
    """Read a recipe, and what it says of masks and images."""
    from prompttune.tasks.recipe import Recipe, current
    from prompttune.utils.recipe_reader import convert_fields, read_mapping

    values = {"task": "custom"} | convert_fields(Recipe, current(read_mapping(path)))
    recipe = Recipe(**values)
    return recipe.to_dict(), recipe.mask_options(), recipe.image_options()


@cache
def pools() -> list[bytes]:
    """Make a packed pool of a small set."""
    from prompttune.pretraining.sources.packing import pack
    from prompttune.pretraining.sources.pool import SetConfig

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pool" / "set"
        for kind in ("image", "mask"):
            (folder / f"{kind}s").mkdir(parents=True)
            (folder / f"{kind}s" / "photo.png").write_bytes(png(kind))
        pack(folder.parent, [SetConfig("set")], Path(place) / "pool.zip")
        packed = (Path(place) / "pool.zip").read_bytes()
    deflated = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(packed)) as old,
        zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return [packed, deflated.getvalue()]


def read_pool_file(path: Path) -> object:
    """Read all of a packed pool."""
    from prompttune.pretraining.sources.pool import SetConfig, read_pool

    return read_pool(path, [SetConfig("set")])


@cache
def tables() -> list[bytes]:
    """Make a table of images and masks."""
    import pyarrow
    import pyarrow.parquet

    rows = {"image": [{"bytes": png("image")}], "mask": [{"bytes": png("mask")}]}
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(rows), file)
    return [file.getvalue()]


def read_table(path: Path) -> object:
    """Unpack a table into a cache of its own."""
    was = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(path.parent / "cache")
    try:
        return learned(put(path, "data/train-00000-of-00001.parquet", images=False))
    finally:
        del os.environ["XDG_CACHE_HOME"]
        if was is not None:
            os.environ["XDG_CACHE_HOME"] = was


@cache
def dicoms() -> list[bytes]:
    """Make DICOM files: a slice with a rescale and a window, inverted, of many frames, packed."""
    from dicoms import write_dicom

    stored = np.random.default_rng(0).integers(0, 4000, (12, 10)).astype(np.uint16)
    frames = np.stack([stored, stored[::-1], stored // 2])
    many = {"NumberOfFrames": 3, "PixelData": frames.tobytes()}
    windowed = {
        "RescaleSlope": 2,
        "RescaleIntercept": -1024,
        "WindowCenter": 40,
        "WindowWidth": 400,
    }
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dcm"
        inverted = {"PhotometricInterpretation": "MONOCHROME1", "PixelPaddingValue": 0}
        for tags in (windowed, inverted, many):
            write_dicom(path, stored, 1, **tags)
            found.append(path.read_bytes())
        found.append(_compressed(path))
    return found


def _compressed(path: Path) -> bytes:
    import pydicom
    from pydicom.uid import RLELossless

    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless)
    dataset.save_as(path)
    return path.read_bytes()


@cache
def niftis() -> list[bytes]:
    """Make NIfTI volumes: whole, packed, with a scale; the packed one begins as gzip does."""
    import nibabel

    voxels = np.random.default_rng(0).integers(-1000, 1000, (6, 8, 5)).astype(np.int16)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for ending, scaled in ((".nii", False), (".nii.gz", False), (".nii", True)):
            image = nibabel.Nifti1Image(voxels, np.diag((0.5, 0.75, 1.0, 1.0)))
            if scaled:
                image.header.set_slope_inter(2.0, -5.0)
            path = Path(folder) / f"a{ending}"
            nibabel.save(image, path)
            found.append(path.read_bytes())
    return found


def read_dicom(path: Path) -> object:
    """Read the first page of a file as an image, and all of it as a volume."""
    return _volume(path.rename(path.with_name("file.dcm")))


def read_nifti(path: Path) -> object:
    """Read the first slice as an image, and all of them as a volume."""
    packed = path.read_bytes()[:2] == b"\x1f\x8b"
    return _volume(path.rename(path.with_name(f"file.nii{'.gz' if packed else ''}")))


def _volume(path: Path) -> object:
    from prompttune.data.decoding import header, page_count
    from prompttune.data.reading import read_image
    from prompttune.volumes.opening import volume_of

    volume = volume_of(path)
    assert volume is not None
    pages = [volume.numbers(page) for page in range(min(volume.facts.pages, 4))]
    return page_count(path), header(path), read_image(path), pages


def zoo_indices() -> list[bytes]:
    """Make the index of a zoo behind a server."""
    key = {"name": "cracks", "file": "cracks/prompt.safetensors", "size": 99, "sha256": "0" * 64}
    return [as_json({"format": "prompttune-zoo", "version": 1, "keys": [key]})]


def read_zoo_index(path: Path) -> object:
    """Read it as it comes from a server."""
    from prompttune.hub.https_zoo import read_index

    with patch("prompttune.hub.https_zoo._fetch", return_value=path.read_bytes()):
        return read_index("here")
