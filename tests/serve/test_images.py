"""Images out of requests: refused by their header, and read as Python reads them."""

import numpy as np
import pytest
from serving import make_prompt, photo, png

from prompttune.data.inputs import load_image
from prompttune.serve.images import place_on_earth, read_mask, read_pixels
from prompttune.serve.limits import Limits, Refused

LIMITS = Limits(pixels=1000)


def test_bytes_are_read_as_python_reads_them() -> None:
    data = png(photo(20, 30))
    assert np.array_equal(read_pixels(data, "image", LIMITS), load_image(data))
    assert np.array_equal(read_pixels(data, "image", LIMITS, make_prompt("a")), load_image(data))
    assert place_on_earth(data) is None


def test_too_many_pixels_are_refused_before_they_are_decoded() -> None:
    data = png(photo(30, 40))
    broken = data[:200] + bytes(len(data) - 200)  # most pixels are gone
    with pytest.raises(Refused, match="has 40 x 30 pixels") as caught:
        read_pixels(broken, "image", LIMITS)
    assert caught.value.status == 413


def test_masks_name_their_classes() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[:5] = 255
    found = read_mask(png(mask), "mask 1", None, LIMITS)
    assert np.array_equal(found, mask > 0)
    mask[0] = 7
    with pytest.raises(Refused, match="mask 1") as caught:
        read_mask(png(mask), "mask 1", ["crack"], LIMITS)
    assert caught.value.status == 422


def test_what_is_no_image_is_one_sentence() -> None:
    with pytest.raises(Refused) as caught:
        read_pixels(b"no image", "image", LIMITS)
    assert caught.value.status == 422
    assert "\n" not in str(caught.value)
    assert ".." not in str(caught.value)
