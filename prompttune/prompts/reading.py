"""How images are read for keys: as the images were that the keys were tuned on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prompttune.data.inputs import ImageLike, load_image
from prompttune.utils.errors import InputError

if TYPE_CHECKING:
    from prompttune.data.reading import ImageOptions
    from prompttune.prompts.composition import Composition
    from prompttune.prompts.prompt import Prompt


def image_for(
    prompt: "Prompt | Composition",
    image: ImageLike,
    called: str = "image",
    options: "ImageOptions | None" = None,
) -> np.ndarray:
    """Return an image as a prompt is to see it, `H x W x 3 uint8`.

    Args:
        prompt: whose cards say how its training images were read; examples say nothing.
        image: of any kind that `Segmenter.predict` takes.
        called: names an image that has no path in messages.
        options: the bands and the stretch; None: those of the cards.

    Raises:
        InputError: it cannot be read, or the keys were tuned with different bands or stretches.
    """
    return load_image(image, called, options or options_of(recipes_of(prompt)))


def recipes_of(prompt: "Prompt | Composition") -> list[Mapping[str, Any]]:
    """Return the recipes in the cards of a prompt's parts; examples have none."""
    return [part.card.recipe for part in prompt.parts if part.card is not None]


def options_of(
    recipes: Sequence[Mapping[str, Any]], bands: str | None = None, stretch: str | None = None
) -> "ImageOptions":
    """Return how images are read: as the caller says, else as the keys do.

    Args:
        recipes: from the cards of the keys in use.
        bands: of images with several, `4,3,2`; None: those of the keys.
        stretch: of deep images, `image`, `full`, or `LOW,HIGH`; None: that of the keys.

    Raises:
        InputError: options that are none, or keys that were tuned with different ones.
    """
    from prompttune.data.reading import ImageOptions

    chosen = {}
    for name, given in (("bands", bands), ("stretch", stretch)):
        own = {recipe.get(name) for recipe in recipes}
        if given is None and len(own) > 1:
            listed = " and ".join(sorted(map(str, own)))
            raise InputError(f"the keys were tuned with different {name} ({listed}); give --{name}")
        chosen[name] = given or next(iter(own), None)
    return ImageOptions.of(chosen["bands"], chosen["stretch"])
