"""Annotations for `fuzz_readers.py`: a small file of each format, and its reader.

Each stands in a small folder as a user would have it, and is read as a command reads it.
"""

import base64
import io
import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from prompttune.data.layouts import find_split, load_sample

WIDTH, HEIGHT = 24, 16

BOX = [[2, 3], [12, 3], [12, 13], [2, 13]]

FLAT = [float(each) for point in BOX for each in point]


@cache
def png(kind: str) -> bytes:
    """Return a small PNG: an image, or its mask of one box."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[3:13, 2:12] = 1
    image = Image.fromarray(pixels if kind == "mask" else np.stack([pixels * 200] * 3, 2))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def as_json(content: Any) -> bytes:
    """Return the bytes of a JSON file."""
    return json.dumps(content).encode()


def put(path: Path, place: str, images: bool = True, masks: bool = False) -> Path:
    """Lay a file into a folder of its own with an image beside it; return the folder."""
    folder = path.parent / "set"
    target = folder / place
    target.parent.mkdir(parents=True)
    path.rename(target)
    for there, kind in ((images, "image"), (masks, "mask")):
        if there:
            (folder / f"{kind}s").mkdir(exist_ok=True)
            (folder / f"{kind}s" / "photo.png").write_bytes(png(kind))
    return folder


def learned(folder: Path, classes: tuple[str, ...] = ("crack",)) -> object:
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
        as_json(
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
    return learned(put(path, "annotations.json"))


def read_pool_coco(path: Path) -> object:
    """Read it as a set of a pool."""
    from prompttune.pretraining.sources.pool import SetConfig, read_pool

    put(path, "annotations.json")
    return read_pool(path.parent, [SetConfig("set", annotations="annotations.json")])


def labelme() -> list[bytes]:
    """Make a labelme file with a shape of each kind."""
    mask = base64.b64encode(png("mask")).decode()
    shapes = [
        {"label": "crack", "points": BOX, "shape_type": "polygon"},
        {"label": "crack", "points": [BOX[0], BOX[2]], "shape_type": "rectangle"},
        {"label": "crack", "points": [[8, 8], [8, 11]], "shape_type": "circle"},
        {"label": "crack", "points": [[0, 0], [24, 16]], "shape_type": "mask", "mask": mask},
        {"label": "crack", "points": BOX[:2], "shape_type": "line"},
    ]
    whole = {"imagePath": "photo.png", "imageWidth": WIDTH, "imageHeight": HEIGHT, "shapes": shapes}
    return [as_json(whole), as_json(whole | {"shapes": shapes[:1]})]


def read_labelme(path: Path) -> object:
    """Read it beside its image."""
    return learned(put(path, "images/photo.json"))


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
    return [as_json([long]), as_json([{"id": 1, "image": image, "label": [size | shapes[0]]}])]


def read_label_studio(path: Path) -> object:
    """Read it as the only JSON file of a folder."""
    return learned(put(path, "project.json"))


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
    return [as_json({"type": "FeatureCollection", "features": features}), as_json([named])]


def read_geojson(path: Path) -> object:
    """Read it beside its image."""
    return learned(put(path, "images/photo.geojson"))


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
    return learned(put(path, "annotations.xml"))


def aperio() -> list[bytes]:
    """Make ImageScope's XML with a region of each kind, and a hole."""
    corners = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in BOX)
    regions = "".join(
        f'<Region Id="{kind}" Type="{kind}" NegativeROA="{hole}">'
        f"<Vertices>{corners}</Vertices></Region>"
        for kind, hole in ((0, 0), (1, 0), (2, 0), (4, 0), (0, 1))
    )
    text = f"""<Annotations MicronsPerPixel="0.25"><Annotation Id="1" Name="crack">
<Regions>{regions}</Regions></Annotation></Annotations>"""
    return [text.encode()]


def read_aperio(path: Path) -> object:
    """Read it beside its image."""
    return learned(put(path, "images/photo.xml"))


def run_lengths() -> list[bytes]:
    """Make Kaggle's tables: a class in a column of its own, beside the image, and none."""
    return [
        b"ImageId,ClassId,EncodedPixels\nphoto.png,crack,20 5 40 6\nother.png,crack,\n",
        b"Image_Label,EncodedPixels\nphoto.png_crack,20 5 40 6\nphoto.png_hole,\n",
        b"id,rle_mask\nphoto,1 5 40 6\nphoto,100 3\n",
    ]


def read_run_lengths(path: Path) -> object:
    """Read a table beside the folder of its images."""
    return learned(put(path, "train.csv"))


def yolo() -> list[bytes]:
    """Make YOLO's lines: polygons and a box."""
    return [b"0 0.1 0.2 0.5 0.2 0.5 0.8 0.1 0.8\n1 0.2 0.2 0.3 0.2 0.3 0.4\n0 0.5 0.5 0.2 0.2\n"]


def read_yolo(path: Path) -> object:
    """Read a text file for an image, with names beside it."""
    folder = put(path, "labels/photo.txt")
    (folder / "data.yaml").write_text("names: [crack, hole]\n")
    return learned(folder)


def yolo_names() -> list[bytes]:
    """Make the file that names YOLO's classes, both ways."""
    return [b"names: [crack, hole]\nnc: 2\n", b"names:\n  0: crack\n  1: hole\n"]


def read_yolo_names(path: Path) -> object:
    """Read the names with a text file that needs them."""
    folder = put(path, "data.yaml")
    (folder / "labels").mkdir()
    (folder / "labels" / "photo.txt").write_bytes(yolo()[0])
    return learned(folder)


def voc() -> list[bytes]:
    """Make a list of VOC's."""
    return [b"photo\nother\n"]


def read_voc(path: Path) -> object:
    """Read a part by VOC's list."""
    folder = put(path, "ImageSets/Segmentation/train.txt", masks=True)
    (folder / "images").rename(folder / "JPEGImages")
    (folder / "masks").rename(folder / "SegmentationClass")
    return learned(folder)


def supervisely() -> list[bytes]:
    """Make Supervisely's annotation of an image: a polygon with a hole, a rectangle, a bitmap."""
    packed = base64.b64encode(zlib.compress(png("mask"))).decode()
    hole = [[4, 5], [8, 5], [8, 9], [4, 9]]
    drawn: list[dict[str, Any]] = [
        {"geometryType": "polygon", "points": {"exterior": BOX, "interior": [hole]}},
        {"geometryType": "rectangle", "points": {"exterior": [BOX[0], BOX[2]], "interior": []}},
        {"geometryType": "bitmap", "bitmap": {"data": packed, "origin": [2, 3]}},
        {"geometryType": "point", "points": {"exterior": BOX[:1], "interior": []}},
    ]
    whole = {"description": "", "tags": [], "size": {"height": HEIGHT, "width": WIDTH}}
    objects = [{"classTitle": "crack"} | each for each in drawn]
    return [as_json(whole | {"objects": some}) for some in (objects, objects[:1], objects[2:3])]


def read_supervisely(path: Path) -> object:
    """Read it beside its image, in a project's set."""
    folder = put(path, "one/ann/photo.png.json")
    (folder / "images").rename(folder / "one" / "img")
    return learned(folder)


def via() -> list[bytes]:
    """Make VIA's project and its regions alone, of both versions: a shape of each kind."""
    across, down = zip(*BOX, strict=True)
    shapes: list[dict[str, Any]] = [
        {"name": "polygon", "all_points_x": across, "all_points_y": down},
        {"name": "rect", "x": 2, "y": 3, "width": 10, "height": 10},
        {"name": "circle", "cx": 8, "cy": 8, "r": 3},
        {"name": "ellipse", "cx": 8, "cy": 8, "rx": 3, "ry": 2, "theta": 0.5},
        {"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]},
    ]
    named: list[dict[str, Any]] = [{"label": "crack"}, {"type": {"crack": True, "hole": False}}]
    regions = [
        {"shape_attributes": shape, "region_attributes": named[number % 2]}
        for number, shape in enumerate(shapes)
    ]
    new = {"photo.png99": {"filename": "photo.png", "size": 99, "regions": regions}}
    old = {"photo.png99": {"filename": "photo.png", "regions": dict(enumerate(regions[:1]))}}
    return [as_json(each) for each in ({"_via_settings": {}, "_via_img_metadata": new}, new, old)]


def read_via(path: Path) -> object:
    """Read it as the only JSON file of a folder."""
    return learned(put(path, "project.json"))
