"""The rows of a comparison that are trained here, or read from a second human's masks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from prompttune.backbone import SegGPT, at_canvas
from prompttune.baselines.decoder import tune_with_decoder
from prompttune.baselines.supervised import CROP, Budget, predict_tiled, train_rival, unet
from prompttune.data.layouts import SUFFIXES
from prompttune.data.reading import read_mask
from prompttune.evaluation.comparison import Bench, Candidate, Row
from prompttune.evaluation.trivial import feature_matching
from prompttune.inference.segmenter import Segmenter
from prompttune.prompts.composition import Composition, changed
from prompttune.prompts.prompt import Prompt
from prompttune.tasks.data import SampleFolder, TaskData
from prompttune.tasks.recipe import Recipe
from prompttune.tuning.run import Machine, tune
from prompttune.utils.errors import InputError
from prompttune.utils.normalize import STD, normalize


class LinearProbe(nn.Module):
    """One linear layer from each patch's features to the logits of its pixels.

    The features are those that the decoder gets (of all its depths, after the last LayerNorm), of a
    query under a prompt that shows nothing: a gray image, all background.
    """

    def __init__(self, network: SegGPT, classes: int) -> None:
        super().__init__()
        config = network.config
        # In a tuple: the backbone is neither trained nor kept with the probe's weights.
        self._frozen = (network,)
        self._patch, self._columns, self._outputs = config.patch, config.grid[1], classes + 1
        self._queries = config.tokens // 2
        features = network.decoder_embed.in_features  # of a one-way network early blocks as well
        self.head = nn.Linear(features, config.patch**2 * (classes + 1))

    def forward(self, queries: Tensor) -> Tensor:
        """Map `B x 3 x S x S`, normalized, to logits `B x (C + 1) x S x S`."""
        logits = self.head(self._features(queries))
        logits = logits.unflatten(1, (-1, self._columns))
        logits = logits.unflatten(-1, (self._patch, self._patch, self._outputs))
        return logits.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    def to(self, *args, **kwargs) -> Self:  # type: ignore[no-untyped-def]
        """Move the probe and its backbone."""
        self._frozen[0].to(*args, **kwargs)
        return super().to(*args, **kwargs)

    @torch.no_grad()
    def _features(self, queries: Tensor) -> Tensor:
        """Return what the decoder gets of the queries, `B x tokens x features`."""
        network = self._frozen[0]
        caught: list[Tensor] = []
        hook = network.decoder_embed.register_forward_pre_hook(
            lambda _, inputs: caught.append(inputs[0])
        )
        try:
            nothing = torch.zeros_like(queries[:1])
            network.ensemble(queries, nothing, normalize(nothing))
        finally:
            hook.remove()
        return caught[0][:, -self._queries :].float()  # the official layout has a border above


FOLDER = "masks_2nd"
"""Beside `images/` and `masks/` of the test part."""


def second_masks(images: Path) -> dict[str, Path]:
    """Find the second masks for a folder of images, by stem; none if there is no such folder."""
    folder = images.parent / FOLDER
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES}


def observed_scores(path: Path, classes: int, shape: tuple[int, int]) -> np.ndarray:
    """Read a second mask as scores of 0 and 1, `C x H x W float32`.

    Args:
        path: of the mask.
        classes: C.
        shape: H and W of its image.

    Raises:
        InputError: a mask that cannot be read, or of another size.
    """
    class_map = read_mask(path, classes)
    if class_map.shape != shape:
        sizes = [f"{width} x {height}" for height, width in (class_map.shape, shape)]
        raise InputError(f"{path}: is {sizes[0]}, its image {sizes[1]}; make both the same size")
    return np.stack([class_map == index for index in range(1, classes + 1)]).astype(np.float32)


PATIENCE = 20
"""Validations without a better Dice after which a U-Net has reached its own best."""


@dataclass(frozen=True)
class Rivals:
    """What rivals are trained with: the images, the recipe and the time that tuning had."""

    segmenter: Segmenter
    recipe: Recipe
    data: TaskData
    machine: Machine
    seconds: float
    """What tuning took; the rows of equal time get as much."""
    longest: float
    """Seconds after which even the row of its own best ends."""
    folder: Path
    """Scratch space."""
    histories: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """Of each row that was trained: seconds, Dice on validation crops."""

    def rows(self) -> dict[str, Row]:
        """Return the rows by name."""
        return {
            "community": Row(self.community),
            "matching": Row(self.matching),
            "linear-probe": Row(self.linear_probe),
            "tuned-decoder": Row(self.tuned_decoder),
            "unet": Row(self.unet),
            "unet-best": Row(self.unet_best),
            "observer": Row(self.observer),
        }

    def impossible(self, bench: Bench) -> set[str]:
        """Return the rows that this backbone or these images cannot have."""
        config = self.segmenter.network.config
        matches = config.one_way and config.match_indices
        return {
            *(() if matches else ("matching",)),
            *(() if _second_masks(bench.test) else ("observer",)),
        }

    def community(self, bench: Bench) -> list[Candidate]:
        """Tune as public code does: image and colors from Kaiming noise, AdamW 1e-3, smooth-L1.

        Rate and bounds as in the OEM few-shot challenge's code: 1e-3 in normalized space, batch 4,
        50 steps of warm-up, nothing clamped; as many crops as the task's own recipe sees.
        """
        steps = -(-self.recipe.max_steps * self.recipe.batch // 4)
        recipe = replace(
            self.recipe, init="kaiming", learn="both", bounded=False, prompts=1, batch=4,
            max_steps=steps, warmup=min(0.5, 50 / steps), lr=1e-3 * sum(STD) / 3,
            weight_decay=0.01, dice_weight=0.0, color_weight=1.0, foreground_weight=1.0,
            beta=0.01, ema=0.0, jitter=0.0, dropout=0.0, patience=0,
        )  # fmt: skip
        tuned = tune(
            recipe, self.segmenter.network, self.data, self.folder / "community", self.machine
        )
        self.histories["community"] = tuned.history
        return [bench.prompted("community", tuned.prompt)]

    def matching(self, bench: Bench) -> list[Candidate]:
        """Each one-shot example, by image features alone: nothing was ever trained to color."""
        segmenter = self._other(feature_matching(self.segmenter.network))
        found = []
        for sample in bench.drawn[: bench.examples]:
            prompt = bench.from_examples([sample])
            found.append(self._answered(f"matching: {sample.name}", segmenter, prompt, bench))
        return found

    def tuned_decoder(self, bench: Bench) -> list[Candidate]:
        """The key, learned on beside the decoder's last convolutions, for as many steps again.

        Not a key: it says what freezing the network costs.
        """
        tuned, network = tune_with_decoder(
            changed(bench.key, companion=None), self.recipe, self.segmenter.network, self.data,
            self.folder / "tuned-decoder", self.machine,
        )  # fmt: skip
        self.histories["tuned-decoder"] = tuned.history
        return [self._answered("tuned-decoder", self._other(network), tuned.prompt, bench)]

    def _other(self, network: SegGPT) -> Segmenter:
        """Return a segmenter of another network that computes as the given one does."""
        precision = "bf16" if self.segmenter.bf16 else "fp32"
        return Segmenter(network, self.segmenter.device.type, precision)

    def _answered(
        self, name: str, segmenter: Segmenter, prompt: Prompt | Composition, bench: Bench
    ) -> Candidate:
        decides = prompt if isinstance(prompt, Composition) else None
        images = sum(len(part.images) for part in prompt.parts)

        def scores(_: str, image: np.ndarray) -> np.ndarray:
            return segmenter.predict(image, prompt, overlap=bench.overlap).scores

        return Candidate(name, images, scores, composition=decides)

    def linear_probe(self, bench: Bench) -> list[Candidate]:
        """One linear layer on the frozen backbone's features, for the time that tuning had."""
        probe = LinearProbe(at_canvas(self.segmenter.network, bench.canvas), len(bench.classes))
        budget = self._budget(self.seconds, bench.canvas)
        return [self._trained("linear-probe", probe, bench, budget)]

    def unet(self, bench: Bench) -> list[Candidate]:
        """A U-Net from scratch, for the time that tuning had."""
        budget = self._budget(self.seconds, CROP)
        return [self._trained("unet", unet(len(bench.classes)), bench, budget)]

    def unet_best(self, bench: Bench) -> list[Candidate]:
        """A U-Net from scratch, until it no longer improves."""
        budget = replace(self._budget(self.longest, CROP), patience=PATIENCE)
        return [self._trained("unet-best", unet(len(bench.classes)), bench, budget)]

    def observer(self, bench: Bench) -> list[Candidate]:
        """Another human's masks; images that have none are left out of the row.

        Raises:
            InputError: the test images have no such masks.
        """
        paths = _second_masks(bench.test)
        if not paths:
            raise InputError(
                "row observer: no masks_2nd/ beside the test images; leave it out of --rows"
            )

        def scores(name: str, image: np.ndarray) -> np.ndarray | None:
            shape = image.shape[0], image.shape[1]
            return (
                observed_scores(paths[name], len(bench.classes), shape) if name in paths else None
            )

        return [Candidate("observer", 0, scores, threshold=0.5)]

    def _budget(self, seconds: float, crop: int) -> Budget:
        return Budget(
            seconds, crop, self.recipe.scale, seed=self.recipe.seed, batch=self.recipe.batch,
            val_crops=self.recipe.val_crops, flips=self.recipe.flips, bf16=self.machine.bf16,
        )  # fmt: skip

    def _trained(self, name: str, network: nn.Module, bench: Bench, budget: Budget) -> Candidate:
        device = self.segmenter.device
        trained = train_rival(
            network, len(bench.classes), bench.train, self.data.val, budget, device, name
        )

        def scores(_: str, image: np.ndarray) -> np.ndarray:
            return predict_tiled(trained.network, image, budget, bench.overlap, device)

        self.histories[name] = trained.history
        return Candidate(name, 0, scores)


def _second_masks(samples: Sequence) -> dict[str, Path]:
    if not isinstance(samples, SampleFolder):
        return {}
    found: dict[str, Path] = {}
    for folder in {sample.image.parent for sample in samples.samples}:
        found |= second_masks(folder)
    return found
