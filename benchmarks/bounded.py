"""Memory and time that stay bounded: many images, huge ones, long videos, many keys and classes.

    OMP_NUM_THREADS=1 python -m benchmarks.bounded

Each row runs the command line in a process of its own; memory is the most that was resident
(`ru_maxrss`), time is processor time. Images, keys and videos are generated. Where the network's
size does not matter a random one of 16 pixels stands in for it, and the row says so.
"""

import argparse
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
MIB = 2**20
SIDE, RESIZE = 20_000, 0.1


@dataclass(frozen=True)
class Used:
    """What a command used."""

    mib: float
    """Most memory, MiB."""
    seconds: float
    """Processor time."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    bar: str
    measured: str
    holds: bool

    def cells(self) -> list[str]:
        """Return the row of a Markdown table."""
        return [self.what, self.bar, self.measured, "yes" if self.holds else "**no**"]


def used_by(
    words: Sequence[object], folder: Path, watch: Callable[[int], None] = lambda _: None
) -> Used:
    """Run `prompttune WORDS`, and return what it used; `watch` gets its number meanwhile."""
    line = [sys.executable, "-m", "prompttune", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "said.txt").open("w") as said:
        child = subprocess.Popen(line, env=env, stdout=said, stderr=said)
        ended = 0
        while not ended:
            watch(child.pid)
            time.sleep(0.05)
            ended, status, usage = os.wait4(child.pid, os.WNOHANG)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError((folder / "said.txt").read_text()[-2000:])
    return Used(usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def folder_of_images(folder: Path, few: int = 50, many: int = 300) -> Row:
    """Segment a folder, and compare the peak at the end with that after some images."""
    images, out = folder / "images", folder / "out"
    peaks: list[float] = []
    images.mkdir()
    for number in range(many):
        Image.fromarray(noise(number, 96)).save(images / f"{number}.png")

    def watch(process: int) -> None:
        if not peaks and out.is_dir() and len(list(out.glob("*_overlay.png"))) >= few:
            status = Path(f"/proc/{process}/status").read_text()
            peaks.append(int(status.split("VmHWM:")[1].split()[0]) / 1024)

    words = ("predict", "--prompt", "retina", images, "--device", "cpu", "--precision", "fp32",
             "--output", out)  # fmt: skip
    used = used_by(words, folder, watch=watch)
    more = used.mib / peaks[0] - 1
    measured = f"{peaks[0]:.0f} and {used.mib:.0f} MiB, {100 * more:+.1f} %"
    return Row(f"a folder, after {few} and {many} images", "within 3 %", measured, more < 0.03)


def huge_image(folder: Path, ending: str) -> Row:
    """Segment 400 megapixels at a tenth of their scale."""
    path, small = folder / f"huge{ending}", folder / "small.tif"
    write_tiff(small, 256)
    (write_tiff if ending == ".tif" else write_png)(path, SIDE)
    words = ("predict", "--prompt", "retina", "--device", "cpu", "--precision", "fp32", "--resize",
             RESIZE, "--output", folder / "out")  # fmt: skip
    weights, whole = used_by([*words, small], folder), used_by([*words, path], folder)
    above = whole.mib - weights.mib
    measured = (
        f"{above:.0f} MiB ({whole.mib:.0f} in all, {weights.mib:.0f} for a small one), "
        f"{whole.seconds:.0f} s"
    )
    what = f"{SIDE} x {SIDE} pixels as {ending[1:].upper()}, at a scale of {RESIZE}"
    return Row(what, "under 2048 MiB above the weights", measured, above < 2048)


def long_video(folder: Path) -> Row:
    """Segment a video of 1,000 frames, and of 10,000."""
    from benchmarks.faults.world import make_world

    world = make_world(folder / "world")
    used = []
    for count in (1000, 10_000):
        clip = folder / f"{count}.mp4"
        write_video(clip, count)
        words = ("predict", "--video", clip, "--prompt", "a", "--prompts_zoo", world.zoo,
                 "--backbone", world.backbone, "--device", "cpu")  # fmt: skip
        used.append(used_by([*words, "--output", folder / f"out-{count}"], folder))
    more = used[1].mib / used[0].mib - 1
    measured = (
        f"{used[0].mib:.0f} and {used[1].mib:.0f} MiB, {100 * more:+.1f} %, {used[1].seconds:.0f} s"
    )
    what = "a video of 10,000 frames beside 1,000 (random network)"
    return Row(what, "within 3 %", measured, more < 0.03)


def many_keys(folder: Path) -> Row:
    """List a zoo of 1,000 keys."""
    import shutil

    source = ROOT / "prompts_zoo" / "retina"
    for number in range(1000):
        shutil.copytree(source, folder / "zoo" / f"key-{number:04}")
    used = min(
        (used_by(["zoo", "list", "--prompts_zoo", folder / "zoo"], folder) for _ in range(3)),
        key=lambda each: each.seconds,
    )
    listed = (folder / "said.txt").read_text().count("key-")
    assert listed >= 1000, listed
    measured = f"{used.seconds:.2f} s, {used.mib:.0f} MiB"
    return Row("`zoo list` of 1,000 keys", "under 2 s", measured, used.seconds < 2)


def many_examples(folder: Path) -> Row:
    """Segment an image with 64 examples."""
    words: list[object] = ["predict", "--device", "cpu", "--precision", "fp32", "--scale", 1]
    for number in range(64):
        image, mask = folder / f"{number}.png", folder / f"{number}-mask.png"
        pixels = noise(number, 128)
        Image.fromarray(pixels).save(image)
        Image.fromarray((pixels[..., 0] > 140).astype(np.uint8)).save(mask)
        words += ["--example", image, mask]
    asked = folder / "asked.png"
    Image.fromarray(noise(99, 160)).save(asked)
    used = used_by([*words, asked, "--output", folder / "out"], folder)
    measured = f"{used.mib:.0f} MiB, {used.seconds:.0f} s"
    return Row("an ensemble of 64 examples", "under 4096 MiB", measured, used.mib < 4096)


def many_classes(folder: Path) -> Row:
    """Tune a task of 150 classes, and segment a megapixel with its key."""
    from benchmarks.faults.world import make_world

    world, data, count = make_world(folder / "world"), folder / "data", 150
    for part, numbers in (("train", range(4)), ("test", range(4, 6))):
        for kind in ("images", "masks"):
            (data / part / kind).mkdir(parents=True)
        for number in numbers:
            mask = np.kron(np.arange(1, 151, dtype=np.uint8).reshape(10, 15), np.ones((8, 8), int))
            Image.fromarray(noise(number, 120)[:80]).save(data / part / "images" / f"{number}.png")
            Image.fromarray(mask.astype(np.uint8)).save(data / part / "masks" / f"{number}.png")
    tuned = used_by(
        ["tune", "--task", "custom", "--data", data, "--classes",
         ",".join(f"class-{n}" for n in range(count)), "--scale", 1, "--init", "noise",
         "--backbone", world.backbone, "--device", "cpu", "--precision", "fp32", "--max_steps", 2,
         "--val_every", 2, "--batch", 2, "--val_crops", 2, "--score_images", 1, "--name", "many",
         "--prompts_zoo", folder / "zoo", "--output", folder / "run"],
        folder,
    )  # fmt: skip
    asked = folder / "asked.png"
    Image.fromarray(noise(99, 1000)).save(asked)
    used = used_by(
        ["predict", "--prompt", "many", "--prompts_zoo", folder / "zoo", "--backbone",
         world.backbone, "--device", "cpu", asked, "--output", folder / "out"],
        folder,
    )  # fmt: skip
    measured = (
        f"tuning {tuned.mib:.0f} MiB, {tuned.seconds:.0f} s; a megapixel {used.mib:.0f} MiB, "
        f"{used.seconds:.0f} s"
    )
    what = "a task of 150 classes (random network)"
    return Row(what, "under 4096 MiB", measured, max(tuned.mib, used.mib) < 4096)


def noise(seed: int, side: int) -> np.ndarray:
    """Return a picture of soft spots, `S x S x 3 uint8`."""
    random = np.random.default_rng(seed)
    few = random.integers(0, 256, (max(2, side // 8), max(2, side // 8), 3), np.uint8)
    return np.asarray(Image.fromarray(few).resize((side, side), Image.Resampling.BICUBIC))


def write_tiff(path: Path, side: int) -> None:
    """Write a tiled TIFF of a side, tile by tile."""
    import tifffile

    tile = 256
    pixels, count = noise(0, tile), -(-side // tile)
    tiles = (np.roll(pixels, 7 * number, 0) for number in range(count * count))
    shape = (side, side, 3)
    tifffile.imwrite(
        path, tiles, shape=shape, dtype=np.uint8, tile=(tile, tile), photometric="rgb",
        compression="zlib",
    )  # fmt: skip


def write_png(path: Path, side: int) -> None:
    """Write a PNG of a side, row by row."""
    pixels = noise(0, 256)
    rows = [bytes(np.tile(row, (-(-side // 256), 1))[:side]) for row in pixels]
    packer = zlib.compressobj(1)
    with path.open("wb") as file:

        def chunk(kind: bytes, content: bytes) -> None:
            sum_of = zlib.crc32(kind + content).to_bytes(4, "big")
            file.write(len(content).to_bytes(4, "big") + kind + content + sum_of)

        file.write(b"\x89PNG\r\n\x1a\n")
        chunk(b"IHDR", side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0]))
        for number in range(side):
            if packed := packer.compress(b"\0" + rows[number % 256]):
                chunk(b"IDAT", packed)
        chunk(b"IDAT", packer.flush())
        chunk(b"IEND", b"")


def write_video(path: Path, frames: int) -> None:
    """Write a video of a square that moves over noise, 48 x 48 pixels."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, options={"crf": "30", "preset": "ultrafast"})
        stream.width = stream.height = 48
        stream.pix_fmt = "yuv420p"
        ground = noise(0, 48) // 2
        for number in range(frames):
            picture = ground.copy()
            left = number % 30
            picture[10:26, left : left + 16] += 120
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


MEASURES: dict[str, Callable[[Path], Row]] = {
    "folder": folder_of_images,
    "tiff": lambda folder: huge_image(folder, ".tif"),
    "png": lambda folder: huge_image(folder, ".png"),
    "video": long_video,
    "keys": many_keys,
    "examples": many_examples,
    "classes": many_classes,
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=[*MEASURES])
    given = parser.parse_args()
    rows = []
    for name in given.only:
        with TemporaryDirectory(prefix="bounded-") as folder:
            rows.append(MEASURES[name](Path(folder)))
            print(" | ".join(rows[-1].cells()), file=sys.stderr, flush=True)
    from prompttune.utils.pages import table

    print(table(["what", "bar", "measured", "holds"], [row.cells() for row in rows]))
    sys.exit(not all(row.holds for row in rows))


if __name__ == "__main__":
    main()
