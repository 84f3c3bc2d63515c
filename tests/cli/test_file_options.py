"""Options that say how files are read."""

import argparse

import pytest

from prompttune.cli.file_options import (
    add_image_options,
    add_mask_options,
    image_options,
    mask_options,
    named_by_colors,
    read_values,
)
from prompttune.utils.errors import InputError


def given(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    group = parser.add_argument_group("files")
    add_image_options(group)
    add_mask_options(group)
    return parser.parse_args(words)


def test_images_are_read_as_the_line_says_and_else_as_the_keys_do() -> None:
    kept = [{"bands": "4,3,2"}]
    assert image_options(given(), kept).bands == (4, 3, 2)
    assert image_options(given("--bands", "1"), kept).bands == (1,)
    with pytest.raises(InputError):
        image_options(given(), [*kept, {"bands": "1,2,3"}])


def test_masks_are_understood_as_the_line_says() -> None:
    options = mask_options(given("--mask_values", "{0: 0, 128: 1}", "--mask_kind", "gray"), ["a"])
    assert (options.kind, options.values) == ("gray", {0: 0, 128: 1})
    colors = mask_options(given("--colors", "crack=#ff0000"), None).colors
    assert colors


def test_colors_name_classes_but_not_the_background() -> None:
    text = "background=#000000,crack=#ff0000,ignore=#0000ff,crack=#ee0000"
    assert named_by_colors(text) == ("crack",)


@pytest.mark.parametrize("text", ["3", "[1]", "{a: 1}", "{"])
def test_values_that_are_no_mapping(text: str) -> None:
    assert read_values(None) is None
    with pytest.raises(InputError, match="--mask_values"):
        read_values(text)
