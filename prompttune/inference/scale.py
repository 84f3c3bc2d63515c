"""The scale of examples that were given none: a few are tried on the examples themselves.

Thin lines want a fine scale and large things a coarse one, but what suits best hangs on the images
and on the backbone as well. So the size of what is labeled gives a short list of scales, and at
each the examples answer each other, or a single one itself. Parts of the answers are compared with
the labels at the images' own resolution, where scales are comparable.

A single example is turned half round and put into another light. One that is asked about the very
image that it shows can copy what lies at the same place, best of all where it is shown whole.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.backbone import SegGPT
from prompttune.inference.views import Tile, View, spread_tiles
from prompttune.prompts.prompt import Prompt
from prompttune.utils.normalize import denormalize, normalize

FINEST = 2.0
"""Nothing is seen at more canvas pixels an image pixel: there is no more to see."""
THINNEST = 1 / 16
"""Of a patch: things that are thinner on the canvas are lost, so coarser scales are not tried."""
THICKEST = 2.0
"""Patches: no finer scale is tried than the one at which things are that thick on the canvas."""
MAX_TOKENS = 24576
"""About so many, of the canvases of all windows, are asked for a choice."""
MIN_WINDOWS = 4
"""Are asked at a scale, however many tokens they have."""
MAX_PIXELS = 2**20
"""Of an example whose window with most foreground is looked for everywhere."""
AS_GOOD = 0.02
"""Dice by which whole images may be worse where they show things a patch thick."""
COPIED = 0.03
"""Dice by which they must be better where they do not: see `_head_start`."""
TELLING = 0.1
"""Dice that no scale reaches where examples hardly answer each other: which is best is then chance,
and they are seen whole. Eighteen parts of cars had .02 to .09 from whole images to the finest."""
MAX_EXAMPLES = 4
"""The first of a prompt's examples that take part."""
OVERLAP = 0.25
"""A tile is what a window sees but for the part that its neighbors would share."""


class Answering(Protocol):
    """What a choice needs of a `Segmenter`."""

    network: SegGPT
    device: torch.device

    def canvas(self, prompt: Prompt | None) -> int:
        """Return the side of the canvas on which a prompt answers."""

    def at(self, canvas: int) -> SegGPT:
        """Return the backbone at a canvas."""

    def batch_size(self, prompts: int, canvas: int | None = None) -> int:
        """Return how many windows fill the device."""

    def computing(self) -> AbstractContextManager[None]:
        """Compute without gradients, in the precision asked for."""


def choose_scale(segmenter: Answering, prompt: Prompt) -> float | None:
    """Choose the scale at which examples answer best.

    Deterministic. The work is bounded by `MAX_TOKENS`, whatever the size of the images.

    Args:
        segmenter: a backbone.
        prompt: examples whose scale is "auto": whole images.

    Returns:
        Canvas pixels an image pixel, or None: whole images, fitted to the canvas.
    """
    canvas, patch = segmenter.canvas(prompt), segmenter.network.config.patch
    rounds = _rounds(prompt)
    class_maps = [each.class_map for each in rounds]
    ladder = candidate_scales(class_maps, canvas, patch)
    windows = MAX_TOKENS // (2 * (canvas // patch) ** 2)

    def dice(scale: float | None, share: float) -> float:
        return _dice(segmenter, rounds, scale, canvas, max(MIN_WINDOWS, int(share * windows)))

    # A third of the work goes to all scales, the rest to the best and those beside it. Whole images
    # are one window each, so that their Dice is not rough.
    rough = {scale: dice(scale, 1 / 3 / len(ladder)) for scale in ladder}
    near = _near(max(rough, key=rough.__getitem__), ladder)
    fine = {scale: dice(scale, 2 / 3 / len(near)) for scale in near}
    best = max(fine, key=fine.__getitem__, default=None)
    if best is None or max(rough[None], fine[best]) < TELLING:
        return None
    if rough[None] + _head_start(class_maps, canvas, patch) >= fine[best]:
        return None
    return best


def candidate_scales(class_maps: Sequence[Tensor], canvas: int, patch: int) -> list[float | None]:
    """List scales from coarse to fine: whole images, then each twice as fine as the one before.

    The finest shows the thinnest class `THICKEST` patches thick, or a quarter of the image on the
    canvas, if that is finer.

    Args:
        class_maps: of the examples, each `H x W`; 0 is background.
        canvas: side of the backbone's canvas, pixels; `patch` of its patches.
    """
    whole, thick = _whole(class_maps, canvas), _thick(class_maps)
    finest = min(FINEST, max(THICKEST * patch / min(thick), 2 * whole))
    scales: list[float | None] = [None]
    scale = 2 * whole
    while scale <= finest * 1.2:
        if scale * max(thick) >= THINNEST * patch:
            scales.append(_rounded(scale))
        scale *= 2
    return scales


def _head_start(class_maps: Sequence[Tensor], canvas: int, patch: int) -> float:
    """Return what is added to the Dice of whole images before it is compared.

    They ask fewest windows and hold things together. But they show a single example all that it is
    asked, which flatters them, and thin things in another image are then missed.
    """
    well_seen = _whole(class_maps, canvas) * min(_thick(class_maps)) >= patch
    return AS_GOOD if well_seen else -COPIED


def _whole(class_maps: Sequence[Tensor], canvas: int) -> float:
    """Return the scale at which the largest image fits the canvas."""
    return canvas / max(max(class_map.shape) for class_map in class_maps)


def _thick(class_maps: Sequence[Tensor]) -> list[float]:
    """Return the thickness of each class in each class map."""
    return [
        thickness(class_map == label)
        for class_map in class_maps
        for label in class_map.unique().tolist()
        if label
    ] or [1.0]


def thickness(foreground: Tensor) -> float:
    """Return how thick a foreground `H x W bool` is, in pixels: the median over its pixels.

    A line of width w has distances to its border from 0 to w / 2, of which w / 4 is the median.
    """
    padded = F.pad(foreground.byte(), (1, 1, 1, 1)).numpy()
    distances = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
    return 4 * float(np.median(distances[padded > 0]))


def _near(best: float | None, ladder: Sequence[float | None]) -> list[float]:
    """Return the best scale of a ladder and those half a step beside it, from coarse to fine."""
    first = ladder[1] if len(ladder) > 1 else None
    if best is None:
        return [] if first is None else [_rounded(first / 2**0.5), first]
    around = [_rounded(best / 2**0.5), best, _rounded(best * 2**0.5)]
    return [scale for scale in around if scale <= FINEST]


def _rounded(scale: float) -> float:
    return float(f"{scale:.2g}")


@dataclass(eq=False)
class _Round:
    """An example that answers for an image whose labels are known."""

    prompt: Prompt
    """One whole example."""
    image: Tensor
    """What it is asked, `3 x H x W`."""
    class_map: Tensor
    """Its labels, `H x W uint8`, as the prompt's palette counts them."""


def _rounds(prompt: Prompt) -> list[_Round]:
    """Let each example answer for the one before it; a single one answers for itself, changed."""
    count = min(len(prompt.images), MAX_EXAMPLES)
    rounds = []
    for place in range(count):
        image, colors = prompt.images[place - 1], prompt.colors[place - 1]
        if len(prompt.images) == 1:
            image, colors = in_another_light(image.flip(-1, -2)), colors.flip(-1, -2)
        shown = (prompt.images[place],), (prompt.colors[place],)
        own = replace(prompt, images=shown[0], colors=shown[1], grid=False)
        rounds.append(_Round(own, image, _class_map(prompt, colors)))
    return rounds


def _class_map(prompt: Prompt, colors: Tensor) -> Tensor:
    """Read labels from colors; colors that tell instances apart are one class."""
    if prompt.instance_of is not None:
        return (colors > 0).any(0).byte()
    class_map = torch.zeros(colors.shape[1:], dtype=torch.uint8)
    for label, color in enumerate(prompt.palette.colors, 1):  # exact, as examples are painted
        class_map[(colors == torch.tensor(color)[:, None, None] / 255).all(0)] = label
    return class_map


def in_another_light(image: Tensor) -> Tensor:
    """Return an image `3 x H x W` in [0, 1] with brighter shadows and less contrast."""
    return image.clamp(0, 1) ** 0.8 * 0.85 + 0.03


def _dice(
    segmenter: Answering, rounds: Sequence[_Round], scale: float | None, canvas: int, windows: int
) -> float:
    """Return the Dice at a scale: the mean over the classes that the tiles show."""
    classes = max(int(each.class_map.max()) for each in rounds) + 1
    both, either = torch.zeros(classes), torch.zeros(classes)
    for each in rounds:
        prompt = each.prompt if scale is None else _cut(each.prompt, round(canvas / scale))
        prompt = prompt.at_scale(scale, canvas)
        for tile, scores in _answers(segmenter, each, prompt, max(1, windows // len(rounds))):
            answer = prompt.decide(scores).long()
            if prompt.instance_of is not None:
                answer = answer.clamp(max=1)
            rows, columns = tile.points()
            truth = each.class_map[rows[:, None], columns].long()
            weight = tile.weight * tile.size[0] * tile.size[1] / truth.numel()
            for label in range(1, classes):
                found, shown = answer == label, truth == label
                both[label] += 2 * weight * (found & shown).sum()
                either[label] += weight * (found.sum() + shown.sum())
    counted = either > 0
    return float((both[counted] / either[counted]).mean()) if counted.any() else 0.0


def _cut(prompt: Prompt, side: int) -> Prompt:
    """Cut a large example about where a window of this side shows most, to resize less of it."""
    image, colors = prompt.images[0], prompt.colors[0]
    if image[0].numel() <= MAX_PIXELS or 2 * side > min(image.shape[1:]):
        return prompt
    step = max(1, side // 2)
    shown = F.avg_pool2d((colors > 0).any(0)[None].float(), side, step)[0]
    starts = (step * place for place in divmod(int(shown.argmax()), shown.shape[1]))
    rows, columns = (slice(max(0, start - step), start + side + step) for start in starts)
    cut = image[:, rows, columns], colors[:, rows, columns]
    return replace(prompt, images=cut[:1], colors=cut[1:])


def _answers(
    segmenter: Answering, each: _Round, prompt: Prompt, windows: int
) -> Iterator[tuple[Tile, Tensor]]:
    """Let a prompt answer for tiles that its windows see: each with its scores, `C x ...`."""
    canvas, scale = segmenter.canvas(prompt), prompt.known_scale
    height, width = each.class_map.shape
    if scale is None:
        zoom = canvas / height, canvas / width
        tiles = [Tile((0, 0), (height, width))]
    else:
        zoom = scale, scale
        side = max(1, int((1 - OVERLAP) * canvas / scale))
        tiles = spread_tiles(each.class_map > 0, side, windows)
    views = [View.of(each.image, tile, zoom, canvas) for tile in tiles]
    answers = _scores(segmenter, prompt, [view.pixels for view in views])
    for tile, view, scores in zip(tiles, views, answers, strict=True):
        yield tile, view.scores_of(tile, scores)


def _scores(segmenter: Answering, prompt: Prompt, windows: Sequence[Tensor]) -> Tensor:
    """Return the scores of windows, `N x C x S x S`."""
    canvas = segmenter.canvas(prompt)
    network = segmenter.at(canvas)
    images, colors = (normalize(x.float()).to(segmenter.device) for x in prompt.at(canvas))
    found = []
    with segmenter.computing():
        encoded = network.encode_prompt(images, colors, prompt.seg_type, prompt.type_shift)
        for batch in torch.stack(list(windows)).split(segmenter.batch_size(1, canvas)):
            answers = network.ensemble(normalize(batch.to(segmenter.device)), encoded)
            found.append(prompt.palette.scores(denormalize(answers.float())).cpu())
    return torch.cat(found).clone()
