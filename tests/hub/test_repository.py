"""Keys go to a Hub and come back; whatever is wrong is one line."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from fake_hub import TOKEN, FakeHub, Repo

from prompttune import load_prompt
from prompttune.cli import zoo
from prompttune.hub.repository import Reference, pull, push
from prompttune.keys.card import ScoreRow, Scores
from prompttune.keys.files import KEY_FILE
from prompttune.keys.key import read_key
from prompttune.prompts.loading import load_key
from prompttune.utils.errors import InputError

pytest.importorskip("huggingface_hub")
# Of huggingface_hub's own upload, to the library below it.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning")


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def test_a_key_goes_and_comes_back(hub: FakeHub, key: Path, own: Path, token, capsys) -> None:
    assert zoo.main(["push", key.name, "--repo", "ann/vessels"]) == 0
    pinned = re.search(r'"(ann/vessels@[0-9a-f]{40})"', capsys.readouterr().out)[1]
    files = hub.repos["ann/vessels"].files("main")[1]
    assert set(files) == {KEY_FILE, "README.md", "preview.png", "images.png", "colours.png"}
    assert files[KEY_FILE] == (key / KEY_FILE).read_bytes()
    loaded, original = load_prompt("ann/vessels"), load_prompt(key.name)
    assert torch.equal(loaded.images[0], original.images[0])
    assert load_prompt(pinned).palette == original.palette
    assert zoo.main(["pull", pinned, "--name", "mine"]) == 0
    assert (own / "mine" / KEY_FILE).read_bytes() == files[KEY_FILE]
    assert (own / "mine" / "preview.png").is_file()
    with pytest.raises(InputError, match="is there already"):
        zoo.main(["pull", pinned, "--name", "mine"])


def test_the_model_card_has_the_fields_of_the_hub(hub: FakeHub, make, own: Path, token) -> None:
    from prompttune.keys.key import save_key

    row = ScoreRow(mode="tuned", dice=0.81234, iou=0.7, ece=0.0312)
    scores = Scores(data="DRIVE", split="test", command="x", rows=(row,))
    prompt, card = make("eyes", scores=(scores,), licence="My own terms")
    push(save_key(prompt, card, own), "ann/eyes")
    page = hub.repos["ann/eyes"].files("main")[1]["README.md"].decode()
    head = yaml.safe_load(page.split("---\n")[1])
    assert head["library_name"] == "prompttune"
    assert head["base_model"] == "seggpt-small"
    assert (head["license"], head["license_name"]) == ("other", "My own terms")
    assert "prompt-tuning" in head["tags"]
    (result,) = head["model-index"][0]["results"]
    assert result["metrics"][0] == {"type": "dice", "name": "Dice", "value": 0.8123}
    assert head["metrics"] == ["dice", "iou", "ece"]
    assert result["metrics"][2]["value"] == 0.0312
    from huggingface_hub import ModelCard

    data = ModelCard(page).data  # the library's own reader
    assert data.eval_results[0].dataset_name == "DRIVE"
    assert 'load_prompt("ann/eyes")' in page


def test_a_key_without_pictures_gets_them(hub: FakeHub, key: Path, tmp_path: Path, token) -> None:
    bare = tmp_path / "bare.safetensors"  # as it comes by mail
    bare.write_bytes((key / KEY_FILE).read_bytes())
    push(bare, "ann/bare")
    files = hub.repos["ann/bare"].files("main")[1]
    assert files[KEY_FILE] == bare.read_bytes()
    assert files["preview.png"] == (key / "preview.png").read_bytes()


def test_prompts_push_themselves(hub: FakeHub, key: Path, token) -> None:
    prompt = load_prompt(key.name)
    pinned = prompt.push_to_hub("ann/again", message="second")
    assert load_key(pull(Reference.parse(pinned)))[1].name == "again"
    with pytest.raises(InputError, match="was not learned"):
        replace(prompt, card=None).push_to_hub("ann/again")


def test_revisions_stay(hub: FakeHub, key: Path, make, own: Path, token) -> None:
    from prompttune.keys.key import save_key

    first = push(key, "ann/vessels")
    push(save_key(*make("second", prompts=1), own), "ann/vessels")
    assert load_key(pull(first))[1].name == "retina"
    assert load_key(pull(Reference("ann/vessels")))[1].name == "second"
    with pytest.raises(InputError, match="ann/vessels: has no revision 'v9'"):
        load_prompt("ann/vessels@v9")


def test_private_repositories_ask_for_a_token(hub: FakeHub, key: Path, monkeypatch) -> None:
    with pytest.raises(InputError, match="no token for the Hub; run `hf auth login`"):
        push(key, "ann/secret")
    assert not hub.calls
    push(key, "ann/secret", private=True, token=TOKEN)
    assert hub.repos["ann/secret"].private
    with pytest.raises(InputError, match="no such repository on the Hub, or it is private"):
        load_prompt("ann/secret")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert load_prompt("ann/secret").name == "retina"
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(InputError, match=r"the token may not do that|no such repository"):
        push(key, "ann/secret")


@pytest.mark.parametrize("offline", [True, False], ids=["asked for", "no network"])
def test_the_cache_serves_without_a_network(
    hub: FakeHub, key: Path, monkeypatch, offline: bool
) -> None:
    from huggingface_hub import constants

    push(key, "ann/vessels", token=TOKEN)
    load_prompt("ann/vessels")
    hub.close()
    if offline:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_prompt("ann/vessels").name == "retina"
    with pytest.raises(InputError, match="cannot be reached"):
        load_prompt("ann/other")
    if not offline:
        with pytest.raises(InputError, match="cannot be reached"):
            push(key, "ann/vessels", token=TOKEN)


def test_what_is_no_key_is_refused(hub: FakeHub, key: Path, forge) -> None:
    hub.repos["ann/empty"] = Repo()
    hub.repos["ann/empty"].commit({"README.md": b"hello"})
    with pytest.raises(InputError, match=r"ann/empty: no prompt.safetensors there"):
        load_prompt("ann/empty")
    hub.repos["ann/large"] = Repo()
    hub.repos["ann/large"].commit({KEY_FILE: b"x" * 99})
    hub.claimed["ann/large"] = 3 * 2**30
    with pytest.raises(InputError, match=r"has 3.0 GiB; no key is larger .* Nothing was"):
        load_prompt("ann/large")
    assert not any(call.startswith("GET") for call in hub.calls)
    hub.repos["ann/forged"] = Repo()
    forge.card["canvas"] = 32
    forge.write()
    hub.repos["ann/forged"].commit({KEY_FILE: (key / KEY_FILE).read_bytes()})
    with pytest.raises(InputError, match="but the card says"):
        load_prompt("ann/forged")


def test_a_key_of_another_backbone_is_told_when_used(hub: FakeHub, key: Path) -> None:
    push(key, "ann/vessels", token=TOKEN)
    with pytest.raises(InputError, match="tuned on backbone 'seggpt-small'"):
        read_key(pull(Reference("ann/vessels")), "cd" * 32, "another")


def test_a_key_with_a_real_image_is_not_pushed_by_accident(hub, make, own, token) -> None:
    from prompttune.keys.card import Initialization
    from prompttune.keys.key import save_key

    start = Initialization(kind="example", contains_real_image=True)
    save_key(*make("faces", initialisation=start), own)
    with pytest.raises(InputError, match="--with-real-image"):
        zoo.main(["push", "faces", "--repo", "ann/faces"])
    assert zoo.main(["push", "faces", "--repo", "ann/faces", "--with-real-image"]) == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ann/vessels", ("ann/vessels", None)),
        ("ann/vessels@v1.0", ("ann/vessels", "v1.0")),
        ("./ann/vessels", None),
        ("a/b/c", None),
        ("vessels", None),
        ("~/vessels", None),
    ],
)
def test_references(text: str, found: tuple | None) -> None:
    reference = Reference.parse(text)
    assert reference == (None if found is None else Reference(*found))
    assert found is None or str(reference) == text


def test_paths_are_paths_first(key: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(key.parents[1])
    assert load_prompt(f"{key.parent.name}/{key.name}").name == key.name
    with pytest.raises(InputError, match="no key"):
        load_prompt(f"{key.parent.name}/mistyped")
