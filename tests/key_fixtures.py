"""Keys to test with: made by hand, in a user's zoo and a shipped zoo that are both temporary."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from prompttune.companion.companion import Companion
from prompttune.companion.shapes import weight_count
from prompttune.keys.card import Card, Data, Initialization, Scores
from prompttune.keys.key import save_key
from prompttune.prompts.loading import load_key
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError

Make = Callable[..., tuple[Prompt, Card]]
SCORES = Scores.model_validate(
    {
        "data": "drive",
        "split": "test",
        "command": "compare",
        "rows": [{"mode": "tuned", "dice": 0.7, "iou": 0.5}],
    }
)


def make_key(
    name: str = "retina",
    prompts: int = 2,
    size: int = 16,
    scale: float | None = 0.5,
    fingerprint: str | None = "ab" * 32,
    **card: Any,
) -> tuple[Prompt, Card]:
    random = torch.Generator().manual_seed(3)
    pixels = torch.randn(2, prompts, 3, size, size, generator=random)  # leaves [0, 1]
    prompt = Prompt(
        images=tuple(pixels[0].unbind()),
        colors=tuple(pixels[1].unbind()),
        palette=Palette(("vessel", "disc"), ((255, 255, 255), (255, 0, 17))),
        scale=scale,
        seg_type=1,
        threshold=0.4,
        fingerprint=fingerprint,
        name=name,
    )
    fields: dict[str, Any] = {
        "task": "retina",
        "backbone": "seggpt-small",
        "initialisation": Initialization(kind="noise", contains_real_image=False),
        "recipe": {"steps": 300, "rate": 0.01, "sizes": (1, 2)},
        "data": Data(layout="folders", train=16, val=4, sha256="0" * 64, generated=False),
        "date": datetime(2026, 1, 31, 12, 0, 0, 999, tzinfo=UTC),
    }
    return prompt, Card.of(prompt, **(fields | card))


def everything(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def refused(folder: Path, match: str) -> None:
    """Expect one line that names the key and says what is wrong with it."""
    with pytest.raises(InputError, match=match) as caught:
        load_key(folder)
    assert str(caught.value).isprintable()
    assert str(folder) in str(caught.value)


def accompanied(make: Make) -> tuple[Prompt, Card]:
    """A key with a small network beside its prompt."""
    prompt, card = make()
    count = weight_count((4, 8), len(prompt.palette.classes))
    weights = torch.linspace(-1, 1, count).half().float()
    companion = Companion(weights, (4, 8), len(prompt.palette.classes), 0.65)
    prompt = replace(prompt, companion=companion)
    fields = card.model_dump(include={"task", "initialisation", "recipe", "data", "date"})
    return prompt, Card.of(prompt, backbone="seggpt-small", **fields)


@pytest.fixture
def make() -> Make:
    return make_key


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the user's folder to a temporary one, and give its zoo."""
    monkeypatch.setenv("PROMPTTUNE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "prompts_zoo"


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the shipped zoo to a temporary one."""
    folder = tmp_path / "shipped"
    monkeypatch.setattr("prompttune.zoo.store.shipped_folder", lambda name: folder)
    return folder


@pytest.fixture
def key(own: Path) -> Path:
    """Save one key in the user's zoo and give its folder."""
    return save_key(*make_key(), own)


class Forge:
    """A safetensors file taken apart by hand, to be changed and written again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "prompt.safetensors"
        data = self.path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        self.header: dict[str, Any] = json.loads(data[8 : 8 + length])
        self.body = data[8 + length :]
        self.card: dict[str, Any] = json.loads(self.header["__metadata__"]["card"])

    def write(self, card_text: str | None = None) -> None:
        self.header["__metadata__"]["card"] = card_text or json.dumps(self.card)
        text = json.dumps(self.header).encode()
        self.path.write_bytes(struct.pack("<Q", len(text)) + text + self.body)


@pytest.fixture
def forge(key: Path) -> Forge:
    return Forge(key)
