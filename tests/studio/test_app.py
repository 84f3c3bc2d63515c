"""The page's routes without a browser: names that lie, sizes that lie, files that are gone."""

import io
import re
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hostile import Faults
from PIL import Image

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from serving import Running, photo, png, run

from prompttune.prompts.prompt import Prompt
from prompttune.studio.app import Studio, add_studio
from prompttune.studio.examples import Store
from prompttune.studio.tunings import Tunings


@dataclass
class Paged:
    running: Running
    image: str
    mask: str
    pixels: np.ndarray
    painted: np.ndarray


@pytest.fixture
def paged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paged]:
    monkeypatch.setenv("PROMPTTUNE_HOME", str(tmp_path / "home"))
    (tmp_path / "zoo").mkdir()
    (tmp_path / "files").mkdir()
    with run(tmp_path / "zoo") as running:
        gate = running.client.app
        store = Store(tmp_path / "files")
        tunings = Tunings(tmp_path / "files", "missing-backbone", "cpu")
        add_studio(gate._app, Studio(running.service, store, tunings))  # type: ignore[attr-defined]
        pixels, painted = photo(30, 40), np.zeros((30, 40), np.uint8)
        painted[5:15, 5:20] = 1
        image = running.client.post("/studio/images", content=png(pixels)).json()
        assert (image["height"], image["width"]) == (30, 40)
        mask = running.client.post("/studio/masks", content=painted.tobytes()).json()["id"]
        yield Paged(running, image["id"], mask, pixels, painted)
        tunings.close()


def test_an_answer_is_the_segmenters(paged: Paged) -> None:
    body = {
        "image": paged.image,
        "kind": "one-shot",
        "classes": ["spot"],
        "examples": [{"image": paged.image, "mask": paged.mask}],
    }
    response = paged.running.client.post("/studio/answers", json=body)
    assert response.status_code == 200, response.text
    prompt = Prompt.from_examples([(paged.pixels, paged.painted)], ["spot"], "auto", 16)
    expected = paged.running.reference.predict(paged.pixels, prompt)
    got = np.frombuffer(response.content, np.uint8).reshape(30, 40)
    assert np.array_equal(got, expected.classes)


def test_a_download_holds_no_path_out_of_its_folder(paged: Paged) -> None:
    names = ["../../etc/passwd.png", "a<script>.png", "a<script>.jpg", "..", "C:\\x\\y.png"]
    items = [{"image": paged.image, "mask": paged.mask, "name": name} for name in names]
    body = {"classes": ["spot"], "items": items}
    response = paged.running.client.post("/studio/download", json=body)
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        listed = archive.namelist()
        assert len(set(listed)) == 2 * len(names)
        for name in listed:
            folder, stem = name.split("/")
            assert folder in ("masks", "overlays")
            assert not set(stem) & set('<>:"\\')
            assert not stem.startswith(".")
        mask = np.array(Image.open(io.BytesIO(archive.read(listed[0]))))
    assert np.array_equal(mask, paged.painted)


def test_what_is_no_image_or_gone_gets_one_sentence(paged: Paged) -> None:
    client = paged.running.client
    assert client.post("/studio/images", content=b"no image").status_code == 422
    gone = client.get(f"/studio/images/{'0' * 64}/view")
    assert gone.status_code == 410
    assert "send it again" in gone.json()["error"]
    assert client.get("/studio/images/..%2f..%2fetc/view").status_code in (404, 422)
    short = client.post("/studio/masks", content=b"\1\2").json()["id"]
    body = {
        "image": paged.image,
        "kind": "ensemble",
        "classes": ["spot"],
        "examples": [{"image": paged.image, "mask": short}],
    }
    assert client.post("/studio/answers", json=body).status_code == 422
    empty = body | {"examples": []}
    assert "Paint a class" in client.post("/studio/answers", json=empty).json()["error"]
    assert client.get("/studio/tunings/none").status_code == 410
    assert client.get("/static/..%2f__main__.py").status_code == 404


def test_a_tuning_that_fails_says_why(paged: Paged) -> None:
    client = paged.running.client
    body = {
        "classes": ["spot"],
        "examples": [{"image": paged.image, "mask": paged.mask}],
        "steps": 5,
    }
    name = client.post("/studio/tunings", json=body).json()["id"]
    while (state := client.get(f"/studio/tunings/{name}").json())["state"] == "running":
        time.sleep(0.2)
    assert state["state"] == "failed"
    assert "unknown backbone 'missing-backbone'" in state["problem"]
    saved = client.post(f"/studio/tunings/{name}/save", json={"name": "mine"})
    assert saved.status_code == 409


def test_the_page_loads_nothing_from_elsewhere_and_may_not(paged: Paged) -> None:
    page = paged.running.client.get("/")
    faults = Faults(page.text, scripts=("static/",))
    assert not faults.found
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    names = set(re.findall(r'(?:src|href)="(static/[^"]+)"', page.text))
    assert names
    for name in names:
        loaded = paged.running.client.get(f"/{name}")
        assert loaded.headers["content-security-policy"] == policy
        outside = re.findall(r"""["'`(]\s*(?:https?:)?//[^"'`)\s]+""", loaded.text)
        assert set(outside) <= {'"http://www.w3.org/2000/svg'}  # the name of SVG, not a place
