"""Write and read the files of keys (docs/key-format.md): atomic, deterministic, checked."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from prompttune.keys.card import COMPANION, TYPE_SHIFTS, Card, write_json
from prompttune.keys.files import KEY_FILE, check_name, key_file, publish, staging, taken
from prompttune.keys.header import (
    CENTERS,
    FORMAT,
    MAX_FILE,
    TENSORS,
    pack_header,
    read_card,
    shape_text,
    tensor_names,
)
from prompttune.keys.learned import Learned, LearnedPart
from prompttune.keys.previews import readme, write_previews
from prompttune.utils.errors import InputError
from prompttune.utils.io import write_synced
from prompttune.utils.normalize import MEAN, STD

_DTYPES = {torch.float32: "F32", torch.float16: "F16"}


def check_savable(name: str, zoo: str | Path, overwrite: bool = False) -> None:
    """Check, before any work is spent, that `save_key` could write this name there.

    Raises:
        InputError: not a name, taken and not to be overwritten, or a zoo that cannot be written.
    """
    check_name(name)
    folder = Path(zoo) / name
    if (folder / KEY_FILE).exists():
        if not overwrite:
            raise taken(folder)
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already and is not a key: choose another name.")
    with staging(Path(zoo), name):
        pass


def save_key(
    prompt: Learned,
    card: Card,
    zoo: str | Path,
    *,
    overwrite: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Path:
    """Write `zoo/<name>/` with the key, its previews and README; return that folder.

    The prompt is N images and N colors of 3 x S x S in pixel space, kept as `dtype` (float32 or
    float16); a composition is several, each for its own group of classes. What is learned of the
    type token is kept beside them. A new key appears whole,
    by one rename of its folder; where a key is overwritten its file is replaced by one rename.

    Raises:
        InputError: a name that is not allowed or taken, a card that does not agree with the prompt,
            values that are not finite, a full or read-only disk. All is then as it was.
    """
    parts, name = prompt.parts, prompt.parts[0].name
    check_savable(name, zoo, overwrite)
    tensors = {
        "colours": _stack([plane for part in parts for plane in part.colors], dtype),
        "images": _stack([plane for part in parts for plane in part.images], dtype),
    }
    shifts = [part.type_shift for part in parts if part.type_shift is not None]
    if shifts:
        tensors[TYPE_SHIFTS] = _stack(shifts, dtype)
    domain = parts[0].domain
    if domain is not None:
        tensors[CENTERS] = torch.from_numpy(domain.centers).half().contiguous()
    companion = parts[0].companion
    if companion is not None:
        tensors[COMPANION] = companion.weights.half().contiguous()
    _check_tensors(tensors, card, name)
    _check_agreement(parts, card)
    folder = Path(zoo) / name
    with staging(Path(zoo), name) as staged:
        write_synced(staged / KEY_FILE, _pack(tensors, card))
        # The previews show what a reader gets, and the key has passed a reader's checks.
        kept, card = read_key(staged)
        write_previews(staged, kept["images"], kept["colours"], card)
        publish(staged, folder, overwrite)
    return folder


def read_key(
    path: str | Path, fingerprint: str | None = None, backbone: str = "the one in use"
) -> tuple[dict[str, Tensor], Card]:
    """Read a key, given as its folder or file, with every check of the format.

    Args:
        path: the key's folder or file.
        fingerprint: of the network that it will be used with; None: of any.
        backbone: that network's name, for the error.

    Returns:
        Its tensors as float32 (`images` and `colours` are `N x 3 x S x S` in pixel space, N those
        of all groups; `type_shifts`, `domain_centers`, `K x D`, and `companion`, `P`, only where
        the key has them),
        and its card.

    Raises:
        InputError: any break of the format, or another fingerprint.
    """
    path = key_file(path)
    with _opened(path) as file:
        _, card = read_card(path, file)
        _check_fit(card, path, fingerprint, backbone)
        return _read_tensors(path, file, _all_names(card)), card


def _check_fit(card: Card, path: Path, fingerprint: str | None, backbone: str) -> None:
    _check_normalization(card, path)
    if fingerprint is not None and fingerprint != card.backbone.fingerprint:
        raise InputError(
            f"{path}: the key was tuned on backbone '{card.backbone.name}' (fingerprint "
            f"{card.backbone.fingerprint[:12]}), not on '{backbone}' ({fingerprint[:12]}): "
            f"use '{card.backbone.name}', or tune a key for '{backbone}'."
        )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a key's file once: card and tensors come from one file though it be replaced."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from None
    with file:
        yield file


def write_card(path: str | Path, card: Card) -> None:
    """Replace the card of a key, to add scores or notes: tensors stay byte for byte.

    The README is made anew; `card` best comes from `load_card(path).with_scores(...)`.

    Raises:
        InputError: not a key, a card that describes other pixels, a full or read-only disk. The key
            is then as it was.
    """
    path = key_file(path)
    if path.name != KEY_FILE:
        raise InputError(f"{path}: only a key in a zoo can be changed, and its file is {KEY_FILE}.")
    with _opened(path) as file:
        header, old = read_card(path, file)
        body = file.read()
    may_change = {"scores", "notes", "licence", "data", "recipe"}
    for field in Card.model_fields.keys() - may_change:
        if getattr(old, field) != getattr(card, field):
            raise InputError(f"{path}: the new card is of another key: it differs in '{field}'.")
    start = pack_header(header.metadata | {"card": write_json(card)}, header.tensors)
    with staging(path.parent.parent, card.name) as staged:
        write_synced(staged / KEY_FILE, start + body)
        write_synced(staged / "README.md", readme(card).encode())
        publish(staged, path.parent)


def _stack(planes: list[Tensor], dtype: torch.dtype) -> Tensor:
    if dtype not in _DTYPES:
        raise InputError(f"a key holds float32 or float16, not {dtype}.")
    if len({plane.shape for plane in planes}) != 1:
        raise InputError("a key's images and colors must be all of one size, and at least one.")
    return torch.stack([plane.detach().cpu() for plane in planes]).to(dtype).contiguous()


def _check_tensors(tensors: dict[str, Tensor], card: Card, key: str) -> None:
    shape = (card.prompts, 3, card.canvas, card.canvas)
    for name, tensor in tensors.items():
        if name in TENSORS and tuple(tensor.shape) != shape:
            raise InputError(
                f"key '{key}': its {name} are {shape_text(tuple(tensor.shape))}, "
                f"but the card says {shape_text(shape)}."
            )
        if not torch.isfinite(tensor).all():
            raise InputError(f"key '{key}': its {name} have values that are not finite.")


def _check_agreement(parts: Sequence[LearnedPart], card: Card) -> None:
    said_of_each = card.grouped()
    pairs: list[tuple[str, Any, Any]] = [("number of groups", len(parts), len(said_of_each))]
    for prompt, (classes, images) in zip(parts, said_of_each, strict=False):
        palette = prompt.palette
        shifted = TYPE_SHIFTS in card.required_features
        pairs += [
            ("type_shift", prompt.type_shift is not None, shifted),
            ("name", prompt.name, card.name),
            ("classes", tuple(palette.classes), tuple(entry.name for entry in classes)),
            ("palette", tuple(palette.colors), tuple(entry.colour for entry in classes)),
            ("number of images", len(prompt.images), images),
            ("scale", prompt.scale, card.scale),
            ("seg_type", prompt.seg_type, card.seg_type),
            ("threshold", prompt.threshold, card.threshold),
            ("fingerprint", prompt.fingerprint, card.backbone.fingerprint),
            ("number of kept tokens", _count(prompt.kept_tokens), _count(card.kept_tokens, 1)),
            ("calibration", prompt.calibration is not None, card.calibration is not None),
            ("zoomed", prompt.zoomed is not None, card.zoomed is not None),
            ("domain", prompt.domain is not None, card.domain is not None),
            ("companion", _companion(prompt.companion), _companion(card.companion)),
        ]
    for field, own, said in pairs:
        if own != said:
            raise InputError(
                f"key '{parts[0].name}': its {field} is {own!r}, but the card says {said!r}."
            )


def _companion(known: Any) -> tuple[Any, ...] | None:
    return None if known is None else (tuple(known.widths), known.share, known.standardized)


def _count(kept: Any, depth: int = 0) -> int | None:
    """Return how many tokens each block keeps."""
    if kept is None:
        return None
    return len(kept[0]) if depth == 0 else _count(kept[0], depth - 1)


def _pack(tensors: dict[str, Tensor], card: Card) -> bytes:
    entries: dict[str, dict[str, Any]] = {}
    parts: list[bytes] = []
    end = 0
    for name in _all_names(card):
        tensor = tensors[name]
        parts.append(tensor.numpy().tobytes())
        start, end = end, end + len(parts[-1])
        entries[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    start_of_file = pack_header({"card": write_json(card), "format": FORMAT}, entries)
    if len(start_of_file) + end > MAX_FILE:
        raise InputError(f"key '{card.name}' would be larger than {MAX_FILE} bytes.")
    return b"".join([start_of_file, *parts])


def _all_names(card: Card) -> tuple[str, ...]:
    more = {CENTERS: card.domain, COMPANION: card.companion}
    return (*tensor_names(card), *(name for name, said in more.items() if said))


def _read_tensors(path: Path, file: BinaryIO, names: tuple[str, ...]) -> dict[str, Tensor]:
    """Read a key's tensors as float32; the header has been checked."""
    try:
        file.seek(0)
        # From bytes, not mapped: a file that shrinks while it is used must not kill the process.
        found = safetensors.torch.load(file.read())
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: truncated or damaged ({reason}). Copy or tune the key again."
        ) from None
    tensors = {name: found[name].float() for name in names}
    for name, values in tensors.items():
        if not torch.isfinite(values).all():
            raise InputError(f"{path}: tensor '{name}' has values that are not finite.")
    return tensors


def _check_normalization(card: Card, path: Path) -> None:
    for name, theirs, ours in (
        ("mean", card.normalisation.mean, MEAN),
        ("std", card.normalisation.std, STD),
    ):
        if any(abs(a - b) > 1e-6 for a, b in zip(theirs, ours, strict=True)):
            raise InputError(
                f"{path}: card field 'normalisation.{name}' is {list(theirs)}, but networks here "
                f"use {list(ours)}: this prompttune cannot use the key."
            )
