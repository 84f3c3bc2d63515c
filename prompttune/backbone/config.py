"""The sizes of a SegGPT network."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from prompttune.utils.bounds import check, check_canvas
from prompttune.utils.errors import InputError
from prompttune.utils.renamed import names_of_today, takes_old_names


@takes_old_names(taps="out_indices", merge_block="merge_index")
@dataclass(frozen=True)
class SegGPTConfig:
    """Sizes of one SegGPT network; the defaults are the official `seggpt_vit_large`.

    Source: baaivision/Painter, `SegGPT/SegGPT_inference/models_seggpt.py`.

    Raises:
        InputError: Sizes that do not fit each other.
    """

    canvas: int = 448
    """Side S of the prompt and of the query, pixels; the network sees 2S x S, a pair that the
    official code calls `image_size`. Here that is the size of an image as it is given."""
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
    merge_index: int = 2
    """After this block the image stream and the target stream are averaged into one."""
    out_indices: tuple[int, ...] = (5, 11, 17, 23)
    """Blocks whose outputs the decoder reads; none before `merge_index`."""
    decoder_dim: int = 64
    """Channels of the pixel decoder."""
    pretrain_canvas: int = 224
    """Side of the square canvas for which the absolute positions are stored (they are resized)."""
    one_way: bool = False
    """The prompt never looks at the query (see `prompttune.backbone.one_way`); the fields below ask
    for it. Image and colors then meet before block `apart`, and `merge_index` means nothing."""
    mlp: Literal["gelu", "swiglu"] = "gelu"
    """Kind of the blocks' MLP; the gated one is that of DINOv2 g, and one-way networks alone have
    it."""
    apart: int = 0
    """The first blocks, in which every image sees itself alone."""
    class_token: bool = False
    """A token of no patch passes the blocks `apart` beside the patches, as in DINOv2."""
    match_indices: tuple[int, ...] = ()
    """Blocks, below `apart`, whose image features match the query with the prompt; none: the
    query's hidden target begins as a bare mask token."""
    image_indices: tuple[int, ...] = ()
    """Blocks, below `apart`, whose features of the query's image the decoder reads as well."""
    pixel_dim: int = 0
    """Channels that the decoder computes from the query's pixels themselves; 0: none."""

    def __post_init__(self) -> None:
        for name in ("out_indices", "match_indices", "image_indices"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        sizes = ("canvas", "patch", "dim", "depth", "heads", "decoder_dim", "pretrain_canvas")
        for name in (*sizes, "mlp_ratio", "pixel_dim"):
            check(name, getattr(self, name), f"backbone config: {name}")
        for name in ("canvas", "pretrain_canvas"):
            if getattr(self, name) % self.patch:
                raise InputError(
                    f"backbone config: {name}={getattr(self, name)} is no multiple of "
                    f"patch={self.patch}"
                )
        check_canvas(self.canvas, self.patch, "backbone config")
        if self.dim % self.heads:
            raise InputError(
                f"backbone config: dim={self.dim} is no multiple of heads={self.heads}"
            )
        self._check_one_way()
        first, name = (self.apart, "apart") if self.one_way else (self.merge_index, "merge_index")
        if (
            not self.out_indices
            or first < 0
            or not _rise_within(self.out_indices, first, self.depth)
        ):
            raise InputError(
                f"backbone config: out_indices={self.out_indices} must rise and lie in {first}.."
                f"{self.depth - 1} ({name}..depth - 1)"
            )

    def _check_one_way(self) -> None:
        if not isinstance(self.apart, int) or not 0 <= self.apart <= self.depth:
            raise InputError(f"backbone config: apart={self.apart!r} is not in 0..{self.depth}")
        for name in ("match_indices", "image_indices"):
            indices = getattr(self, name)
            if indices and not _rise_within(indices, 0, self.apart):
                raise InputError(
                    f"backbone config: {name}={indices} must rise and lie below apart={self.apart}"
                )
        asked = [name for name in ("apart", "class_token", "pixel_dim") if getattr(self, name)]
        if self.mlp not in ("gelu", "swiglu"):
            raise InputError(f"backbone config: mlp={self.mlp!r} is neither gelu nor swiglu")
        asked += ["mlp"] if self.mlp != "gelu" else []
        if asked and not self.one_way:
            raise InputError(f"backbone config: {' and '.join(asked)} ask for one_way=True")

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
        """Return the fields as JSON-able values, by the names that they have in files."""
        return {
            STORED.get(name, name): list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SegGPTConfig":
        """Undo `to_dict`.

        Raises:
            InputError: Unknown fields, or sizes that do not fit each other.
        """
        if not isinstance(values, Mapping):
            raise InputError(f"backbone config: {type(values).__name__}, not names and values")
        try:
            return cls(**named_now(values))
        except TypeError as error:
            raise InputError(f"backbone config: {error}") from error


STORED = {
    "merge_index": "merge_block",
    "out_indices": "taps",
    "match_indices": "match_taps",
    "image_indices": "image_taps",
}
"""Fields that files of weights, and recipes of version 0.1, know by other names."""


def named_now(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields by their names of today, given by these or as files have them.

    Raises:
        InputError: one field by both of its names.
    """
    return names_of_today(values, {stored: name for name, stored in STORED.items()})


def _rise_within(indices: tuple[int, ...], first: int, after: int) -> bool:
    return list(indices) == sorted(set(indices)) and first <= indices[0] and indices[-1] < after


VIT_LARGE = SegGPTConfig()
