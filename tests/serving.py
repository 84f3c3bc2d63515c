"""Runs a server on a small random backbone, with keys of its own in a temporary zoo."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("prometheus_client", reason="the extra serve is not installed")

import uvicorn
from fastapi.testclient import TestClient

from prompttune.backbone import SegGPT, SegGPTConfig
from prompttune.backbone.one_way import build
from prompttune.inference.segmenter import Segmenter
from prompttune.keys.card import Card, Data, Initialization
from prompttune.keys.key import save_key
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.serve.app import create_app, make_service
from prompttune.serve.asgi import Gate
from prompttune.serve.limits import Limits
from prompttune.serve.work import Service

CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=4, heads=2, merge_index=0, out_indices=(2, 3), decoder_dim=4,
    pretrain_canvas=16, one_way=True, apart=2, class_token=True, match_indices=(1,),
    image_indices=(0,), pixel_dim=4,
)  # fmt: skip
FINGERPRINT = "f" * 64
PATIENCE = 60
"""Seconds that a test waits for what must come."""


def make_network() -> SegGPT:
    torch.manual_seed(0)
    network = build(CONFIG)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    network.fingerprint, network.name = FINGERPRINT, "small"
    return network.eval().requires_grad_(False)


def make_prompt(name: str, classes: tuple[str, ...] = ("thing",), **fields: object) -> Prompt:
    random = torch.Generator().manual_seed(sum(name.encode()))
    pixels = torch.rand(2, 3, 16, 16, generator=random)
    values = {"scale": 0.5, "canvas": 16, "fingerprint": FINGERPRINT, "threshold": 0.3} | fields
    return Prompt((pixels[0],), (pixels[1],), Palette.of(classes), name=name, **values)  # type: ignore[arg-type]


def save(prompt: Prompt, zoo: Path, **recipe: object) -> Path:
    card = Card.of(
        prompt,
        task="custom",
        backbone="small",
        initialisation=Initialization(kind="noise", contains_real_image=False),
        recipe=recipe,
        data=Data(layout="pairs", train=2, val=2, sha256="0" * 64, generated=False),
    )
    return save_key(prompt, card, zoo, overwrite=True)


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@dataclass
class Running:
    """A server in this process, and what its answers are compared with."""

    client: TestClient
    service: Service
    reference: Segmenter
    """A segmenter of its own on the same weights."""
    zoo: Path


def fill(folder: Path) -> None:
    save(make_prompt("fine", scale=1.0), folder)
    save(make_prompt("coarse", ("a", "b"), scale=0.5), folder)
    save(make_prompt("whole", scale=None), folder)
    save(replace(make_prompt("foreign"), fingerprint="e" * 64), folder)


@contextmanager
def run(zoo: Path, limits: Limits | None = None, token: str | None = None) -> Iterator[Running]:
    network = make_network()
    service = make_service(Segmenter(network), zoo, limits)
    app = create_app(service)
    app.state.may_add_keys = token is not None
    gate = Gate(app, service.limits, service.metrics, token)
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    with TestClient(gate, headers=headers, raise_server_exceptions=False) as client:
        yield Running(client, service, Segmenter(make_network()), zoo)


def until(is_so: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.01)


def counted(service: Service, name: str) -> float:
    lines = service.metrics.text().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@contextmanager
def listening(zoo: Path) -> Iterator[tuple[Service, int]]:
    """Run a server of this process on a real socket, and give its port."""
    service = make_service(Segmenter(make_network()), zoo)
    gate = Gate(create_app(service), service.limits, service.metrics)
    server = uvicorn.Server(uvicorn.Config(gate, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    try:
        yield service, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
