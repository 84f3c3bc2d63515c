"""Every reader of foreign bytes, files that it reads, and ways to damage them.

`make test` gives each reader a few damaged files, the same every time (tests/test_fuzz.py).
`make fuzz FUZZ_SECONDS=60` gives each as many as a minute allows, others every time, and keeps what
broke a reader in build/fuzz. A reader may return a value or raise `InputError` in one line: any
other exception, or more than ten seconds for one file, is a fault.
"""

import argparse
import io
import random
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import tifffile
import torch
import yaml
from PIL import Image

from prompttune.utils.errors import InputError

SLOWEST = 10.0
"""Seconds for one file."""


@dataclass(frozen=True)
class Reader:
    """A reader: the names of its files, those that are well, and how it is called."""

    name: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]


def _picture(kind: str, mode: str = "RGB", **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind, **options)
    return file.getvalue()


def _tiff(numbers: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, numbers, **options)
    return file.getvalue()


@cache
def images() -> list[bytes]:
    """Make a small image of each kind."""
    rng = np.random.default_rng(1)
    deep = rng.integers(0, 65535, (9, 8), np.uint16)
    found = [_picture(kind) for kind in ("PNG", "JPEG", "BMP", "PPM", "WEBP", "TIFF")]
    found += [
        _picture("GIF", "P"),
        _picture("PNG", "P"),
        _picture("PNG", "LA"),
        _picture("PNG", "1"),
    ]
    found.append(_picture("TIFF", compression="tiff_lzw"))
    file = io.BytesIO()
    Image.fromarray(deep).save(file, "PNG")
    found.append(file.getvalue())
    found.append(_tiff(deep, compression="zlib"))
    found.append(_tiff(rng.random((3, 9, 8), np.float32), photometric="minisblack"))
    place = [
        (33550, "d", 3, (0.5, 0.5, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 4e5, 5e6, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 3072, 0, 1, 32633), True),
        (42113, "s", 0, "0", True),
    ]
    found.append(_tiff(deep, extratags=place))
    return found


@cache
def keys() -> list[bytes]:
    """Make a small key."""
    from key_fixtures import make_key

    from prompttune.keys.key import save_key

    with tempfile.TemporaryDirectory() as folder:
        return [
            (save_key(*make_key(prompts=1, size=8), folder) / "prompt.safetensors").read_bytes()
        ]


@cache
def backbones() -> list[bytes]:
    """Make a small backbone in our layout and in the official one."""
    from prompttune.backbone import SegGPT, SegGPTConfig
    from prompttune.backbone.weights import save_weights

    network = SegGPT(
        SegGPTConfig(
            canvas=8, patch=4, dim=4, depth=2, heads=1, merge_block=0, taps=(0, 1), decoder_dim=2,
            pretrain_canvas=8,
        )
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        save_weights(network, path)
        official = io.BytesIO()
        torch.save({"model": network.state_dict()}, official)
        return [path.read_bytes(), official.getvalue()]


def recipes() -> list[bytes]:
    """Return the recipe of a small pretraining run."""
    values = {
        "backbone": {"canvas": 16, "patch": 4, "dim": 8, "depth": 4, "heads": 2, "taps": [2, 3]},
        "mix": {"generated": 1.0}, "optimiser": {"lr": 1e-3}, "sets": [{"name": "a"}],
        "max_steps": 3, "batch": 2, "ema": 0.9, "seed": 4, "views": 3, "prompts": [1],
    }  # fmt: skip
    return [yaml.safe_dump(values).encode()]


@cache
def videos() -> list[bytes]:
    """Make a short video."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", "mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for shade in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 80 * shade, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return [file.getvalue()]


def _image(path: Path) -> object:
    from prompttune.data.reading import read_image

    return read_image(path)


def _mask(path: Path) -> object:
    from prompttune.data.masks import read_stored

    return read_stored(path)


def _place(path: Path) -> object:
    from prompttune.data.decoding import header, page_count

    return page_count(path), header(path)


def _key(path: Path) -> object:
    from prompttune.prompts.loading import load_key

    return load_key(path)


def _backbone(path: Path) -> object:
    from prompttune.backbone import load

    official = path.with_suffix(".pth")
    if path.read_bytes()[:2] == b"PK":
        return load(path.rename(official))
    return load(path)


def _recipe(path: Path) -> object:
    from prompttune.pretraining.config import read_recipe

    return read_recipe(path)


def _video(path: Path) -> object:
    from prompttune.video.clips import open_clip

    return next(open_clip(path).frames())


READERS = {
    reader.name: reader
    for reader in (
        Reader("image", images, _image),
        Reader("mask", images, _mask),
        Reader("header", images, _place),
        Reader("key", keys, _key),
        Reader("backbone", backbones, _backbone),
        Reader("recipe", recipes, _recipe),
        Reader("video", videos, _video),
    )
}
ODD = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1)
WORDS = (b"null", b"-1", b"1e999", b"[]", b"{}", b'""', b"true", b"NaN", b"99999999999999999999")


def damage(data: bytes, rng: random.Random) -> bytes:
    """Damage a file as disks, transfers, other programs and people do."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if not found:
            return bytes(found)
        at = rng.randrange(min(len(found), rng.choice((64, 1024, len(found)))))
        kind = rng.randrange(7)
        if kind == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del found[at:]
        elif kind == 2:
            del found[at : at + rng.randint(1, 16)]
        elif kind == 3:
            found[at : at + 4] = struct.pack(rng.choice("<>") + "Q", rng.choice(ODD))[:4]
        elif kind == 4:
            found[at:at] = rng.randbytes(rng.randint(1, 16))
        elif kind == 5:
            found[at:at] = found[at : at + rng.randint(1, 64)]
        else:
            numbers = [place for place in range(len(found)) if chr(found[place]).isdigit()]
            place = rng.choice(numbers) if numbers else at
            end = place + 1
            while end < len(found) and chr(found[end]).isdigit():
                end += 1
            found[place:end] = rng.choice(WORDS)
    return bytes(found)


def fault(reader: Reader, data: bytes) -> str | None:
    """Return what is wrong with how a reader took a file; None: nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        began = time.perf_counter()
        try:
            reader.read(path)
        except InputError:
            pass
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - began
        return f"took {seconds:.1f} s" if seconds > SLOWEST else None


def fuzz(reader: Reader, seconds: float, kept: Path, seed: int) -> tuple[int, int]:
    """Damage files for a while; return how many were read, and how many were faults."""
    rng, end, count, faults = random.Random(seed), time.monotonic() + seconds, 0, 0
    told: set[str] = set()
    while time.monotonic() < end:
        data = damage(rng.choice(reader.seeds()), rng)
        wrong = fault(reader, data)
        count += 1
        if wrong and wrong[:60] not in told:
            told.add(wrong[:60])
            faults += 1
            kept.mkdir(parents=True, exist_ok=True)
            path = kept / f"{reader.name}-{seed}-{count}"
            path.write_bytes(data)
            print(f"{reader.name}: {wrong[:300]} ({path})", flush=True)
    return count, faults


def main() -> int:
    """Fuzz the readers that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER")
    parser.add_argument("--seconds", type=float, default=60, help="for each reader")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**31)
    parser.add_argument("--kept", type=Path, default=Path("build/fuzz"))
    options = parser.parse_args()
    total = 0
    for name in options.readers or READERS:
        count, faults = fuzz(READERS[name], options.seconds, options.kept, options.seed)
        print(f"{name}: {count} files, {faults} kinds of faults", flush=True)
        total += faults
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
