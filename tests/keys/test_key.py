"""Saving and loading keys: exact, deterministic, atomic, and checked."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from key_fixtures import SCORES, Make, everything
from safetensors import safe_open

from prompttune.keys import files
from prompttune.keys.key import save_key, write_card
from prompttune.prompts.loading import load_key
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError


def test_round_trip_is_exact(make: Make, tmp_path: Path) -> None:
    prompt, card = make()
    folder = save_key(prompt, card, tmp_path)
    assert folder == tmp_path / "retina"
    loaded, its_card = load_key(folder)
    assert its_card == card
    for name in ("images", "colors"):
        pairs = zip(getattr(loaded, name), getattr(prompt, name), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
    for name in ("palette", "scale", "seg_type", "threshold", "fingerprint", "name"):
        assert getattr(loaded, name) == getattr(prompt, name)


def test_the_file_is_what_safetensors_reads(make: Make, tmp_path: Path) -> None:
    prompt, _ = make()
    path = save_key(*make(), tmp_path) / "prompt.safetensors"
    with safe_open(path, framework="np") as file:
        assert sorted(file.keys()) == ["colours", "images"]
        assert np.array_equal(file.get_tensor("images"), torch.stack(prompt.images).numpy())
        assert np.array_equal(file.get_tensor("colours"), torch.stack(prompt.colors).numpy())
        assert file.metadata()["format"] == "prompttune-key"
        assert json.loads(file.metadata()["card"])["canvas"] == 16
    assert (8 + struct.unpack("<Q", path.read_bytes()[:8])[0]) % 8 == 0


def test_the_shipped_key_is_read() -> None:
    prompt, card = load_key(Path(__file__).parents[2] / "prompts_zoo" / "retina")
    assert isinstance(prompt, Prompt)
    assert (card.groups, card.required_features) == (None, ("companion",))
    assert card.tuning is not None
    assert prompt.palette.classes == ("vessel",)
    assert prompt.companion is not None


def test_whole_image_key_has_no_scale(make: Make, tmp_path: Path) -> None:
    assert load_key(save_key(*make(scale=None), tmp_path))[0].scale is None


def test_half_precision_is_kept_rounded_and_read_as_float32(make: Make, tmp_path: Path) -> None:
    prompt, card = make()
    folder = save_key(prompt, card, tmp_path, dtype=torch.float16)
    loaded, _ = load_key(folder)
    expected = torch.stack(prompt.images).numpy().astype(np.float16).astype(np.float32)
    assert np.array_equal(torch.stack(loaded.images).numpy(), expected)
    assert loaded.images[0].dtype == torch.float32


def test_identical_input_gives_identical_files(make: Make, tmp_path: Path) -> None:
    one = save_key(*make(recipe={"a": 1, "b": 2}), tmp_path / "one")
    other = save_key(*make(recipe={"b": 2, "a": 1}), tmp_path / "other")
    assert everything(one) == everything(other)
    assert set(everything(one)) == {"prompt.safetensors", *files.DERIVED}


@pytest.mark.parametrize("field", ["images", "colors"])
def test_non_finite_values_are_refused_before_anything_is_written(
    make: Make, tmp_path: Path, field: str
) -> None:
    prompt, card = make()
    getattr(prompt, field)[1][0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="have values that are not finite"):
        save_key(prompt, card, tmp_path)
    assert not list(tmp_path.iterdir())


def test_values_too_large_for_half_precision(make: Make, tmp_path: Path) -> None:
    prompt, card = make()
    prompt.images[0][0, 0, 0] = 1e6
    with pytest.raises(InputError, match="not finite"):
        save_key(prompt, card, tmp_path, dtype=torch.float16)


def test_other_types_are_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="float32 or float16"):
        save_key(*make(), tmp_path, dtype=torch.float64)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"threshold": 0.9}, "threshold is 0.4, but the card says 0.9"),
        ({"scale": None}, "scale"),
        ({"name": "other"}, "name"),
        ({"canvas": 8}, "2 x 3 x 16 x 16, but the card says 2 x 3 x 8 x 8"),
        ({"classes": ()}, "classes"),
    ],
)
def test_card_of_another_prompt(
    make: Make, tmp_path: Path, change: dict[str, Any], match: str
) -> None:
    prompt, card = make()
    with pytest.raises(InputError, match=match):
        save_key(prompt, card.model_copy(update=change), tmp_path)
    assert not list(tmp_path.iterdir())


def test_images_of_several_sizes(make: Make, tmp_path: Path) -> None:
    prompt, card = make()
    small = torch.zeros(3, 8, 8)
    mixed = Prompt(
        (prompt.images[0], small),
        (prompt.colors[0], small),
        prompt.palette,
        fingerprint=prompt.fingerprint,
        name="retina",
    )
    with pytest.raises(InputError, match="all of one size"):
        save_key(mixed, card, tmp_path)


def test_a_key_must_know_its_backbone(make: Make) -> None:
    with pytest.raises(InputError, match=r"key 'retina': card field 'backbone\.fingerprint'"):
        make(fingerprint=None)


def test_wrong_fingerprint_names_both_backbones_and_the_remedy(key: Path) -> None:
    assert load_key(key, "ab" * 32, "seggpt-small")[1].name == "retina"
    with pytest.raises(InputError) as caught:
        load_key(key, "cd" * 32, "seggpt-vit-large")
    text = str(caught.value)
    assert "'seggpt-small' (fingerprint abababababab)" in text
    assert "'seggpt-vit-large' (cdcdcdcdcdcd)" in text
    assert "use 'seggpt-small', or tune a key" in text


def test_unknown_tensors_metadata_and_fields_are_ignored_and_kept(forge: Any) -> None:
    folder = forge.path.parent
    end = len(forge.body)
    forge.header["later"] = {"dtype": "U8", "shape": [4], "data_offsets": [end, end + 4]}
    forge.header["__metadata__"]["later"] = "é"
    forge.card["later"] = {"x": 1}
    forge.body += b"abcd"
    forge.write()
    before, card = load_key(folder)
    write_card(folder, card.with_scores(SCORES))
    after, new = load_key(folder)
    assert torch.equal(torch.stack(before.images), torch.stack(after.images))
    assert new.scores == (SCORES,)
    with safe_open(forge.path, framework="np") as file:
        assert file.get_tensor("later").tobytes() == b"abcd"
        assert file.metadata()["later"] == "é"
        assert json.loads(file.metadata()["card"])["later"] == {"x": 1}
