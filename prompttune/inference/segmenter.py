"""Segmenter: a frozen backbone that segments images as a prompt tells it to."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar, overload
from weakref import WeakKeyDictionary

import numpy as np
import torch

from prompttune.backbone import SegGPT
from prompttune.data.inputs import ImageLike, load_image
from prompttune.data.queries import warn_of_other_sizes
from prompttune.data.reading import ImageOptions
from prompttune.inference.frozen import (
    FrozenBackbone,
    counts_alone,
    describe_windows,
    looked_at_most,
)
from prompttune.inference.quality import Quality
from prompttune.inference.result import Result as Result
from prompttune.inference.scale import choose_scale
from prompttune.inference.sliding_window import (
    ALL_FLIPS,
    UNFLIPPED,
    UNZOOMED,
    Question,
    answered,
)
from prompttune.prompts.composition import Composition, PromptLike
from prompttune.prompts.prompt import Prompt
from prompttune.prompts.reading import image_for, recipes_of
from prompttune.utils.bounds import check
from prompttune.utils.devices import choose_bf16, choose_device
from prompttune.utils.errors import InputError
from prompttune.utils.paths import DEFAULT_BACKBONE

PromptOrComposition = TypeVar("PromptOrComposition", bound=Prompt | Composition)


class Segmenter(FrozenBackbone):
    """A backbone on a device, ready to segment.

    Args:
        backbone: name, path of a weights file, or a network that is loaded already.
        device: "cpu", "cuda" or "auto": CUDA where there is one, but a loaded network stays where
            it is.
        precision: "fp32", "bf16" (autocast) or "auto": bf16 on CUDA that computes in it, else fp32.

    Raises:
        InputError: an unknown backbone, device or precision, or CUDA asked for where there is none.
    """

    def __init__(
        self,
        backbone: str | Path | SegGPT = DEFAULT_BACKBONE,
        device: str = "auto",
        precision: str = "auto",
    ) -> None:
        super().__init__(backbone, device, precision)
        self._scaled: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._told: set[str] = set()  # the keys for which images of other sizes were warned of

    def __repr__(self) -> str:
        canvas, kind = self.network.config.canvas, "bf16" if self.bf16 else "fp32"
        return f"Segmenter('{self.network.name}'; canvas {canvas}; {self.device}, {kind})"

    def to(self, device: str | torch.device) -> Self:
        """Move the backbone to a device, and return this segmenter.

        Args:
            device: "cpu", "cuda" (or one of several, "cuda:1") or "auto".

        Raises:
            InputError: an unknown device, or CUDA where there is none.
        """
        self.device = choose_device(str(device))
        self.network.to(self.device)
        self.bf16 = choose_bf16(self._precision, self.device)
        self._forget()
        return self

    @overload
    def predict(
        self,
        images: ImageLike,
        prompt: PromptLike | Sequence[PromptLike],
        overlap: float = ...,
        batch_size: int | None = ...,
        flips: bool = ...,
        options: ImageOptions | None = ...,
        zooms: Sequence[float] = ...,
    ) -> Result: ...

    @overload
    def predict(
        self,
        images: list[Any] | tuple[Any, ...],
        prompt: PromptLike | Sequence[PromptLike],
        overlap: float = ...,
        batch_size: int | None = ...,
        flips: bool = ...,
        options: ImageOptions | None = ...,
        zooms: Sequence[float] = ...,
    ) -> list[Result]: ...

    def predict(
        self,
        images: ImageLike | list[Any] | tuple[Any, ...],
        prompt: PromptLike | Sequence[PromptLike],
        overlap: float = 0.25,
        batch_size: int | None = None,
        flips: bool = False,
        options: ImageOptions | None = None,
        zooms: Sequence[float] = UNZOOMED,
    ) -> Result | list[Result]:
        """Segment one image or a list of them.

        Args:
            images: a path, the bytes of a file, a PIL image (turned upright by its EXIF tag), an
                RGB array `H x W x 3` or a tensor `3 x H x W` (`uint8`, `uint16` or float in
                [0, 1]); or a list of these, whose windows share batches.
            prompt: a prompt, a composition of prompts for several classes, or a function that
                chooses one of these for an image; for all images, or a list with one an image.
                A prompt with a scale sees the image in overlapping windows at that scale; one
                without sees it whole, fitted to the canvas. For examples whose scale is "auto" it
                is chosen once, and the result says which.
            overlap: share of a window that its neighbor covers as well, 0 to 0.9.
            batch_size: windows at once; None: by the size of the backbone.
            flips: answer each window upright and mirrored, 4 times, and take the mean scores.
            options: the bands and the stretch by which stored numbers become colors; None: as the
                key was tuned. Arrays of one or three channels have their bands already.
            zooms: answer the image at these multiples of the prompt's scale, each above 0 and at
                most 4, and take the mean scores; a prompt without a scale sees it once. A zoom z
                takes about `z**2` times the work. A key with a companion, which knows things at
                one size, lets its windows overlap by half in place of several zooms.

        Returns:
            One result, or a list of them in the order of the images.

        Raises:
            InputError: an image that cannot be read, a prompt learned on another backbone, keys
                that were tuned with different bands or stretches, numbers out of their range, or
                more work than one image may ask for (`prompttune.utils.bounds`).
        """
        items = list(images) if isinstance(images, list | tuple) else [images]
        single = isinstance(prompt, Prompt | Composition) or not isinstance(prompt, Sequence)
        prompts: list[Any] = [prompt] * len(items) if single else list(prompt)  # type: ignore[arg-type]
        for each in prompts:
            _check_kind(each)
        if len(prompts) != len(items):
            raise InputError(
                f"{len(items)} images and {len(prompts)} prompts; give one for all, or one an image"
            )
        pairs = zip(items, prompts, strict=True)
        sizes: dict[PromptLike, list[tuple[int, int]]] = {}
        quality = Quality(overlap, flips, tuple(zooms))
        results = list(self._stream(pairs, quality, batch_size, options, sizes))
        for seen, found in sizes.items():
            if not isinstance(seen, Prompt | Composition) or seen.parts[0].name in self._told:
                continue
            if warn_of_other_sizes(found, recipes_of(seen)):
                self._told.add(seen.parts[0].name)
        return results if isinstance(images, list | tuple) else results[0]

    def stream(
        self,
        images: Iterable[ImageLike],
        prompt: PromptLike,
        overlap: float = 0.25,
        batch_size: int | None = None,
        flips: bool = False,
        options: ImageOptions | None = None,
        zooms: Sequence[float] = UNZOOMED,
    ) -> Iterator[Result]:
        """Segment images one by one as `predict` does; no more are in memory than a batch needs.

        Args:
            images: of any kind that `predict` takes; one at a time is asked for.
            prompt: for all of them, as in `predict`.
            overlap: as in `predict`.
            batch_size: as in `predict`.
            flips: as in `predict`.
            options: as in `predict`.
            zooms: as in `predict`.

        Yields:
            A result for each image, in their order.

        Raises:
            InputError: as `predict`.
        """
        _check_kind(prompt)
        if isinstance(prompt, Prompt | Composition):
            self.check(prompt)
        pairs = ((image, prompt) for image in images)
        quality = Quality(overlap, flips, tuple(zooms))
        return self._stream(pairs, quality, batch_size, options)

    def check(self, prompt: Prompt | Composition) -> None:
        """Encode a prompt, which is kept, or say why it cannot be used here.

        Examples whose scale is "auto" are encoded when it has been chosen, and a prompt whose
        companion counts alone where it is needed.

        Args:
            prompt: to be used with this backbone.

        Raises:
            InputError: a prompt learned on another backbone.
        """
        for part in prompt.parts:
            self.check_fits(part)
        parts = [x for x in prompt.parts if x.scale != "auto" and not counts_alone(x)]
        self.encode_each(parts)

    def scaled(self, prompt: PromptOrComposition) -> PromptOrComposition:
        """Return a prompt at the scale at which it answers here: one that is "auto" is chosen.

        `predict` does so by itself. The choice is made once for a prompt and kept with it
        (`prompttune.inference.scale`); a prompt that has a scale, or sees images whole, is
        returned itself.

        Args:
            prompt: of any scale.

        Returns:
            A prompt of the same kind whose scale is known.
        """
        if all(part.scale != "auto" for part in prompt.parts):
            return prompt
        if prompt not in self._scaled:
            if isinstance(prompt, Composition):
                scaled: Any = Composition(self.scaled(part) for part in prompt.prompts)
            else:
                scaled = prompt.at_scale(choose_scale(self, prompt), self.canvas(prompt))
            self._scaled[prompt] = scaled
        return self._scaled[prompt]

    def _stream(
        self,
        pairs: Iterable[tuple[ImageLike, PromptLike]],
        quality: Quality,
        batch_size: int | None,
        options: ImageOptions | None = None,
        sizes: dict[PromptLike, list[tuple[int, int]]] | None = None,
    ) -> Iterator[Result]:
        if batch_size is not None:
            check("batch_size", batch_size, "batch size")
        canvas = self.canvas(None)

        def ask(image: ImageLike, prompt: PromptLike) -> Question:
            if isinstance(prompt, Prompt | Composition):
                pixels = image_for(prompt, image, options=options)
            else:
                pixels = load_image(image, options=options)
            if sizes is not None:
                sizes.setdefault(prompt, []).append((pixels.shape[1], pixels.shape[0]))
            chosen = prompt if isinstance(prompt, Prompt | Composition) else prompt(pixels)
            chosen = self.scaled(chosen)
            views = ALL_FLIPS if quality.flips else UNFLIPPED
            return Question(pixels, chosen, canvas, quality.overlap, views, quality.zooms)

        questions = (ask(image, prompt) for image, prompt in pairs)

        def size(prompts: int, canvas: int) -> int:
            return batch_size or self.batch_size(prompts, canvas)

        return answered(questions, self.answer, size)

    def describe(self, image: ImageLike, prompt: Prompt, overlap: float = 0.0) -> np.ndarray:
        """Describe the windows of an image at a prompt's scale by the backbone's features.

        Args:
            image: as in `predict`.
            prompt: one with a scale that is known.
            overlap: as in `predict`.

        Returns:
            `W x dim float32`, row by row: what `Prompt.domain` compares.

        Raises:
            InputError: as `predict`.
        """
        return describe_windows(self, image_for(prompt, image), prompt, overlap)

    def compact(self, prompt: Prompt, images: Sequence[ImageLike], tokens: int) -> Prompt:
        """Return a prompt of whose tokens the later blocks see only those that they look at most.

        Args:
            prompt: one with a scale that is known.
            images: some of its task; a few windows of each are put to the prompt.
            tokens: how many to keep, of `(canvas / patch)**2` an image.

        Returns:
            The prompt with `kept_tokens`.

        Raises:
            InputError: a backbone of the official layout, or too many tokens.
        """
        pictures = (image_for(prompt, image) for image in images)
        return looked_at_most(self, pictures, prompt, tokens)


def _check_kind(prompt: Any) -> None:
    if not isinstance(prompt, Prompt | Composition) and not callable(prompt):
        raise InputError("prompt: give a Prompt, from load_prompt or Prompt.from_examples")
