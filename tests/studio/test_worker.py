"""The worker tunes as its job says; what is wrong lies in a file."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from prompttune.studio import worker
from prompttune.studio.worker import IMAGE, JOB, KEY, MASK, PROBLEM, RUN
from prompttune.utils.errors import InputError
from prompttune.workflows import tune as workflow

CONTENT = {"classes": ["a"], "backbone": "small", "device": "cpu", "values": {"max_steps": 3}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / JOB).write_text(json.dumps(CONTENT))
    for number in (1, 0):
        (tmp_path / f"{number:03}.{IMAGE}").write_bytes(bytes([number]))
        np.save(tmp_path / f"{number:03}.{MASK}", np.full((2, 2), number, np.uint8))
    return tmp_path


def test_images_and_masks_go_in_and_a_key_comes_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, saved = {}, []

    def tune(pairs: list, **given: object) -> SimpleNamespace:
        seen.update(given, pairs=pairs)
        return SimpleNamespace(save=lambda path, overwrite: saved.append(path))

    monkeypatch.setattr(workflow, "tune", tune)
    assert worker.main(folder) == 0
    assert [image for image, _ in seen["pairs"]] == [b"\x00", b"\x01"]
    assert [int(mask.max()) for _, mask in seen["pairs"]] == [0, 1]
    assert (seen["output"], seen["resume"], seen["max_steps"]) == (folder / RUN, True, 3)
    assert saved == [folder / KEY / "tuned"]


def test_bad_input_is_left_for_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tune(*_: object, **__: object) -> None:
        raise InputError("no class is shown")

    monkeypatch.setattr(workflow, "tune", tune)
    assert worker.main(folder) == 2
    assert (folder / PROBLEM).read_text() == "no class is shown"
