"""Miniature sets in the layouts in which their owners distribute them; contents are generated."""

import json
import pickle
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (20, 24)
HALF = 100


def image(path: Path, number: int, size: tuple[int, int] = SIZE) -> None:
    """Write an image like no other; `number` is of use where names repeat."""
    seed = zlib.crc32(f"{path.parent.name}/{path.name} {number}".encode())
    random = np.random.RandomState(seed)
    save(path, random.randint(0, 255, (*size, 3)).astype(np.uint8))


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.fromarray(pixels)
    if mode == "P":
        made = made.convert("L")
        made = Image.frombytes("P", made.size, made.tobytes())
        made.putpalette([value for v in range(256) for value in (v, 255 - v, v // 2)])
    made.save(path)


def index_map(number: int, values: list[int], size: tuple[int, int] = SIZE) -> np.ndarray:
    """Blocks of the values, so that each is shown; their places depend on the number."""
    found = np.zeros(size, np.uint8)
    for place, value in enumerate(values):
        top = (3 * place + number) % (size[0] - 4)
        left = (5 * place + 2 * number) % (size[1] - 5)
        found[top : top + 4, left : left + 5] = value
    return found


def pascal_5i(root: Path, folds: int = 4) -> None:
    for fold in range(folds):
        lines = []
        for number in range(12):
            name = f"2007_{fold}{number:05}"
            label = fold * 5 + number % 5 + 1
            lines.append(f"{name}__{label:02}")
            image(root / "JPEGImages" / f"{name}.jpg", number)
            mask = index_map(number, [255, label % 20 + 1, label])
            save(root / "SegmentationClassAug" / f"{name}.png", mask, "P")
        path = root / "splits/val" / f"fold{fold}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def coco_20i(root: Path, fold: int = 0) -> None:
    by_class: dict[int, list[str]] = {label: [] for label in range(80)}
    for number in range(25):
        name = f"val2014/COCO_val2014_{number:012}.jpg"
        labels = [fold + 4 * ((number + step) % 20) for step in (0, 7, 11)]
        for label in labels:
            by_class[label].append(name)
        image(root / name, number)
        mask = index_map(number, [label + 1 for label in labels])
        save((root / "annotations" / name).with_suffix(".png"), mask)
    keep(root / f"splits/val/fold{fold}.pkl", by_class)


def keep(path: Path, content: Any) -> None:
    """Write a list as the authors of these sets published theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=3))


def fss_1000(root: Path) -> None:
    names = [f"class_{number}" for number in range(4)]
    for place, name in enumerate(names):
        for number in range(1, 11):
            image(root / name / f"{number}.jpg", number)
            mask = (index_map(number + place, [1]) * 255).astype(np.uint8)
            save(root / name / f"{number}.png", np.repeat(mask[..., None], 3, 2))
    (root / "splits").mkdir(parents=True)
    (root / "splits/test.txt").write_text("\n".join(names[::-1]) + "\n")


def _run_lengths(mask: np.ndarray) -> dict[str, Any]:
    from pycocotools import mask as coco

    found = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


def lvis_92i(root: Path) -> None:
    annotated: dict[int, dict[str, Any]] = {}
    for label in range(1, 26):
        images = {}
        for step in range(1 if label % 8 == 0 else 4):
            number = (3 * label + step) % 30
            polygon = [2.5, 3.0, 14.0 - step, 3.5, 12.0, 15.0 + step]
            run = _run_lengths(index_map(number, [1]) > 0)
            found = [{"segmentation": [polygon]}, {"segmentation": run}]
            images[f"val2017/{number:012}.jpg"] = {"annotations": found[: 1 + step % 2]}
        annotated[label] = images
    for number in range(30):
        image(root / "coco/val2017" / f"{number:012}.jpg", number)
    keep(root / "lvis_val.pkl", annotated)


def paco_part(root: Path) -> None:
    train = {"cid2img": {label: [] for label in range(448)}}
    cid2img: dict[int, list[dict[int, str]]] = {}
    img2anno: dict[int, list[dict[str, Any]]] = {}
    for label in range(448):
        cid2img[label] = []
        for step in range(2 if label % 9 == 0 else 5):
            number = (5 * label + 3 * step) % 40
            cid2img[label].append({number: f"coco/val2017/{number:012}.jpg"})
            for object_ in (1, 2):
                width = 0.4 if label % 7 == step % 7 and object_ == 2 else 12.3
                img2anno.setdefault(number, []).append({
                    "category_id": label, "obj_ann_id": 10 * label + object_,
                    "obj_bbox": [2.4 + object_, 1.2, width, 14.6],
                    "segmentation": [[3.0, 2.0, 15.0, 2.0, 15.0, 12.0, 3.0, 12.0 - object_]],
                })  # fmt: skip
        cid2img[label].append(dict(cid2img[label][0]))
    for number in range(40):
        image(root / "coco/val2017" / f"{number:012}.jpg", number)
    keep(root / "paco/paco_part_train.pkl", train)
    keep(root / "paco/paco_part_val.pkl", {"cid2img": cid2img, "img2anno": img2anno})


def pascal_part(root: Path) -> None:
    groups: dict[str, Any] = {}
    names = [f"2008_{number:06}" for number in range(14)]
    for group in ("animals", "indoor", "person", "vehicles"):
        objects = {}
        for one in ("aeroplane", "cat"):
            parts = {
                part: {"train": names[:2], "val": names[place : place + 9]}
                for place, part in enumerate(("HEAD", "LEG", "TAIL"))
            }
            objects[one] = {"part": parts}
        groups[group] = {"object": objects}
    for number, name in enumerate(names):
        image(root / "JPEGImages" / f"{name}.jpg", number)
        listed = []
        for place in range(3):
            one = ("cat", "aeroplane")[(number + place) % 2 if number % 5 else 0]
            parts = [
                {"name": part, "mask": [_run_lengths(index_map(number + step, [1]) > 0)]}
                for step, part in enumerate(("HEAD", "LEG", "TAIL"))
                if (number + step + place) % 4
            ]
            box = {"xmin": place, "ymin": 1, "xmax": 20 + place, "ymax": 18}
            listed.append({"name": one, "bndbox": box, "parts": parts})
        path = root / "Annotations_Part_json_merged_part_classes" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"object": listed}))
    (root / "all_obj_part_to_image.json").write_text(json.dumps(groups))


def isaid_5i(root: Path) -> None:
    for fold in range(3):
        lines = []
        for number in range(15):
            name = f"P{fold}{number:03}_0_256"
            label = fold * 5 + number % 5 + 1
            lines.append(f"{name}__{label}")
            image(root / "val/images" / f"{name}.png", number)
            mask = index_map(number, [255, label % 15 + 1, label])
            save(root / "val/semantic_png" / f"{name}_instance_color_RGB.png", mask)
        path = root / "splits/val" / f"fold{fold}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def isic(root: Path) -> None:
    for kind in "123":
        for number in range(4 + int(kind)):
            name = f"ISIC_{kind}{number:06}"
            image(root / "ISIC2018_Task1-2_Training_Input" / kind / f"{name}.jpg", number)
            mask = (index_map(number, [1]) * 255).astype(np.uint8)
            save(root / "ISIC2018_Task1_Training_GroundTruth" / f"{name}_segmentation.png", mask)


def chest_xray(root: Path) -> None:
    for number in range(8):
        shenzhen = number % 2
        name = f"CHNCXR_{number:04}_0" if shenzhen else f"MCUCXR_{number:04}_1"
        image(root / "CXR_png" / f"{name}.png", number)
        mask = (index_map(number, [1, 1]) * 255).astype(np.uint8)
        save(root / "masks" / f"{name}{'_mask' if shenzhen else ''}.png", mask)


def suim(root: Path) -> None:
    for number in range(6):
        image(root / "images" / f"d_r_{number}_.jpg", number)
    for place, name in enumerate(("FV", "HD", "PF", "RI", "RO", "SR", "WR")):
        for number in range(6):
            shown = (number + place) % 3 > 0
            mask = (index_map(number, [int(shown)]) * 255).astype(np.uint8)
            save(root / "masks" / name / f"d_r_{number}_.bmp", mask)


def davis(root: Path, year: int) -> None:
    lines = []
    for number, name in enumerate(("bear", "car-roundabout")):
        for frame in range(5):
            image(root / "JPEGImages/480p" / name / f"{frame:05}.jpg", number)
            shift = index_map(frame + number, [1, 2] if year == 2017 else [255])
            save(root / "Annotations/480p" / name / f"{frame:05}.png", shift, "P")
            lines.append(
                f"/JPEGImages/480p/{name}/{frame:05}.jpg /Annotations/480p/{name}/{frame:05}.png"
            )
    names = ["bear", "car-roundabout"] if year == 2017 else lines
    path = root / "ImageSets" / str(year) / "val.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(names) + "\n")


def youtube_vos(root: Path, dense: bool = False) -> None:
    part, videos = root / "valid", {}
    for number, name in enumerate(("003234408d", "0062f687f1")):
        for frame in range(0, 30, 5):
            image(part / "JPEGImages" / name / f"{frame:05}.jpg", number)
            values = [1] if frame < 10 else [1, 2]
            if dense or frame in (0, 10):
                shown = values if dense or frame == 0 else [0, 2]
                mask = index_map(frame // 5 + number, shown)
                save(part / "Annotations" / name / f"{frame:05}.png", mask, "P")
        categories = {"1": "ape", "2": "boat"}
        videos[name] = {"objects": {n: {"category": c} for n, c in categories.items()}}
    (part / "meta.json").write_text(json.dumps({"videos": videos}))
    (root / "train").mkdir()
    seen = {"v": {"objects": {"1": {"category": "ape"}}}}
    (root / "train/meta.json").write_text(json.dumps({"videos": seen}))


def mose(root: Path) -> None:
    for number, name in enumerate(("0a1b", "9f3c")):
        for frame in range(4):
            image(root / "valid/JPEGImages" / name / f"{frame:05}.jpg", number)
        mask = index_map(number, [1, 2, 3])
        save(root / "valid/Annotations" / name / "00000.png", mask, "P")


def ade20k(root: Path) -> None:
    for part, count in (("training", 8), ("validation", 3)):
        for number in range(count):
            name = f"ADE_{part[:5]}_{number:08}"
            image(root / "images" / part / f"{name}.jpg", number)
            mask = index_map(number, [1, 2, 3, 150])
            save(root / "annotations" / part / f"{name}.png", mask)
    head = "Idx\tRatio\tTrain\tVal\tStuff\tName"
    lines = [f"{n}\t0.1\t10\t1\t0\tthing{n}, object" for n in range(1, 151)]
    (root / "objectInfo150.txt").write_text("\n".join([head, *lines]) + "\n")


def loveda(root: Path) -> None:
    for part, count in (("Train", 3), ("Val", 1)):
        for number, scene in enumerate(("Rural", "Urban")):
            for step in range(count):
                name = f"{10 * number + step}.png"
                image(root / part / scene / "images_png" / name, step)
                mask = index_map(step + number, [3, 7, 2])
                mask[:4] += 1
                save(root / part / scene / "masks_png" / name, mask.clip(0, 7).astype(np.uint8))


def retina(root: Path, name: str) -> None:
    vessels = lambda number: (index_map(number, [1, 1, 1]) * 255).astype(np.uint8)  # noqa: E731
    whole = np.full(SIZE, 255, np.uint8)
    whole[:3] = 0
    if name == "drive":
        for part, first in (("training", 21), ("test", 1)):
            for number in range(first, first + 3):
                image(root / part / "images" / f"{number:02}_{part}.tif", number)
                save(root / part / "1st_manual" / f"{number:02}_manual1.gif", vessels(number))
                save(root / part / "mask" / f"{number:02}_{part}_mask.gif", whole)
    elif name == "chase":
        for number in range(1, 15):
            for side in "LR":
                image(root / f"Image_{number:02}{side}.jpg", number)
                save(root / f"Image_{number:02}{side}_1stHO.png", vessels(number) > 0)
    elif name == "stare":
        for number in range(1, 13):
            image(root / "stare-images" / f"im{number:04}.ppm", number)
            save(root / "labels-ah" / f"im{number:04}.ah.ppm", vessels(number))
    else:
        for number in range(1, 8):
            for kind, suffix in (("dr", "JPG"), ("g", "jpg"), ("h", "jpg")):
                image(root / "images" / f"{number:02}_{kind}.{suffix}", number)
                save(root / "manual1" / f"{number:02}_{kind}.tif", vessels(number))
                save(root / "mask" / f"{number:02}_{kind}_mask.tif", whole)


CATEGORIES = [
    {"id": 1, "name": "person", "isthing": 1}, {"id": 3, "name": "car", "isthing": 1},
    {"id": 100, "name": "grass", "isthing": 0},
]  # fmt: skip


def coco_panoptic(root: Path) -> None:
    annotations = []
    for number in (139, 285):
        image(root / "val2017" / f"{number:012}.jpg", number)
        ids = index_map(number, [7, 9]).astype(np.int64)
        ids[-3:] = 70_000
        colors = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
        save(root / "annotations/panoptic_val2017" / f"{number:012}.png", colors)
        segments = [
            {"id": 7, "category_id": 1, "iscrowd": 0}, {"id": 9, "category_id": 3, "iscrowd": 0},
            {"id": 70_000, "category_id": 100, "iscrowd": 0},
        ]  # fmt: skip
        annotations.append(
            {"file_name": f"{number:012}.png", "image_id": number, "segments_info": segments}
        )
    content = {"annotations": annotations, "categories": CATEGORIES}
    (root / "annotations/panoptic_val2017.json").write_text(json.dumps(content))


MAKE: dict[str, Callable[[Path], None]] = {
    "pascal-5i": pascal_5i,
    "coco-20i": coco_20i,
    "fss-1000": fss_1000,
    "lvis-92i": lvis_92i,
    "pascal-part": pascal_part,
    "paco-part": paco_part,
    "davis-2016": partial(davis, year=2016),
    "davis-2017": partial(davis, year=2017),
    "youtube-vos-2018": youtube_vos,
    "mose": mose,
    "ade20k": ade20k,
    "coco-panoptic": coco_panoptic,
    **{name: partial(retina, name=name) for name in ("drive", "chase", "stare", "hrf")},
    "isaid-5i": isaid_5i,
    "loveda": loveda,
    "isic": isic,
    "chest-xray": chest_xray,
    "suim": suim,
}
"""Of each benchmark by its name."""
