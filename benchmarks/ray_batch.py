"""A batch on a local Ray cluster beside the plain folder run, on the same cores.

python -m benchmarks.ray_batch [--images 96] [--cores 2]

Both segment the same generated images in turn, several times, with one thread a core. The plain
run has as many processes as the cluster has actors, each with its share of the folder, so that both
use all cores. Starting either is not counted. Where other work runs on the machine, look at images
a second of the workers' processor time, and at the share of a core that Ray's other processes take.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from prompttune import load_prompt
from prompttune.batch import ray_predict
from prompttune.synthetic.fundus import generate_fundus

PLAIN = """
import sys, time, torch
from pathlib import Path
torch.set_num_threads(1)
from prompttune import Segmenter, load_prompt
from prompttune.inference.batch import segment_files
from prompttune.inference.writing import Asked
from prompttune.outputs.paths import name_outputs
images, output = [Path(p) for p in sys.argv[2:]], Path(sys.argv[1])
output.mkdir(parents=True, exist_ok=True)
segmenter, prompt = Segmenter(device="cpu"), load_prompt("retina")
segmenter.check(prompt)
print("ready", flush=True); sys.stdin.readline()
began = time.process_time()
segment_files(segmenter, prompt, name_outputs(images, output), Asked(), output)
print(time.process_time() - began)
"""


def main() -> None:
    """Print images a second of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--size", type=int, default=160, help="side of an image, pixels")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--part", type=int, default=16, help="images of a part")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    import ray

    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  # as a plain run has it; else 15
    ray.init(address="local", num_cpus=given.cores, log_to_driver=False, include_dashboard=False)
    with TemporaryDirectory() as name:
        folder = Path(name)
        images = [folder / "images" / f"{i:04}.png" for i in range(given.images)]
        images[0].parent.mkdir()
        for i, path in enumerate(images):
            Image.fromarray(generate_fundus(i, size=given.size).image).save(path)
        ratios, own, rays = [], [], []
        for turn in range(given.repeats):
            plain, plain_own = _plain(images, folder / f"plain-{turn}", given.cores)
            ray_rate, ray_own, daemons = _ray(
                images, folder / f"ray-{turn}", given.cores, given.part
            )
            ratios.append(ray_rate / plain)
            own.append(ray_own / plain_own)
            rays.append(daemons)
            print(
                f"plain {plain:.2f}, Ray {ray_rate:.2f} images a second; of processor time "
                f"{plain_own:.2f} and {ray_own:.2f}; Ray itself {daemons:.3f} cores", flush=True,
            )  # fmt: skip
    print(
        f"Ray has {statistics.median(ratios):.2f} of the plain run's rate, and "
        f"{statistics.median(own):.2f} of that of the workers' processor time; Ray's other "
        f"processes take {statistics.median(rays):.3f} of a core (medians)"
    )


def _plain(images: list[Path], output: Path, cores: int) -> tuple[float, float]:
    """Return images a second, and a second of processor time, of so many processes."""
    lines = [
        [sys.executable, "-c", PLAIN, str(output / str(core)), *map(str, images[core::cores])]
        for core in range(cores)
    ]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True) for line in lines]
    for each in running:
        assert each.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for each in running:
        each.stdin.write("\n")
        each.stdin.flush()
    spent = [float(each.communicate()[0].split()[-1]) for each in running]
    return len(images) / (time.perf_counter() - began), len(images) / sum(spent)


def _ray(images: list[Path], output: Path, cores: int, part: int) -> tuple[float, float, float]:
    """Return the same between the first part of each worker and the last, and Ray's own cores."""
    import pyarrow.parquet as pq

    seen: list[tuple[float, np.ndarray]] = []

    def watch() -> None:
        for count in (cores, -(-len(images) // part)):  # workers end soon after the last
            while len(list(output.glob("part-*.parquet"))) < count:
                time.sleep(0.02)
            seen.append((time.time(), _processor_seconds()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    paths = list(map(str, images))
    asked = {"address": "auto", "workers": (cores, cores), "part_size": part}
    ray_predict(paths, load_prompt("retina"), str(output), **asked)
    watcher.join()
    parts = sorted(output.glob("part-*.parquet"), key=lambda part: part.stat().st_mtime_ns)
    ends = [part.stat().st_mtime_ns / 1e9 for part in parts]
    first = cores - 1  # by when each worker has done a part
    after = sum(pq.read_metadata(part).num_rows for part in parts[first + 1 :])
    (began, spent_then), (ended, spent) = seen
    workers, others = spent - spent_then
    return after / (ends[-1] - ends[first]), after / workers, others / (ended - began)


def _processor_seconds() -> np.ndarray:
    """Return what workers, and what Ray's other processes and this one, have used."""
    import psutil

    spent = np.zeros(2)
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            is_worker = "MapWorker" in "".join(process.cmdline())
            spent[0 if is_worker else 1] += sum(process.cpu_times()[:2])
    return spent


if __name__ == "__main__":
    main()
