"""Answers as bytes: all formats say what the result says."""

import io
import json

import numpy as np
from PIL import Image
from rle_oracle import slow_counts, slow_text
from serving import make_network, make_prompt, photo

from prompttune.inference.segmenter import Segmenter
from prompttune.serve.answers import MEDIA, encoded, run_length_masks

RESULT = Segmenter(make_network()).predict(photo(20, 30), make_prompt("two", ("a", "b")))


def test_run_lengths_are_those_of_a_slow_writer() -> None:
    masks = run_length_masks(RESULT)
    assert masks["size"] == [20, 30]
    for number, one in enumerate(masks["masks"], 1):
        plane = RESULT.classes == number
        counts = slow_counts(plane)
        assert one["pixels"] == plane.sum()
        assert one["counts"] == slow_text(counts if counts[-1] else counts[:-1])


def test_pictures_and_arrays_hold_the_class_map() -> None:
    with Image.open(io.BytesIO(encoded(RESULT, "png"))) as image:
        assert np.array_equal(np.asarray(image), RESULT.classes)
    with np.load(io.BytesIO(encoded(RESULT, "npz"))) as arrays:
        assert np.array_equal(arrays["scores"], RESULT.scores)
        assert arrays["names"].tolist() == ["a", "b"]


def test_every_format_has_a_type_and_json_is_json() -> None:
    for kind, media in MEDIA.items():
        body = encoded(RESULT, kind)
        if "json" in media:
            json.loads(body)
