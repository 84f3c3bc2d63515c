"""Answers as bytes: all formats say what the result says."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rle_oracle import slow_counts, slow_text
from serving import Running, make_network, make_prompt, photo, png, run, save

from prompttune.inference.result import Result
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import Calibration, Curve
from prompttune.reliability.domain import Domain
from prompttune.serve.answers import MEDIA, encoded, run_length_masks
from prompttune.serve.client import _answer
from prompttune.zoo.store import load_prompt

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


CURVE = Curve(tuple((index / 32) ** 0.5 for index in range(33)))


def reliable(name: str, limit: float) -> Prompt:
    centers = np.zeros((2, 16), np.float32)
    return replace(
        make_prompt(name, ("a", "b")),
        calibration=Calibration(CURVE, CURVE, (0.1, 0.8)),
        domain=Domain(centers, 1.0, limit),
    )


@pytest.fixture
def trusted(zoo: Path) -> Path:
    save(reliable("alike", 1e6), zoo)
    save(reliable("strange", 1e-3), zoo)
    return zoo


def segment(running: Running, name: str, kind: str, image: bytes) -> tuple[bytes, dict[str, str]]:
    response = running.client.post(
        "/v1/segment", params={"prompt": name, "format": kind}, content=image
    )
    assert response.status_code == 200, response.text
    prefix = "x-prompttune-"
    named = response.headers.items()
    return response.content, {k.removeprefix(prefix): v for k, v in named if k.startswith(prefix)}


def python(running: Running, name: str, image: bytes) -> Result:
    return running.reference.predict(image, load_prompt(name, running.zoo))


@pytest.mark.parametrize(("name", "alike"), [("alike", True), ("strange", False)])
def test_every_format_tells_what_the_segmenter_knows(trusted: Path, name: str, alike: bool) -> None:
    image = png(photo(40, 31))
    with run(trusted) as running:
        expected = python(running, name, image)
        assert expected.in_domain is alike
        assert expected.confidence is not None
        assert expected.expected_dice is not None
        for kind in ("png", "rle", "coco", "geojson", "npz"):
            content, headers = segment(running, name, kind, image)
            assert json.loads(headers["in-domain"]) is alike
            dice, sure = float(headers["expected-dice"]), float(headers["confidence"])
            assert dice == pytest.approx(expected.expected_dice, abs=1e-4)
            assert sure == pytest.approx(expected.confidence.mean(), abs=1e-4)
            if kind == "rle":
                masks = json.loads(content)
                assert masks["in_domain"] is alike
                assert masks["expected_dice"] == dice
                for number, mask in enumerate(masks["masks"], 1):
                    own = expected.confidence[expected.classes == number]
                    right = pytest.approx(own.mean(), abs=1e-4) if own.size else None
                    assert mask["confidence"] == right
                assert any(mask["confidence"] for mask in masks["masks"])
            if kind == "coco":
                listed = json.loads(content)
                assert listed
                assert all(0 <= one.pop("confidence") <= 1 for one in listed)
                assert listed == expected.to_coco(0)
            if kind == "geojson":
                assert json.loads(content)["reliability"]["in_domain"] is alike
            if kind == "npz":
                answer = _answer(content)
                assert answer.in_domain is alike
                assert answer.expected_dice == dice
                assert answer.confidence is not None
                assert np.array_equal(answer.confidence, expected.confidence)


def test_what_is_not_known_is_not_said(trusted: Path) -> None:
    image = png(photo(40, 31))
    with run(trusted) as running:
        content, headers = segment(running, "coarse", "rle", image)
        assert not {"in-domain", "expected-dice", "confidence"} & set(headers)
        masks = json.loads(content)
        assert (masks["in_domain"], masks["expected_dice"], masks["confidence"]) == (None,) * 3
        assert [one["confidence"] for one in masks["masks"]] == [None, None]
        content, _ = segment(running, "coarse", "npz", image)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            assert set(arrays) == {"classes", "scores", "names"}
        answer = _answer(content)
        assert (answer.confidence, answer.expected_dice, answer.in_domain) == (None,) * 3
