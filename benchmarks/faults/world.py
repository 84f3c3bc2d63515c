"""A small world to break: a random backbone, keys, images and masks, recipes; seconds a run."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from prompttune.backbone import SegGPTConfig, load
from prompttune.backbone.one_way import build
from prompttune.backbone.weights import save_weights
from prompttune.keys.card import Card, Data, Initialization
from prompttune.keys.key import save_key
from prompttune.prompts.palette import Palette
from prompttune.prompts.prompt import Prompt

CONFIG = SegGPTConfig(
    canvas=16, patch=4, dim=16, depth=4, heads=2, merge_index=0, out_indices=(2, 3), decoder_dim=4,
    pretrain_canvas=16, one_way=True, apart=2, class_token=True, match_indices=(1,),
    image_indices=(0,), pixel_dim=4,
)  # fmt: skip
LEARNER = {"canvas": 16, "patch": 8, "dim": 16, "depth": 2, "heads": 2, "merge_index": 0,
           "out_indices": [0, 1], "decoder_dim": 4, "pretrain_canvas": 16}  # fmt: skip
SIDE = 96


@dataclass(frozen=True)
class World:
    """What all commands read, and none writes."""

    folder: Path

    @property
    def backbone(self) -> Path:
        """A random network of 16 pixels."""
        return self.folder / "small.safetensors"

    @property
    def images(self) -> Path:
        """Images to segment."""
        return self.folder / "images"

    @property
    def data(self) -> Path:
        """Images and masks to learn from."""
        return self.folder / "data"

    @property
    def zoo(self) -> Path:
        """Keys `a` and `b`, which answer differently."""
        return self.folder / "zoo"

    @property
    def recipe(self) -> Path:
        """Of a pretraining."""
        return self.folder / "pretrain.yaml"


def make_world(folder: Path, images: int = 12, steps: int = 30) -> World:
    """Write all of it into an empty folder.

    Args:
        folder: is made.
        images: to segment.
        steps: of the pretraining.
    """
    world = World(folder)
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    network = build(CONFIG).requires_grad_(False)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_weights(network, world.backbone)
    for name in "ab":
        save_key(*make_key(world, name), world.zoo)
    world.images.mkdir()
    for number in range(images):
        Image.fromarray(square(number)[0]).save(world.images / f"{number:03}.png")
    for part, numbers in (("train", range(8)), ("test", range(8, 12))):
        for kind in ("images", "masks"):
            (world.data / part / kind).mkdir(parents=True)
        for number in numbers:
            image, mask = square(number, 40)
            Image.fromarray(image).save(world.data / part / "images" / f"{number}.png")
            Image.fromarray(mask * 255).save(world.data / part / "masks" / f"{number}.png")
    recipe = {"backbone": LEARNER, "max_steps": steps, "batch": 4, "save_every": 5, "workers": 0,
              "precision": "32-true", "optimizer": {"lr": 0.01}}  # fmt: skip
    world.recipe.write_text(json.dumps(recipe))
    folder.chmod(0o755)  # for one who may read and not write
    return world


def square(seed: int, side: int = SIDE) -> tuple[np.ndarray, np.ndarray]:
    """Return a bright square on noise, `S x S x 3 uint8`, and its mask, `S x S uint8`."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 100, (side, side, 3), dtype=np.uint8)
    mask = np.zeros((side, side), np.uint8)
    top, left = rng.integers(0, side // 2, 2)
    mask[top : top + side // 3, left : left + side // 3] = 1
    return image + 120 * mask[..., None], mask


def make_key(world: World, name: str, looks: str | None = None) -> tuple[Prompt, Card]:
    """Return a prompt for the world's backbone, and its card; `looks` names its pixels."""
    network = load(world.backbone)
    random = torch.Generator().manual_seed(sum((looks or name).encode()))
    pixels = torch.rand(2, 3, 16, 16, generator=random)
    prompt = Prompt(
        (pixels[0],), (pixels[1],), Palette.of(("thing",)), name=name, scale=1.0, canvas=16,
        fingerprint=network.fingerprint, threshold=0.5,
    )  # fmt: skip
    card = Card.of(
        prompt, task="custom", backbone="small",
        initialisation=Initialization(kind="noise", contains_real_image=False), recipe={},
        data=Data(layout="pairs", train=2, val=2, sha256="0" * 64, generated=False),
    )  # fmt: skip
    return replace(prompt, card=card), card
