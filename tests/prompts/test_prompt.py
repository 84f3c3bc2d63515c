"""Prompts from examples: what is accepted, what is refused, and where crops are cut."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from photos import photo
from PIL import Image

from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import Calibration, Curve, Zoomed
from prompttune.utils.errors import InputError

WHITE = Palette.of(["foreground"])


def regions(*values: int, height: int = 12, width: int = 10) -> np.ndarray:
    """Return a map whose rows take the values in turn."""
    return np.resize(np.array(values, np.uint8), height)[:, None].repeat(width, 1)


def decided(prompt: Prompt, number: int = 0) -> np.ndarray:
    """Return the class map that an example's colors stand for."""
    return prompt.palette.decide(prompt.palette.scores(prompt.colors[number])).numpy()


def test_an_example_is_kept_as_it_is() -> None:
    image, mask = photo(), regions(0, 1, 2, 255)
    prompt = Prompt.from_examples([(image, mask)], ["a", "b"])
    assert prompt.palette == Palette.of(["a", "b"])
    assert (prompt.scale, prompt.fingerprint, prompt.threshold, prompt.seg_type) == (
        "auto",
        None,
        0.5,
        0,
    )
    assert torch.equal(prompt.images[0], torch.from_numpy(image).permute(2, 0, 1) / 255)
    assert np.array_equal(decided(prompt), np.where(mask == 255, 0, mask))


def test_a_prompt_is_told_in_a_line() -> None:
    prompt = Prompt.from_examples([(photo(), regions(0, 1))], ["vessel"])
    assert "1 example of 12 x 10; classes vessel; scale auto" in repr(prompt)
    assert "whole images" in repr(prompt.at_scale(None, None))
    with pytest.raises(RuntimeError, match="not been chosen"):
        _ = prompt.known_scale


@pytest.mark.parametrize("kind", ["array", "pil", "path", "text"])
def test_every_kind_of_example_gives_the_same_prompt(tmp_path: Path, kind: str) -> None:
    image, mask = photo(), regions(0, 1, 2)
    Image.fromarray(image).save(tmp_path / "image.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    paths = tmp_path / "image.png", tmp_path / "mask.png"
    example = {
        "array": lambda: (image, mask.astype(np.int64)),
        "pil": lambda: (Image.open(paths[0]), Image.open(paths[1])),
        "path": lambda: paths,
        "text": lambda: (str(paths[0]), str(paths[1])),
    }[kind]()
    prompt = Prompt.from_examples([example])
    expected = Prompt.from_examples([(image, mask)])
    assert prompt.palette.classes == ("1", "2")
    assert prompt.images[0].equal(expected.images[0])
    assert prompt.colors[0].equal(expected.colors[0])


@pytest.mark.parametrize(
    ("mask", "classes", "expected"),
    [
        (regions(0, 1), ("foreground",), (0, 1)),
        (regions(0, 255), ("foreground",), (0, 1)),
        (regions(0, 7), ("foreground",), (0, 1)),
        (regions(0, 1).astype(bool), ("foreground",), (0, 1)),
        (regions(0, 1, 255), ("1",), (0, 1, 0)),
        (regions(0, 3, 1), ("1", "2", "3"), (0, 3, 1)),
        (regions(0, 40, 130, 210, 255), ("foreground",), (0, 0, 1, 1, 1)),
    ],
    ids=["0 1", "0 255", "0 7", "bool", "ignored", "indices", "anti-aliased"],
)
def test_classes_are_guessed(
    mask: np.ndarray, classes: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    prompt = Prompt.from_examples([(photo(), mask)])
    assert prompt.palette.classes == classes
    assert np.array_equal(decided(prompt), regions(*expected))


def test_classes_are_guessed_over_all_examples() -> None:
    prompt = Prompt.from_examples([(photo(), regions(0, 2)), (photo(), regions(0, 1))])
    assert prompt.palette.classes == ("1", "2")
    assert np.array_equal(decided(prompt, 0), regions(0, 2))
    assert np.array_equal(decided(prompt, 1), regions(0, 1))


def test_ignored_pixels_of_one_named_class_are_black() -> None:
    prompt = Prompt.from_examples([(photo(), regions(0, 1, 255))], ["vessel"])
    assert np.array_equal(decided(prompt), regions(0, 1, 0))


@pytest.mark.parametrize("values", [(0, 255), (0, 1)])
def test_a_named_class_takes_either_kind_of_two_valued_mask(values: tuple[int, int]) -> None:
    prompt = Prompt.from_examples([(photo(), regions(*values))], ["vessel"])
    assert prompt.palette.classes == ("vessel",)
    assert np.array_equal(decided(prompt), regions(0, 1))


def test_examples_may_differ_in_size() -> None:
    small, large = (photo(8, 8), regions(0, 1, height=8, width=8)), (photo(), regions(0, 1))
    images, colors = Prompt.from_examples([small, large]).at(16)
    assert images.shape == colors.shape == (2, 3, 16, 16)


def test_at_resizes_images_smoothly_and_colors_to_the_nearest() -> None:
    image, mask = photo(40, 30) // 4 + 96, regions(0, 1, 2, 2, 0, height=40, width=30)
    images, colors = Prompt.from_examples([(image, mask)]).at(16)
    smooth = Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC)
    nearest = Image.fromarray(mask).resize((16, 16), Image.Resampling.NEAREST)
    assert np.abs(images[0].permute(1, 2, 0).numpy() * 255 - np.array(smooth)).max() < 1.01
    assert torch.equal(colors[0], Palette.of(["1", "2"]).paint(np.array(nearest)))


def test_at_its_own_size_learned_pixels_stay_untouched() -> None:
    learned = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    images, colors = Prompt((learned,), (-learned,), WHITE).at(8)
    assert images[0].equal(learned)
    assert colors[0].equal(-learned)


def test_examples_at_a_scale_are_crops_and_small_ones_are_mirrored() -> None:
    example = (photo(), regions(0, 1))
    prompt = Prompt.from_examples([example], scale=2.0, canvas=32)
    assert prompt.scale == 2
    assert prompt.images[0].shape == prompt.colors[0].shape == (3, 32, 32)
    whole = np.pad(regions(0, 1).repeat(2, 0).repeat(2, 1), ((4, 4), (6, 6)), mode="reflect")
    assert np.array_equal(decided(prompt), whole)


@pytest.mark.parametrize(
    ("examples", "options", "line"),
    [
        ([], {}, "no examples"),
        ((photo(), regions(0, 1)), {}, "list of pairs"),
        ([(photo(12, 11), regions(0, 1))], {}, "1, image is 11 x 12 but .* mask is 10 x 12"),
        ([(photo(), regions(0, 1, 5))], {"classes": ["a", "b"]}, "mask holds values 0, 1, 5"),
        ([(photo(), regions(0, 3))], {"classes": ["a"]}, "example 1, mask.*0, 3"),
        ([(photo(), regions(0, 1))], {"classes": ["a", "a"]}, "used twice"),
        ([(photo(), regions(0, 1))], {"classes": "road"}, "list of names"),
        ([(photo(), regions(0))], {}, "example 1, mask: all background"),
        ([(photo(), regions(0, 255))], {"classes": ["a", "b"]}, "all background"),
        ([(photo(), regions(0, 1) / 2)], {}, "float64"),
        ([(photo().astype(np.float32), regions(0, 1))], {}, "example 1, image.*float32"),
        ([(photo().transpose(2, 0, 1).repeat(2, 0), regions(0, 1))], {}, "the colors come last"),
        ([(photo()[:0], regions(0, 1))], {}, "array of 0 x 10 x 3"),
        ([(7, regions(0, 1))], {}, "int given"),
        ([(photo(), photo())], {}, "colored"),
        ([(photo(), regions(0, 1))], {"scale": 0.5}, "need the backbone's canvas"),
        ([(photo(), regions(0, 1))], {"scale": 0.0, "canvas": 8}, "scale 0: must be"),
        ([(photo(), regions(0, 1))], {"scale": "fine", "canvas": 8}, "scale fine: must be"),
        ([(photo(), regions(0, 1))], {"scale": float("nan"), "canvas": 8}, "scale nan"),
    ],
)  # fmt: skip
def test_bad_examples_are_refused(examples: list, options: dict, line: str) -> None:
    with pytest.raises(InputError, match=line):
        Prompt.from_examples(examples, **options)


def test_files_are_named_in_errors(tmp_path: Path) -> None:
    Image.fromarray(photo()).save(tmp_path / "eye.png")
    for name, mask in (
        ("small", regions(0, 1, height=5)),
        ("empty", regions(0)),
        ("unknown", regions(0, 9)),
    ):
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "eye.png").read_bytes()[:100])

    def fails(image: str, mask: str) -> str:
        with pytest.raises(InputError) as caught:
            Prompt.from_examples([(tmp_path / image, tmp_path / mask)], ["vessel"])
        assert "\n" not in str(caught.value)
        return str(caught.value)

    line = fails("eye.png", "small.png")
    assert "eye.png is 10 x 12" in line
    assert "small.png is 10 x 5" in line
    assert "empty.png: all background" in fails("eye.png", "empty.png")
    assert "unknown.png" in fails("eye.png", "unknown.png")
    assert "torn.png" in fails("torn.png", "small.png")
    assert "gone.png: no such file" in fails("gone.png", "small.png")


@pytest.mark.parametrize(
    ("images", "colors", "line"),
    [
        ((), (), "0 images and 0 colorings"),
        ((torch.zeros(3, 4, 4),), (), "1 images and 0 colorings"),
        ((torch.zeros(3, 4, 4),), (torch.zeros(3, 4, 5),), r"\(3, 4, 4\) and \(3, 4, 5\)"),
        ((torch.zeros(4, 4, 4),), (torch.zeros(4, 4, 4),), "must be 3 x H x W"),
    ],
)
def test_bad_prompts_are_refused(images: tuple, colors: tuple, line: str) -> None:
    with pytest.raises(InputError, match=line):
        Prompt(images, colors, WHITE)
    with pytest.raises(InputError, match="scale -1"):
        Prompt((torch.zeros(3, 4, 4),), (torch.zeros(3, 4, 4),), WHITE, scale=-1)


def test_a_threshold_of_ones_own_also_holds_over_zooms() -> None:
    curve = Curve(tuple(np.linspace(0, 1, 33).tolist()))
    zoomed = Zoomed(0.25, Calibration(curve, curve, (0.0, 1.0)))
    card: Any = SimpleNamespace(threshold=0.5)
    plane = torch.zeros(3, 16, 16)
    key = Prompt((plane,), (plane,), Palette.of(["x"]), threshold=0.5, zoomed=zoomed, card=card)
    assert key.averaged().threshold == 0.25
    chosen = replace(key, threshold=0.7).averaged()
    assert (chosen.threshold, chosen.calibration) == (0.7, zoomed.calibration)


def test_the_colors_of_the_first_version_are_taken_with_a_warning() -> None:
    plane = torch.rand(3, 4, 4)
    with pytest.warns(DeprecationWarning, match="Prompt: colours is called colors now"):
        prompt = Prompt((plane,), colours=(-plane,), palette=WHITE)
    with pytest.warns(DeprecationWarning, match="the next version forgets colours"):
        assert prompt.colours is prompt.colors
    with pytest.warns(DeprecationWarning, match="Palette: colours"):
        assert Palette(("a",), colours=[(0, 0, 99)]) == Palette(("a",), ((0, 0, 99),))
    with pytest.warns(DeprecationWarning, match="Palette: colours"):
        assert WHITE.colours == WHITE.colors
    with pytest.warns(DeprecationWarning, match="scores: colours"):
        assert WHITE.scores(colours=plane).equal(WHITE.scores(plane))
    with pytest.warns(DeprecationWarning, match="repaint: colours"):
        assert WHITE.repaint(colours=plane, palette=WHITE).equal(WHITE.repaint(plane, WHITE))
    with pytest.warns(DeprecationWarning, match="Prompt: colours"):
        assert replace(prompt, colours=(plane,)).colors == (plane,)
