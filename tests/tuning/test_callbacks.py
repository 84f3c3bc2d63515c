"""Pictures of a run: what is learned and what it answers, at each validation."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers.logger import DummyLogger
from PIL import Image

from prompttune.tuning import run
from prompttune.tuning.callbacks import CROPS, SIDE, _telling
from prompttune.tuning.run import PROGRESS, Machine, discard, tune

QUIET = Machine(progress=False)


class Recorder(DummyLogger):
    """Stands for a logger that takes images, as Weights & Biases' does."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[tuple[str, int]] = []
        self.last: dict[str, np.ndarray] = {}

    def log_image(self, key: str, images: list[np.ndarray], step: int) -> None:
        self.images.append((key, step))
        (self.last[key],) = images


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    usual = run._logger
    monkeypatch.setattr(run, "_logger", lambda *args: [*usual(*args), recorder])
    return recorder


def picture(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_each_validation_shows_the_prompt_and_the_same_crops(
    network, grouped, many, tmp_path, recorder
) -> None:
    recipe = replace(grouped, max_steps=4)
    tune(recipe, network, many, tmp_path / "run", QUIET)
    folder = tmp_path / "run" / PROGRESS
    names = ["step-00002.png", "step-00004.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert recorder.images == [(key, step) for step in (2, 4) for key in ("prompt", "answers")]
    early, late = (picture(folder / name) for name in names)
    step = SIDE + 6
    assert early.shape == late.shape == (CROPS * step - 6, 2 * step - 6 + 18 + 3 * step - 6, 3)
    crops = slice(2 * step - 6 + 18, 3 * step - 6 + 12)
    assert np.array_equal(early[:, crops], late[:, crops])  # the queries
    assert np.array_equal(early[:, -SIDE:], late[:, -SIDE:])  # the truth
    assert not np.array_equal(early[:, : 2 * step], late[:, : 2 * step])  # what is learned
    assert np.array_equal(late[:, -3 * step + 6 :], recorder.last["answers"])
    white = (late[:, -SIDE:] == 255).all(-1).any()
    assert white  # the first class of the truth
    discard(tmp_path / "run")
    assert not list(folder.iterdir())


def test_crops_that_show_a_class_come_first() -> None:
    maps = torch.zeros(7, 2, 2, dtype=torch.long)
    maps[1, 0, 0], maps[2, 0, 0], maps[4, 1, 1], maps[6, 0, 1] = 1, 255, 2, 3
    assert _telling(maps) == [0, 1, 4, 6]
