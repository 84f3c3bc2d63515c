"""What stands above the query: images, their colors and the palette that decodes the answer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from prompttune.companion.companion import Companion
from prompttune.data.inputs import ImageLike, MaskLike
from prompttune.keys.saving import save_prompt
from prompttune.prompts import arranging
from prompttune.prompts.examples import crop_most_foreground, load_examples, load_instances
from prompttune.prompts.palette import Palette
from prompttune.reliability.calibration import Calibration, Zoomed
from prompttune.reliability.domain import Domain
from prompttune.utils.bounds import AnyScale, check, check_prompt, checked_scale
from prompttune.utils.errors import InputError
from prompttune.utils.renamed import takes_old_names
from prompttune.utils.tiling import resize, resize_nearest

if TYPE_CHECKING:
    from prompttune.keys.card import Card


@takes_old_names(colours="colors")
@dataclass(frozen=True, eq=False)
class Prompt:
    """One example, several (a feature ensemble) or a learned key: all are this.

    Raises:
        InputError: no image, colors of another size than their image, or a bad scale.
    """

    images: tuple[Tensor, ...]
    """N of `3 x H x W float32`, pixel space (learned pixels may leave [0, 1])."""
    colors: tuple[Tensor, ...]
    """The colors of the images' pixels, same sizes, pixel space."""
    palette: Palette
    """Decodes the answer."""
    scale: float | Literal["auto"] | None = None
    """Canvas pixels an image pixel at which queries are tiled; None fits them to the canvas;
    "auto": images are whole examples, for which a `Segmenter` chooses (`Segmenter.scaled`)."""
    canvas: int | None = None
    """Side of the canvas on which it answers, pixels; None: the backbone's own."""
    seg_type: int = 0
    """Type token: 0 semantic, 1 instance."""
    type_shift: Tensor | None = None
    """Added to the type token, `dim float32`: a learned prompt may have a token of its own."""
    threshold: float = 0.5
    """See `Palette.decide`."""
    fingerprint: str | None = None
    """Of the backbone that it was learned on; None fits any."""
    name: str = "examples"
    """For messages."""
    instance_of: str | None = None
    """The class whose instances the palette's colors tell apart; None: colors are classes."""
    grid: bool = False
    """Whether `at_scale` is to lay the examples out in one image (`Prompt.spatial`)."""
    card: "Card | None" = None
    """How it was learned, which a key says of itself; None where it was not learned."""
    calibration: Calibration | None = None
    """What its scores are worth; None where it is not known. Groups of one key share one."""
    zoomed: Zoomed | None = None
    """What replaces threshold and calibration where answers are means over zooms; None: nothing."""
    kept_tokens: tuple[tuple[int, ...], ...] | None = None
    """Of each later block of a one-way backbone the tokens it may attend to; None: all."""
    domain: Domain | None = None
    """What its training images were like; None where it is not known."""
    companion: Companion | None = None
    """A small network that was learned beside it and whose opinion counts as well; None: none."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", tuple(self.images))
        object.__setattr__(self, "colors", tuple(self.colors))
        if not self.images or len(self.images) != len(self.colors):
            counts = f"{len(self.images)} images and {len(self.colors)} colorings"
            raise InputError(f"prompt {self.name}: {counts}; give as many, at least one")
        for image, colors in zip(self.images, self.colors, strict=True):
            if image.dim() != 3 or len(image) != 3 or image.shape != colors.shape:
                shapes = f"{tuple(image.shape)} and {tuple(colors.shape)}"
                raise InputError(
                    f"prompt {self.name}: image and colors of {shapes}; both must be 3 x H x W"
                )
        object.__setattr__(self, "scale", checked_scale(self.scale))
        check("examples", len(self.images), f"prompt {self.name}: images")
        if self.canvas is not None:
            check("canvas", self.canvas, f"prompt {self.name}: canvas")
            check_prompt(self.name, len(self.images), self.canvas)

    @property
    def known_scale(self) -> float | None:
        """The scale, which must not be "auto" any more."""
        if isinstance(self.scale, str):
            raise RuntimeError(f"prompt {self.name}: its scale has not been chosen yet")
        return self.scale

    def __repr__(self) -> str:
        count, (_, height, width) = len(self.images), self.images[0].shape
        kind = "example" if self.fingerprint is None else "learned image"
        said = [
            f"'{self.name}'",
            f"{count} {kind}{'s' if count > 1 else ''} of {height} x {width}",
            f"classes {', '.join(self.palette.classes)}",
            "whole images" if self.scale is None else f"scale {self.scale}",
            *([f"backbone {self.fingerprint[:12]}"] if self.fingerprint else []),
        ]
        return f"Prompt({'; '.join(said)})"

    def at(self, canvas: int) -> tuple[Tensor, Tensor]:
        """Return images and colors as a backbone sees them.

        What has another size is resized: images bicubic with antialiasing, colors to the nearest.

        Args:
            canvas: side of the backbone's canvas, pixels.

        Returns:
            Images and colors, both `N x 3 x canvas x canvas float32` in pixel space.
        """
        size = (canvas, canvas)
        images = torch.stack([resize(image, size) for image in self.images])
        return images, torch.stack([resize_nearest(colors, size) for colors in self.colors])

    def at_scale(self, scale: float | None, canvas: int | None) -> "Prompt":
        """Return examples whose scale is "auto" as they are made at a scale; others as they are.

        Args:
            scale: canvas pixels an image pixel, or None: whole images.
            canvas: side of the windows that are cut, pixels; needed with a scale.

        Returns:
            A prompt whose scale is known.

        Raises:
            InputError: a scale that is not above 0, or one without a canvas.
        """
        if self.scale != "auto":
            return self
        made = replace(self, scale=checked_scale(scale, canvas), canvas=canvas, grid=False)
        if scale is not None and canvas is not None:
            pairs = zip(self.images, self.colors, strict=True)
            crops = [crop_most_foreground(*pair, scale, canvas) for pair in pairs]
            images, colors = zip(*crops, strict=True)
            made = replace(made, images=images, colors=colors)
            made = made if self.instance_of is None else arranging.renumbered_instances(made)
        return arranging.in_a_grid(made) if self.grid else made

    def resized(self, factor: float) -> "Prompt":
        """Return the same prompt for images at another resolution than it was made for.

        Args:
            factor: above 0; 0.5 where things are shown with twice as many pixels a side.

        Returns:
            A prompt with the scale times `factor`, and the same pixels.

        Raises:
            InputError: no such factor, or a prompt that sees images whole: their size makes no
                difference.
        """
        check("resize", factor)
        if self.scale is None:
            raise InputError("resize: this key sees images whole; their size makes no difference")
        return replace(self, scale=(self.known_scale or 1) * factor)

    def decide(self, scores: Tensor) -> Tensor:
        """Turn scores into a class map by this prompt's threshold (see `Palette.decide`).

        Args:
            scores: `C x H x W` in [0, 1].

        Returns:
            `H x W uint8`: 0 background, i the i-th class.
        """
        return self.palette.decide(scores, self.threshold)

    def averaged(self) -> "Prompt":
        """Return the prompt that decides for it where an answer is the mean over several zooms.

        Its threshold stays where it is not the one that the key was tuned with.

        Returns:
            A prompt of the same pixels; this one where it knows nothing of zooms.
        """
        if self.zoomed is None:
            return self
        own = self.card is None or self.threshold == self.card.threshold
        threshold = self.zoomed.threshold if own else self.threshold
        calibration = self.zoomed.calibration
        return replace(self, threshold=threshold, calibration=calibration, zoomed=None)

    def save(self, name_or_folder: str | PathLike[str], overwrite: bool = False) -> Path:
        """Keep a learned prompt as a key, which `load_prompt` reads.

        Args:
            name_or_folder: a name (`cracks`: a key of that name in your own zoo) or the folder to
                write (`./cracks`), whose last part is the name.
            overwrite: replace a key that is there.

        Returns:
            The key's folder.

        Raises:
            InputError: a prompt that was not learned, a name that is not allowed or taken, or a
                folder that cannot be written.
        """
        return save_prompt(self, name_or_folder, overwrite)

    def push_to_hub(
        self, repo: str, *, private: bool = False, message: str = "", token: str | None = None
    ) -> str:
        """Upload a learned prompt to the Hugging Face Hub, where `load_prompt` finds it.

        Args:
            repo: `user/name`; made if it is not there.
            private: a new repository is seen by its owner alone.
            message: of the commit.
            token: that may write there; None: `$HF_TOKEN`, or the one that `hf auth login` keeps.

        Returns:
            `user/name@commit`, which `load_prompt` takes.

        Raises:
            InputError: a prompt that was not learned, no token or one that may not write, no
                network, or no huggingface_hub (the extra `hub`).
        """
        from prompttune.hub.repository import push_prompt

        return push_prompt(self, repo, private=private, message=message, token=token)

    @property
    def parts(self) -> tuple["Prompt", ...]:
        """The prompts that answer one after the other: this one (see `Composition`)."""
        return (self,)

    @classmethod
    def from_examples(
        cls,
        examples: Iterable[tuple[ImageLike, MaskLike]],
        classes: Sequence[str] | None = None,
        scale: AnyScale = "auto",
        canvas: int | None = None,
    ) -> "Prompt":
        """Make a prompt of one or more examples.

        Args:
            examples: pairs of an image, of any kind that `Segmenter.predict` takes, and its mask
                (a file, its bytes, a PIL image, or `H x W` class indices: 0 background, 255
                ignored).
            classes: names of the foreground classes. None: a two-valued mask is one class
                "foreground", any other has classes "1", "2", ... up to the largest index.
            scale: "auto" leaves it to the `Segmenter` that first sees the prompt, which tries some
                on the examples (`prompttune.inference.scale`). "whole" or None takes whole images,
                and fits queries whole to the canvas, as SegGPT does. Else examples and queries are
                taken at this many canvas pixels an image pixel, and of each example the
                `canvas x canvas` window with most foreground is kept.
            canvas: side of the canvas on which it answers, e.g. the backbone's own; needed where
                `scale` is a number.

        Returns:
            A prompt of as many images as examples.

        Raises:
            InputError: an image that cannot be read, a mask of another size or with values that the
                classes do not name, masks that are all background.
        """
        known = checked_scale(scale, canvas)
        names, pairs = load_examples(list(examples), classes)
        palette = Palette.of(names)
        whole = cls(
            images=tuple(image for image, _ in pairs),
            colors=tuple(palette.paint(class_map) for _, class_map in pairs),
            palette=palette,
            scale="auto",
            canvas=canvas,
        )
        return whole if known == "auto" else whole.at_scale(known, canvas)

    @classmethod
    def spatial(
        cls,
        examples: Iterable[tuple[ImageLike, MaskLike]],
        classes: Sequence[str] | None = None,
        scale: AnyScale = "auto",
        canvas: int | None = None,
    ) -> "Prompt":
        """Make one prompt image of several examples: the spatial ensemble (SegGPT, section 3.3).

        The examples stand in an n x n grid, row by row, image and colors alike, and the grid is
        subsampled to the size of one (by `at`). Where they are no square number, n is the next
        larger one and the first examples stand there again. While the scale is "auto" the examples
        are kept one by one.

        Args:
            examples: as in `from_examples`.
            classes: as in `from_examples`.
            scale: as in `from_examples`; where images are taken whole, all are first resized to the
                size of the first.
            canvas: as in `from_examples`.

        Returns:
            A prompt of one image, once its scale is known.

        Raises:
            InputError: as `from_examples`.
        """
        known = checked_scale(scale, canvas)
        whole = replace(cls.from_examples(examples, classes, "auto", canvas), grid=True)
        return whole if known == "auto" else whole.at_scale(known, canvas)

    @classmethod
    def from_instances(
        cls,
        examples: Iterable[tuple[ImageLike, MaskLike]],
        name: str = "object",
        scale: AnyScale = "auto",
        canvas: int | None = None,
    ) -> "Prompt":
        """Make a prompt whose instances bear different colors (SegGPT, section 3.1).

        Type token 1. The "classes" of its answers are colors, `<name> 1`, `<name> 2`, ...;
        `prompttune.outputs.instances` reads objects from them.

        Args:
            examples: as in `from_examples`, with masks that number the instances of an image from
                1 to 254; 0 is background, 255 ignored.
            name: of the one class.
            scale: as in `from_examples`. Only the instances that a window shows have colors.
            canvas: as in `from_examples`.

        Returns:
            A prompt whose palette has a color for each instance.

        Raises:
            InputError: as `from_examples`.
        """
        known = checked_scale(scale, canvas)
        pairs = load_instances(list(examples))
        palette, colors = arranging.colored_instances([ids.numpy() for _, ids in pairs], name)
        whole = cls(
            images=tuple(image for image, _ in pairs),
            colors=colors,
            palette=palette,
            scale="auto",
            canvas=canvas,
            seg_type=1,
            instance_of=name,
        )
        return whole if known == "auto" else whole.at_scale(known, canvas)

    @classmethod
    def join(cls, prompts: Iterable["Prompt"]) -> "Prompt":
        """Put prompts side by side in one feature ensemble: keys, examples, or both.

        All speak of the same classes. The first key (else the first prompt) gives colors,
        threshold, canvas, type token and order of the classes; examples in other colors are
        painted anew in its, and examples whose scale is "auto" take the others' scale.

        Args:
            prompts: one or more.

        Returns:
            One prompt with the images of all.

        Raises:
            InputError: no prompts, or prompts of different classes, scales, type tokens or
                backbones, or keys whose colors differ.
        """
        joined = list(prompts)
        if not joined:
            raise InputError("prompt: nothing to join; give at least one prompt")
        scaled = next((each for each in joined if each.scale != "auto"), None)
        if scaled is not None and not isinstance(scaled.scale, str):
            canvas = scaled.canvas or scaled.images[0].shape[-1]
            joined = [each.at_scale(scaled.scale, canvas) for each in joined]
        lead = next((each for each in joined if each.fingerprint is not None), joined[0])
        for each in joined:
            arranging.check_joins(each, lead)
        return replace(
            lead,
            images=tuple(image for each in joined for image in each.images),
            colors=tuple(
                colors if each.palette == lead.palette
                else lead.palette.repaint(colors, each.palette)
                for each in joined for colors in each.colors
            ),
            name=" + ".join(dict.fromkeys(each.name for each in joined)),
            card=None,
            kept_tokens=None if len(joined) > 1 else lead.kept_tokens,
            calibration=None if len(joined) > 1 else lead.calibration,
            zoomed=None if len(joined) > 1 else lead.zoomed,
        )  # fmt: skip
