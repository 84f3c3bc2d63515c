"""What a frozen network does for prompts: encodes them, once, answers and describes windows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from prompttune.backbone import SegGPT, at_canvas, load
from prompttune.backbone.compact import choose_tokens, keep_tokens
from prompttune.backbone.network import EncodedPrompt
from prompttune.backbone.one_way import color_and_describe, describe
from prompttune.inference.result import Result as Result
from prompttune.inference.sliding_window import (
    Question,
    Window,
)
from prompttune.prompts.prompt import Prompt
from prompttune.utils.devices import choose_bf16, choose_device
from prompttune.utils.errors import InputError, explain_out_of_memory
from prompttune.utils.normalize import denormalize, normalize
from prompttune.utils.paths import DEFAULT_BACKBONE

MAX_IMAGES = 192
"""Of all prompts that are kept: enough for an example of each of 150 classes. An image takes some
10 MB with ViT-L."""


class EncodedPrompts:
    """The prompts used last; each is encoded again only when its pixels or the weights change."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Prompt, tuple[Any, EncodedPrompt]] = WeakKeyDictionary()

    def of_each(
        self,
        prompts: Sequence[Prompt],
        encode: Callable[[Prompt], EncodedPrompt],
        weights: Iterable[Tensor],
    ) -> list[EncodedPrompt]:
        """Return what `encode` makes of each prompt, in their order.

        Args:
            prompts: may repeat.
            encode: does the work.
            weights: all parameters that it depends on.
        """
        made_with = [_state(weight) for weight in weights]
        once = {prompt: self._get(prompt, encode, made_with) for prompt in dict.fromkeys(prompts)}
        return [once[prompt] for prompt in prompts]

    def _get(
        self, prompt: Prompt, encode: Callable[[Prompt], EncodedPrompt], made_with: list[Any]
    ) -> EncodedPrompt:
        shift = () if prompt.type_shift is None else (prompt.type_shift,)
        state = made_with, [_state(each) for each in (*prompt.images, *prompt.colors, *shift)]
        kept = self._kept.pop(prompt, None)
        if kept is None or kept[0] != state:
            kept = state, encode(prompt)
        self._kept[prompt] = kept  # the last used is the last
        images = sum(len(each.images) for each in self._kept)
        for oldest in list(self._kept)[:-1]:
            if images <= MAX_IMAGES:
                break
            images -= len(oldest.images)
            self._kept.pop(oldest, None)
        return kept[1]


def _state(tensor: Tensor) -> tuple[int, int]:
    """Return what changes when a tensor's values do (inference tensors do not count changes)."""
    return tensor.data_ptr(), -1 if tensor.is_inference() else tensor._version


TOKENS_A_BATCH = {"cpu": 8192, "cuda": 65536}
"""Tokens of all canvases of a batch: enough to keep a device busy, few enough for its memory."""


class FrozenBackbone:
    """A backbone on a device, with the prompts that it encoded last.

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

    def _forget(self) -> None:
        """Drop what lies on the device that the network has left."""
        self._at.clear()
        self._encoded = EncodedPrompts()

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

    def encoded(self, prompt: Prompt) -> EncodedPrompt:
        """Return what `encode` makes of a prompt, made once and kept.

        Args:
            prompt: at a known scale.

        Returns:
            What `SegGPT.ensemble` takes.

        Raises:
            InputError: a prompt learned on another backbone.
        """
        return self.encode_each([prompt])[0]

    def encode_each(self, prompts: Sequence[Prompt]) -> list[EncodedPrompt]:
        """Return `encoded` of each prompt, in their order; one may be there several times."""
        return self._encoded.of_each(prompts, self.encode, self.network.parameters())

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """Encode a prompt for `at(canvas(prompt))`; of a compact one the tokens that are kept.

        Args:
            prompt: at a known scale.

        Returns:
            What `SegGPT.ensemble` takes.

        Raises:
            InputError: a prompt learned on another backbone.
        """
        self.check_fits(prompt)
        network = self.at(self.canvas(prompt))
        images, colors = (normalize(x.float()) for x in prompt.at(network.config.canvas))
        with self.computing():
            encoded = network.encode_prompt(
                images.to(self.device), colors.to(self.device), prompt.seg_type, prompt.type_shift
            )
            if prompt.kept_tokens is None:
                return encoded
            return keep_tokens(network, encoded, prompt.kept_tokens)  # type: ignore[return-value]

    def answer(self, windows: list[Window]) -> None:
        """Answer a batch of windows of one canvas, whose prompts have equally many images.

        The windows may be of different images and prompts; each takes its own answer. `predict`
        makes such batches by itself. Only one thread at a time may call it.

        Args:
            windows: of one kind (`Window.kind`), at least one.
        """
        beside: list[Window] = []
        alone: list[Window] = []
        for window in windows:
            (alone if counts_alone(window.part.prompt) else beside).append(window)
        if beside:
            self._answer_with_network(beside)
        if alone:
            self._answer_with_companions(alone)

    def _answer_with_network(self, windows: list[Window]) -> None:
        prompts = [window.part.prompt for window in windows]
        encoded = self.encode_each(prompts)
        alike = all(prompt is prompts[0] for prompt in prompts)
        with self.computing():
            queries = self._queries(windows)
            network = self.at(windows[0].part.canvas)
            given = encoded[0] if alike else encoded
            if any(prompt.domain is not None for prompt in prompts):
                colored, features = color_and_describe(network, queries, given)
                for window, seen in zip(windows, features.cpu(), strict=True):
                    window.describe(seen)
            else:
                colored = network.ensemble(queries, given)
            colored = denormalize(colored.float())
            start = 0
            for prompt, group in _of_each_prompt(windows):
                part = slice(start, start + len(group))
                start += len(group)
                scores = prompt.palette.scores(colored[part])
                if prompt.companion is not None:
                    scores = prompt.companion.weigh(queries[part], scores)
                for window, each in zip(group, scores.cpu(), strict=True):
                    window.add(each)

    def _answer_with_companions(self, windows: list[Window]) -> None:
        """Answer windows by companions that count alone; the network describes some of them."""
        with self.computing():
            for prompt, group in _of_each_prompt(windows):
                self.check_fits(prompt)
                assert prompt.companion is not None
                scores = prompt.companion.answer(self._queries(group), len(prompt.palette.classes))
                for window, each in zip(group, scores.cpu(), strict=True):
                    window.add(each)
                described = [window for window in group if window.is_described]
                if described:
                    network = self.at(described[0].part.canvas)
                    encoded = partial(self.encoded, prompt)
                    seen = describe(network, self._queries(described), encoded)
                    for window, features in zip(described, seen.cpu(), strict=True):
                        window.describe(features)

    def _queries(self, windows: Sequence[Window]) -> Tensor:
        """Return the normalized pixels of windows, `B x 3 x S x S`, on the device."""
        return normalize(torch.stack([window.pixels() for window in windows]).to(self.device))

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute without gradients, in the precision asked for; explain a lack of memory."""
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
            explain_out_of_memory(),
        ):
            yield

    def check_fits(self, prompt: Prompt) -> None:
        """Refuse a prompt that was learned on another backbone.

        Raises:
            InputError: it was.
        """
        network = self.network
        if prompt.fingerprint is not None and prompt.fingerprint != network.fingerprint:
            raise InputError(
                f"prompt {prompt.name}: learned on the backbone with fingerprint "
                f"{prompt.fingerprint[:12]}, not on {network.name} ({network.fingerprint[:12]}); "
                "use the backbone that its card names"
            )


def counts_alone(prompt: Prompt) -> bool:
    """Say whether a prompt's companion alone answers, and the network need not encode it."""
    return prompt.companion is not None and prompt.companion.alone


def _of_each_prompt(windows: Iterable[Window]) -> Iterator[tuple[Prompt, list[Window]]]:
    """Share windows among runs of the same prompt."""
    for prompt, group in groupby(windows, lambda window: window.part.prompt):
        yield prompt, list(group)


WINDOWS = 4
"""Of an image, every second one, that choose the tokens of a compact prompt."""


def describe_windows(
    segmenter: FrozenBackbone, image: np.ndarray, prompt: Prompt, overlap: float
) -> np.ndarray:
    """Describe windows, see `Segmenter.describe`; the image is `H x W x 3 uint8`."""
    question = Question(image, prompt, segmenter.canvas(None), overlap)
    windows = list(question.windows())
    encoded = partial(segmenter.encoded, prompt)
    network = segmenter.at(question.parts[0].canvas)
    size = segmenter.batch_size(len(prompt.images))
    found = []
    with segmenter.computing():
        for start in range(0, len(windows), size):
            pixels = torch.stack([each.pixels() for each in windows[start : start + size]])
            seen = normalize(pixels.to(segmenter.device))
            found.append(describe(network, seen, encoded).cpu())
    return torch.cat(found).numpy()


def looked_at_most(
    segmenter: FrozenBackbone, images: Iterable[np.ndarray], prompt: Prompt, tokens: int
) -> Prompt:
    """Keep some tokens of a prompt, see `Segmenter.compact`; images are `H x W x 3 uint8`."""
    canvas = segmenter.canvas(None)
    windows = []
    for image in images:
        question = Question(image, prompt, canvas, 0.0)
        windows += [window.pixels() for window in list(question.windows())[::2][:WINDOWS]]
    whole = replace(prompt, kept_tokens=None)
    network, encoded = segmenter.at(segmenter.canvas(prompt)), segmenter.encode(whole)
    with segmenter.computing():
        queries = normalize(torch.stack(windows).to(segmenter.device))
        kept = choose_tokens(network, encoded, queries, tokens)
        return replace(prompt, kept_tokens=kept)
