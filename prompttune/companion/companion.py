"""A companion: a small U-Net whose opinion of each pixel is weighed against the frozen network's.

The network of a prompt was trained on other images and sees patches; it knows what things look like
and needs few examples. What it lacks is the last pixel: where exactly a thin thing runs. A small
convolutional network, learned on the same images as the prompt, has just that, and errs elsewhere.
Their mean in the logarithm (a product of experts: Hinton, Neural Computation 14, 2002) can err less
than either; how much the companion counts in it, up to all, is for validation images to say.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.companion.shapes import weight_count, weight_shapes
from prompttune.utils.errors import InputError

MIN_OPINION = 0.002
"""No opinion counts as surer than this: the other could never outvote it."""
MAX_LOGIT = 1e4
"""Either way."""
FLAT = 0.1
"""Added to a window's standard deviation, in units of normalized pixels: noise on an even ground
stays small."""


@dataclass(frozen=True, eq=False)
class Companion:
    """The weights of a small U-Net, and how much it counts.

    Raises:
        InputError: weights that are not those of such a network, a share outside (0, 1], or a first
            class that it does not have.
    """

    weights: Tensor
    """All numbers, `P`, in the order of `prompttune.companion.shapes`."""
    widths: tuple[int, ...]
    """Channels of each level, the finest first."""
    classes: int
    """Of the whole key, without the background."""
    share: float
    """What it counts, above 0 (nothing) to 1 (it alone)."""
    standardized: bool = False
    """Whether it sees windows standardized (`standardize`), as one of few images does."""
    first: int = 0
    """How many of its classes come before those of the prompt beside it, which may be one of
    several that share the key's classes among them."""
    _ready: dict[torch.device, list[tuple[Tensor, Tensor]]] = field(
        default_factory=dict, repr=False, init=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        count = weight_count(self.widths, self.classes)
        if self.weights.shape != (count,):
            shape = tuple(self.weights.shape)
            raise InputError(f"companion: weights of {shape}; these widths have {count}")
        if not 0 < self.share <= 1:
            raise InputError(f"companion: a share of {self.share}; it must be above 0, at most 1")
        if not 0 <= self.first < self.classes:
            raise InputError(f"companion: knows {self.classes} classes, none after {self.first}")

    @property
    def alone(self) -> bool:
        """Whether it alone counts, so that nobody need ask the prompt."""
        return self.share == 1

    def __getstate__(self) -> dict[str, object]:
        """Leave out what lies on a device: other processes may have none."""
        return {**self.__dict__, "_ready": {}}

    def logits(self, queries: Tensor) -> Tensor:
        """Return its own opinion.

        Args:
            queries: `B x 3 x H x W`, normalized as for the backbone.

        Returns:
            `B x (C + 1) x H x W float32`, the background first.
        """
        *inner, out = self._pairs(queries.device)
        if self.standardized:
            queries = standardize(queries)
        x = down_and_up(queries, len(self.widths), (_Convolution(*pair) for pair in inner))
        logits = F.conv2d(x, *out).float()
        # Weights of a key from elsewhere may be so large that products overflow.
        return logits.nan_to_num(0.0, MAX_LOGIT, -MAX_LOGIT).clamp(-MAX_LOGIT, MAX_LOGIT)

    def weigh(self, queries: Tensor, scores: Tensor) -> Tensor:
        """Weigh its opinion against the prompt's.

        Args:
            queries: as in `logits`.
            scores: what the prompt says of its C classes, `B x C x H x W` in [0, 1], their sum at
                most 1. To a prompt all other classes are background, here as well.

        Returns:
            Scores of the same shape, float32.
        """
        return weighed(self._scores(queries, scores.shape[1]), scores, self.share)

    def answer(self, queries: Tensor, classes: int) -> Tensor:
        """Return what `weigh` does where it alone counts, whatever the prompt says.

        Args:
            queries: as in `logits`.
            classes: of the prompt beside it.

        Returns:
            Scores, `B x classes x H x W float32`.
        """
        own = self._scores(queries, classes)
        return weighed(own, own, 1.0)

    def _scores(self, queries: Tensor, classes: int) -> Tensor:
        """Return its scores of the classes of the prompt beside it."""
        each = self.logits(queries).softmax(1)[:, 1 + self.first :]
        return each[:, :classes]

    def _pairs(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases of each convolution, on a device, made once."""
        if device in self._ready:
            return self._ready[device]
        shapes = weight_shapes(self.widths, self.classes)
        parts = self.weights.float().to(device).split(list(map(math.prod, shapes)))
        tensors = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
        pairs = list(zip(tensors[::2], tensors[1::2], strict=True))
        if not torch.compiler.is_compiling():  # or what an export traces with would be kept
            self._ready[device] = pairs
        return pairs


def standardize(queries: Tensor) -> Tensor:
    """Take a window's own brightness, tint and contrast away.

    A small network that has seen one image or five takes their light for a trait of the things;
    other images have another light.

    Args:
        queries: `B x 3 x H x W`.

    Returns:
        Of the same shape: each channel has mean 0 in each window, all channels together a standard
        deviation of 1, or less where a window is nearly even.
    """
    even = queries - queries.mean((2, 3), keepdim=True)
    return even / (even.square().mean((1, 2, 3), keepdim=True).sqrt() + FLAT)


def weighed(own: Tensor, given: Tensor, share: float) -> Tensor:
    """Return the mean of two opinions in the logarithm, made probabilities again.

    Args:
        own: the companion's scores, `B x C x H x W` in [0, 1], their sum at most 1.
        given: the prompt's, likewise.
        share: what the companion counts, 0 to 1.

    Returns:
        Scores, `B x C x H x W float32`.
    """
    return torch.lerp(_logs(given), _logs(own), share).softmax(1)[:, 1:]


def _logs(scores: Tensor) -> Tensor:
    """Put the background before the classes, and take logarithms."""
    each = torch.cat((1 - scores.sum(1, keepdim=True), scores), 1)
    return each.clamp(MIN_OPINION, 1 - MIN_OPINION).log()


def _contiguous(gradient: Tensor) -> Tensor:
    """Copy the part of a concatenation's gradient: a step is a quarter faster for it on a CPU."""
    return gradient.contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class _Convolution:
    """A convolution of 3 x 3, and SiLU."""

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return F.silu(F.conv2d(x, self.weight, self.bias, padding=1))


def down_and_up(
    queries: Tensor, levels: int, layers: Iterable[Callable[[Tensor], Tensor]]
) -> Tensor:
    """Pass through all of a U-Net but its last convolution, while it is learned and afterwards.

    Args:
        queries: `B x 3 x H x W`.
        levels: of the network.
        layers: two for each level down, then two for each up (`prompttune.companion.shapes`).

    Returns:
        Features of the finest level, `B x width x H x W`.
    """
    left = iter(layers)

    def two(x: Tensor) -> Tensor:
        for _ in range(2):
            x = next(left)(x)
        return x

    x = two(queries.contiguous(memory_format=torch.channels_last))
    seen = []
    for _ in range(levels - 1):
        seen.append(x)
        x = two(F.max_pool2d(x, 2))
    for skipped in reversed(seen):
        wider = F.interpolate(x, size=skipped.shape[-2:], mode="bilinear")
        if wider.requires_grad:
            wider.register_hook(_contiguous)
        x = two(torch.cat((skipped, wider), 1))
    return x
