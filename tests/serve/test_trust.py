"""How far an answer can be relied on: told in every format as the segmenter tells it in Python."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from serving import Running, make_prompt, photo, png, run, save

from prompttune.inference.result import Result
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.calibration import Calibration, Curve
from prompttune.reliability.domain import Domain
from prompttune.serve.client import _answer
from prompttune.zoo.store import load_prompt

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
