"""A key comes back as the prompt that it keeps, with all that it knows."""

# ruff: noqa: F811
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from key_fixtures import Make, make, own, shipped  # noqa: F401 (fixtures)

from prompttune.keys.key import save_key
from prompttune.prompts.composition import Composition
from prompttune.prompts.loading import load_key
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError


def test_a_prompt_comes_back(make: Make, tmp_path: Path) -> None:
    prompt, card = make()
    loaded, read = load_key(save_key(prompt, card, tmp_path / "zoo"))
    assert isinstance(loaded, Prompt)
    for name in ("palette", "scale", "seg_type", "threshold", "fingerprint", "name"):
        assert getattr(loaded, name) == getattr(prompt, name)
    for name in ("images", "colors"):
        assert all(map(torch.equal, getattr(loaded, name), getattr(prompt, name)))
    assert (loaded.card, loaded.canvas) == (read, 16)
    assert (loaded.calibration, loaded.domain, loaded.kept_tokens) == (None, None, None)


def test_groups_come_back_as_a_composition(make: Make, tmp_path: Path) -> None:
    from prompttune.keys.card import Card

    first, card = make(prompts=1)
    second = replace(make(prompts=2)[0], palette=Palette(("x",), ((255, 255, 255),)))
    both = Composition([first, second])
    known = {
        name: getattr(card, name)
        for name in ("task", "initialisation", "recipe", "data", "date")
    }  # fmt: skip
    grouped = Card.of(both, backbone="seggpt-small", **known)
    loaded, _ = load_key(save_key(both, grouped, tmp_path / "zoo"))
    assert isinstance(loaded, Composition)
    assert [part.palette.classes for part in loaded.parts] == [("vessel", "disc"), ("x",)]
    assert [len(part.images) for part in loaded.parts] == [1, 2]


def test_another_backbone_is_refused(make: Make, tmp_path: Path) -> None:
    folder = save_key(*make(), tmp_path / "zoo")
    with pytest.raises(InputError, match="seggpt-small"):
        load_key(folder, "cd" * 32, "other")
    assert np.isfinite(load_key(folder, "ab" * 32)[0].threshold)
