"""What is shipped is whole: recipes, keys, the embedded backbone, also inside a wheel."""

import sys
from pathlib import Path

import pytest

from prompttune.backbone import load
from prompttune.utils import paths
from prompttune.utils.paths import shipped_folder, user_folder
from prompttune.zoo.store import list_keys


def test_a_checkout_has_its_folders_beside_the_package() -> None:
    assert (shipped_folder("recipes") / "retina.yaml").is_file()
    assert (shipped_folder("prompts_zoo") / "README.md").is_file()


def test_a_wheel_has_them_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "prompttune" / "_shipped" / "recipes"
    inside.mkdir(parents=True)
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "prompttune" / "utils" / "paths.py"))
    assert shipped_folder("recipes") == inside


def test_the_users_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMPTTUNE_HOME", str(tmp_path))
    assert user_folder() == tmp_path


def test_the_embedded_backbone_is_small_and_has_a_card() -> None:
    name = paths.DEFAULT_BACKBONE
    network = load(name)
    path = Path(paths.__file__).parents[1] / "backbone" / f"{name}.safetensors"
    assert path.stat().st_size <= 26 * 2**20
    card = path.with_name(f"{name}.md").read_text(encoding="utf-8")
    assert network.fingerprint in card
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_shipped_keys_fit_the_embedded_backbone_and_hold_no_image() -> None:
    keys = [entry for entry in list_keys() if entry.shipped]
    assert "retina" in {entry.name for entry in keys}
    fingerprint = load(paths.DEFAULT_BACKBONE).fingerprint
    for entry in keys:
        assert entry.problem is None
        assert entry.card is not None
        assert entry.card.backbone.fingerprint == fingerprint
        assert not entry.card.initialisation.contains_real_image


def test_without_a_choice_it_lies_where_the_system_keeps_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PROMPTTUNE_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert user_folder() == tmp_path / "prompttune"
    assert user_folder().name == "prompttune"
