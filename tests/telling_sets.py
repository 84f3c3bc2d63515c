"""Sets of a pool whose images tell their labels: red is the label, blue the number of the image."""

import numpy as np

from prompttune.pretraining.sources.pool import IGNORE, ImageSet, Labeled, Labels, SetConfig


def telling_set(
    first: int,
    count: int,
    values: tuple[int, ...] = (40, 90, 140),
    weight: float | None = None,
    size: tuple[int, int] = (48, 72),
    ignored: bool = False,
) -> ImageSet:
    """Return `count` images, numbered from `first`, in big blocks of background and classes."""
    rng = np.random.default_rng(first)
    images, shows = [], {value: [] for value in values}
    for number in range(count):
        blocks = rng.choice([0, *values], (size[0] // 12 + 1, size[1] // 12 + 1))
        labels = blocks.repeat(12, 0).repeat(12, 1)[: size[0], : size[1]].astype(np.uint8)
        if ignored:
            labels[:, 12:24] = IGNORE
        pixels = np.zeros((*size, 3), np.uint8)
        pixels[..., 0], pixels[..., 2] = labels, first + number
        images.append(Labeled((pixels,), Labels.of(labels)))
        for value in values:
            if (labels == value).any():
                shows[value].append(number)
    contexts = tuple((value, tuple(who)) for value, who in shows.items() if len(who) > 1)
    return ImageSet(SetConfig(f"set-{first}", weight=weight), tuple(images), contexts)
