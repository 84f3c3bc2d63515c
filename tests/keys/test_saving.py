"""What was learned is kept under a name or in a folder; what was not is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from prompttune.keys.saving import save_prompt
from prompttune.prompts.composition import Composition
from prompttune.prompts.loading import load_key
from prompttune.prompts.palette import Palette
from prompttune.utils.errors import InputError


def learned(make: Any, **changes: Any) -> Any:
    prompt, card = make()
    return replace(prompt, card=card, **changes)


def test_it_lies_under_its_new_name(make: Any, own: Path, tmp_path: Path) -> None:
    prompt = learned(make)
    by_name, by_folder = save_prompt(prompt, "mine"), save_prompt(prompt, tmp_path / "zoo" / "two")
    assert (by_name, by_folder) == (own / "mine", tmp_path / "zoo" / "two")
    for folder in (by_name, by_folder):
        loaded, card = load_key(folder)
        assert (loaded.name, card.name) == (folder.name, folder.name)
        assert all(map(torch.equal, loaded.images, prompt.images))
    with pytest.raises(InputError, match="there already"):
        save_prompt(prompt, "mine")
    save_prompt(prompt, "mine", overwrite=True)


def test_halves_are_kept_where_nothing_is_lost(make: Any, tmp_path: Path) -> None:
    halves = learned(make)
    halves = replace(halves, **{
        name: tuple(plane.half().float() for plane in getattr(halves, name))
        for name in ("images", "colors")
    })  # fmt: skip
    small = save_prompt(halves, tmp_path / "zoo" / "half") / "prompt.safetensors"
    large = save_prompt(learned(make), tmp_path / "zoo" / "whole") / "prompt.safetensors"
    pixels = sum(plane.numel() for plane in (*halves.images, *halves.colors))
    assert large.stat().st_size - small.stat().st_size > 1.9 * pixels


def test_another_threshold_forgets_the_scores(make: Any, tmp_path: Path) -> None:
    _, card = load_key(save_prompt(learned(make, threshold=0.7), tmp_path / "zoo" / "other"))
    assert (card.threshold, card.scores) == (0.7, ())


def test_examples_and_several_keys_are_no_key(make: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was not learned"):
        save_prompt(make()[0], tmp_path / "zoo" / "x")
    parts = [learned(make), learned(make, palette=Palette(("x",), ((255, 255, 255),)))]
    parts[1] = replace(parts[1], card=parts[1].card.model_copy(update={"name": "other"}))
    with pytest.raises(InputError, match="keys of their own"):
        save_prompt(Composition(parts), tmp_path / "zoo" / "x")
    assert not (tmp_path / "zoo" / "x").exists()
