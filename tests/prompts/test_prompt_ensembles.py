"""Prompts of several examples: the spatial ensemble, joined prompts, colored instances."""

import numpy as np
import pytest
import torch
from PIL import Image

from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError


def photo(height: int = 16, width: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def regions(*values: int, height: int = 16, width: int = 16) -> np.ndarray:
    """Return a map whose rows take the values in turn."""
    return np.resize(np.array(values, np.uint8), height)[:, None].repeat(width, 1)


def decided(prompt: Prompt, colors: torch.Tensor) -> np.ndarray:
    return prompt.palette.decide(prompt.palette.scores(colors)).numpy()


def key_of(*classes: str, palette: Palette | None = None, **fields: object) -> Prompt:
    pixels = (torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(7)),)
    options = {"fingerprint": "f" * 64, "name": "key", "threshold": 0.3} | fields
    return Prompt(pixels, pixels, palette or Palette.of(classes), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("examples", "side"), [(1, 1), (4, 2), (9, 3), (3, 2), (5, 3)])
def test_a_spatial_ensemble_is_a_grid_subsampled_to_one_example(examples: int, side: int) -> None:
    size = 12
    smooth = [np.full((size, size, 3), 20 * n + 40, np.uint8) for n in range(examples)]
    masks = [regions(0, 1, n % 3, height=size, width=size) for n in range(examples)]
    pairs = list(zip(smooth, masks, strict=True))
    prompt = Prompt.spatial(pairs, ["a", "b"], scale="whole")
    images, colors = prompt.at(size)
    assert images.shape == colors.shape == (1, 3, size, size)
    cell = size // side
    for place in range(side**2):
        top, left = divmod(place, side)
        inside = np.s_[top * cell : (top + 1) * cell, left * cell : (left + 1) * cell]
        number = place % examples
        middle = images[0, 0].numpy()[inside][cell // 2, cell // 2] * 255
        assert abs(middle - (20 * number + 40)) < 3
        nearest = Image.fromarray(masks[number]).resize((cell, cell), Image.Resampling.NEAREST)
        assert np.array_equal(decided(prompt, colors[0])[inside], np.array(nearest))


def test_a_spatial_ensemble_of_one_is_that_example() -> None:
    one = Prompt.spatial([(photo(), regions(0, 1))])
    expected = Prompt.from_examples([(photo(), regions(0, 1))])
    assert one.images[0].equal(expected.images[0])
    assert one.colors[0].equal(expected.colors[0])


def test_a_grid_takes_examples_of_any_size_and_crops_at_a_scale() -> None:
    pairs = [(photo(16, 16), regions(0, 1)), (photo(30, 20), regions(1, 0, height=30, width=20))]
    whole = Prompt.spatial(pairs, scale="whole")
    assert whole.images[0].shape == (3, 32, 32)
    crops = Prompt.spatial(pairs, scale=1.0, canvas=8)
    assert (crops.scale, crops.images[0].shape) == (1.0, (3, 16, 16))
    several = Prompt.from_examples(pairs, scale=1.0, canvas=8)
    assert crops.images[0][:, :8, 8:].equal(several.images[1])
    assert crops.colors[0][:, 8:, :8].equal(several.colors[0]), "the third is the first again"


def test_a_key_and_examples_join_in_the_keys_colors() -> None:
    palette = Palette(("cup", "disc"), ((10, 200, 30), (200, 0, 90)))
    key = key_of(palette=palette, scale=0.5)
    mask = regions(0, 1, 2, 255)
    examples = Prompt.from_examples([(photo(), mask)], ["disc", "cup"], scale=0.5, canvas=16)
    joined = Prompt.join([examples, key])
    assert (joined.palette, joined.threshold, joined.fingerprint) == (palette, 0.3, "f" * 64)
    assert joined.name == "examples + key"
    assert joined.images[0].equal(examples.images[0])
    assert joined.colors[1].equal(key.colors[0])
    table = np.array([(0, 0, 0), (200, 0, 90), (10, 200, 30), (0, 0, 0)])  # disc is 1 in the mask
    shown = table[decided(examples, examples.colors[0])]
    assert np.array_equal((joined.colors[0] * 255).round().permute(1, 2, 0).numpy(), shown)


@pytest.mark.parametrize("scale", [0.5, None])
def test_joined_examples_take_the_keys_scale(scale: float | None) -> None:
    key, pairs = key_of("a", scale=scale), [(photo(40, 40), regions(0, 1, height=40, width=40))]
    joined = Prompt.join([Prompt.from_examples(pairs, ["a"]), key])
    given = Prompt.from_examples(pairs, ["a"], scale=scale, canvas=16)
    assert joined.scale == scale
    assert joined.images[0].equal(given.images[0])
    assert joined.colors[0].equal(given.colors[0])


def test_joined_examples_without_a_scale_wait_for_one() -> None:
    one, other = (Prompt.from_examples([(photo(seed=n), regions(0, 1))]) for n in range(2))
    assert Prompt.join([one, other]).scale == "auto"
    grid = Prompt.spatial([(photo(), regions(0, 1))])
    with pytest.raises(InputError, match="give both a scale"):
        Prompt.join([one, grid])


def test_joined_examples_are_what_from_examples_makes_of_all() -> None:
    pairs = [(photo(seed=n), regions(0, 1, 2)) for n in range(3)]
    joined = Prompt.join(Prompt.from_examples([pair]) for pair in pairs)
    together = Prompt.from_examples(pairs)
    assert all(map(torch.equal, joined.colors, together.colors))
    assert all(map(torch.equal, joined.images, together.images))
    assert joined.name == "examples"


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        (key_of("a"), key_of("b"), "classes b and a; joined prompts share their classes"),
        (key_of("a", "b"), key_of("a"), "classes a and a, b"),
        (key_of("a"), key_of("a", fingerprint="0" * 64), "backbones 000000000000 and ffffff"),
        (key_of("a", scale=1.0), key_of("a", fingerprint=None), "scales None and 1.0"),
        (key_of("a"), key_of("a", seg_type=1), "type tokens 1 and 0"),
        (key_of("a"), key_of(palette=Palette(("a",), ((9, 99, 9),))), "keys share their palette"),
    ],
)
def test_what_cannot_stand_together_is_refused(one: Prompt, other: Prompt, line: str) -> None:
    with pytest.raises(InputError, match=line):
        Prompt.join([one, other])


def test_nothing_cannot_be_joined() -> None:
    with pytest.raises(InputError, match="nothing to join"):
        Prompt.join([])


def test_instances_get_a_color_each() -> None:
    ids = regions(0, 7, 3, 255, 200)
    prompt = Prompt.from_instances([(photo(), ids), (photo(), regions(0, 0, 5))], "cell")
    assert prompt.palette == Palette.of(["cell 1", "cell 2", "cell 3"])
    assert (prompt.seg_type, prompt.instance_of) == (1, "cell")
    assert np.array_equal(decided(prompt, prompt.colors[0]), regions(0, 2, 1, 0, 3))
    assert np.array_equal(decided(prompt, prompt.colors[1]), regions(0, 0, 1))


def test_only_instances_inside_the_crop_are_numbered() -> None:
    ids = np.zeros((40, 40), np.uint8)
    ids[20:30, 20:30], ids[0, 0] = 9, 2
    prompt = Prompt.from_instances([(photo(40, 40), ids)], scale=1.0, canvas=16)
    assert prompt.palette.classes == ("object 1",)
    assert decided(prompt, prompt.colors[0]).sum() == 100


def test_more_instances_than_colors_are_refused() -> None:
    ids = np.arange(300, dtype=np.int64).reshape(15, 20)
    with pytest.raises(InputError, match="mask holds values"):
        Prompt.from_instances([(photo(15, 20), ids)])
