"""What tuning on the page gains: `python -m benchmarks.studio --data DIR`.

Brings two training images of a public set and their masks to the page's own routes, as a browser
does, tunes with the page's defaults, and scores all three answers on test images: one example, both
examples, the tuned key. Only the page's routes see the images. `--set` tries other values of the
recipe than the page's own.
"""

import argparse
import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fastapi.testclient import TestClient
from PIL import Image

from prompttune.data.layouts import LoadedSample
from prompttune.evaluation.metrics import counted_pixels, measure
from prompttune.inference.segmenter import Segmenter
from prompttune.serve.app import create_app, make_service
from prompttune.studio import tunings
from prompttune.studio.app import Studio, add_studio
from prompttune.studio.examples import Store
from prompttune.tasks.data import task_data
from prompttune.tasks.recipe import load_recipe

SETS = {
    "retina": "retina-drive",
    "cracks": "road-cracks",
    "aerial": "aerial-roads",
    "membranes": "em-membranes",
}


def main() -> None:
    """Tune and score, and print JSON, a line for each set and pair of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("--tasks", nargs="+", choices=SETS, default=["retina", "cracks"])
    parser.add_argument("--pairs", type=int, nargs="+", default=[0, 1, 2], help="seeds of the two")
    parser.add_argument("--images", type=int, default=8, help="test images that are scored")
    parser.add_argument("--steps", type=int, help="(default: the page's own)")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    given = dict(each.split("=", 1) for each in options.set)
    tunings.VALUES.update({name: yaml.safe_load(value) for name, value in given.items()})
    service = make_service(Segmenter())
    app = create_app(service)
    with tempfile.TemporaryDirectory() as folder, TestClient(app) as client:
        made = tunings.Tunings(Path(folder), "seggpt-small", service.segmenter.device.type)
        add_studio(app, Studio(service, Store(Path(folder)), made))
        try:
            for task in options.tasks:
                data = task_data(load_recipe(task), options.data / SETS[task])
                train = [*data.train, *data.val]
                for seed in options.pairs:
                    picked = np.random.default_rng(seed).permutation(len(train))[:2]
                    pair = [train[index] for index in picked]
                    row = _row(client, task, pair, list(data.test)[: options.images], options.steps)
                    print(json.dumps({"task": task, "pair": seed, **given, **row}), flush=True)
        finally:
            made.close()


def _row(
    client: TestClient,
    task: str,
    pair: list[LoadedSample],
    test: list[LoadedSample],
    steps: int | None,
) -> dict[str, Any]:
    examples = [
        {"image": _image(client, each), "mask": _mask(client, each.class_map)} for each in pair
    ]
    body = {"classes": [task], "examples": examples}
    queries = [_image(client, each) for each in test]

    def scored(kind: str, tuning: str | None = None) -> float:
        dice = []
        for query, sample in zip(queries, test, strict=True):
            asked = body | {"image": query, "kind": kind, "tuning": tuning}
            response = client.post("/studio/answers", json=asked).raise_for_status()
            found = np.frombuffer(response.content, np.uint8).reshape(sample.class_map.shape)
            counted = counted_pixels(sample.class_map, sample.field_of_view)
            scores = (found[None] == 1).astype(np.float32)
            dice.append(measure(scores, found, sample.class_map, counted).dice)
        return round(float(np.nanmean(dice)), 3)

    row: dict[str, Any] = {kind: scored(kind) for kind in ("one-shot", "ensemble")}
    began = time.perf_counter()
    begin = body if steps is None else body | {"steps": steps}
    name = client.post("/studio/tunings", json=begin).raise_for_status().json()["id"]
    while (now := client.get(f"/studio/tunings/{name}").json())["state"] == "running":
        time.sleep(2)
    if now["state"] != "done":
        raise SystemExit(f"{task}: {now['problem']}")
    row |= {"seconds": round(time.perf_counter() - began), "tuned": scored("tuned", name)}
    return row | {"curve": [dice for _, dice in now["history"]]}


def _image(client: TestClient, sample: LoadedSample) -> str:
    file = io.BytesIO()
    Image.fromarray(sample.image).save(file, "PNG", compress_level=1)
    return str(client.post("/studio/images", content=file.getvalue()).json()["id"])


def _mask(client: TestClient, class_map: np.ndarray) -> str:
    painted = np.where(class_map == 1, class_map, 0).astype(np.uint8)
    return str(client.post("/studio/masks", content=painted.tobytes()).json()["id"])


if __name__ == "__main__":
    main()
