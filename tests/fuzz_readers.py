"""Every reader of foreign bytes, files that it reads, and ways to damage them.

`make test` gives each reader a few damaged files, the same every time (tests/test_fuzz.py).
`make fuzz FUZZ_SECONDS=60` gives each as many as a minute allows, others every time, and keeps what
broke a reader in build/fuzz. A reader may return a value or raise `InputError` in one line: any
other exception, more than ten seconds for one file, or more memory than four times the largest
image's, is a fault.
"""

import argparse
import io
import logging
import random
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import current_thread, main_thread
from traceback import extract_tb

import fuzz_annotations as annotations
import fuzz_requests as web
import fuzz_sets as sets
import fuzz_weights as weights
import numpy as np
import tifffile
import yaml
from fuzz_damage import Damage, in_bytes, in_header, in_json, in_words, in_xml, in_yaml
from PIL import Image

from prompttune.data.decoding import MAX_PIXELS
from prompttune.utils.errors import InputError

SLOWEST = 10.0
"""Processor seconds for one file."""
LARGEST = 4 * 3 * MAX_PIXELS
"""Bytes of memory for one file: four times those of the largest image that is read."""
ROOM = 8 * 2**30
"""Bytes of addresses beyond those at the start, so that no file can take the whole machine."""


@dataclass(frozen=True)
class Reader:
    """A reader: the names of its files, those that are well, and how it is called."""

    name: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    damages: tuple[Damage, ...] = (in_bytes,)
    """Ways to damage a file, all of them as often."""


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


def recipes() -> list[bytes]:
    """Return the recipe of a small pretraining run."""
    values = {
        "backbone": {"canvas": 16, "patch": 4, "dim": 8, "depth": 4, "heads": 2,
                     "out_indices": [2, 3]},
        "mix": {"generated": 1.0}, "optimizer": {"lr": 1e-3}, "sets": [{"name": "a"}],
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


def _recipe(path: Path) -> object:
    from prompttune.pretraining.config import read_recipe

    return read_recipe(path)


def _official(path: Path) -> object:
    return weights.read_backbone(path, "a.pth")


def _video(path: Path) -> object:
    from prompttune.video.clips import open_clip

    return next(open_clip(path).frames())


HEADER = (in_bytes, in_header)
TENSORS = (weights.in_tensors, in_bytes)
PICKLE = (weights.in_pickle, weights.in_pickle, in_bytes)
JSON = (in_json, in_json, in_bytes)
YAML = (in_yaml, in_words, in_bytes)
READERS = {
    reader.name: reader
    for reader in (
        Reader("image", images, _image),
        Reader("mask", images, _mask),
        Reader("header", images, _place),
        Reader("key", weights.keys, weights.read_key, HEADER),
        Reader("backbone", weights.backbones, weights.read_backbone, HEADER),
        Reader("official backbone", weights.officials, _official, TENSORS),
        Reader("configuration on the Hub", weights.hub_configs, weights.read_hub_config, JSON),
        Reader("ONNX start", weights.starts, weights.read_start, (weights.in_graph, in_bytes)),
        Reader("DINOv2 configuration", weights.dinov2_configs, weights.read_dinov2_config, JSON),
        Reader("checkpoint", weights.checkpoints, weights.read_run_checkpoint, TENSORS),
        Reader("published list", weights.published_lists, weights.read_published_list, PICKLE),
        Reader("recipe", recipes, _recipe, YAML),
        Reader("video", videos, _video),
        Reader("COCO", annotations.coco, annotations.read_coco, JSON),
        Reader("COCO of a pool", annotations.coco, annotations.read_pool_coco, JSON),
        Reader("labelme", annotations.labelme, annotations.read_labelme, JSON),
        Reader("Label Studio", annotations.label_studio, annotations.read_label_studio, JSON),
        Reader("GeoJSON", annotations.geojson, annotations.read_geojson, JSON),
        Reader("CVAT", annotations.cvat, annotations.read_cvat, (in_xml, in_xml, in_bytes)),
        Reader(
            "ImageScope", annotations.aperio, annotations.read_aperio, (in_xml, in_xml, in_bytes)
        ),
        Reader(
            "run lengths",
            annotations.run_lengths,
            annotations.read_run_lengths,
            (in_words, in_words, in_bytes),
        ),
        Reader("YOLO", annotations.yolo, annotations.read_yolo, (in_words, in_bytes)),
        Reader("YOLO names", annotations.yolo_names, annotations.read_yolo_names, YAML),
        Reader("Supervisely", annotations.supervisely, annotations.read_supervisely, JSON),
        Reader("VIA", annotations.via, annotations.read_via, JSON),
        Reader("VOC list", annotations.voc, annotations.read_voc, (in_words, in_bytes)),
        Reader("legend", sets.legends, sets.read_legends, (in_words, in_bytes)),
        Reader("pair list", sets.pair_lists, sets.read_pair_list, (in_words, in_bytes)),
        Reader("task recipe", sets.task_recipes, sets.read_task_recipe, YAML),
        Reader("packed pool", sets.pools, sets.read_pool_file),
        Reader("table", sets.tables, sets.read_table),
        Reader("DICOM", sets.dicoms, sets.read_dicom),
        Reader("NIfTI", sets.niftis, sets.read_nifti),
        Reader("zoo index", sets.zoo_indices, sets.read_zoo_index, JSON),
        Reader("request", web.requests, web.ask, (web.in_request, in_bytes)),
    )
}


def damage(reader: Reader, rng: random.Random) -> bytes:
    """Damage one of a reader's files in one of its ways."""
    data = rng.choice(reader.seeds())
    return rng.choice(reader.damages)(data, rng)


class Slow(BaseException):
    """Raised within a reader that takes too long; nothing of its own catches it."""


@contextmanager
def _stopped(seconds: float) -> Iterator[None]:
    """Stop what takes more processor time, where the system and the thread allow it."""
    if not hasattr(signal, "setitimer") or current_thread() is not main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise Slow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _memory() -> tuple[int, int]:
    """Return the bytes of memory that this process has, and the most that it ever had."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0, 0
    told = dict(line.split(":", 1) for line in status.read_text().splitlines())
    now, most = (int(told[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


def _where(error: BaseException) -> str:
    """Return the line of the package where an error came up."""
    frames = [frame for frame in extract_tb(error.__traceback__) if "prompttune" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere:"


def fault(reader: Reader, data: bytes) -> str | None:
    """Return what is wrong with how a reader took a file; None: nothing."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable()
        path = Path(folder) / "file"
        path.write_bytes(data)
        (before, most), began = _memory(), time.process_time()
        try:
            with _stopped(2 * SLOWEST):
                reader.read(path)
        except InputError:
            pass
        except Slow:
            return f"takes over {2 * SLOWEST:g} s"
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # panics of libraries in Rust are no Exception
            return f"{_where(error)} {type(error).__name__}: {error}"
        finally:
            logging.disable(logging.NOTSET)
        seconds, peak = time.process_time() - began, _memory()[1]
    if seconds > SLOWEST:
        return f"took {seconds:.1f} s"
    taken = peak - before
    return f"took {taken / 2**20:.0f} MiB" if peak > most and taken > LARGEST else None


def fuzz(reader: Reader, seconds: float, kept: Path, seed: int) -> int:
    """Damage files for so many seconds of a core, or until interrupted, and say what came of it.

    Returns:
        How many kinds of faults there were.
    """
    fault(reader, reader.seeds()[0])  # imports do not count
    rng, began, count, faults = random.Random(seed), time.process_time(), 0, 0
    told: set[str] = set()
    while (spent := time.process_time() - began) < seconds:
        try:
            data = damage(reader, rng)
            wrong = fault(reader, data)
        except KeyboardInterrupt:
            break
        count += 1
        kind = (wrong or "").split(": ")[0]
        if wrong and kind not in told:
            told.add(kind)
            faults += 1
            kept.mkdir(parents=True, exist_ok=True)
            path = kept / f"{reader.name.replace(' ', '_')}-{seed}-{count}"
            path.write_bytes(data)
            print(f"{reader.name}: {wrong[:300]} ({path})", flush=True)
    print(f"{reader.name}: {spent:.0f} s, {count} files, {faults} kinds of faults", flush=True)
    return faults


def _bound_memory() -> None:
    try:
        import resource
    except ImportError:  # not a Unix
        return
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, resource.RLIM_INFINITY))


def main() -> int:
    """Fuzz the readers that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", metavar="READER")
    parser.add_argument("--seconds", type=float, default=60, help="of a core, for each reader")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**31)
    parser.add_argument("--kept", type=Path, default=Path("build/fuzz"))
    options = parser.parse_args()
    _bound_memory()
    total = 0
    for name in options.readers or READERS:
        total += fuzz(READERS[name], options.seconds, options.kept, options.seed)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
