"""How long the first answer takes: `python -m benchmarks.first_use`.

Starts processes in turn: a bare `import torch`, `import prompttune`, and `prompttune predict` on
one small image with the shipped retina key. Compares the processor seconds (user and system) and
the time on the clock, round by round. Bytecode is cached, as after a first run. `--parts` says what
the command itself spends, once all is imported.
"""

import argparse
import cProfile
import os
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

PARTS = {
    ("predict.py", "main"): "the command, without what it imports",
    ("loading.py", "load"): "loading the backbone",
    ("one_way.py", "encode_prompt"): "encoding the prompt",
    ("companion.py", "answer"): "the companion's answer",
    ("one_way.py", "describe"): "whether the image is like the key's",
}


def spent(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command; return the processor seconds that it took, and those on the clock."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    clock = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, clock


def commands(folder: Path, side: int) -> dict[str, list[str]]:
    """Return what is run, by its name in the table."""
    image = folder / "image.png"
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(image)
    predict = f"-m prompttune predict --prompt retina {image} --output {folder / 'out'}"
    return {
        "python": [sys.executable, "-c", ""],
        "import torch": [sys.executable, "-c", "import torch"],
        "import prompttune": [sys.executable, "-c", "import prompttune"],
        "prompttune predict": [sys.executable, *predict.split()],
    }


def measure(rounds: int, threads: int, side: int) -> list[str]:
    """Return the rows of the table."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        asked = commands(Path(folder), side)
        for command in asked.values():
            spent(command, environment)  # writes bytecode, and fills the disk's cache
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in asked}
        for _ in range(rounds):
            for name, command in asked.items():
                taken[name].append(spent(command, environment))
    rows = [
        "| | processor seconds | of `import torch` | clock, of `import torch` |",
        "|---|---|---|---|",
    ]
    bare = taken["import torch"]
    for name, each in taken.items():
        ratios = [[a[i] / b[i] for a, b in zip(each, bare, strict=True)] for i in range(2)]
        low, high = min(ratios[0]), max(ratios[0])
        rows.append(
            f"| {name} | {statistics.median(a for a, _ in each):.2f} | "
            f"{statistics.median(ratios[0]):.2f} ({low:.2f} to {high:.2f}) | "
            f"{statistics.median(ratios[1]):.2f} |"
        )
    return rows


def parts(side: int) -> list[str]:
    """Return the processor seconds of each part of one command in this process."""
    import prompttune.cli.predict
    import prompttune.inference.batch
    import prompttune.inference.writing

    profile = cProfile.Profile(time.process_time)
    with tempfile.TemporaryDirectory() as folder:
        words = commands(Path(folder), side)["prompttune predict"][4:]
        profile.runcall(prompttune.cli.predict.main, words)
    taken = {
        (Path(file).name, name): whole
        for (file, _, name), (_, _, _, whole, _) in pstats.Stats(profile).stats.items()  # type: ignore[attr-defined]
        if "prompttune" in file
    }
    return [f"| {what} | {taken.get(key, 0.0):.2f} |" for key, what in PARTS.items()]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--side", type=int, default=128, help="of the image; 128 is one window")
    parser.add_argument("--parts", action="store_true", help="of the command alone")
    options = parser.parse_args()
    if options.parts:
        print("\n".join(parts(options.side)))
        return
    print("\n".join(measure(options.rounds, options.threads, options.side)))


if __name__ == "__main__":
    main()
