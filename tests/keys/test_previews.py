"""Pictures and README: right pixels, derived from the key, never read back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from prompttune.keys.card import Group, Initialization, Scores, Tuning
from prompttune.keys.key import save_key
from prompttune.keys.previews import readme
from prompttune.prompts.loading import load_key

Make = Callable[..., Any]


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def test_pixels_are_clipped_and_enlarged_to_squares(make: Make, tmp_path: Path) -> None:
    prompt, card = make()
    folder = save_key(prompt, card, tmp_path)
    sheet = picture(folder / "images.png")
    assert sheet.shape == (256, 256 + 8 + 256, 3)
    assert (sheet[:, 256:264] == 255).all()
    for column, image in enumerate(prompt.images):
        shown = sheet[:, column * 264 :][:, :256]
        for y, x in ((0, 0), (3, 7), (15, 15)):
            expected = np.round(np.clip(image[:, y, x].numpy(), 0, 1) * 255)
            square = shown[y * 16 : y * 16 + 16, x * 16 : x * 16 + 16]
            assert (square == expected).all()


def test_preview_has_one_row_a_prompt(make: Make, tmp_path: Path) -> None:
    folder = save_key(*make(prompts=3), tmp_path)
    images, colors = picture(folder / "images.png"), picture(folder / "colours.png")
    both = picture(folder / "preview.png")
    assert both.shape == (3 * 256 + 2 * 8, 256 + 8 + 256, 3)
    for row in range(3):
        top = row * 264
        assert np.array_equal(both[top : top + 256, :256], images[:, top : top + 256])
        assert np.array_equal(both[top : top + 256, 264:], colors[:, top : top + 256])


def test_large_prompts_are_shown_as_they_are(make: Make, tmp_path: Path) -> None:
    folder = save_key(*make(prompts=1, size=300), tmp_path)
    assert picture(folder / "images.png").shape == (300, 300, 3)


def test_nothing_reads_them_back(key: Path) -> None:
    before, _ = load_key(key)
    for path in (*key.glob("*.png"), key / "README.md"):
        path.unlink()
    after, _ = load_key(key)
    assert torch.equal(torch.stack(before.images), torch.stack(after.images))


def test_readme_says_what_matters(make: Make) -> None:
    row = {"mode": "tuned", "dice": 0.7, "iou": 0.5}
    fields = {"data": "a|b", "split": "test", "command": "python -m x", "rows": [row]}
    _, card = make(scores=[Scores.model_validate(fields)], notes="A note.")
    page = readme(card)
    for part in (
        "# retina\n",
        "predict --prompt retina",
        "| vessel | #ffffff |",
        "| disc | #ff0011 |",
        "seggpt-small",
        "it contains no real image",
        "| tuned | 0.700 | 0.500 |",
        "python -m x",
        '"rate": 0.01',
        "A note.",
        "2 of 16 x 16 pixels, at 0.5 canvas pixels an image pixel",
    ):
        assert part in page


def test_readme_warns_of_a_real_image(make: Make) -> None:
    _, card = make(initialisation=Initialization(kind="example", contains_real_image=True))
    assert "**a real image, which this key contains**" in readme(card)


def test_readme_of_a_whole_image_key(make: Make) -> None:
    _, card = make(scale=None)
    assert "queries are fitted whole" in readme(card)


def test_readme_says_how_groups_and_tuning_were(make: Make) -> None:
    _, card = make(tuning=Tuning(precision="bf16", seconds=61.4))
    assert "| took | 61 s in bf16 |" in readme(card)
    assert "groups" not in readme(card)
    groups = (Group(classes=6, prompts=1), Group(classes=4, prompts=1))
    assert "| groups | 6 + 4 classes" in readme(card.model_copy(update={"groups": groups}))
