"""Lists of images and masks: CSV, TSV, JSON or JSON Lines with a column for each."""

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from prompttune.data.finding import Finding, Found
from prompttune.data.samples import Sample
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import SUFFIXES
from prompttune.utils.malformed import understood

_IMAGES = (
    "image", "image_path", "image_file", "image_file_name", "image_filename", "img", "img_path",
    "file_name", "filename", "path", "input",
)  # fmt: skip
_MASKS = (
    "mask", "mask_path", "mask_file", "mask_file_name", "mask_filename", "label", "label_path",
    "label_file_name", "annotation", "annotation_path", "segmentation", "segmentation_map",
    "segmentation_mask", "semantic", "ground_truth", "msk", "gt", "target",
)  # fmt: skip
_PARTS = ("split", "part", "set", "subset", "fold")
_PART = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test",
}  # fmt: skip
METADATA = ("metadata.csv", "metadata.jsonl")
"""What Hugging Face's `imagefolder` reads, beside the images."""

Row = dict[str, str]


def has_metadata(folder: Path) -> bool:
    """Say whether a folder, or `train/` in it, has a list of images with masks beside them."""
    return any(_masks_in(file) for file in _metadata(folder))


def read_metadata(folder: Path, finding: Finding) -> Found:
    """Read the `metadata.csv` or `metadata.jsonl` of a folder, or of the parts in it.

    Raises:
        InputError: as `read_pair_list`.
    """
    read: dict[str, list[Sample]] = {}
    for file in _metadata(folder):
        part = _PART.get(file.parent.name.lower(), "train") if file.parent != folder else "train"
        read.setdefault(part, []).extend(read_pair_list(file, finding).train)
    train = read.pop("train")
    return Found(train, f"{METADATA[0].split('.')[0]} beside the images", **read)  # type: ignore[arg-type]


def _metadata(folder: Path) -> list[Path]:
    places = (folder, *sorted(each for each in folder.iterdir() if each.is_dir()))
    return [place / name for place in places for name in METADATA if (place / name).is_file()]


def _masks_in(file: Path) -> bool:
    with understood(file, "list of pairs"):
        rows = _rows(file)
    return bool(rows) and _column(rows, _MASKS) is not None


def read_pair_list(file: Path, finding: Finding) -> Found:
    """Read a list of pairs, with a column for the part and others to group by where there are.

    Paths are relative to the list, or to the current folder.

    Args:
        file: `.csv`, `.tsv`, `.txt`, `.json` or `.jsonl`.
        finding: `group_by` may name a column.

    Raises:
        InputError: another kind of file, without the columns, or naming files that are not there.
    """
    with understood(file, "list of pairs"):
        return _read(file, finding)


def _read(file: Path, finding: Finding) -> Found:
    rows = _rows(file)
    image, mask = _column(rows, _IMAGES), _column(rows, _MASKS)
    if not rows or image is None or mask is None:
        there = ", ".join(map(str, rows[0])) if rows else "none"
        raise InputError(
            f"{file}: needs a column for images and one for masks, such as image,mask (its "
            f"columns: {there})"
        )
    samples = [
        Sample(name, _path(file, row[image]), _path(file, row[mask]))
        for name, row in zip(_names(rows, image), rows, strict=True)
    ]
    part = _column(rows, _PARTS)
    parts = [_part(file, row[part]) if part else "train" for row in rows]
    by_part = {
        each: [s for s, own in zip(samples, parts, strict=True) if own == each]
        for each in set(parts)
    }
    if "train" not in by_part:
        raise InputError(f"{file}: no row of the part 'train' in the column '{part}'")
    column = finding.group_by if finding.group_by in rows[0] else None
    groups = (
        {s.name: _text(row[column]) or s.name for s, row in zip(samples, rows, strict=True)}
        if column
        else {}
    )
    return Found(
        by_part["train"], f"pairs of {file.name}" + ("" if part else ", split by seed"),
        by_part.get("test"), by_part.get("val"),
        group=(lambda sample: groups[sample.stack or sample.name]) if column else None,
    )  # fmt: skip


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _rows(file: Path) -> list[Row]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: is no list of pairs ({error})") from None
    try:
        if file.suffix.lower() == ".json":
            return _flat(file, json.loads(text))
        if file.suffix.lower() in (".jsonl", ".ndjson"):
            return _flat(file, [json.loads(line) for line in text.splitlines() if line.strip()])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: is no JSON ({error})") from None
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{file}: is empty")
    delimiter = max("\t;,", key=lines[0].count)
    table = list(csv.reader(lines, delimiter=delimiter))
    head = [name.strip() for name in table[0]]
    if all(Path(name).suffix.lower() in SUFFIXES for name in head[:2]) and len(head) > 1:
        head = ["image", "mask", *(f"column {n}" for n in range(3, len(head) + 1))]
    else:
        table = table[1:]
    return [dict(zip(head, map(str.strip, row), strict=False)) for row in table]


def _flat(file: Path, content: Any) -> list[Row]:
    """Return rows of a list of objects or of pairs; of an object the only list in it."""
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = (
            lists[0] if len(lists) == 1 else [{"image": k, "mask": v} for k, v in content.items()]
        )
    rows = []
    for entry in content:
        if isinstance(entry, list) and len(entry) >= 2:
            entry = {"image": entry[0], "mask": entry[1]}
        if not isinstance(entry, dict):
            raise InputError(f"{file}: is no list of pairs, such as [{{'image': .., 'mask': ..}}]")
        rows.append({str(key): str(value) for key, value in entry.items()})
    return rows


def _column(rows: Sequence[Row], names: Iterable[str]) -> str | None:
    """Return the column that bears one of the names, in any case and with blanks or `_`."""
    there = {name.lower().replace(" ", "_"): name for name in (rows[0] if rows else ())}
    there |= {re.sub(r"_(file_?name|file|path)$", "", name): own for name, own in there.items()}
    return next((there[name] for name in names if name in there), None)


def _part(file: Path, text: str) -> str:
    try:
        return _PART[text.strip().lower()]
    except KeyError:
        raise InputError(f"{file}: '{text}' is no part; give train, val or test") from None


def _path(file: Path, text: str) -> Path:
    parts = [part for part in re.split(r"[/\\]", text) if part not in ("", ".")]
    ends = (file.parent.joinpath(*parts[start:]) for start in range(len(parts)))
    for place in (file.parent / text, Path(text), *ends):  # another machine's path, or Windows'
        if place.is_file():
            return place
    raise InputError(f"{file}: names {text!a}, which is not there (relative to the list)")


def _names(rows: Sequence[Row], image: str) -> list[str]:
    """Return names without endings: as short as they can be and still differ."""
    paths = [Path(row[image].replace("\\", "/")).with_suffix("") for row in rows]
    short = [path.name for path in paths]
    if len(set(short)) == len(short):
        return short
    whole = [path.as_posix().lstrip("./") for path in paths]
    if len(set(whole)) == len(whole):
        return whole
    twice = next(name for name in whole if whole.count(name) > 1)
    raise InputError(f"the image '{twice}' is listed twice; keep one")
