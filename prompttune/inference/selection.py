"""Choose examples for a query out of a pool of labeled images.

Which example stands above a query decides much of what an in-context model answers. `nearest`
takes those most like the query in the backbone's own features (the unsupervised retrieval of "What
Makes Good Examples for Visual In-Context Learning?", arXiv 2301.13670), `diverse` a fixed set that
spreads over the pool, `random` what chance gives.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from prompttune.data.inputs import ImageLike, MaskLike, load_image
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.examples import shows_foreground
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt
from prompttune.utils.errors import InputError, warn
from prompttune.utils.normalize import normalize, to_tensor
from prompttune.utils.tiling import resize

Example = tuple[ImageLike, MaskLike]


def find_pool(folder: Path) -> list[tuple[Path, Path]]:
    """Find the images and masks of a folder in one of the layouts of `data.layouts.find_split`.

    All of them, without the test part where the folder has one of its own.

    Raises:
        InputError: missing folder, unknown layout, an image or mask without partner, annotations
            instead of masks.
    """
    from prompttune.data.layouts import find_split
    from prompttune.data.unreadable import LEFT_OUT

    split = find_split(folder, look=True)
    for note in split.notes:
        if note.startswith(LEFT_OUT):
            warn(f"{folder}: {note}")
    if any(sample.painting for sample in split.train):
        raise InputError(
            f"{folder}: a pool needs masks/; annotations in JSON are read by fit alone"
        )
    has_test = (folder / "train").is_dir() or (folder / "training").is_dir()
    samples = {*split.train, *split.val, *(() if has_test else split.test)}
    ordered = sorted(samples, key=lambda sample: sample.name)
    return [(sample.image, sample.mask) for sample in ordered]


def showing(examples: Iterable[Example], classes: Sequence[str]) -> list[Example]:
    """Leave out the examples that show no class.

    Raises:
        InputError: a mask that cannot be read or with values that the classes do not name.
    """
    return [pair for pair in examples if shows_foreground(pair[1], len(classes))]


def image_features(segmenter: Segmenter, images: Iterable[ImageLike]) -> Tensor:
    """Describe images by the frozen backbone: `M x dim float32`.

    Each is fitted whole to the canvas and put below a gray prompt without colors; its tokens after
    the last block and the final norm are averaged.
    """
    network, canvas = segmenter.network, segmenter.network.config.canvas
    half = network.config.tokens // 2
    seen: list[Tensor] = []
    # The norm sees one tap after the other: the last call of a forward pass is the last block's.
    hook = network.norm.register_forward_hook(lambda _, __, tokens: seen.append(tokens))
    found = []
    try:
        with segmenter.computing():
            gray = torch.full((1, 3, canvas, canvas), 0.5, device=segmenter.device)
            prompt = network.encode_prompt(normalize(gray), normalize(torch.zeros_like(gray)))
            for batch in _batches(images, segmenter.batch_size(1)):
                fitted = [resize(to_tensor(load_image(image)), (canvas, canvas)) for image in batch]
                network.ensemble(normalize(torch.stack(fitted).to(segmenter.device)), prompt)
                found.append(seen[-1][:, -half:].float().mean(1).cpu())
                seen.clear()
    finally:
        hook.remove()
    return torch.cat(found).clone() if found else torch.zeros(0, network.config.dim)


class Pool:
    """Labeled images and their features.

    Args:
        segmenter: whose backbone describes them.
        examples: pairs of image and mask; paths are read again when they are chosen.

    Raises:
        InputError: no examples, or an image that cannot be read.
    """

    def __init__(self, segmenter: Segmenter, examples: Sequence[Example]) -> None:
        if not examples:
            raise InputError("pool: no examples that show a class")
        self.segmenter = segmenter
        self.examples = list(examples)
        features = image_features(segmenter, (image for image, _ in self.examples))
        # All images share a large part that says nothing of any: cosines are taken around the mean.
        self._mean = features.mean(0)
        self._directions = F.normalize(features - self._mean, dim=1)

    def nearest(self, image: ImageLike, shots: int) -> list[Example]:
        """Return the examples most like an image, by cosine, the most like first."""
        self.check_shots(shots)
        feature = image_features(self.segmenter, [image])[0] - self._mean
        likeness = self._directions @ F.normalize(feature, dim=0)
        return self._at(likeness.argsort(descending=True, stable=True)[:shots].tolist())

    def diverse(self, shots: int) -> list[Example]:
        """Return examples far from each other: first the most central one, then the farthest.

        Farthest-point sampling (Gonzalez 1985), the usual start of k-medoids.
        """
        self.check_shots(shots)
        distances = 1 - self._directions @ self._directions.T
        chosen = [int(distances.sum(1).argmin())]
        nearest = distances[chosen[0]].clone()
        while len(chosen) < shots:
            nearest[chosen] = -1
            chosen.append(int(nearest.argmax()))
            nearest = torch.minimum(nearest, distances[chosen[-1]])
        return self._at(chosen)

    def random(self, shots: int, seed: int = 0) -> list[Example]:
        """Return examples drawn without repetition."""
        self.check_shots(shots)
        order = np.random.default_rng(seed).permutation(len(self.examples))
        return self._at(order[:shots].tolist())

    def _at(self, indices: Sequence[int]) -> list[Example]:
        return [self.examples[index] for index in indices]

    def check_shots(self, shots: int) -> None:
        """Raise `InputError` where the pool has not that many examples."""
        if not 1 <= shots <= len(self.examples):
            raise InputError(f"{shots} shots of a pool of {len(self.examples)}; take fewer")


class NearestExamples:
    """Chooses for each image the nearest examples of a pool: call it with the image.

    Args:
        pool: to choose from.
        shots: how many.
        palette: of the prompts that `make` gives.
        make: from examples to a prompt; best at a known scale, since one that is "auto" is chosen
            for each image anew.
    """

    def __init__(
        self,
        pool: Pool,
        shots: int,
        palette: Palette,
        make: Callable[[Sequence[Example]], Prompt],
    ) -> None:
        pool.check_shots(shots)
        self.pool, self.shots, self.palette, self._make = pool, shots, palette, make

    def at_threshold(self, threshold: float) -> "NearestExamples":
        """Return the same choice of examples, whose prompts decide at another threshold."""
        make = self._make

        def thresholded(examples: Sequence[Example]) -> Prompt:
            return replace(make(examples), threshold=threshold)

        return NearestExamples(self.pool, self.shots, self.palette, thresholded)

    def __call__(self, image: np.ndarray) -> Prompt:
        """Return the prompt for an `H x W x 3 uint8` image."""
        return self._make(self.pool.nearest(image, self.shots))


def _batches(items: Iterable[ImageLike], size: int) -> Iterable[list[ImageLike]]:
    batch: list[ImageLike] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
