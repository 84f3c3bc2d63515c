"""Random numbers that are a function of a key, a name and a position: no state, any batch order.

Each row of a batch has a 64-bit key. A draw hashes key and name to the start of a SplitMix64
stream (Steele, Lea and Flood, 2014) and takes as many of its numbers as it needs. Integer
arithmetic alone decides the bits, so they are equal on every device. A draw of another name is
another draw, so names keep their spelling for good.
"""

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_STEP = _signed(0x9E3779B97F4A7C15)
_FIRST, _SECOND = _signed(0xBF58476D1CE4E5B9), _signed(0x94D049BB133111EB)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """Shift right filling with zeros; torch's own shift repeats the sign."""
    return (bits >> places) & ((1 << (64 - places)) - 1)


def mix(bits: Tensor) -> Tensor:
    """Scramble int64 one to one, so that neighbors share nothing: the SplitMix64 finaliser."""
    bits = (bits ^ _shifted(bits, 30)) * _FIRST
    bits = (bits ^ _shifted(bits, 27)) * _SECOND
    return bits ^ _shifted(bits, 31)


@lru_cache(maxsize=4096)
def _number_of(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


class Draws:
    """Named draws for a batch of keys; equal key and name give equal numbers.

    The first dimension of everything drawn is the batch's. Two draws of one key need two names.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys

    @classmethod
    def of(cls, seed: int, indices: Tensor) -> "Draws":
        """Return the draws of samples `indices` (int64, N) of the run `seed`."""
        start = torch.full_like(indices, _signed((seed ^ 0x5DEECE66D) & ((1 << 64) - 1)))
        return cls(mix(mix(start) + indices * _STEP))

    def to(self, device: torch.device) -> "Draws":
        """Return the same draws, made on `device`."""
        return Draws(self.keys.to(device, non_blocking=True))

    def fork(self, name: str, number: Tensor | int = 0) -> "Draws":
        """Return independent draws for a part of each row; `number` (N) tells like parts apart."""
        if isinstance(number, int):
            step = _signed((number + 1) * _STEP & ((1 << 64) - 1))
            return Draws(mix(self._start(name) + step))
        return Draws(mix(self._start(name) + (number + 1) * _STEP))

    def rows(self, rows: Tensor) -> "Draws":
        """Return the draws of some rows (int64)."""
        return Draws(self.keys[rows])

    def _start(self, name: str) -> Tensor:
        # Keys and names are hashes already: each draw is a far place of one long stream.
        return self.keys ^ _number_of(name)

    def bits(self, name: str, count: int) -> Tensor:
        """Return `N x count` int64, all 64 bits random."""
        at = torch.arange(1, count + 1, device=self.keys.device, dtype=torch.int64) * _STEP
        return mix(self._start(name)[:, None] + at)

    def uniform(self, name: str, *shape: int) -> Tensor:
        """Return `N x shape` float32 in [0, 1), multiples of 2^-24."""
        bits = self.bits(name, math.prod(shape))
        return (_shifted(bits, 40).float() * 2.0**-24).view(-1, *shape)

    def between(self, name: str, low: float, high: float, *shape: int) -> Tensor:
        """Return `N x shape` float32, uniform from `low` to `high`."""
        return self.uniform(name, *shape) * (high - low) + low

    def normal(self, name: str, *shape: int) -> Tensor:
        """Return `N x shape` float32, standard normal: Box-Muller, two of one 64-bit number."""
        count = math.prod(shape)
        bits = self.bits(name, (count + 1) // 2)
        # The half keeps the logarithm finite.
        radius = ((_shifted(bits, 40).float() + 0.5) * 2.0**-24).log_().mul_(-2).sqrt_()
        angle = ((bits >> 16) & 0xFFFFFF).float() * (2 * math.pi * 2.0**-24)
        both = torch.cat((radius * angle.cos(), radius * angle.sin()), 1)
        return both[:, :count].view(-1, *shape)

    def noise(self, name: str, *shape: int) -> Tensor:
        """Return `N x shape` float32 about normal, cut at 4.8: for pixels, four of one number."""
        count = math.prod(shape)
        bits = self.bits(name, (count + 3) // 4)
        parts = [((bits >> (16 * k)) & 0xFFFF).float() for k in range(4)]
        drawn = []
        for radius, angle in (parts[:2], parts[2:]):
            radius = radius.add_(0.5).mul_(2.0**-16).log_().mul_(-2).sqrt_()
            angle = angle.mul_(2 * math.pi * 2.0**-16)
            drawn += [angle.cos().mul_(radius), angle.sin_().mul_(radius)]
        return torch.cat(drawn, 1)[:, :count].view(-1, *shape)

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Return `N x shape` int64 in 0 ... `high` - 1, for `high` far below 2^24."""
        return (self.uniform(name, *shape) * high).long()

    def choice(self, name: str, values: Sequence[float]) -> Tensor:
        """Return N float32 out of `values`, each equally likely."""
        chosen = self.uniform(name) * len(values)
        drawn = torch.full_like(chosen, values[0])
        for position, value in enumerate(values[1:], 1):  # no table to copy to the device
            drawn = torch.where(chosen >= position, value, drawn)
        return drawn

    def chance(self, name: str, probability: float) -> Tensor:
        """Return N bool, true with `probability`."""
        return self.uniform(name) < probability

    def permutation(self, name: str, count: int) -> Tensor:
        """Return `N x count` int64, each row a random order of 0 ... `count` - 1."""
        return self.uniform(name, count).argsort(dim=1, stable=True)
