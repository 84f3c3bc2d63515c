"""Bounds of all numbers that a user, a key, a recipe or a request may give, and of their products.

A number within its bound may still ask for too much together with others: `check_image` and
`check_canvas` bound what is asked of one image and of one canvas.
"""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

from prompttune.utils.errors import InputError


@dataclass(frozen=True)
class Bound:
    """A range, both ends allowed unless `above` is set, and what to do beyond it."""

    least: float
    most: float
    remedy: str
    above: bool = False
    """The least value itself is not allowed."""
    whole: bool = False
    """Whole numbers only."""

    def holds(self, value: Any) -> bool:
        """Say whether a value lies in the range; NaN, text and truth values do not."""
        if not isinstance(value, Integral if self.whole else Real) or isinstance(value, bool):
            return False
        number: Any = value
        return self.least <= number <= self.most and not (self.above and number == self.least)

    def __str__(self) -> str:
        start = "above " if self.above else ""
        kind = "a whole number " if self.whole else ""
        return f"{kind}{start}{_text(self.least)} {'up ' if start else ''}to {_text(self.most)}"


def _text(value: float) -> str:
    return f"{value:.12g}"


_BATCH = "take fewer at once; it changes only the memory that is needed"
_STEPS = "take fewer steps"
_RATE = "the recipes use 0.0001 to 0.05"
_WEIGHT = "weights are relative to one another: 1 is usual"

BOUNDS = {
    "scale": Bound(
        1e-4, 64, "it is canvas pixels an image pixel, usually 0.1 to 2; 1 sees images as they are"
    ),
    "resize": Bound(1e-4, 1e4, "it is a factor of the images' size, 1 as they are"),
    "canvas": Bound(
        1, 4096, "it is a side in pixels; the backbone's own canvas is usual", whole=True
    ),
    "min_canvas": Bound(
        0, 4096, "it is a side in pixels; 0 keeps the backbone's own canvas", whole=True
    ),
    "zoom": Bound(0, 4, "0.7 to 1.4 times the scale is usual", above=True),
    "overlap": Bound(0, 0.9, "0.25 is usual, and 0.5 is the best there is"),
    "prompts": Bound(1, 64, "learn fewer prompts; more than 8 seldom gain", whole=True),
    "examples": Bound(1, 128, "choose some; more than 16 seldom gain", whole=True),
    "classes": Bound(1, 254, "split the classes among several keys", whole=True),
    "frames": Bound(0, 64, "1 to 4 frames are usual", whole=True),
    "batch_size": Bound(1, 4096, _BATCH, whole=True),
    "min_area": Bound(1, 10**9, "it is a number of pixels, 16 is usual", whole=True),
    "images": Bound(1, 10**8, "it is how many of the training images are used", whole=True),
    "score_images": Bound(1, 10**6, "6 are usual", whole=True),
    "workers": Bound(0, 256, "more processes than processors gain nothing", whole=True),
    "devices": Bound(1, 1024, "it is how many GPUs take part", whole=True),
    "tokens": Bound(1, 2**24, "see docs/keys.md for what is usual", whole=True),
    # Task recipes, and pretraining recipes where they bear the same names.
    "group": Bound(0, 254, "6 is usual, 0 sets no limit", whole=True),
    "groups_a_step": Bound(0, 254, "2 to 5 are usual, 0 is all", whole=True),
    "companion": Bound(0, 1000, "2 to 3 are usual, 0 learns none"),
    "lr": Bound(0, 100, _RATE, above=True),
    "type_lr": Bound(0, 100, _RATE),
    "jitter": Bound(0, 10, "it is in units of pixel values, 0.1 is much"),
    "weight_decay": Bound(0, 100, "0.05 is usual in pretraining, 0 in tuning"),
    "foreground_weight": Bound(0, 1e6, _WEIGHT),
    "dice_weight": Bound(0, 1e6, _WEIGHT),
    "color_weight": Bound(0, 1e6, _WEIGHT),
    "beta": Bound(0, 1e3, "1 and 0.01 are usual"),
    "dropout": Bound(0, 0.999, "0 is usual"),
    "ema": Bound(0, 0.99999999, "0.9 to 0.9999 are usual, 0 averages nothing"),
    "warmup": Bound(0, 0.999, "0.05 is usual"),
    "val_fraction": Bound(0.001, 0.999, "0.2 is usual"),
    "max_steps": Bound(1, 10**8, _STEPS, whole=True),
    "batch": Bound(1, 65536, _BATCH, whole=True),
    "val_every": Bound(1, 10**8, _STEPS, whole=True),
    "val_crops": Bound(1, 10**5, "48 are usual", whole=True),
    "patience": Bound(0, 10**6, "3 to 10 are usual, 0 never stops early", whole=True),
    "seed": Bound(0, 2**63 - 1, "any number will do, 0 is usual", whole=True),
    "save_every": Bound(1, 10**8, _STEPS, whole=True),
    "views": Bound(2, 64, "4 are usual", whole=True),
    "scenes": Bound(1, 2**20, "1024 are usual", whole=True),
    "accumulate": Bound(1, 65536, _BATCH, whole=True),
    # Networks. The largest that is known, of 22 billion parameters, has 6144 by 48.
    "patch": Bound(1, 256, "14 and 16 are usual", whole=True),
    "dim": Bound(1, 16384, "384 to 1280 are usual", whole=True),
    "depth": Bound(1, 256, "12 to 32 blocks are usual", whole=True),
    "heads": Bound(1, 1024, "6 to 16 are usual", whole=True),
    "mlp_ratio": Bound(0, 64, "4 is usual", above=True),
    "decoder_dim": Bound(1, 4096, "64 is usual", whole=True),
    "pixel_dim": Bound(0, 4096, "16 is usual, 0 is none", whole=True),
    "pretrain_canvas": Bound(1, 4096, "it is a side in pixels", whole=True),
}
"""Of each number by its name, wherever it is given."""

CANVAS_TOKENS = 8192
"""Of the two halves of one canvas: attention needs time and memory by the square of them."""
IMAGE_PIXELS = 2**27
"""Of an image at its scale, which is in memory as 32-bit numbers: 1.6 GB."""
SCORES = 2**31
"""Of an image: its pixels, as given and at its scale, times the classes; four bytes each."""
IMAGE_WORK = 2**36
"""Of an image: windows, times mirrored answers, pixels of a window, and examples."""
PROMPT_PIXELS = 2**24
"""Of the images of one prompt on their canvas, which pass the network together."""
STEP_TOKENS = 2**22
"""Of a step of tuning: queries, times examples, times tokens of a canvas."""


def check(name: str, value: Any, called: str | None = None) -> None:
    """Refuse a number beyond its bound.

    Args:
        name: in `BOUNDS`.
        value: of any kind; what is no number lies beyond.
        called: how the user knows it; by default by its name.

    Raises:
        InputError: the value, the range, and what to do.
    """
    bound = BOUNDS[name]
    if not bound.holds(value):
        shown = f"{value:g}" if isinstance(value, float) else f"{value!r:.60}"
        raise InputError(f"{called or name} {shown}: must be {bound}; {bound.remedy}")


def check_canvas(canvas: int, patch: int, called: str) -> None:
    """Refuse a canvas of more tokens than a network can attend to.

    Args:
        canvas: side in pixels.
        patch: side of a patch.
        called: names whose canvas it is.

    Raises:
        InputError: a canvas beyond its bound, or of more than `CANVAS_TOKENS`.
    """
    check("canvas", canvas, f"{called}: canvas")
    tokens = 2 * (canvas // patch) ** 2
    if tokens > CANVAS_TOKENS:
        side = int((CANVAS_TOKENS / 2) ** 0.5) * patch
        raise InputError(
            f"{called}: canvas {canvas} has {tokens} tokens on a backbone of patches of {patch} "
            f"pixels, and {CANVAS_TOKENS} are allowed; take a canvas of at most {side}"
        )


def check_prompt(called: str, images: int, canvas: int) -> None:
    """Refuse a prompt whose images are too many for their size.

    Raises:
        InputError: more than `PROMPT_PIXELS`.
    """
    if images * canvas**2 > PROMPT_PIXELS:
        raise InputError(
            f"prompt {called}: {images} images on a canvas of {canvas} are {images * canvas**2} "
            f"pixels, and {PROMPT_PIXELS} are allowed; take fewer images or a smaller canvas"
        )


def check_image(called: str, pixels: int, scaled: int, classes: int, work: int) -> None:
    """Refuse an image that asks for more memory or work than one image may.

    Args:
        called: names the prompt.
        pixels: of the image.
        scaled: pixels of the image at the prompt's scale, its mirrored borders included.
        classes: of the prompt.
        work: windows, times mirrored answers, pixels of a window, and examples.

    Raises:
        InputError: what is too much, the limit, and what to do.
    """
    large = "cut the image into parts, or"
    if scaled > IMAGE_PIXELS:
        raise InputError(
            f"{called}: at its scale the image has {scaled} pixels, and {IMAGE_PIXELS} are "
            f"allowed; {large} take a smaller scale"
        )
    if classes * (pixels + scaled) > SCORES:
        raise InputError(
            f"{called}: {classes} classes at {pixels + scaled} pixels are "
            f"{classes * (pixels + scaled)} scores, and {SCORES} are allowed; {large} take fewer "
            "classes at once"
        )
    if work > IMAGE_WORK:
        raise InputError(
            f"{called}: the image asks for {work} pixels of work (windows x their pixels x "
            f"examples), and {IMAGE_WORK} are allowed; {large} take a smaller scale, a smaller "
            "overlap, or fewer examples"
        )


def check_step(batch: int, prompts: int, canvas: int, patch: int) -> None:
    """Refuse a step of tuning that no machine holds in memory.

    Raises:
        InputError: more than `STEP_TOKENS`.
    """
    tokens = batch * prompts * 2 * (canvas // patch) ** 2
    if tokens > STEP_TOKENS:
        raise InputError(
            f"recipe: batch {batch} x {prompts} prompts on a canvas of {canvas} are {tokens} "
            f"tokens a step, and {STEP_TOKENS} are allowed; take a smaller batch or fewer prompts"
        )


AnyScale = float | Literal["auto", "whole"] | None
"""Canvas pixels an image pixel; "auto": to be chosen; "whole", or None: images fit the canvas."""


def checked_scale(scale: AnyScale, canvas: int | None = 1) -> float | Literal["auto"] | None:
    """Return a scale with "whole" as None, or say why it is none.

    Raises:
        InputError: beyond its bound, or a number without a canvas.
    """
    if scale is None or scale == "whole":
        return None
    if scale == "auto":
        return "auto"
    if isinstance(scale, str):
        raise InputError(f"scale {scale:.60}: must be a number, auto or whole")
    check("scale", scale)
    if canvas is None:
        raise InputError("prompt: examples at a scale need the backbone's canvas as well")
    return scale
