"""Images are read for a key as those were that it was tuned on: files, arrays, Pillow images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from predicting import backbone as backbone

from prompttune.data.reading import ImageOptions, read_image
from prompttune.inference.segmenter import Segmenter
from prompttune.keys.card import Card, Data, Initialization
from prompttune.prompts.composition import Composition
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.prompts.reading import options_of, recipes_of
from prompttune.utils.errors import LOG, InputError, forget_warnings

DEEP = np.random.default_rng(0).integers(204, 561, (20, 24)).astype(np.uint16)
BANDS = np.random.default_rng(1).integers(0, 256, (20, 24, 5), dtype=np.uint8)


@pytest.fixture
def segmenter(backbone: Path) -> Segmenter:
    forget_warnings()
    return Segmenter(backbone, device="cpu")


def key(segmenter: Segmenter, name: str = "crack", **recipe: Any) -> Prompt:
    """Return a learned prompt whose card says how its files were read."""
    random = torch.Generator().manual_seed(3)
    image, colors = torch.rand(2, 3, 16, 16, generator=random)
    prompt = Prompt(
        (image,), (colors,), Palette.of([name]), scale=1.0,
        fingerprint=segmenter.network.fingerprint, name=name,
    )  # fmt: skip
    card = Card.of(
        prompt, task="custom", backbone="small",
        initialisation=Initialization(kind="noise", contains_real_image=False), recipe=recipe,
        data=Data(layout="folders", train=4, val=1, sha256="0" * 64, generated=False),
    )  # fmt: skip
    return Prompt(**{**vars(prompt), "card": card})


def seen(segmenter: Segmenter, image: Any, prompt: Prompt | Composition, **more: Any) -> np.ndarray:
    shown = segmenter.predict(image, prompt, **more).image
    assert shown is not None
    return shown


def test_a_key_of_a_stretch_shows_deep_files_and_arrays_alike(
    segmenter: Segmenter, tmp_path: Path
) -> None:
    tifffile.imwrite(path := tmp_path / "deep.tif", DEEP)
    prompt = key(segmenter, stretch="200,600")
    wanted = read_image(path, ImageOptions.of(None, "200,600"))
    assert wanted.max() < 255  # its own range would reach white
    for image in (path, path.read_bytes(), DEEP, torch.from_numpy(DEEP.astype(np.int32))):
        assert np.array_equal(seen(segmenter, image, prompt), wanted)
    assert np.array_equal(seen(segmenter, DEEP.astype(np.float32), prompt), wanted)


def test_floats_of_a_picture_stay_a_picture(segmenter: Segmenter) -> None:
    picture = np.linspace(0, 1, 480, dtype=np.float32).reshape(20, 24)
    shown = seen(segmenter, picture, key(segmenter, stretch="200,600"))
    assert np.array_equal(shown[:, :, 0], (picture * 255).round().astype(np.uint8))
    shown = seen(segmenter, picture, key(segmenter, stretch="0.25,0.75"))
    assert shown[0].max() == 0
    assert shown[-1].min() == 255


def test_a_key_of_bands_takes_them_of_files_and_of_arrays_that_have_more(
    segmenter: Segmenter, tmp_path: Path
) -> None:
    tifffile.imwrite(path := tmp_path / "bands.tif", BANDS, photometric="rgb")
    prompt = key(segmenter, bands="5,3,1")
    for image in (path, BANDS):
        assert np.array_equal(seen(segmenter, image, prompt), BANDS[:, :, [4, 2, 0]])
    already = BANDS[:, :, :3]
    assert np.array_equal(seen(segmenter, already, prompt), already)
    other = ImageOptions.of("2,2,2", None)
    assert np.array_equal(seen(segmenter, path, prompt, options=other), BANDS[:, :, [1, 1, 1]])


def test_an_image_of_pillow_is_read_as_its_file(segmenter: Segmenter, tmp_path: Path) -> None:
    Image.fromarray(DEEP).save(path := tmp_path / "deep.png")
    prompt = key(segmenter, stretch="200,600")
    assert np.array_equal(seen(segmenter, Image.open(path), prompt), seen(segmenter, path, prompt))


def test_keys_of_different_stretches_are_refused_unless_one_is_given(segmenter: Segmenter) -> None:
    keys = [key(segmenter, "a", stretch="0,9"), key(segmenter, "b", stretch="image")]
    both = Composition(keys)
    with pytest.raises(InputError, match="tuned with different stretch"):
        segmenter.predict(DEEP, both)
    segmenter.predict(DEEP, both, options=ImageOptions.of(None, "full"))


def test_a_size_that_a_key_has_not_seen_is_told_with_the_remedy(
    segmenter: Segmenter, caplog: pytest.LogCaptureFixture
) -> None:
    prompt = key(segmenter, image_size=[80, 60])
    with caplog.at_level("WARNING", LOG.name):
        segmenter.predict(np.zeros((20, 24, 3), np.uint8), prompt)
    assert "prompt.resized(3.2)" in caplog.text
    caplog.clear()
    segmenter.predict(np.zeros((10, 24, 3), np.uint8), prompt)
    assert not caplog.records, "a key is warned of once"
    segmenter.predict(np.zeros((10, 24, 3), np.uint8), key(segmenter, "b", image_size=[80, 60]))
    assert "prompt.resized" in caplog.text
    assert prompt.resized(3.2).scale == 3.2
    assert Composition([prompt]).resized(2).parts[0].scale == 2
    with pytest.raises(InputError, match="resize 0: must be"):
        prompt.resized(0)


def test_examples_ask_for_nothing() -> None:
    pair = (np.zeros((16, 16, 3), np.uint8), np.ones((16, 16), np.uint8))
    assert recipes_of(Prompt.from_examples([pair])) == []
    nothing: list[Mapping[str, Any]] = []
    assert options_of(nothing) == ImageOptions()
    assert options_of([{"bands": "1"}], bands="2").bands == (2,)
