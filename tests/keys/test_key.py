"""Saving and loading keys: exact, deterministic, atomic, and checked."""

import json
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from prompttune.keys import files
from prompttune.keys.card import Card, Scores, read_json, write_json
from prompttune.keys.header import MAX_HEADER, load_card
from prompttune.keys.key import check_savable, save_key, write_card
from prompttune.prompts.composition import Composition
from prompttune.prompts.loading import load_key
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import Calibration, Curve, Zoomed
from prompttune.reliability.domain import Domain
from prompttune.utils.errors import InputError

Make = Callable[..., Any]
SCORES = Scores.model_validate(
    {
        "data": "drive",
        "split": "test",
        "command": "compare",
        "rows": [{"mode": "tuned", "dice": 0.7, "iou": 0.5}],
    }
)


def everything(folder: Path) -> dict[str, bytes]:
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def refused(folder: Path, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        load_key(folder)
    assert str(caught.value).isprintable()
    assert str(folder) in str(caught.value)


def test_round_trip_is_exact(make: Make, tmp_path: Path) -> None:
    prompt, card = make()
    folder = save_key(prompt, card, tmp_path)
    assert folder == tmp_path / "retina"
    loaded, its_card = load_key(folder)
    assert its_card == card
    for name in ("images", "colours"):
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
        assert np.array_equal(file.get_tensor("colours"), torch.stack(prompt.colours).numpy())
        assert file.metadata()["format"] == "prompttune-key"
        assert json.loads(file.metadata()["card"])["canvas"] == 16
    assert (8 + struct.unpack("<Q", path.read_bytes()[:8])[0]) % 8 == 0


def composed(make: Make, **change: Any) -> tuple[Composition, Card]:
    """Two prompts of two images and two classes each, as one key."""
    one, card = make()
    palette = Palette(("fovea", "cup"), one.palette.colours)
    halves = ([2 - plane for plane in half] for half in (one.images, one.colours))
    other = replace(one, **dict(zip(("images", "colours"), halves, strict=True)), palette=palette)
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
        assert torch.equal(torch.stack(part.colours), torch.stack(ours.colours))
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


def test_the_shipped_key_is_read() -> None:
    prompt, card = load_key(Path(__file__).parents[2] / "prompts_zoo" / "retina")
    assert isinstance(prompt, Prompt)
    assert (card.groups, card.required_features) == (None, ())
    assert card.tuning is not None
    assert prompt.palette.classes == ("vessel",)


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


@pytest.mark.parametrize("field", ["images", "colours"])
def test_non_finite_values_are_refused_before_anything_is_written(
    make: Make, tmp_path: Path, field: str
) -> None:
    prompt, card = make()
    getattr(prompt, field)[1][0, 0, 0] = float("nan")
    with pytest.raises(InputError, match=f"{field} have values that are not finite"):
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
        (prompt.colours[0], small),
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


@pytest.mark.parametrize("content", [b"", b"\x02", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(99)])
def test_other_files(key: Path, content: bytes) -> None:
    (key / "prompt.safetensors").write_bytes(content)
    refused(key, "not a")


@pytest.mark.parametrize("claim", [MAX_HEADER + 1, 2**40, 2**64 - 1])
def test_absurd_header_is_not_read(key: Path, claim: int) -> None:
    (key / "prompt.safetensors").write_bytes(struct.pack("<Q", claim) + b"{" * 1000)
    refused(key, f"header claims {claim} bytes, at most")


def test_absurd_file_is_not_read(key: Path) -> None:
    with (key / "prompt.safetensors").open("r+b") as file:
        file.truncate(2**30 + 1)  # sparse
    refused(key, "at most 1073741824 are allowed")


def test_truncated_anywhere_is_one_clear_error(key: Path) -> None:
    path = key / "prompt.safetensors"
    data = path.read_bytes()
    for length in [*range(0, 2000, 97), len(data) // 2, len(data) - 1]:
        path.write_bytes(data[:length])
        refused(key, "truncated|only")
    path.write_bytes(data + b"x")
    refused(key, "truncated or damaged")


def test_header_that_nests_deeply(key: Path) -> None:
    text = b'{"a":' * 100_000
    (key / "prompt.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    refused(key, "not a safetensors file")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.header["__metadata__"].pop("format"), "not a key"),
        (lambda f: f.header["__metadata__"].update(format="pt"), "not a key"),
        (lambda f: f.header.pop("images"), "tensor 'images' is missing"),
        (lambda f: f.header["images"].update(dtype="F64"), "all must be F32 or all F16"),
        (lambda f: f.header["images"].update(dtype=[]), "all must be F32"),
        (lambda f: f.header["images"].update(dtype="F16"), "F32 and F16"),
        (lambda f: f.header["colours"].update(shape=[1, 3, 16, 16]), "'colours' is 1 x 3 x 16"),
        (lambda f: f.header["colours"].update(shape="x"), "'colours' is 'x'"),
        (lambda f: f.header.update(images=3), "damaged"),
        (lambda f: f.header["images"].update(data_offsets=[0, 9**20]), "truncated or damaged"),
        (lambda f: f.header["images"].pop("data_offsets"), "truncated or damaged"),
        (lambda f: f.header["__metadata__"].update(more=3), "metadata is not text"),
        (lambda f: f.card.update(canvas=32), "2 x 3 x 16 x 16, but the card says 2 x 3 x 32 x 32"),
        (lambda f: f.card.update(prompts=3), "the card says 3 x 3 x 16 x 16"),
        (lambda f: f.card.update(format_version=2), "newer than 1"),
        (lambda f: f.card.update(required_features=["gz"]), "requires 'gz'"),
        (lambda f: f.card.pop("threshold"), "'threshold': Field required"),
        (lambda f: f.card["normalisation"].update(std=[1, 1, 1]), "'normalisation.std' is"),
    ],
)
def test_each_break_of_the_format(forge: Any, change: Callable[[Any], Any], match: str) -> None:
    change(forge)
    forge.write()
    refused(forge.path.parent, match)


def test_card_that_is_not_json(forge: Any) -> None:
    forge.write("{oops")
    refused(forge.path.parent, "not valid JSON")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_non_finite_values_in_a_file(forge: Any, value: float) -> None:
    forge.body = struct.pack("<f", value) + forge.body[4:]
    forge.write()
    refused(forge.path.parent, "tensor 'colours' has values that are not finite")


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


def test_taken_name(key: Path, make: Make, own: Path) -> None:
    before = everything(own)
    with pytest.raises(InputError, match="is there already"):
        save_key(*make(size=8), own)
    assert everything(own) == before


def test_overwrite_replaces_all_and_leaves_other_files(key: Path, make: Make, own: Path) -> None:
    (key / "my-notes.txt").write_text("mine")
    fresh = save_key(*make(size=8), own / "elsewhere")
    save_key(*make(size=8), own, overwrite=True)
    found = everything(key)
    assert found.pop("my-notes.txt") == b"mine"
    assert found == everything(fresh)


def test_folder_that_is_no_key_is_not_touched(own: Path, make: Make) -> None:
    (own / "retina").mkdir(parents=True)
    (own / "retina" / "README.md").write_text("mine")
    with pytest.raises(InputError, match="is not a key"):
        save_key(*make(), own, overwrite=True)
    assert everything(own) == {"retina/README.md": b"mine"}


def test_bad_names_never_reach_the_disk(make: Make, tmp_path: Path) -> None:
    prompt, card = make()
    object.__setattr__(prompt, "name", "../escaped")
    with pytest.raises(InputError, match="cannot be the name"):
        save_key(prompt, card, tmp_path / "zoo")
    assert not list(tmp_path.iterdir())


def _fail(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["os.replace", "os.fsync"])
def test_crash_before_the_rename_leaves_nothing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(call, _fail)
    with pytest.raises(InputError, match=r"cannot write key 'retina' in .*No space left"):
        save_key(*make(), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("call", ["os.replace", "os.fsync"])
def test_crash_while_overwriting_leaves_the_old_key(
    key: Path, make: Make, own: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = everything(own)
    card = load_card(key).with_scores(SCORES)
    monkeypatch.setattr(call, _fail)
    with pytest.raises(InputError, match="cannot write"):
        save_key(*make(size=8), own, overwrite=True)
    with pytest.raises(InputError, match="cannot write"):
        write_card(key, card)
    assert everything(own) == before


def test_interrupt_leaves_nothing(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_key(*make(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_full_disk(make: Make, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits on file size are POSIX")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    prompt, card = make()
    try:  # every write beyond 10,000 bytes fails, as on a disk that fills up
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        with pytest.raises(InputError, match=r"cannot write key 'retina'.*--prompts_zoo"):
            save_key(prompt, card, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_zoo_that_cannot_be_made(make: Make, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write key 'retina' in .*Not a directory"):
        save_key(*make(), tmp_path / "file" / "zoo")


def test_read_only_zoo(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(self: Path, *_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(self))

    # By hand, since chmod does not hold root.
    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(InputError, match=r"in .*Read-only file system.*--prompts_zoo"):
        check_savable("retina", tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="chmod holds no root")
def test_read_only_folder(make: Make, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InputError, match="Permission denied"):
            save_key(*make(), tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_check_savable_leaves_no_trace_in_the_zoo(key: Path, own: Path) -> None:
    before = everything(own)
    check_savable("other", own)
    check_savable("retina", own, overwrite=True)
    with pytest.raises(InputError, match="is there already"):
        check_savable("retina", own)
    assert everything(own) == before
    assert [p.name for p in own.iterdir()] == ["retina"]


def test_write_card_changes_the_card_alone(key: Path) -> None:
    path = key / "prompt.safetensors"
    data = path.read_bytes()
    pictures = {n: b for n, b in everything(key).items() if n.endswith(".png")}
    card = load_card(key)
    write_card(key, card.with_scores(SCORES))
    assert load_card(key) == card.with_scores(SCORES)
    body = 2 * 2 * 3 * 16 * 16 * 4
    assert path.read_bytes()[-body:] == data[-body:]
    assert "0.700" in (key / "README.md").read_text()
    write_card(key, card)
    assert path.read_bytes() == data
    assert pictures.items() <= everything(key).items()


@pytest.mark.parametrize(
    "change", [{"canvas": 8}, {"scale": 1.0}, {"name": "x"}, {"threshold": 0.9}]
)
def test_write_card_of_another_key(key: Path, change: dict[str, Any]) -> None:
    before = everything(key)
    with pytest.raises(InputError, match=f"differs in '{next(iter(change))}'"):
        write_card(key, load_card(key).model_copy(update=change))
    assert everything(key) == before


def test_write_card_wants_a_key_in_a_zoo(key: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes((key / "prompt.safetensors").read_bytes())
    with pytest.raises(InputError, match="only a key in a zoo"):
        write_card(copy, load_card(copy))


def test_card_too_large_for_a_reader(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="card is too large"):
        save_key(*make(notes="x" * 2**20), tmp_path)
    assert not list(tmp_path.iterdir())


def with_shift(make: Make, dim: int = 5) -> tuple[Prompt, Card]:
    prompt, card = make()
    prompt = replace(prompt, type_shift=torch.linspace(-1, 1, dim))
    return prompt, card.model_copy(update={"required_features": ("type_shifts",)})


def test_a_type_shift_is_kept(make: Make, tmp_path: Path) -> None:
    prompt, card = with_shift(make)
    fields = card.model_dump(include={"task", "initialisation", "recipe", "data", "date"})
    assert Card.of(prompt, backbone="seggpt-small", **fields) == card
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
    folder = forge.path.parent
    forge = type(forge)(save_key(*with_shift(make), folder.parent, overwrite=True))
    change(forge)
    forge.write()
    refused(forge.path.parent, match)


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
    fields = card.model_dump(include={"task", "initialisation", "recipe", "data", "date"})
    return prompt, Card.of(prompt, backbone="seggpt-small", **fields)


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
    fields = card.model_dump(include={"task", "initialisation", "recipe", "data", "date"})
    card = Card.of(prompt, backbone="seggpt-small", **fields)
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 1e9}, "'scale': must be 0.0001 to 64"),
        ({"scale": 300.0}, "'scale': must be 0.0001 to 64"),
        ({"scale": -1.0}, "'scale': must be"),
        ({"canvas": 10**9}, "'canvas': must be a whole number 1 to 4096"),
        ({"prompts": 65}, "'prompts': must be a whole number 1 to 64"),
        ({"prompts": 64, "canvas": 4096}, "prompts x canvas x canvas must be at most"),
        ({"patch": 10**9}, "'patch': must be"),
    ],
)
def test_numbers_of_a_card_are_bounded(
    key: Path, forge: Any, change: dict[str, Any], words: str
) -> None:
    forge.card.update(change)
    forge.write()
    refused(key, words)
