"""The page on a small random backbone in a process of its own, and a browser to look at it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@dataclass(frozen=True)
class Running:
    """The page's address, and the user's own zoo."""

    url: str
    zoo: Path
    fingerprint: str


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from serving import make_network

    from prompttune.backbone.weights import save_weights
    from prompttune.inference.segmenter import Segmenter

    folder = tmp_path_factory.mktemp("studio")
    weights = folder / "small.safetensors"
    save_weights(make_network(), weights)
    command = [sys.executable, "-m", "prompttune.studio", "--port", "0", "--grace", "1"]
    command += ["--backbone", str(weights)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PROMPTTUNE_HOME": str(folder / "home")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    yield Running(url, folder / "home" / "prompts_zoo", Segmenter(weights).network.fingerprint)
    process.terminate()
    process.wait(100)
    process.stdout.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from browsing import CHROMIUM, api

    with api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def page(browser: Any, studio: Running) -> Iterator[Any]:
    """Open the page in a context of its own; every request must go to the server itself."""
    from browsing import open_page

    context = browser.new_context(viewport={"width": 1366, "height": 768}, accept_downloads=True)
    made = context.new_page()
    foreign: list[str] = []
    wrong: list[str] = []
    own = (studio.url, "data:", "blob:")
    context.on("request", lambda one: None if one.url.startswith(own) else foreign.append(one.url))
    context.on("weberror", lambda one: wrong.append(str(one.error)))
    open_page(made, studio.url)
    yield made
    context.close()
    assert foreign == []
    assert wrong == []


@pytest.fixture
def keys(studio: Running) -> Iterator[tuple[str, str]]:
    """Put two keys into the zoo that know how good they are: for any image, and for none."""
    import shutil

    from serving import make_prompt, save

    from prompttune.reliability.calibration import Calibration, Curve
    from prompttune.reliability.domain import Domain

    curve = Curve(tuple((index / 32) ** 0.5 for index in range(33)))
    for name, limit in (("alike", 1e6), ("strange", 1e-3)):
        prompt = replace(
            make_prompt(name, fingerprint=studio.fingerprint),
            calibration=Calibration(curve, curve, (0.1, 0.8)),
            domain=Domain(np.zeros((2, 16), np.float32), 1.0, limit),
        )
        save(prompt, studio.zoo)
    yield "alike", "strange"
    for name in ("alike", "strange"):
        shutil.rmtree(studio.zoo / name, ignore_errors=True)
