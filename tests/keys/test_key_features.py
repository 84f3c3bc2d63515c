"""What a key may hold besides images: groups, type shifts, kept tokens, calibration."""

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from key_fixtures import SCORES, Make, accompanied, refused
from safetensors import safe_open

from prompttune.companion.companion import Companion
from prompttune.companion.shapes import weight_count
from prompttune.keys.card import Card, read_json, write_json
from prompttune.keys.header import load_card
from prompttune.keys.key import save_key, write_card
from prompttune.prompts.composition import Composition, give_companion
from prompttune.prompts.loading import load_key
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import Calibration, Curve, Zoomed
from prompttune.reliability.domain import Domain
from prompttune.utils.errors import InputError


def composed(make: Make, **change: Any) -> tuple[Composition, Card]:
    """Two prompts of two images and two classes each, as one key."""
    one, card = make()
    palette = Palette(("fovea", "cup"), one.palette.colors)
    halves = ([2 - plane for plane in half] for half in (one.images, one.colors))
    other = replace(one, **dict(zip(("images", "colors"), halves, strict=True)), palette=palette)
    both = Composition([one, replace(other, **change)])
    fields = card.model_dump(include={"task", "initialisation", "recipe", "data", "date"})
    return both, Card.of(both, backbone="seggpt-small", **fields)


def test_groups_are_kept_in_one_file_and_come_back(make: Make, tmp_path: Path) -> None:
    both, card = composed(make)
    assert (card.prompts, len(card.classes), card.required_features) == (4, 4, ("groups",))
    folder = save_key(both, card, tmp_path)
    loaded, its_card = load_key(folder)
    assert its_card == card
    assert isinstance(loaded, Composition)
    assert loaded.palette.classes == ("vessel", "disc", "fovea", "cup")
    for part, ours in zip(loaded.parts, both.parts, strict=True):
        assert part.palette == ours.palette
        assert (part.name, part.scale, part.threshold) == ("retina", 0.5, 0.4)
        assert torch.equal(torch.stack(part.images), torch.stack(ours.images))
        assert torch.equal(torch.stack(part.colors), torch.stack(ours.colors))
    with safe_open(folder / "prompt.safetensors", framework="np") as file:
        expected = torch.stack([plane for part in both.parts for plane in part.images])
        assert np.array_equal(file.get_tensor("images"), expected.numpy())


@pytest.mark.parametrize(
    ("change", "match"), [({"threshold": 0.9}, "threshold is 0.9"), ({"scale": 1.0}, "scale is 1")]
)
def test_groups_differ_in_pixels_and_palette_alone(
    make: Make, tmp_path: Path, change: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        save_key(*composed(make, **change), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_card_of_another_number_of_groups(make: Make, tmp_path: Path) -> None:
    both, card = composed(make)
    alone = card.model_copy(update={"groups": None, "required_features": ()})
    with pytest.raises(InputError, match="number of groups is 2, but the card says 1"):
        save_key(both, alone, tmp_path)


def forged(forge: Any, pair: tuple[Prompt, Card], change: Callable[[Any], Any]) -> Path:
    """Save a key in place of the forge's own, change its file, and return its folder."""
    forge = type(forge)(save_key(*pair, forge.path.parent.parent, overwrite=True))
    change(forge)
    forge.write()
    return forge.path.parent


def card_of(prompt: Prompt, card: Card) -> Card:
    """Return the card of a prompt that was changed."""
    fields = card.model_dump(include={"task", "initialisation", "recipe", "data", "date"})
    return Card.of(prompt, backbone="seggpt-small", **fields)


def with_shift(make: Make, dim: int = 5) -> tuple[Prompt, Card]:
    prompt, card = make()
    prompt = replace(prompt, type_shift=torch.linspace(-1, 1, dim))
    return prompt, card.model_copy(update={"required_features": ("type_shifts",)})


def test_a_type_shift_is_kept(make: Make, tmp_path: Path) -> None:
    prompt, card = with_shift(make)
    assert card_of(prompt, card) == card
    folder = save_key(prompt, card, tmp_path)
    assert torch.equal(load_key(folder)[0].type_shift, prompt.type_shift)
    with safe_open(folder / "prompt.safetensors", framework="np") as file:
        assert file.get_tensor("type_shifts").shape == (1, 5)


def test_every_group_has_its_type_shift(make: Make, tmp_path: Path) -> None:
    both, card = composed(make)
    shifted = [replace(part, type_shift=torch.full((3,), i)) for i, part in enumerate(both.parts)]
    card = card.model_copy(update={"required_features": ("groups", "type_shifts")})
    loaded, _ = load_key(save_key(Composition(shifted), card, tmp_path))
    assert [part.type_shift.tolist() for part in loaded.parts] == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("which", ["prompt", "card"])
def test_a_type_shift_and_its_feature_go_together(make: Make, tmp_path: Path, which: str) -> None:
    prompt, card = with_shift(make)
    plain_prompt, plain_card = make()
    pair = (plain_prompt, card) if which == "card" else (prompt, plain_card)
    with pytest.raises(InputError, match=r"type_shift is (True|False), but the card says"):
        save_key(*pair, tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.header.pop("type_shifts"), "go together, and one is missing"),
        (lambda f: f.card.update(required_features=[]), "go together, and one is missing"),
        (lambda f: f.header["type_shifts"].update(shape=[2, 5]), "'type_shifts' is 2 x 5"),
        (lambda f: f.header["type_shifts"].update(shape=[1, 0]), "must be 1 x D"),
        (lambda f: f.header["type_shifts"].update(dtype="F16"), "F32 and F32 and F16"),
    ],
)
def test_each_break_of_a_type_shift(
    make: Make, forge: Any, change: Callable[[Any], Any], match: str
) -> None:
    refused(forged(forge, with_shift(make), change), match)


def reliable(make: Make) -> tuple[Prompt, Card]:
    """A key that knows what its scores are worth and what its images were like."""
    prompt, card = make()
    values = tuple(index / 32 for index in range(33))
    centers = np.arange(12, dtype=np.float32).reshape(3, 4)
    prompt = replace(
        prompt,
        calibration=Calibration(Curve(values), Curve(values), (0.1, 0.8), 16, False),
        zoomed=Zoomed(0.25, Calibration(Curve(values), Curve(values), (0.2, 0.7), 6, False)),
        domain=Domain(centers, 2.5, 3.0),
    )
    return prompt, card_of(prompt, card)


def test_what_a_key_knows_of_itself_comes_back(make: Make, tmp_path: Path) -> None:
    prompt, card = reliable(make)
    folder = save_key(prompt, card, tmp_path, dtype=torch.float16)
    loaded, its_card = load_key(folder)
    assert its_card == card
    assert loaded.calibration == prompt.calibration
    assert loaded.zoomed == prompt.zoomed
    assert np.array_equal(loaded.domain.centers, prompt.domain.centers)
    assert (loaded.domain.width, loaded.domain.limit) == (2.5, 3.0)
    before = (folder / "prompt.safetensors").read_bytes()
    write_card(folder, load_card(folder).with_scores(SCORES))
    assert load_key(folder)[0].calibration == prompt.calibration
    assert (folder / "prompt.safetensors").read_bytes()[-24:] == before[-24:]  # the centers


def test_a_compact_key_keeps_its_tokens(make: Make, tmp_path: Path) -> None:
    prompt, card = make()
    prompt = replace(prompt, kept_tokens=((0, 3, 9), (1, 2, 5)))
    card = card_of(prompt, card)
    folder = save_key(prompt, card, tmp_path)
    assert load_key(folder)[0].kept_tokens == prompt.kept_tokens
    assert "later blocks see 3 of its tokens" in (folder / "README.md").read_text()
    with pytest.raises(InputError, match="number of kept tokens is None, but the card says 3"):
        save_key(replace(prompt, kept_tokens=None), card, tmp_path, overwrite=True)


@pytest.mark.parametrize(
    ("kept", "match"),
    [
        ([[[2, 1]]], "tokens must be ascending"),
        ([[[0, 1], [0]]], "each block must keep as many"),
        ([[[0]], [[0]]], "as many as groups"),
        ([[[-1]]], "kept_tokens"),
    ],
)
def test_kept_tokens_that_are_none(make: Make, kept: list, match: str) -> None:
    raw = json.loads(write_json(make()[1]))
    raw["kept_tokens"] = kept
    with pytest.raises(InputError, match=match):
        read_json(json.dumps(raw), Path("key"))


def test_a_reader_of_before_would_find_all_that_it_knows(make: Make, tmp_path: Path) -> None:
    folder = save_key(*reliable(make), tmp_path, dtype=torch.float16)
    with safe_open(folder / "prompt.safetensors", framework="np") as file:
        card = json.loads(file.metadata()["card"])
        assert sorted(file.keys()) == ["colours", "domain_centers", "images"]
    assert (card["format_version"], card["required_features"]) == (1, [])


def test_a_domain_without_its_centers_is_refused(make: Make, tmp_path: Path) -> None:
    prompt, card = reliable(make)
    with pytest.raises(InputError, match="domain is False, but the card says True"):
        save_key(replace(prompt, domain=None), card, tmp_path)
    folder = save_key(*make(), tmp_path)
    path = folder / "prompt.safetensors"
    raw = path.read_bytes()
    end = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:end])
    said = json.loads(header["__metadata__"]["card"])
    said["domain"] = {"width": 1.0, "limit": 2.0}
    header["__metadata__"]["card"] = json.dumps(said)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[end:])
    refused(folder, "'domain_centers' is missing")


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("foreground", [0.5] * 32, "calibration.foreground"),
        ("classes", [0.5] * 32 + [0.4], "curves must not fall"),
        ("dice", [0.5], "calibration.dice"),
    ],
)
def test_a_calibration_that_is_none(make: Make, field: str, value: list, match: str) -> None:
    _, card = reliable(make)
    raw = json.loads(write_json(card))
    raw["calibration"][field] = value
    with pytest.raises(InputError, match=match):
        read_json(json.dumps(raw), Path("key"))


def test_a_companion_comes_back(make: Make, tmp_path: Path) -> None:
    prompt, card = accompanied(make)
    folder = save_key(prompt, card, tmp_path)
    loaded, its_card = load_key(folder)
    assert its_card == card
    assert its_card.required_features == ("companion",)
    assert torch.equal(loaded.companion.weights, prompt.companion.weights)
    said = loaded.companion.widths, loaded.companion.share, loaded.companion.classes
    assert said == ((4, 8), 0.65, len(prompt.palette.classes))
    write_card(folder, load_card(folder).with_scores(SCORES))
    assert torch.equal(load_key(folder)[0].companion.weights, prompt.companion.weights)


def test_a_companion_stays_standardized(make: Make, tmp_path: Path) -> None:
    prompt, card = accompanied(make)
    assert prompt.companion is not None
    prompt = replace(prompt, companion=replace(prompt.companion, standardized=True))
    with pytest.raises(InputError, match=r"its companion is .* but the card says"):
        save_key(prompt, card, tmp_path)
    fields = card.model_dump(include={"task", "initialisation", "recipe", "data", "date"})
    folder = save_key(prompt, Card.of(prompt, backbone="seggpt-small", **fields), tmp_path)
    loaded, its_card = load_key(folder)
    assert its_card.required_features == ("companion", "standardized_companion")
    assert loaded.companion is not None
    assert loaded.companion.standardized


def test_groups_have_one_companion(make: Make, tmp_path: Path) -> None:
    weights = torch.linspace(-1, 1, weight_count((4, 8), 4)).half().float()
    both = give_companion(composed(make)[0], Companion(weights, (4, 8), 4, 0.8))
    fields = make()[1].model_dump(include={"task", "initialisation", "recipe", "data", "date"})
    card = Card.of(both, backbone="seggpt-small", **fields)
    assert card.required_features == ("groups", "companion")
    loaded, its_card = load_key(save_key(both, card, tmp_path))
    assert its_card == card
    assert [part.companion.first for part in loaded.parts] == [0, 2]
    assert all(torch.equal(part.companion.weights, weights) for part in loaded.parts)


def test_a_companion_and_what_the_card_says_go_together(make: Make, tmp_path: Path) -> None:
    prompt, card = accompanied(make)
    with pytest.raises(InputError, match="companion is None, but the card says"):
        save_key(replace(prompt, companion=None), card, tmp_path)
    with pytest.raises(InputError, match="but the card says None"):
        save_key(prompt, make()[1], tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.header.pop("companion"), "'companion' is missing"),
        (lambda f: f.header["companion"].update(shape=[7]), "'companion' is F16 of 7; the card"),
        (lambda f: f.header["companion"].update(dtype="F32"), "'companion' is F32 of"),
        (lambda f: f.header["companion"].pop("shape"), "'companion' is F16 of None; the card"),
        (lambda f: f.card.update(required_features=[]), "goes together with the required"),
        (lambda f: f.card.update(companion=None), "goes together with the required"),
        (lambda f: f.card["companion"].update(share=0), "companion.share"),
        (lambda f: f.card["companion"].update(share=1.5), "companion.share"),
        (lambda f: f.card["companion"].update(widths=[4, 4096]), "companion.widths"),
        (lambda f: f.card["companion"].update(widths=[1] * 9), "companion.widths"),
        (lambda f: f.card["companion"].update(standardized=True), "'standardized_companion'"),
        (lambda f: f.card["required_features"].append("standardized_companion"), "standardized"),
    ],
)
def test_each_break_of_a_companion(
    make: Make, forge: Any, change: Callable[[Any], Any], match: str
) -> None:
    refused(forged(forge, accompanied(make), change), match)
