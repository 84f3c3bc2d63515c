"""Whether files are whole, as readers that know nothing of this package see it."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import safetensors
import tifffile
import torch
from PIL import Image

HOURS = ("seconds", "date", "tuning", "tuning_seconds", "seconds_per_image", "learning", "command",
         "library_version")  # fmt: skip
"""Fields of JSON that tell when and how long, and so differ from run to run."""


def halves(folder: Path) -> list[str]:
    """Return the files below a folder that bear a final name and are not whole."""
    return [str(path.relative_to(folder)) for path in final(folder) if not _is_whole(path)]


def final(folder: Path) -> list[Path]:
    """Return the files below a folder that are meant to be seen: none of their names is hidden."""
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and not _hidden(path, folder)
    )


def hidden(folder: Path) -> list[str]:
    """Return the hidden files below a folder."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and _hidden(path, folder)
    )


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _is_whole(path: Path) -> bool:
    readers = {".png": _png, ".json": _json, ".safetensors": _tensors, ".ckpt": _checkpoint,
               ".parquet": _parquet, ".tif": _tiff, ".html": _page, ".md": _text}  # fmt: skip
    try:
        readers.get(path.suffix, lambda _: None)(path)
    except Exception:
        return False
    return True


def _png(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _json(path: Path) -> None:
    json.loads(path.read_text())


def _tensors(path: Path) -> None:
    with safetensors.safe_open(path, "pt") as file:
        for name in file.keys():  # noqa: SIM118
            file.get_tensor(name)


def _checkpoint(path: Path) -> None:
    torch.load(path, weights_only=True)


def _parquet(path: Path) -> None:
    import pyarrow.parquet as pq

    pq.read_table(path)


def _tiff(path: Path) -> None:
    tifffile.imread(path)


def _page(path: Path) -> None:
    assert path.read_text().rstrip().endswith("</html>")


def _text(path: Path) -> None:
    assert path.read_text().strip()


def digests(paths: Iterable[Path], folder: Path) -> dict[str, str]:
    """Return what files hold; of JSON without what tells the time."""
    return {str(path.relative_to(folder)): digest(path) for path in paths}


def digest(path: Path) -> str:
    """Return what a file holds, as a number of 64 digits."""
    if path.suffix == ".json":
        content = json.dumps(timeless(json.loads(path.read_text())), sort_keys=True).encode()
    elif path.suffix == ".safetensors":
        content = _tensors_and_card(path)
    elif path.suffix == ".parquet":
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        content = json.dumps(table.drop_columns(["worker"]).to_pylist()).encode()
    else:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def _tensors_and_card(path: Path) -> bytes:
    with safetensors.safe_open(path, "pt") as file:
        tensors = b"".join(
            bytes(file.get_tensor(name).contiguous().view(torch.uint8).numpy().tobytes())
            for name in sorted(file.keys())
        )
        metadata = {name: _parsed(value) for name, value in (file.metadata() or {}).items()}
    return tensors + json.dumps(timeless(metadata), sort_keys=True).encode()


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def timeless(tree: Any) -> Any:
    """Return JSON without the fields that tell when and how long."""
    if isinstance(tree, dict):
        return {name: timeless(value) for name, value in tree.items() if name not in HOURS}
    return [timeless(value) for value in tree] if isinstance(tree, list) else tree
