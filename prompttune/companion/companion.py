"""A companion: a small U-Net whose opinion of each pixel is weighed against the frozen network's.

The network of a prompt was trained on other images and sees patches; it knows what things look like
and needs few examples. What it lacks is the last pixel: where exactly a thin thing runs. A small
convolutional network, learned on the same images as the prompt, has just that, and errs elsewhere.
Their mean in the logarithm (a product of experts: Hinton, Neural Computation 14, 2002) errs less
than either.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.companion.shapes import PER_CONVOLUTION, weight_count, weight_shapes
from prompttune.utils.errors import InputError

LEAST = 0.002
"""No opinion counts as surer than this: the other could never outvote it."""


MOST = 1e4
"""Of a logit, either way."""


@dataclass(frozen=True, eq=False)
class Companion:
    """The weights of a small U-Net, and how much it counts.

    Raises:
        InputError: weights that are not those of such a network, or a share outside (0, 1].
    """

    weights: Tensor
    """All numbers, `P`, in the order of `prompttune.companion.shapes`."""
    widths: tuple[int, ...]
    """Channels of each level, the finest first."""
    classes: int
    """Of the key, without the background."""
    share: float
    """What it counts, above 0 (nothing) to 1 (it alone)."""
    _ready: dict[torch.device, list[Tensor]] = field(default_factory=dict, repr=False, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        count = weight_count(self.widths, self.classes)
        if self.weights.shape != (count,):
            shape = tuple(self.weights.shape)
            raise InputError(f"companion: weights of {shape}; these widths have {count}")
        if not 0 < self.share <= 1:
            raise InputError(f"companion: a share of {self.share}; it must be above 0, at most 1")

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
        pairs = iter(self._pairs(queries.device))
        x, seen = queries.contiguous(memory_format=torch.channels_last), []
        for level in range(len(self.widths)):
            x = _block(x if level == 0 else F.max_pool2d(x, 2), pairs)
            seen.append(x)
        for skipped in reversed(seen[:-1]):
            x = F.interpolate(x, size=skipped.shape[-2:], mode="bilinear")
            x = _block(torch.cat((skipped, x), 1), pairs)
        logits = F.conv2d(x, *next(pairs)).float()
        # Weights of a key from elsewhere may be so large that products overflow.
        return logits.nan_to_num(0.0, MOST, -MOST).clamp(-MOST, MOST)

    def weigh(self, queries: Tensor, scores: Tensor) -> Tensor:
        """Weigh its opinion against the prompt's.

        Args:
            queries: as in `logits`.
            scores: what the prompt says of them, `B x C x H x W` in [0, 1], their sum at most 1.

        Returns:
            Scores of the same shape, float32.
        """
        return weighed(self.logits(queries), scores, self.share)

    def _pairs(self, device: torch.device) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases of each convolution, on a device, made once."""
        if device not in self._ready:
            shapes = weight_shapes(self.widths, self.classes)
            parts = self.weights.float().split([torch.Size(shape).numel() for shape in shapes])
            self._ready[device] = [
                part.view(shape).to(device) for part, shape in zip(parts, shapes, strict=True)
            ]
        tensors = self._ready[device]
        return list(zip(tensors[::PER_CONVOLUTION], tensors[1::PER_CONVOLUTION], strict=True))


def weighed(logits: Tensor, scores: Tensor, share: float) -> Tensor:
    """Return the mean of two opinions in the logarithm, made probabilities again.

    Args:
        logits: the companion's, `B x (C + 1) x H x W`, the background first.
        scores: the prompt's, `B x C x H x W` in [0, 1], their sum at most 1.
        share: what the companion counts, 0 to 1.

    Returns:
        Scores, `B x C x H x W float32`.
    """
    given = torch.cat((1 - scores.sum(1, keepdim=True), scores), 1)
    own, given = (each.clamp(LEAST, 1 - LEAST).log() for each in (logits.softmax(1), given))
    return torch.lerp(given, own, share).softmax(1)[:, 1:]


def _block(x: Tensor, pairs: Iterator[tuple[Tensor, Tensor]]) -> Tensor:
    for _ in range(2):
        x = F.silu(F.conv2d(x, *next(pairs), padding=1))
    return x
