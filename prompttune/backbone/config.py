"""The sizes of a SegGPT network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from prompttune.errors import InputError


@dataclass(frozen=True)
class SegGPTConfig:
    """Sizes of one SegGPT network; the defaults are the official `seggpt_vit_large`.

    Source: baaivision/Painter, `SegGPT/SegGPT_inference/models_seggpt.py`.

    Raises:
        InputError: Sizes that do not fit each other.
    """

    canvas: int = 448
    """Side S of the prompt and of the query, pixels; the network sees 2S x S."""
    patch: int = 16
    """Side of a patch, pixels; divides the canvas."""
    dim: int = 1024
    """Width of a token."""
    depth: int = 24
    """Number of blocks."""
    heads: int = 16
    """Attention heads; divides `dim`."""
    mlp_ratio: float = 4.0
    """Hidden width of the MLP over `dim`."""
    merge_block: int = 2
    """After this block the image stream and the target stream are averaged into one."""
    taps: tuple[int, ...] = (5, 11, 17, 23)
    """Blocks whose outputs the decoder reads; none before `merge_block`."""
    decoder_dim: int = 64
    """Channels of the pixel decoder."""
    pretrain_canvas: int = 224
    """Side of the square canvas for which the absolute positions are stored (they are resized)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "taps", tuple(self.taps))
        sizes = ("canvas", "patch", "dim", "depth", "heads", "decoder_dim", "pretrain_canvas")
        for name in sizes:
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"backbone config: {name}={value!r} is no whole number from 1 up")
        for name in ("canvas", "pretrain_canvas"):
            if getattr(self, name) % self.patch:
                raise InputError(
                    f"backbone config: {name}={getattr(self, name)} is no multiple of "
                    f"patch={self.patch}"
                )
        if self.dim % self.heads:
            raise InputError(
                f"backbone config: dim={self.dim} is no multiple of heads={self.heads}"
            )
        taps = self.taps
        rising = list(taps) == sorted(set(taps))
        if not taps or not rising or not 0 <= self.merge_block <= taps[0] or taps[-1] >= self.depth:
            raise InputError(
                f"backbone config: taps={taps} must rise and lie in {self.merge_block}.."
                f"{self.depth - 1} (merge_block..depth - 1)"
            )

    @property
    def side(self) -> int:
        """Patches along one side of the prompt or the query."""
        return self.canvas // self.patch

    @property
    def grid(self) -> tuple[int, int]:
        """Patches of the whole 2S x S canvas: rows, columns."""
        return 2 * self.side, self.side

    @property
    def tokens(self) -> int:
        """Tokens of one stream: prompt half and query half."""
        return 2 * self.side**2

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-able values."""
        return asdict(self) | {"taps": list(self.taps)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SegGPTConfig":
        """Undo `to_dict`.

        Raises:
            InputError: Unknown fields, or sizes that do not fit each other.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(f"backbone config: {error}") from error


VIT_LARGE = SegGPTConfig()
