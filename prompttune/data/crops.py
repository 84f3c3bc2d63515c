"""Crops of samples for training: where they lie, how they are varied, in which order they come."""

import itertools
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler, default_collate

from prompttune.data.anchors import Anchors
from prompttune.data.picture_store import PictureStore
from prompttune.utils.constants import IGNORE
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import to_tensor, to_uint8
from prompttune.utils.tiling import resize, resize_nearest, scaled_size

if TYPE_CHECKING:  # pretraining needs none of what reads files
    from prompttune.data.samples import LoadedSample


@dataclass(frozen=True)
class _Turns:
    """How far crops are turned and bent."""

    rotation: float
    """Degrees, either way."""
    scales: tuple[float, float]
    shear: float = 0.0
    """Degrees, either way."""
    bent: float = 0.0
    """Share of the crops that are bent smoothly."""

    @property
    def reach(self) -> float:
        """Sides of the square that a turned crop comes from, in sides of the crop."""
        turned = math.radians(self.rotation + self.shear)
        return (math.cos(turned) + math.sin(turned)) / self.scales[0]


_USUAL = _Turns(15, (0.9, 1.1))
_STRONG = _Turns(30, (0.65, 1.5), shear=8, bent=0.3)


class Augmentation:
    """Flips, turns, rescales and recolors crops, as the seed of the call alone decides.

    Geometry (flips, quarter turns, rotation, scale) moves image and class map alike, the map by
    nearest neighbor; brightness, contrast, gamma, color, blur and noise change the image alone.
    Importing albumentations takes most of a second, so only who augments pays for it.

    Args:
        canvas: side of a crop, pixels.
        strong: change crops far more, shear and bend them as well.
        flips: mirror and quarter-turn them, which swaps what is left and right.

    Attributes:
        margin: pixels that a crop needs around it, since rotation and scaling bring them in.
    """

    def __init__(self, canvas: int, strong: bool = False, flips: bool = True) -> None:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or it calls home on import
        import albumentations as A

        turns = _STRONG if strong else _USUAL
        self.margin = math.ceil(canvas / 2 * (turns.reach - 1)) + 1
        shared: dict[str, Any] = {
            "interpolation": cv2.INTER_LINEAR,
            "mask_interpolation": cv2.INTER_NEAREST,
            "border_mode": cv2.BORDER_REFLECT_101,
        }
        rotations, shears = ((-each, each) for each in (turns.rotation, turns.shear))
        geometry = [
            *([A.D4(p=1)] if flips else []),
            A.Affine(rotate=rotations, scale=turns.scales, shear=shears, p=0.7, **shared),
            A.ElasticTransform(alpha=60, sigma=8, p=turns.bent, **shared),
            A.CenterCrop(canvas, canvas),
        ]
        self._compose = A.Compose(geometry + (_strong_colors() if strong else _usual_colors()))

    def __call__(
        self, image: np.ndarray, class_map: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Augment a crop with `margin` around it, and cut it to the canvas.

        Args:
            image: `H x W x 3 uint8`, H = W = canvas + 2 * margin.
            class_map: `H x W uint8`.
            seed: 0 to 2^32 - 1.
        """
        self._compose.set_random_seed(seed)
        augmented = self._compose(image=image, mask=class_map)
        return augmented["image"], augmented["mask"]


def _usual_colors() -> list[Any]:
    import albumentations as A

    blur = A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 0.9))
    return [
        A.RandomBrightnessContrast(0.2, 0.2, p=0.7),
        A.RandomGamma((75, 130), p=0.5),
        A.RGBShift(15, 15, 15, p=0.5),
        A.OneOf([blur, A.GaussNoise(std_range=(0.005, 0.025))], p=0.4),
    ]


def _strong_colors() -> list[Any]:
    import albumentations as A

    return [
        A.RandomBrightnessContrast(0.3, 0.4, p=0.8),
        A.RandomGamma((55, 180), p=0.6),
        A.RGBShift(25, 25, 25, p=0.5),
        A.HueSaturationValue(10, 30, 0, p=0.3),
        A.ToGray(p=0.1),
        A.GaussianBlur(blur_limit=0, sigma_limit=(0.3, 1.5), p=0.3),
        A.GaussNoise(std_range=(0.005, 0.06), p=0.3),
    ]


FOREGROUND_SHARE = 0.5


class CropDataset(Dataset[dict[str, Tensor]]):
    """Random crops of samples at `scale`, as a map from index to crop.

    Item i depends on (`seed`, i) alone, whatever was asked before and in whichever worker, so a
    resumed run sees what an unbroken one would have. There are items beyond `length` as well.

    A crop is placed around an anchor pixel, which may be anywhere in it: in `FOREGROUND_SHARE` of
    the crops a pixel of one of the sample's classes (each class equally often, so that rare ones
    are seen), in the others any pixel that counts. Images smaller than the canvas are mirrored at
    their borders.

    Args:
        samples: they are read and resized once, here, one after the other.
        canvas: side S of a crop.
        scale: canvas pixels an image pixel.
        seed: not negative.
        length: what `len` says.
        augment: varies the crops (for training); made for the same canvas.
        outside: what lies outside the field of view: 255, to ignore, or 0, background, where
            crops lie as well. What the mask ignores stays so.

    An item is `{"image": 3 x S x S float32 in [0, 1], "class_map": S x S int64}`; in the class map
    255 stands for pixels to ignore, in mirrored borders too.

    Raises:
        InputError: no sample's mask shows any class.
    """

    def __init__(
        self,
        samples: "Sequence[LoadedSample]",
        canvas: int,
        scale: float,
        seed: int,
        length: int,
        augment: Augmentation | None = None,
        outside: int = IGNORE,
    ) -> None:
        self.canvas, self.seed, self.length = canvas, seed, length
        self._augment = augment
        self._margin = augment.margin if augment else 0
        self._pictures, self._anchors = PictureStore(), list[Anchors]()
        for sample in samples:  # one at a time: together they may be larger than the memory
            image, class_map = _prepared(sample, canvas, scale, self._margin, outside)
            self._pictures.add(image, class_map)
            self._anchors.append(Anchors(class_map))
        if not any(len(anchors.classes) for anchors in self._anchors):
            names = ", ".join(sample.name for sample in samples[:3])
            more = ", ..." if len(samples) > 3 else ""
            raise InputError(
                f"none of the {len(samples)} masks ({names}{more}) shows any class, so there is "
                "nothing to learn; check the masks, or how their values map to classes"
            )

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return map(self.__getitem__, range(self.length))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng((self.seed, index))
        number = int(rng.integers(len(self._pictures)))
        image, class_map = self._pictures[number]
        window = self._window(class_map, self._anchors[number], rng)
        image, class_map = image[window], class_map[window]
        if self._augment is not None:
            image, class_map = self._augment(image, class_map, int(rng.integers(2**31)))
        return {
            "image": to_tensor(image),
            "class_map": torch.from_numpy(class_map.astype(np.int64)),
        }

    def _window(
        self, class_map: np.ndarray, anchors: Anchors, rng: np.random.Generator
    ) -> tuple[slice, slice]:
        """Place a crop, its margin included, around an anchor."""
        if len(anchors.classes) and rng.random() < FOREGROUND_SHARE:
            anchor = anchors.of_class(class_map, int(rng.choice(anchors.classes)), rng)
        else:
            anchor = anchors.counted(class_map, rng)
        slices = []
        for place, length in zip(divmod(anchor, class_map.shape[1]), class_map.shape, strict=True):
            side = self.canvas + 2 * self._margin
            start = place - self._margin - int(rng.integers(self.canvas))
            start = min(max(start, 0), length - side)
            slices.append(slice(start, start + side))
        return slices[0], slices[1]


def _prepared(
    sample: "LoadedSample", canvas: int, scale: float, margin: int, outside: int
) -> tuple[np.ndarray, np.ndarray]:
    """Resize a sample as prediction does, set what lies outside the field of view, add borders.

    The image is mirrored to at least `canvas` a side, and by `margin` around that.
    """
    class_map = sample.class_map
    if sample.field_of_view is not None:
        kept = sample.field_of_view | (class_map == IGNORE)
        class_map = np.where(kept, class_map, outside).astype(np.uint8)
    size = scaled_size(class_map.shape[0], class_map.shape[1], scale)
    image = to_uint8(resize(to_tensor(sample.image), size))
    class_map = resize_nearest(torch.from_numpy(class_map), size).numpy()
    borders = []
    for length in size:
        missing = max(0, canvas - length)
        borders.append((missing // 2 + margin, missing - missing // 2 + margin))
    return (
        np.pad(image, (*borders, (0, 0)), mode="reflect"),
        np.pad(class_map, borders, constant_values=IGNORE),
    )


@dataclass(frozen=True)
class Share:
    """One device's share of the batches: step t takes samples `t * batch ... (t + 1) * batch - 1`.

    The last `made` of a batch are made on the device that trains, the others come from the loader;
    of both, each of `world` devices takes every `world`-th.
    """

    batch: int
    made: int = 0
    rank: int = 0
    world: int = 1

    def loaded(self, step: int) -> range:
        """Return the indices that the loader makes."""
        first = step * self.batch
        return range(first + self.rank, first + self.batch - self.made, self.world)

    def generated(self, step: int) -> range:
        """Return the indices that are made on the device."""
        loaded = self.batch - self.made
        first, after = step * self.batch, (step + 1) * self.batch
        return range(first + loaded + (self.rank - loaded) % self.world, after, self.world)


class StepSampler(Sampler[list[int]]):
    """Yields the loader's indices step by step, without end, from any step on.

    For data sets whose item i depends on (seed, i) alone; the trainer's step count ends the run.
    """

    def __init__(self, share: Share, start: int = 0) -> None:
        self.share, self.start = share, start

    def __iter__(self) -> Iterator[list[int]]:
        return (list(self.share.loaded(step)) for step in itertools.count(self.start))


def collate(samples: list[dict[str, Tensor]]) -> dict[str, Any]:
    """Stack samples; none, where all are made on the device, make an empty batch."""
    return default_collate(samples) if samples else {}
