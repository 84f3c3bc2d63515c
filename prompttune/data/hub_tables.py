"""Hugging Face's `datasets` on disk: Parquet files, or what `save_to_disk` writes (Arrow).

Images and masks lie in them as the bytes of image files. They are unpacked once, into a folder of
the user's cache that is called after the tables' contents.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prompttune.data.finding import Found
from prompttune.data.samples import Sample
from prompttune.utils.errors import InputError
from prompttune.utils.image_files import ending_of
from prompttune.utils.io import whole_folder
from prompttune.utils.malformed import reason
from prompttune.utils.paths import user_cache

_MASKS = ("mask", "label", "annotation", "segmentation", "segmentation_mask", "semantic", "gt")
_IMAGES = ("image", "img", "pixel_values", "picture")
_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def has_tables(folder: Path) -> bool:
    """Say whether a folder holds the tables of a data set."""
    return bool(_tables(folder))


def _tables(folder: Path) -> list[tuple[str, Path]]:
    """List tables with the part that each belongs to."""
    found = []
    for place in (folder, *sorted(each for each in folder.iterdir() if each.is_dir())):
        for file in sorted((*place.glob("*.parquet"), *place.glob("data-*.arrow"))):
            words = re.split(r"[-_.]", file.name.lower())
            named = [_PARTS[word] for word in (*words, place.name.lower()) if word in _PARTS]
            found.append((named[0] if named else "train", file))
    return found


def read_tables(folder: Path) -> Found:
    """Unpack the images and masks of tables, and return them as samples.

    Raises:
        InputError: no columns of images and masks, or a package that is not installed.
    """
    tables = _tables(folder)
    read: dict[str, list[Sample]] = {}
    for part, file in tables:
        read.setdefault(part, []).extend(_samples(part, file))
    if "train" not in read:
        raise InputError(f"{folder}: none of its tables is of the part 'train'")
    named = " and ".join(dict.fromkeys(part for part, _ in tables))
    return Found(
        read["train"], f"tables of Hugging Face's datasets ({named})", read.get("test"),
        read.get("val"),
    )  # fmt: skip


def _samples(part: str, file: Path) -> list[Sample]:
    if not file.is_file():  # a pipe would be waited for
        raise InputError(f"{file}: is not a file")
    digest = hashlib.sha256(f"{file.name} {file.stat().st_size}".encode())
    with file.open("rb") as content:
        digest.update(content.read(1 << 20))
        content.seek(max(0, file.stat().st_size - (1 << 20)))
        digest.update(content.read())
    place = user_cache("tables") / digest.hexdigest()[:24]
    if not place.is_dir():
        _unpack(file, place)
    images = sorted((place / "images").iterdir())
    masks = {path.stem: path for path in (place / "masks").iterdir()}
    return [Sample(f"{part}-{file.stem}/{i.stem}", i, masks[i.stem]) for i in images]


def _unpack(file: Path, place: Path) -> None:
    """Write images and masks into a folder that appears when it is complete."""
    with whole_folder(place) as temporary:
        for kind in ("images", "masks"):
            (temporary / kind).mkdir()
        for number, (image, mask) in enumerate(_rows(file)):
            for kind, content in (("images", image), ("masks", mask)):
                ending = ending_of(content) or ".png"
                (temporary / kind / f"{number:06}{ending}").write_bytes(content)


def _rows(file: Path) -> Iterator[tuple[bytes, bytes]]:
    for batch in _batches(file):
        image, mask = (_column(file, batch, names) for names in (_IMAGES, _MASKS))
        for pair in zip(
            batch.column(image).to_pylist(), batch.column(mask).to_pylist(), strict=True
        ):
            contents = tuple(_bytes(file, each) for each in pair)
            yield contents[0], contents[1]


def _batches(file: Path) -> Iterator[Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError(
            f"{file}: reading tables needs a further package; pip install prompttune[datasets]"
        ) from None
    try:
        if file.suffix == ".parquet":
            with pq.ParquetFile(file) as table:
                yield from table.iter_batches(64)
        else:
            with pa.memory_map(str(file)) as source:
                yield from pa.ipc.open_stream(source)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: is damaged ({reason(error)})") from None


def _column(file: Path, batch: Any, names: tuple[str, ...]) -> str:
    for name in names:
        if name in batch.schema.names:
            return name
    raise InputError(
        f"{file}: has no column {' or '.join(names[:3])}, only {', '.join(batch.schema.names)}"
    )


def _bytes(file: Path, value: Any) -> bytes:
    content = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(content, bytes):
        return content
    path = value.get("path") if isinstance(value, dict) else None
    for place in (file.parent / str(path), file.parent.parent / str(path)):
        if path and place.is_file():
            return place.read_bytes()
    raise InputError(f"{file}: holds neither the bytes of its images nor their paths")
