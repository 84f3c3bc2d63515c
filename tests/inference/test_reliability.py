"""Segmenters with prompts that are compact, or that know their images."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from prompttune.backbone.config import SegGPTConfig
from prompttune.backbone.network import SegGPT
from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.companion.companion import Companion
from prompttune.companion.network import CompanionNetwork
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.reliability.domain import fit_domain
from prompttune.utils.errors import forget_warnings

SHAPE = {"canvas": 16, "patch": 4, "dim": 16, "depth": 4, "heads": 2, "out_indices": (2, 3),
         "decoder_dim": 4, "pretrain_canvas": 16}  # fmt: skip


def segmenter(one_way: bool) -> Segmenter:
    generator = torch.Generator().manual_seed(0)
    more = {"one_way": True, "apart": 2, "match_indices": (0, 1)} if one_way else {}
    network = (OneWaySegGPT if one_way else SegGPT)(SegGPTConfig(**SHAPE, **more))
    for parameter in network.requires_grad_(False).parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return Segmenter(network)


def image(seed: int, size: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3)).astype(np.uint8)


def prompt(seed: int = 0) -> Prompt:
    planes = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return Prompt((planes[0],), (planes[1],), Palette.of(["thing"]), scale=1.0, canvas=16)


@pytest.mark.parametrize("one_way", [True, False])
def test_knowing_its_images_changes_no_answer(one_way: bool) -> None:
    using, plain = segmenter(one_way), prompt()
    features = using.describe(image(1), plain)
    assert features.shape == (9, 16)
    knows = replace(plain, domain=fit_domain(features, [features]))
    one, other = (using.predict(image(1), each, overlap=0.0) for each in (plain, knows))
    assert np.allclose(one.scores, other.scores, atol=1e-6)
    assert (one.in_domain, other.in_domain) == (None, True)
    assert other.unlikeness == pytest.approx(knows.domain.unlikeness(features), rel=1e-4)


def with_companion(prompt: Prompt, share: float) -> Prompt:
    torch.manual_seed(2)
    return replace(prompt, companion=CompanionNetwork(1, (4, 8)).eval().folded(share))


@pytest.mark.parametrize("one_way", [True, False])
def test_where_a_companion_alone_counts_the_prompt_is_not_asked(
    one_way: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    using, plain = segmenter(one_way), with_companion(prompt(), 1.0)
    picture = image(1, 32)  # four windows, all of them looked at
    features = using.describe(picture, plain)
    knows = replace(plain, domain=fit_domain(features, [features]))
    one, flipped = (using.predict(picture, knows, 0.0, flips=flips) for flips in (False, True))
    assert one.unlikeness == flipped.unlikeness
    with monkeypatch.context() as patch:
        patch.setattr(Companion, "alone", False)
        asked = [using.predict(picture, knows, 0.0, flips=flips) for flips in (False, True)]
    for found, expected in zip((one, flipped), asked, strict=True):
        assert np.allclose(found.scores, expected.scores, atol=1e-6)
        assert found.unlikeness == pytest.approx(expected.unlikeness, rel=1e-4)
    monkeypatch.setattr(type(using.network), "ensemble", None)
    assert (using.predict(picture, plain, 0.0).scores == one.scores).all()
    if one_way:  # nor is it encoded, even where images are described
        monkeypatch.setattr(type(using.network), "encode_prompt", None)
        anew = segmenter(one_way)
        anew.check(knows)
        found = anew.predict(picture, knows, 0.0)
        assert (found.scores == one.scores).all()
        assert found.unlikeness == one.unlikeness


def test_prompts_with_all_kinds_of_companions_share_a_call() -> None:
    using = segmenter(one_way=True)
    several = [prompt(), with_companion(prompt(1), 0.5), with_companion(prompt(2), 1.0)]
    images = [image(seed) for seed in range(3)]
    together = using.predict(images, several)
    for picture, each, found in zip(images, several, together, strict=True):
        assert np.allclose(found.scores, using.predict(picture, each).scores, atol=1e-5)


def test_a_large_image_is_described_by_some_of_its_windows() -> None:
    using, plain = segmenter(one_way=True), prompt()
    picture = image(1, 128)  # 64 windows
    features = using.describe(picture, plain)
    knows = replace(plain, domain=fit_domain(features, [features]))
    alone = using.predict(picture, with_companion(knows, 1.0), overlap=0.0)
    some = features.reshape(8, 8, -1)[2::4, 2::4].reshape(4, -1)
    assert alone.unlikeness == pytest.approx(knows.domain.unlikeness(some), rel=1e-4)
    beside = using.predict(picture, with_companion(knows, 0.5), overlap=0.0)
    assert beside.unlikeness == pytest.approx(knows.domain.unlikeness(features), rel=1e-4)


def test_a_stranger_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    using, plain = segmenter(one_way=True), prompt()
    like = np.full((40, 40, 3), 9, np.uint8)
    features = using.describe(like, plain)
    knows = replace(plain, domain=fit_domain(features, [features]), name="cracks")
    forget_warnings()
    with caplog.at_level(logging.WARNING, logger="prompttune"):
        results = using.predict([like, image(1), image(2)], knows)
    assert [each.in_domain for each in results] == [True, False, False]
    assert [each.message for each in caplog.records] == [
        "cracks: an image is unlike those it was learned from; its answer may be wrong"
    ]


def test_compact_prompts_answer_beside_whole_ones() -> None:
    using, whole = segmenter(one_way=True), prompt()
    compact = using.compact(whole, [image(3)], 4)
    assert [len(each) for each in compact.kept_tokens] == [4, 4]
    together = using.predict([image(1), image(2), image(1)], [whole, compact, compact])
    alone = [using.predict(image(1), whole), using.predict(image(2), compact)]
    for one, other in zip(together, alone, strict=False):
        assert np.allclose(one.scores, other.scores, atol=1e-5)
    assert not np.allclose(together[0].scores, together[2].scores, atol=1e-5)
