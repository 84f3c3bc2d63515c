"""A contact sheet of training samples: what the network is shown, at a glance."""

from pathlib import Path

import cv2
import numpy as np
from torch import Tensor

from prompttune.pretraining.dataset import PairDataset
from prompttune.utils.contact_sheet import grid, write_png

_GAP, _GRAY = 4, (64, 64, 64)


def contact_sheet(samples: PairDataset, count: int, scale: int = 2, columns: int = 3) -> np.ndarray:
    """Return `H x W x 3 uint8` (RGB) with `count` samples, each a row of four pictures.

    They are the prompt image, its colors, the query image and its colors; hidden patches of the
    colors are dimmed and hatched, and a bar on the left is white for instance samples.
    """
    rows = [_row(samples[index], samples.patch, scale) for index in range(count)]
    return grid([rows[start : start + columns] for start in range(0, count, columns)], _GAP, _GRAY)


def write_sheet(samples: PairDataset, count: int, output: Path) -> None:
    """Write a contact sheet as PNG, whole or not at all."""
    sheet = contact_sheet(samples, count, scale=max(1, 128 // samples.canvas))
    output.parent.mkdir(parents=True, exist_ok=True)
    write_png(output, sheet)


def _row(sample: dict[str, Tensor], patch: int, scale: int) -> np.ndarray:
    image, target = (
        np.split(sample[name].permute(1, 2, 0).numpy(), 2) for name in ("image", "target")
    )
    side = len(image[0])
    hidden = sample["masked"].numpy().reshape(2 * side // patch, side // patch)
    hidden = hidden.repeat(patch, 0).repeat(patch, 1)
    seen = [_dimmed(one, where) for one, where in zip(target, np.split(hidden, 2), strict=True)]
    pictures = [image[0], seen[0], image[1], seen[1]]
    bar = np.full((side * scale, _GAP, 3), float(sample["seg_type"]))
    gap = np.full((side * scale, _GAP, 3), 0.25)
    parts = [bar]
    for picture in pictures:
        large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
        parts += [np.asarray(large), gap]
    return np.round(np.concatenate(parts, 1) * 255).astype(np.uint8)


def _dimmed(picture: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(hidden.shape)
    hatched = np.where((rows + columns) % 4 == 0, 0.45, 0.1)[..., None]
    return np.where(hidden[..., None], 0.55 * picture + hatched, picture).astype(np.float32)
