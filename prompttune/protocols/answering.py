"""Answers for many prompts and images that share what the backbone makes of either.

Episodes of a class draw queries and examples from the same images. A one-way backbone sees an image
apart from all others first; that part is kept, and an image that was an example costs nothing more
as a query. There each example is encoded for itself, so that those of several shots are shared one
by one. Every layout keeps encoded prompts, and answers queries of several prompts in one batch.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from prompttune.backbone.one_way import OneWaySegGPT
from prompttune.backbone.one_way_blocks import CachedPrompt, ImageFeatures
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.kept import Kept
from prompttune.utils.normalize import denormalize, normalize, to_tensor
from prompttune.utils.tiling import resize, resize_nearest, resize_scores

MAX_FEATURE_BYTES = 2**28
MAX_PROMPT_BYTES = 3 * 2**29
ONE_CLASS = Palette.of(("foreground",))


@dataclass(frozen=True, eq=False)
class Example:
    """An image and where it shows a class."""

    key: Hashable
    """Equal for equal images (not masks)."""
    image: np.ndarray
    """`H x W x 3 uint8`."""
    mask: np.ndarray
    """`H x W bool`."""


@dataclass(frozen=True, eq=False)
class Question:
    """A query, and the examples that prompt it."""

    key: Hashable
    """Of the image."""
    image: np.ndarray
    label: Hashable
    """Of the class that is asked for."""
    examples: tuple[Hashable, ...]
    """The keys of the images that show it."""
    read: Callable[[Any], Example]
    """Reads an example by its key, which is done only where it is not known yet."""


@dataclass(frozen=True, eq=False)
class _Seen:
    pixels: Tensor
    """`1 x 3 x S x S`, normalized."""
    features: ImageFeatures


class Answering:
    """Answers whole images by examples of one class, fitted to the canvas as SegGPT sees them.

    Args:
        segmenter: with any backbone.
        ensemble: how several examples join: as a feature ensemble, or laid out in one image.
    """

    def __init__(
        self, segmenter: Segmenter, ensemble: Literal["feature", "spatial"] = "feature"
    ) -> None:
        self.segmenter = segmenter
        self.ensemble = ensemble
        self._canvas = segmenter.network.config.canvas
        self._features: Kept[_Seen] = Kept(MAX_FEATURE_BYTES, _bytes_of)
        self._prompts: Kept[Any] = Kept(MAX_PROMPT_BYTES, _bytes_of_prompt)

    def scores(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """Return how well each pixel fits the class, `H x W float32` in [0, 1] for each."""
        network = self.segmenter.network
        with self.segmenter.computing():
            prompts = [self._prompt(each) for each in questions]
            if isinstance(network, OneWaySegGPT):
                known = [self._seen(each.key, each.image) for each in questions]
                queries = torch.cat([each.pixels for each in known])
                seen = _joined([each.features for each in known])
                colored = network.ensemble(queries, prompts, features=seen)
            else:
                fitted = {each.key: self._pixels(each.image) for each in _once(questions)}
                queries = torch.stack([fitted[each.key] for each in questions])
                colored = network.ensemble(queries, prompts)
            planes = ONE_CLASS.scores(denormalize(colored.float())).cpu()
        return [
            resize_scores(plane, (each.image.shape[0], each.image.shape[1]))[0].numpy()
            for plane, each in zip(planes, questions, strict=True)
        ]

    def masks(self, questions: Sequence[Question]) -> list[np.ndarray]:
        """Return where each question's class is, `H x W bool`."""
        return [scores > 0.5 for scores in self.scores(questions)]

    def _prompt(self, question: Question) -> Any:
        if self.ensemble == "spatial" or not isinstance(self.segmenter.network, OneWaySegGPT):
            key = question.label, question.examples
            return self._prompts.get(key, lambda: self._encode(list(map(question.read, key[1]))))
        each = [self._encoded(question, key) for key in question.examples]
        return each[0] if len(each) == 1 else CachedPrompt.joined(each)

    def _encode(self, examples: Sequence[Example]) -> Any:
        network = self.segmenter.network
        if self.ensemble == "spatial" and len(examples) > 1:
            grid = _grid(examples).at(self._canvas)
            images, colors = (normalize(x).to(self.segmenter.device) for x in grid)
            return network.encode_prompt(images, colors)
        colors = torch.stack([self._colors(each.mask) for each in examples])
        images = torch.stack([self._pixels(each.image) for each in examples])
        return network.encode_prompt(images, colors)

    def _encoded(self, question: Question, key: Hashable) -> CachedPrompt:
        """Encode one example, whatever stands beside it."""
        network = self.segmenter.network
        assert isinstance(network, OneWaySegGPT)

        def encode() -> CachedPrompt:
            example = question.read(key)
            seen = self._seen(key, example.image).features
            return network.encode_seen(seen, self._colors(example.mask)[None])

        return self._prompts.get((question.label, key), encode)

    def _seen(self, key: Hashable, image: np.ndarray) -> "_Seen":
        network = self.segmenter.network
        assert isinstance(network, OneWaySegGPT)

        def see() -> _Seen:
            pixels = self._pixels(image)[None]
            return _Seen(pixels, network.encode_images(pixels))

        return self._features.get(key, see)

    def _pixels(self, image: np.ndarray) -> Tensor:
        fitted = resize(to_tensor(image), (self._canvas, self._canvas))
        return normalize(fitted).to(self.segmenter.device)

    def _colors(self, mask: np.ndarray) -> Tensor:
        fitted = resize_nearest(torch.from_numpy(mask), (self._canvas, self._canvas))
        return normalize(ONE_CLASS.paint(fitted.long())).to(self.segmenter.device)


def _once(questions: Sequence[Question]) -> list[Question]:
    """Return one question of each image."""
    return list({each.key: each for each in questions}.values())


def _grid(examples: Sequence[Example]) -> Prompt:
    prompt = Prompt(
        images=tuple(to_tensor(each.image) for each in examples),
        colors=tuple(ONE_CLASS.paint(each.mask.astype(np.int64)) for each in examples),
        palette=ONE_CLASS,
        scale="auto",
        grid=True,
    )
    return replace(prompt.at_scale(None, None), grid=False)


def _joined(each: Sequence[ImageFeatures]) -> ImageFeatures:
    if len(each) == 1:
        return each[0]
    match = [one.match for one in each if one.match is not None]
    early = zip(*(one.early for one in each), strict=True)
    return ImageFeatures(
        torch.cat([one.last for one in each]),
        torch.cat(match) if match else None,
        tuple(torch.cat(each) for each in early),
    )


def _bytes_of_prompt(encoded: Any) -> int:
    tensors = getattr(encoded, "tensors", None) or (encoded.images, encoded.target_stream)
    return sum(x.numel() * x.element_size() for x in tensors)


def _bytes_of(seen: _Seen) -> int:
    features = seen.features
    match = () if features.match is None else (features.match,)
    tensors = (seen.pixels, features.last, *match, *features.early)
    return sum(x.numel() * x.element_size() for x in tensors)
