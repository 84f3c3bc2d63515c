"""The gallery: what it shows of keys, what it predicts, and that it is written whole."""

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from prompttune.backbone import SegGPT, SegGPTConfig, load
from prompttune.backbone.weights import save_weights
from prompttune.data.layouts import LoadedSample
from prompttune.keys.card import Data, Initialization, Scores
from prompttune.keys.key import save_key
from prompttune.prompts.composition import Composition
from prompttune.prompts.loading import load_key
from prompttune.prompts.palette import Palette
from prompttune.utils.errors import InputError
from prompttune.zoo.gallery import write_gallery

Make = Callable[..., Any]
CONFIG = SegGPTConfig(
    canvas=16, patch=8, dim=16, depth=1, heads=2, merge_index=0, out_indices=(0,),
    decoder_dim=4, pretrain_canvas=16,
)  # fmt: skip
EMPTY = {"img", "meta", "link", "br"}


class Page(HTMLParser):
    """Checks that tags close as they open, and keeps links, pictures and rows of tables."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: dict[str, list[str]] = {"href": [], "src": [], "id": []}
        self.rows: list[list[str]] = []
        self.text = ""
        self.html = (folder / "index.html").read_text(encoding="utf-8")
        self.feed(self.html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "script"
        for name, value in attrs:
            if name in self.found:
                self.found[name].append(value or "")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = SegGPT(CONFIG)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_weights(network, tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


def scores(**changes: Any) -> Scores:
    rows = [
        {"mode": "one-shot", "prompts": 1, "dice": 0.5291, "dice_sd": 0.016, "iou": 0.36},
        {"mode": "tuned", "prompts": 1, "dice": 0.7571, "iou": 0.61},
    ]
    command = "python -m prompttune.fit --task retina --data eyes"
    fields = {"data": "eyes", "split": "test, 6 images", "command": command, "rows": rows}
    return Scores.model_validate(fields | changes)


def test_a_key_is_shown_with_its_pictures_and_scores(make: Make, own: Path, tmp_path: Path) -> None:
    folder = save_key(*make(scores=[scores()], notes="<b>first\nsecond"), own)
    assert write_gallery(tmp_path / "out", [folder], images=0) == []
    page = Page(tmp_path / "out")
    assert page.found["id"] == ["retina"]
    overview = ["retina", "retina", "vessel, disc", "seggpt-small", "0.529 ± 0.016", "0.757"]
    assert overview in page.rows
    assert ["tuned", "1", "0.757", "-", "0.610"] in page.rows
    assert "Dice 0.529 with one example, 0.757 with the key (+0.228)." in page.text
    made = "python -m prompttune.fit --task retina --data eyes"
    assert ["command", made] in page.rows
    assert ["tuned on", "16 images, chosen on 4 others; folders"] in page.rows
    assert "<b>first\nsecond" in page.text
    assert "real image" not in page.text
    for color in ("#ffffff", "#ff0011"):
        assert f"background: {color}" in page.html


def test_pictures_are_the_learned_pixels(make: Make, own: Path, tmp_path: Path) -> None:
    folder = save_key(*make(), own)
    write_gallery(tmp_path / "out", [folder], images=0)
    page, (prompt, _) = Page(tmp_path / "out"), load_key(folder)
    assert len(set(page.found["src"])) == 4
    assert {link for link in page.found["href"] if "#" not in link} == set(page.found["src"])
    files = {f"pictures/{path.name}" for path in (tmp_path / "out" / "pictures").iterdir()}
    assert files == set(page.found["src"])
    for number, plane in enumerate(prompt.parts[0].images, 1):
        shown = np.asarray(Image.open(tmp_path / "out" / f"pictures/retina_image{number}.png"))
        expected = plane.clamp(0, 1).movedim(0, -1).numpy() * 255
        assert np.abs(shown - expected).max() <= 0.5 + 1e-4


def test_a_real_image_is_warned_of(make: Make, own: Path, tmp_path: Path) -> None:
    start = Initialization(kind="example", contains_real_image=True)
    folder = save_key(*make(initialisation=start, licence="CC-BY <4>"), own)
    write_gallery(tmp_path / "out", [folder], images=0)
    page = Page(tmp_path / "out")
    assert "still contains it: share key and page only as that image may be shared" in page.text
    assert ["license", "CC-BY <4>"] in page.rows


def make_usable(make: Make, weights: Path, **card: Any) -> Any:
    return make(fingerprint=load(weights).fingerprint, backbone=str(weights), **card)


def striped(seed: int) -> LoadedSample:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (20, 24, 3)).astype(np.uint8)
    return LoadedSample(f"made-{seed}", image, (image[..., 0] > 127).astype(np.uint8))


def test_predictions_on_generated_images(
    make: Make, own: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompttune.zoo.gallery.GENERATORS", {"fundus": striped})
    folder = save_key(*make_usable(make, weights, recipe={"generator": "fundus"}), own)
    write_gallery(tmp_path / "out", [folder], images=2)
    page = Page(tmp_path / "out")
    assert "On generated fundus images, not real ones." in page.text
    assert page.text.count(": Dice ") == 2
    assert "pictures/retina_prediction2.png" in page.found["src"]
    assert (tmp_path / "out" / "pictures" / "retina_prediction2.png").is_file()


def test_predictions_on_data_leave_the_tuned_images_alone(
    make: Make, own: Path, weights: Path, tmp_path: Path
) -> None:
    for number in range(10):
        sample = striped(number)
        for kind, pixels in (("images", sample.image), ("masks", sample.class_map)):
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "data" / kind / f"{number}.png")
    card = {"recipe": {"seed": 3, "mask_values": {"0": 0, "1": 2}, "unknown": 1}}
    folder = save_key(*make_usable(make, weights, **card), own)
    write_gallery(tmp_path / "out", [folder], data=tmp_path / "data")
    from prompttune.data.layouts import find_split

    page, test = Page(tmp_path / "out"), find_split(tmp_path / "data", seed=3).test
    assert "On images of the test part of data." in page.text
    assert [f"{sample.name}: Dice" in page.text for sample in test] == [True, True]
    with pytest.raises(InputError, match="no such folder"):
        write_gallery(tmp_path / "out", [folder], data=tmp_path / "nowhere")
    assert Page(tmp_path / "out").html == page.html


def test_keys_without_images_or_backbone_say_so(
    make: Make, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prompttune.zoo.gallery.GENERATORS", {"fundus": striped})
    plain = save_key(*make("plain"), own)
    far = save_key(*make("far", backbone="elsewhere", recipe={"generator": "fundus"}), own)
    write_gallery(tmp_path / "out", [plain, far])
    text = Page(tmp_path / "out").text
    assert "its task has no generated images" in text
    assert "its backbone is not at hand: unknown backbone 'elsewhere'" in text


def test_groups_show_their_own_classes(make: Make, own: Path, tmp_path: Path) -> None:
    first, _ = make(prompts=1)
    second, card = make(prompts=1)
    parts = [
        type(each)(
            each.images, each.colors, Palette.of((name,)), scale=0.5, seg_type=1, threshold=0.4,
            fingerprint="ab" * 32, name="retina",
        )
        for each, name in ((first, "vessel"), (second, "disc"))
    ]  # fmt: skip
    prompt = Composition(parts)
    card = type(card).of(
        prompt, task="retina", backbone="seggpt-small", recipe={},
        initialisation=card.initialisation,
        data=Data(layout="x", train=1, val=1, sha256="0" * 64, generated=False),
    )  # fmt: skip
    write_gallery(tmp_path / "out", [save_key(prompt, card, own)], images=0)
    page = Page(tmp_path / "out")
    assert len(set(page.found["src"])) == 4
    vessel, disc = page.html.index("</span>vessel"), page.html.index("</span>disc")
    assert page.html.index("colours1.png") < vessel < page.html.index("colours2.png") < disc


def test_a_damaged_key_does_not_hide_the_others(make: Make, key: Path, tmp_path: Path) -> None:
    good = save_key(*make("cells"), key.parent)
    (key / "prompt.safetensors").write_bytes(b"oops")
    (problem,) = write_gallery(tmp_path / "out", [key, good], images=0)
    page = Page(tmp_path / "out")
    assert problem in page.text
    assert page.found["id"] == ["cells"]


def test_an_earlier_gallery_is_replaced_and_nothing_else(
    make: Make, key: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    write_gallery(output, [key], images=0)
    write_gallery(output, [save_key(*make("cells"), key.parent)], images=0)
    assert Page(output).found["id"] == ["cells"]
    assert {path.name.split("_")[0] for path in (output / "pictures").iterdir()} == {"cells"}
    other = tmp_path / "other"
    other.mkdir()
    (other / "index.html").write_text("<p>of somebody else</p>")
    for wrong, complaint in ((other, "no earlier gallery"), (key / "README.md", "is a file")):
        with pytest.raises(InputError, match=complaint):
            write_gallery(wrong, [key], images=0)
    assert [path.name for path in other.iterdir()] == ["index.html"]
