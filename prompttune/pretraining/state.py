"""A training state that travels: safetensors parts of a bounded size and a manifest, no pickle.

The manifest is JSON: what the state holds beside tensors, and which parts belong to it with their
SHA-256. Parts hold flat slices of tensors under the tensor's path; one too large for the rest of a
part goes on in the next. The manifest is renamed into place last, so that a kill at any moment
leaves the former state whole.
"""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from prompttune.pretraining.config import PretrainRecipe, as_named_now
from prompttune.utils.errors import InputError
from prompttune.utils.io import write_whole
from prompttune.utils.resuming import check_same_run

FREE = ("save_every", "workers", "memory", "accumulate")
"""Fields that change how a run is computed, not what it computes."""

FORMAT = "prompttune-training"
PART_BYTES = 2**24
"""Largest size of a part."""
ENTRY_BYTES, HEADER_BYTES = 128, 512
"""What a part spends at most beside names and values, for each tensor and once."""
HALVED = ("state_dict/", "optimizer_states/")
"""What `compact` rounds: averaged weights and the optimizers' moments. The weights stay whole."""


class StateIO(CheckpointIO):
    """Makes a Lightning trainer write and read its checkpoints as parts.

    With `compact`, averages and moments are stored in bfloat16: two thirds of the size (with AdamW
    alone, five eighths), but a resumed run is no longer the same bit for bit.
    """

    def __init__(self, compact: bool = False) -> None:
        self._compact = compact

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a state; `path` is the manifest's."""
        write_state(checkpoint, Path(path), self._compact)

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a state; always onto the CPU and always without pickle."""
        return read_state(Path(path))

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Delete a state."""
        remove_state(Path(path))


def write_state(
    state: Mapping[str, Any], manifest: Path, compact: bool = False, part_bytes: int = PART_BYTES
) -> None:
    """Write a tree of tensors and JSON-able values; what `manifest` named before is then deleted.

    Args:
        state: Dicts, lists and tuples, nested; it has a number `global_step`.
        manifest: Where the manifest goes, parts beside it.
        compact: See `StateIO`.
        part_bytes: Largest size of a part.
    """
    tensors: dict[str, Tensor] = {}
    tree = _take_apart(state, "", tensors)
    manifest.parent.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    for part in _packed(tensors, compact, part_bytes):
        name = f"{manifest.stem}-{state['global_step']}-{len(files)}.safetensors"
        content = save(part)
        files[name] = hashlib.sha256(content).hexdigest()
        write_whole(manifest.with_name(name), content)
    content = json.dumps({"format": FORMAT, "version": 1, "files": files, "state": tree}).encode()
    write_whole(manifest, content)
    _delete_parts(manifest, but=files)


def read_state(manifest: Path) -> dict[str, Any]:
    """Undo `write_state`; tensors lie on the CPU, in their dtypes from before.

    Raises:
        InputError: Missing, damaged or foreign files.
    """
    content = _read_manifest(manifest)
    slices = defaultdict(list)
    for name, digest in content["files"].items():
        path = manifest.with_name(name)
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != digest:
            raise InputError(f"{path}: missing or damaged; copy it again, or use --overwrite")
        try:
            part = load(data)
        except SafetensorError as error:
            raise InputError(f"{path}: no safetensors file ({error})") from error
        for key, values in part.items():
            slices[key].append(values)
    try:
        return _put_together(content["state"], slices)
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{manifest}: does not fit its parts ({error})") from error


def read_values(manifest: Path) -> dict[str, Any]:
    """Return what lies at the top of a state, without reading tensors.

    Raises:
        InputError: As `read_state`.
    """
    return _read_manifest(manifest)["state"]


def remove_state(manifest: Path) -> None:
    """Delete a state, the manifest first."""
    manifest.unlink(missing_ok=True)
    _delete_parts(manifest, but=())


def remove_former(manifest: Path) -> None:
    """Delete parts of an earlier state, which a kill right after the last one was written left."""
    _delete_parts(manifest, but=_read_manifest(manifest)["files"])


def _delete_parts(manifest: Path, but: Any) -> None:
    for path in manifest.parent.glob(f"{manifest.stem}-*.safetensors"):
        if path.name not in but:
            path.unlink()


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: no readable training state ({error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: not the manifest of a training state")
    if content.get("version") != 1:
        raise InputError(f"{path}: of a newer version; update prompttune")
    return content


def _take_apart(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Return `value` as JSON has it; its tensors go to `tensors` by path."""
    if isinstance(value, Tensor):
        tensors[path] = value
        dtype = str(value.dtype).removeprefix("torch.")
        return {"$tensor": path, "dtype": dtype, "shape": list(value.shape)}
    if isinstance(value, Mapping):
        below = [
            [key, _take_apart(one, f"{path}/{key}" if path else str(key), tensors)]
            for key, one in value.items()
        ]
        plain = all(isinstance(key, str) and not key.startswith("$") for key in value)
        return dict(below) if plain else {"$items": below}  # JSON has no numbers as keys
    if isinstance(value, list | tuple):
        many = [_take_apart(one, f"{path}/{i}", tensors) for i, one in enumerate(value)]
        return {"$tuple": many} if isinstance(value, tuple) else many
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{path}: a {type(value).__name__} cannot be kept")


def _put_together(tree: Any, slices: Mapping[str, list[Tensor]]) -> Any:
    if isinstance(tree, list):
        return [_put_together(one, slices) for one in tree]
    if not isinstance(tree, dict):
        return tree
    if "$tensor" in tree:
        found = slices.get(tree["$tensor"], [torch.empty(0)])
        values = found[0] if len(found) == 1 else torch.cat(found)
        return values.to(getattr(torch, tree["dtype"])).reshape(tree["shape"])
    if "$items" in tree:
        return {key: _put_together(one, slices) for key, one in tree["$items"]}
    if "$tuple" in tree:
        return tuple(_put_together(one, slices) for one in tree["$tuple"])
    return {key: _put_together(one, slices) for key, one in tree.items()}


def _packed(
    tensors: Mapping[str, Tensor], compact: bool, part_bytes: int
) -> Iterator[dict[str, Tensor]]:
    """Yield parts, each filled to the brim with flat slices."""
    part: dict[str, Tensor] = {}
    room = part_bytes - HEADER_BYTES
    for path, tensor in tensors.items():
        rest = tensor.detach().cpu().reshape(-1)
        if compact and path.startswith(HALVED) and rest.dtype == torch.float32 and len(rest) > 1:
            rest = rest.bfloat16()
        while len(rest):
            room -= ENTRY_BYTES + len(path)
            fitting = max(0, room // rest.element_size())
            if fitting:
                part[path] = rest[:fitting].contiguous()
                room -= min(fitting, len(rest)) * rest.element_size()
                rest = rest[fitting:]
            if len(rest):
                yield part
                part, room = {}, part_bytes - HEADER_BYTES
    if part:
        yield part


def describe_run(recipe: PretrainRecipe, data: Path | None) -> dict[str, Any]:
    """Return what must be equal for a run to be resumed, as JSON has it."""
    values = {name: value for name, value in asdict(recipe).items() if name not in FREE}
    return json.loads(json.dumps({**values, "data": _files(recipe, data)}, default=str))


def _files(recipe: PretrainRecipe, data: Path | None) -> str | None:
    """Return a hash of the names and sizes of the pool's files; None without data."""
    if data is None:
        return None
    found = (path for one in recipe.sets for path in (data / one.name).rglob("*"))
    lines = sorted(
        f"{path.relative_to(data).as_posix()} {path.stat().st_size}"
        for path in found
        if path.is_file()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def resumed_step(state: Path, run: dict[str, Any]) -> int:
    """Return the number of steps that a kept state has behind it.

    Raises:
        InputError: It is another run's, or cannot be read.
    """
    kept = read_values(state)
    check_same_run(state.parent.parent, as_named_now(kept["run"]), run)
    return kept["global_step"]
