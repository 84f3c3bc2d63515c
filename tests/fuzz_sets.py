"""Annotations, lists, legends, recipes, pools and volumes for `fuzz_readers.py`, and their readers.

Each stands in a small folder as a user would have it, and is read as a command reads it.
"""

import csv
import io
import json
import os
import tempfile
import zipfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml
from PIL import Image

from prompttune.data.finding import Finding
from prompttune.data.layouts import find_split, load_sample

WIDTH, HEIGHT = 24, 16
BOX = [[2, 3], [12, 3], [12, 13], [2, 13]]
FLAT = [float(each) for point in BOX for each in point]


@cache
def _png(kind: str) -> bytes:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[3:13, 2:12] = 1
    image = Image.fromarray(pixels if kind == "mask" else np.stack([pixels * 200] * 3, 2))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


def _put(path: Path, place: str, images: bool = True, masks: bool = False) -> Path:
    """Lay a file into a folder of its own with an image beside it; return the folder."""
    folder = path.parent / "set"
    target = folder / place
    target.parent.mkdir(parents=True)
    path.rename(target)
    for there, kind in ((images, "image"), (masks, "mask")):
        if there:
            (folder / f"{kind}s").mkdir(exist_ok=True)
            (folder / f"{kind}s" / "photo.png").write_bytes(_png(kind))
    return folder


def _learned(folder: Path, classes: tuple[str, ...] = ("crack",)) -> object:
    """Read all that a command reads before it learns."""
    split = find_split(folder, classes=classes)
    return [load_sample(sample, len(classes)) for sample in (*split.train, *split.val, *split.test)]


def coco() -> list[bytes]:
    """Make COCO files: polygons, run lengths of both kinds, a crowd, a box alone."""
    counts = [2 * HEIGHT + 3, 10, (WIDTH - 3) * HEIGHT + 3]
    size = [HEIGHT, WIDTH]
    outlines: list[dict[str, Any]] = [
        {"segmentation": [FLAT], "area": 100, "bbox": [2, 3, 10, 10]},
        {"segmentation": {"size": size, "counts": counts}, "iscrowd": 1},
        {"segmentation": {"size": size, "counts": "04P1"}, "attributes": {"occluded": False}},
        {"bbox": [2, 3, 5, 5]},
    ]
    return [
        _json(
            {
                "images": [{"id": 1, "file_name": "photo.png", "width": WIDTH, "height": HEIGHT}],
                "annotations": [
                    {"id": number, "image_id": 1, "category_id": 7} | outline
                    for number, outline in enumerate(some, 1)
                ],
                "categories": [{"id": 7, "name": "crack"}, {"id": 9, "name": "hole"}],
            }
        )
        for some in (outlines[:1], outlines[:2], [outlines[0], outlines[3]])
    ]


def read_coco(path: Path) -> object:
    """Read it as a user's data."""
    return _learned(_put(path, "annotations.json"))


def read_pool_coco(path: Path) -> object:
    """Read it as a set of a pool."""
    from prompttune.pretraining.sources.pool import SetConfig, read_pool

    _put(path, "annotations.json")
    return read_pool(path.parent, [SetConfig("set", annotations="annotations.json")])


def labelme() -> list[bytes]:
    """Make a labelme file with a shape of each kind."""
    import base64

    mask = base64.b64encode(_png("mask")).decode()
    shapes = [
        {"label": "crack", "points": BOX, "shape_type": "polygon"},
        {"label": "crack", "points": [BOX[0], BOX[2]], "shape_type": "rectangle"},
        {"label": "crack", "points": [[8, 8], [8, 11]], "shape_type": "circle"},
        {"label": "crack", "points": [[0, 0], [24, 16]], "shape_type": "mask", "mask": mask},
        {"label": "crack", "points": BOX[:2], "shape_type": "line"},
    ]
    whole = {"imagePath": "photo.png", "imageWidth": WIDTH, "imageHeight": HEIGHT, "shapes": shapes}
    return [_json(whole), _json(whole | {"shapes": shapes[:1]})]


def read_labelme(path: Path) -> object:
    """Read it beside its image."""
    return _learned(_put(path, "images/photo.json"))


def label_studio() -> list[bytes]:
    """Make the long and the short export: a polygon, an ellipse, a box, a brush stroke."""
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    percent = [[10, 25], [60, 25], [60, 75], [10, 75]]
    # One run of all values: 32 bits of length, word size 8, sizes 4, 4, 8 and 16 bits.
    bits = f"{4 * WIDTH * HEIGHT:032b}{7:05b}" + "".join(f"{each:04b}" for each in (2, 3, 7, 15))
    bits += f"1{3:02b}{4 * WIDTH * HEIGHT - 1:016b}{255:08b}"
    bits += "0" * (-len(bits) % 8)
    rle = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    shapes: list[dict[str, Any]] = [
        {"points": percent, "polygonlabels": ["crack"]},
        {"x": 50, "y": 50, "radiusX": 20, "radiusY": 20, "ellipselabels": ["crack"]},
        {"x": 5, "y": 5, "width": 20, "height": 20, "rectanglelabels": ["crack"]},
        {"format": "rle", "rle": rle, "brushlabels": ["crack"]},
    ]
    image = "/data/upload/1/0a1b2c3d-photo.png"
    long = {
        "id": 1,
        "data": {"image": image},
        "annotations": [{"result": [size | {"id": "a", "value": shape} for shape in shapes]}],
    }
    return [_json([long]), _json([{"id": 1, "image": image, "label": [size | shapes[0]]}])]


def read_label_studio(path: Path) -> object:
    """Read it as the only JSON file of a folder."""
    return _learned(_put(path, "project.json"))


def geojson() -> list[bytes]:
    """Make QuPath's features: a polygon with a hole, a multipolygon, a point."""
    ring = [*BOX, BOX[0]]
    hole = [[4, 5], [6, 5], [6, 8], [4, 8], [4, 5]]
    kinds = (("Polygon", [ring, hole]), ("MultiPolygon", [[ring], [hole]]), ("Point", [3, 4]))
    features = [
        {
            "type": "Feature",
            "geometry": {"type": kind, "coordinates": coordinates},
            "properties": {"objectType": "annotation", "classification": {"name": "crack"}},
        }
        for kind, coordinates in kinds
    ]
    named = dict(features[0], properties={"classification": '{"name": "crack"}'})
    return [_json({"type": "FeatureCollection", "features": features}), _json([named])]


def read_geojson(path: Path) -> object:
    """Read it beside its image."""
    return _learned(_put(path, "images/photo.geojson"))


def cvat() -> list[bytes]:
    """Make CVAT's XML with a shape of each kind."""
    text = f"""<annotations><version>1.1</version>
<image id="0" name="photo.png" width="{WIDTH}" height="{HEIGHT}">
 <polygon label="crack" points="2,3;12,3;12,13;2,13" z_order="0"/>
 <mask label="crack" rle="1, 2, 1" left="2" top="2" width="2" height="2" z_order="1"/>
 <ellipse label="crack" cx="8" cy="8" rx="3" ry="2" z_order="0"/>
 <box label="crack" xtl="3" ytl="2" xbr="8" ybr="9" z_order="0"/>
</image></annotations>"""
    return [text.encode()]


def read_cvat(path: Path) -> object:
    """Read `annotations.xml`."""
    return _learned(_put(path, "annotations.xml"))


def yolo() -> list[bytes]:
    """Make YOLO's lines: polygons and a box."""
    return [b"0 0.1 0.2 0.5 0.2 0.5 0.8 0.1 0.8\n1 0.2 0.2 0.3 0.2 0.3 0.4\n0 0.5 0.5 0.2 0.2\n"]


def read_yolo(path: Path) -> object:
    """Read a text file for an image, with names beside it."""
    folder = _put(path, "labels/photo.txt")
    (folder / "data.yaml").write_text("names: [crack, hole]\n")
    return _learned(folder)


def yolo_names() -> list[bytes]:
    """Make the file that names YOLO's classes, both ways."""
    return [b"names: [crack, hole]\nnc: 2\n", b"names:\n  0: crack\n  1: hole\n"]


def read_yolo_names(path: Path) -> object:
    """Read the names with a text file that needs them."""
    folder = _put(path, "data.yaml")
    (folder / "labels").mkdir()
    (folder / "labels" / "photo.txt").write_bytes(yolo()[0])
    return _learned(folder)


def voc() -> list[bytes]:
    """Make a list of VOC's."""
    return [b"photo\nother\n"]


def read_voc(path: Path) -> object:
    """Read a part by VOC's list."""
    folder = _put(path, "ImageSets/Segmentation/train.txt", masks=True)
    (folder / "images").rename(folder / "JPEGImages")
    (folder / "masks").rename(folder / "SegmentationClass")
    return _learned(folder)


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
    folder = _put(path, known if known in LEGENDS else "labelmap.txt", masks=True)
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
        b"json\n" + _json([row]),
        b"json\n" + _json({row["image"]: row["mask"]}),
        b"jsonl\n" + _json(row),
    ]


def read_pair_list(path: Path) -> object:
    """Read a list, and the images and masks that it names."""
    from prompttune.data.pair_lists import read_pair_list as read

    ending, _, text = path.read_bytes().partition(b"\n")
    path.write_bytes(text)
    known = ending.decode("latin-1")
    name = f"pairs.{known if known in ('csv', 'json', 'jsonl') else 'csv'}"
    return read(_put(path, name, masks=True) / name, Finding())


@cache
def task_recipes() -> list[bytes]:
    """Return the shipped recipes, and one with every field."""
    from prompttune.tasks.recipe import Recipe

    whole = asdict(Recipe("custom", ("a", "b"), {0: 0, 7: 1}, colors="a=#ff0000,b=#00ff00"))
    whole |= {"classes": ["a", "b"], "bands": "3,2,1", "stretch": "0,100", "image_size": [64, 48]}
    shipped = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))
    return [yaml.safe_dump(whole).encode()] + [
        path.read_bytes() for path in shipped if not path.stem.startswith("pretrain")
    ]


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
            (folder / f"{kind}s" / "photo.png").write_bytes(_png(kind))
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

    rows = {"image": [{"bytes": _png("image")}], "mask": [{"bytes": _png("mask")}]}
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(rows), file)
    return [file.getvalue()]


def read_table(path: Path) -> object:
    """Unpack a table into a cache of its own."""
    was = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(path.parent / "cache")
    try:
        return _learned(_put(path, "data/train-00000-of-00001.parquet", images=False))
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
    return [_json({"format": "prompttune-zoo", "version": 1, "keys": [key]})]


def read_zoo_index(path: Path) -> object:
    """Read it as it comes from a server."""
    from prompttune.hub.https_zoo import read_index

    with patch("prompttune.hub.https_zoo._fetch", return_value=path.read_bytes()):
        return read_index("here")
