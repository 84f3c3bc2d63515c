"""Segmenter: a frozen backbone that segments images as a prompt tells it to."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from prompttune.backbone import SegGPT, explain_out_of_memory, load
from prompttune.errors import InputError
from prompttune.pixels import denormalise, normalise, to_tensor
from prompttune.prompt import ImageLike, Prompt, load_image
from prompttune.tiling import Blend, Place, pad_reflect, resize, resize_scores, scaled_size

TOKENS_A_BATCH = {"cpu": 8192, "cuda": 65536}
"""Tokens of all canvases of a batch: enough to keep a device busy, few enough for its memory."""


@dataclass(frozen=True, eq=False)
class Result:
    """The answer for one image, at the image's own size."""

    classes: np.ndarray
    """`H x W uint8`: 0 background, i the prompt's `palette.classes[i - 1]`."""
    scores: np.ndarray
    """`C x H x W float32` in [0, 1], one plane a foreground class."""


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
        backbone: str | Path | SegGPT = "seggpt-tiny",
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
        self.bf16 = choose_bf16(precision, self.device)

    @overload
    def predict(
        self,
        images: ImageLike,
        prompt: Prompt | Sequence[Prompt],
        overlap: float = ...,
        batch_size: int | None = ...,
    ) -> Result: ...

    @overload
    def predict(
        self,
        images: list[Any] | tuple[Any, ...],
        prompt: Prompt | Sequence[Prompt],
        overlap: float = ...,
        batch_size: int | None = ...,
    ) -> list[Result]: ...

    def predict(
        self,
        images: ImageLike | list[Any] | tuple[Any, ...],
        prompt: Prompt | Sequence[Prompt],
        overlap: float = 0.25,
        batch_size: int | None = None,
    ) -> Result | list[Result]:
        """Segment one image or a list of them.

        Args:
            images: a path, a PIL image (turned upright by its EXIF tag) or an `H x W x 3 uint8` RGB
                array; or a list of these, whose windows share batches.
            prompt: for all images, or a list with one an image. One with a scale sees the image in
                overlapping windows at that scale; one without sees it whole, fitted to the canvas.
            overlap: share of a window that its neighbour covers as well, 0 <= overlap < 1.
            batch_size: windows at once; None: by the size of the backbone.

        Returns:
            One result, or a list of them in the order of the images.

        Raises:
            InputError: an image that cannot be read, or a prompt learned on another backbone.
        """
        items = list(images) if isinstance(images, list | tuple) else [images]
        prompts = [prompt] * len(items) if isinstance(prompt, Prompt) else list(prompt)
        if not all(isinstance(each, Prompt) for each in prompts):
            raise InputError("prompt: give a Prompt, from load_prompt or Prompt.from_examples")
        if len(prompts) != len(items):
            raise InputError(
                f"{len(items)} images and {len(prompts)} prompts; give one for all, or one an image"
            )
        places: dict[Prompt, list[int]] = {}
        for place, each in enumerate(prompts):
            places.setdefault(each, []).append(place)
        results: dict[int, Result] = {}
        for each, indices in places.items():
            chosen = (items[index] for index in indices)
            results |= zip(indices, self.stream(chosen, each, overlap, batch_size), strict=True)
        in_order = [results[index] for index in range(len(items))]
        return in_order if isinstance(images, list | tuple) else in_order[0]

    def stream(
        self,
        images: Iterable[ImageLike],
        prompt: Prompt,
        overlap: float = 0.25,
        batch_size: int | None = None,
    ) -> Iterator[Result]:
        """Segment images one by one as `predict` does; no more are in memory than a batch needs."""
        if not 0 <= overlap < 1:
            raise InputError(f"overlap {overlap}: must be at least 0 and less than 1")
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch size {batch_size}: must be at least 1")
        answer = _Answer(self, prompt)
        size = batch_size or self._batch_size(len(prompt.images))
        canvas = self.network.config.canvas
        opened = (_Opened(load_image(image), prompt.scale, canvas, overlap) for image in images)
        windows = ((image, place) for image in opened for place in image.blend.places)
        while batch := list(islice(windows, size)):
            scores = answer(torch.stack([image.window(place) for image, place in batch]))
            for (image, place), each in zip(batch, scores, strict=True):
                image.blend.add(place, each)
                if not image.blend.missing:
                    yield image.result(prompt)

    def _batch_size(self, prompts: int) -> int:
        tokens = 2 * (self.network.config.canvas // self.network.config.patch) ** 2
        return max(1, TOKENS_A_BATCH.get(self.device.type, 8192) // (tokens * prompts))


class _Answer:
    """Network and prompt together: windows in, scores out; the prompt is prepared once."""

    def __init__(self, segmenter: Segmenter, prompt: Prompt) -> None:
        network = segmenter.network
        if prompt.fingerprint is not None and prompt.fingerprint != network.fingerprint:
            raise InputError(
                f"prompt {prompt.name}: learned on the backbone with fingerprint "
                f"{prompt.fingerprint[:12]}, not on {network.name} ({network.fingerprint[:12]}); "
                "use the backbone that its card names"
            )
        self.segmenter = segmenter
        self.prompt = prompt
        images, colours = (normalise(x.float()) for x in prompt.at(network.config.canvas))
        with self._computing():
            self.encoded = network.encode_prompt(
                images.to(segmenter.device), colours.to(segmenter.device), prompt.seg_type
            )

    @contextmanager
    def _computing(self) -> Iterator[None]:
        device = self.segmenter.device.type
        with (
            torch.inference_mode(),
            torch.autocast(device, torch.bfloat16, enabled=self.segmenter.bf16),
            explain_out_of_memory(),
        ):
            yield

    def __call__(self, queries: Tensor) -> Tensor:
        """Map `B x 3 x S x S` in pixel space to scores `B x C x S x S` on the CPU."""
        with self._computing():
            normalised = normalise(queries.to(self.segmenter.device))
            coloured = self.segmenter.network.ensemble(normalised, self.encoded)
            return self.prompt.palette.scores(denormalise(coloured.float())).cpu()


class _Opened:
    """An image at the canvas' scale, and what is known of its answer so far."""

    def __init__(self, image: np.ndarray, scale: float | None, canvas: int, overlap: float) -> None:
        self.own_size = image.shape[0], image.shape[1]
        self.size = (canvas, canvas) if scale is None else scaled_size(*self.own_size, scale)
        self.pixels, self.start = pad_reflect(resize(to_tensor(image), self.size), canvas)
        self.canvas = canvas
        self.blend = Blend(self.pixels.shape[1], self.pixels.shape[2], canvas, overlap)

    def window(self, place: Place) -> Tensor:
        top, left = place
        return self.pixels[:, top : top + self.canvas, left : left + self.canvas]

    def result(self, prompt: Prompt) -> Result:
        (top, left), (height, width) = self.start, self.size
        scores = self.blend.result()[:, top : top + height, left : left + width]
        scores = resize_scores(scores, self.own_size)
        return Result(prompt.palette.decide(scores, prompt.threshold).numpy(), scores.numpy())


def choose_device(name: str) -> torch.device:
    """Return the device for "auto", "cpu" or "cuda".

    Raises:
        InputError: another name, or CUDA where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device '{name}': choose auto, cpu or cuda")
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise InputError("device 'cuda': there is no CUDA device here; choose auto or cpu")
    return torch.device("cuda" if has_cuda and name != "cpu" else "cpu")


def choose_bf16(precision: str, device: torch.device, on_cpu: bool = False) -> bool:
    """Say whether to compute in bfloat16: asked for, or "auto" on CUDA that has it.

    With `on_cpu` "auto" takes it on processors too that report bfloat16 products: tuning does,
    prediction does not, so that masks are the same on all machines.

    Raises:
        InputError: an unknown precision.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise InputError(f"precision '{precision}': choose auto, fp32 or bf16")
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # torch 2.11 cannot be asked yet; fp32 is right everywhere.
    reports: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return on_cpu and bool(reports.get("avx512_bf16") or reports.get("amx_bf16"))
