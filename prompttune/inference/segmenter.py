"""Segmenter: a frozen backbone that segments images as a prompt tells it to."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Self, TypeVar, overload
from weakref import WeakKeyDictionary

import numpy as np
import torch

from prompttune.backbone import SegGPT, at_canvas, load
from prompttune.backbone.compact import keep_tokens
from prompttune.backbone.network import EncodedPrompt
from prompttune.backbone.one_way import colour_and_describe
from prompttune.data.inputs import ImageLike, load_image
from prompttune.data.queries import warn_of_other_sizes
from prompttune.data.reading import ImageOptions
from prompttune.inference.probing import describe_windows, looked_at_most
from prompttune.inference.prompt_cache import EncodedPrompts
from prompttune.inference.quality import check_zooms
from prompttune.inference.result import Result as Result
from prompttune.inference.scale import choose_scale
from prompttune.inference.sliding_window import (
    ALL_FLIPS,
    UNFLIPPED,
    UNZOOMED,
    Question,
    Window,
    answered,
)
from prompttune.prompts.composition import Composition, PromptLike
from prompttune.prompts.prompt import Prompt
from prompttune.prompts.reading import image_for, recipes_of
from prompttune.utils.bounds import check
from prompttune.utils.devices import choose_bf16, choose_device
from prompttune.utils.errors import InputError, explain_out_of_memory
from prompttune.utils.normalize import denormalise, normalise
from prompttune.utils.paths import DEFAULT_BACKBONE

TOKENS_A_BATCH = {"cpu": 8192, "cuda": 65536}
"""Tokens of all canvases of a batch: enough to keep a device busy, few enough for its memory."""

PromptOrComposition = TypeVar("PromptOrComposition", bound=Prompt | Composition)


class Segmenter:
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
        if isinstance(backbone, str | Path):
            self.device = choose_device(device)
            self.network = load(backbone, device=self.device)
        else:
            first = next(backbone.parameters(), torch.empty(0))
            self.device = first.device if device == "auto" else choose_device(device)
            self.network = backbone.to(self.device).eval()
        self._precision = precision
        self.bf16 = choose_bf16(precision, self.device)
        self._at: dict[int, SegGPT] = {}
        self._encoded = EncodedPrompts()
        self._scaled: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()

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
        self._at.clear()
        self._encoded = EncodedPrompts()  # what was encoded lies on the device it was encoded on
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
            overlap: share of a window that its neighbour covers as well, 0 to 0.9.
            batch_size: windows at once; None: by the size of the backbone.
            flips: answer each window upright and mirrored, 4 times, and take the mean scores.
            options: the bands and the stretch by which stored numbers become colors; None: as the
                key was tuned. Arrays of one or three channels have their bands already.
            zooms: answer the image at these multiples of the prompt's scale, each above 0 and at
                most 4, and take the mean scores; a prompt without a scale sees it once. A zoom z
                takes about `z**2` times the work.

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
        results = list(self._stream(pairs, overlap, batch_size, flips, options, zooms, sizes))
        for seen, found in sizes.items():
            if isinstance(seen, Prompt | Composition):
                warn_of_other_sizes(found, recipes_of(seen))
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
        return self._stream(pairs, overlap, batch_size, flips, options, zooms)

    def check(self, prompt: Prompt | Composition) -> None:
        """Encode a prompt, which is kept, or say why it cannot be used here.

        Examples whose scale is "auto" are encoded when it has been chosen.

        Args:
            prompt: to be used with this backbone.

        Raises:
            InputError: a prompt learned on another backbone.
        """
        for part in prompt.parts:
            self._check_backbone(part)
        parts = [part for part in prompt.parts if part.scale != "auto"]
        self._encoded.of_each(parts, self.encode, self.network.parameters())

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
        overlap: float,
        batch_size: int | None,
        flips: bool,
        options: ImageOptions | None = None,
        zooms: Sequence[float] = UNZOOMED,
        sizes: dict[PromptLike, list[tuple[int, int]]] | None = None,
    ) -> Iterator[Result]:
        check("overlap", overlap)
        if batch_size is not None:
            check("batch_size", batch_size, "batch size")
        check_zooms(zooms)
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
            views = ALL_FLIPS if flips else UNFLIPPED
            return Question(pixels, chosen, canvas, overlap, views, zooms)

        questions = (ask(image, prompt) for image, prompt in pairs)

        def size(prompts: int, canvas: int) -> int:
            return batch_size or self.batch_size(prompts, canvas)

        return answered(questions, self.answer, size)

    def answer(self, windows: list[Window]) -> None:
        """Answer a batch of windows of one canvas, whose prompts have equally many images.

        The windows may be of different images and prompts; each takes its own answer. `predict`
        makes such batches by itself. Only one thread at a time may call it.

        Args:
            windows: of one kind (`Window.kind`), at least one.
        """
        prompts = [window.part.prompt for window in windows]
        encoded = self._encoded.of_each(prompts, self.encode, self.network.parameters())
        alike = all(prompt is prompts[0] for prompt in prompts)
        queries = torch.stack([window.pixels() for window in windows])
        with self.computing():
            normalised = normalise(queries.to(self.device))
            network = self.at(windows[0].part.canvas)
            given = encoded[0] if alike else encoded
            if any(prompt.domain is not None for prompt in prompts):
                coloured, features = colour_and_describe(network, normalised, given)
                for window, seen in zip(windows, features.cpu(), strict=True):
                    window.describe(seen)
            else:
                coloured = network.ensemble(normalised, given)
            coloured = denormalise(coloured.float())
            start = 0
            for prompt, same in groupby(windows, lambda window: window.part.prompt):
                group = list(same)
                answers = coloured[start : start + len(group)]
                start += len(group)
                for window, scores in zip(group, prompt.palette.scores(answers).cpu(), strict=True):
                    window.add(scores)

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

    def encoded(self, prompt: Prompt) -> EncodedPrompt:
        """Return what `encode` makes of a prompt, made once and kept.

        Args:
            prompt: at a known scale.

        Returns:
            What `SegGPT.ensemble` takes.

        Raises:
            InputError: a prompt learned on another backbone.
        """
        (encoded,) = self._encoded.of_each([prompt], self.encode, self.network.parameters())
        return encoded

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """Encode a prompt for `at(canvas(prompt))`; of a compact one the tokens that are kept.

        Args:
            prompt: at a known scale.

        Returns:
            What `SegGPT.ensemble` takes.

        Raises:
            InputError: a prompt learned on another backbone.
        """
        self._check_backbone(prompt)
        network = self.at(self.canvas(prompt))
        images, colours = (normalise(x.float()) for x in prompt.at(network.config.canvas))
        with self.computing():
            encoded = network.encode_prompt(
                images.to(self.device), colours.to(self.device), prompt.seg_type, prompt.type_shift
            )
            if prompt.kept_tokens is None:
                return encoded
            return keep_tokens(network, encoded, prompt.kept_tokens)  # type: ignore[return-value]

    def _check_backbone(self, prompt: Prompt) -> None:
        network = self.network
        if prompt.fingerprint is not None and prompt.fingerprint != network.fingerprint:
            raise InputError(
                f"prompt {prompt.name}: learned on the backbone with fingerprint "
                f"{prompt.fingerprint[:12]}, not on {network.name} ({network.fingerprint[:12]}); "
                "use the backbone that its card names"
            )

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute without gradients, in the precision asked for; explain a lack of memory."""
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
            explain_out_of_memory(),
        ):
            yield

    def canvas(self, prompt: Prompt | None) -> int:
        """Return the side of the canvas on which a prompt answers.

        Args:
            prompt: that answers; None: any that has no canvas of its own.

        Returns:
            Pixels.
        """
        own = self.network.config.canvas
        return own if prompt is None or prompt.canvas is None else prompt.canvas

    def at(self, canvas: int) -> SegGPT:
        """Return the backbone at a canvas, made once for each.

        Args:
            canvas: side in pixels, a multiple of the patch.

        Returns:
            A network that shares its weights with the backbone, but for resized positions.
        """
        if canvas == self.network.config.canvas:
            return self.network
        if canvas not in self._at:
            self._at[canvas] = at_canvas(self.network, canvas)
        return self._at[canvas]

    def batch_size(self, prompts: int, canvas: int | None = None) -> int:
        """Return how many windows fill the device at once.

        Args:
            prompts: images of the prompt that they are put to.
            canvas: side of the windows, pixels; None: the backbone's own.

        Returns:
            At least 1.
        """
        side = (canvas or self.network.config.canvas) // self.network.config.patch
        tokens = 2 * side**2
        return max(1, TOKENS_A_BATCH.get(self.device.type, 8192) // (tokens * prompts))


def _check_kind(prompt: Any) -> None:
    if not isinstance(prompt, Prompt | Composition) and not callable(prompt):
        raise InputError("prompt: give a Prompt, from load_prompt or Prompt.from_examples")
