"""Generated tasks: what prompt and query share, and scenes drawn from it.

A task fixes which shapes there are, how they look and which of them bear a class; two scenes of one
task differ in everything else. Thousands of such tasks keep a small network from learning tasks by
heart (arXiv 2306.15063); the mix of families follows what transferred elsewhere (SynthMorph,
SegRCDB, VessShape). Why `prompttune.synthetic.batched` draws others is said in
`prompttune.synthetic`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from prompttune.synthetic.lines import curves, loops, network, outlines, rays, ridges
from prompttune.synthetic.shapes import (
    MAX_THINGS,
    TRAITS,
    Shape,
    Traits,
    blobs,
    boxes,
    chains,
    figures,
    grains,
    letters,
    polygons,
    rings,
    writing,
)
from prompttune.synthetic.surfaces import (
    above,
    bands,
    marble,
    mosaic,
    plane,
    regions,
    smooth_noise,
    stripes,
    tiling,
    waves,
)
from prompttune.synthetic.textures import Texture

LABELS = (1, 1, 1, 2, 2, 3, 4)
"""Numbers of labeled kinds in a task, to choose from."""

THINGS: tuple[Shape, ...] = (
    blobs,
    boxes,
    polygons,
    rings,
    grains,
    chains,
    letters,
    writing,
    figures,
)
LINES: tuple[Shape, ...] = (curves, loops, network, rays, ridges, outlines)
FIELDS: tuple[Shape, ...] = (regions, marble, bands, stripes, waves, mosaic, tiling)
FAMILIES: tuple[Shape, ...] = (*THINGS, blobs, figures, *LINES, curves, outlines, *FIELDS)
"""Those that carry most kinds of tasks stand twice."""


def part_of(rng: Generator, things: np.ndarray, traits: Traits) -> np.ndarray:
    """Return the part of every thing (`size x size uint8` numbers) as a mask, bool.

    It is the core, the rim, one end, or spots.
    """
    there = things > 0
    kind = int(traits[0] * 4)
    if kind == 0:
        return there & (above(smooth_noise(rng, len(things), 10), 0.4 + traits[1]) > 0)
    if kind == 1:
        return _end(rng, things, there, 0.1 + 0.5 * traits[1])
    depth, deepest = _depth(things)
    core = depth > (0.3 + 0.4 * traits[1]) * deepest
    return core if kind == 2 else there & ~core


def _depth(things: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's distance to the edge of its thing, and the largest in that thing."""
    edges = cv2.morphologyEx(things, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    inside = np.where(np.asarray(edges) > 0, 0, things).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 3))
    deepest = np.zeros(256, np.float32)
    np.maximum.at(deepest, things, depth)
    return depth, np.where(things > 0, deepest[things], np.inf)


def _end(rng: Generator, things: np.ndarray, there: np.ndarray, share: float) -> np.ndarray:
    """Cut every thing across, in a direction that all of the image share."""
    x, y = plane(len(things))
    angle = rng.uniform(0, 6.28)
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    lowest, highest = np.full(256, np.inf, np.float32), np.full(256, -np.inf, np.float32)
    np.minimum.at(lowest, things, along)
    np.maximum.at(highest, things, along)
    limit = lowest + share * np.maximum(highest - lowest, 0)
    return there & (along < limit[things])


@dataclass(frozen=True)
class Part:
    """A part that every thing of a layer has; it may bear the label of the thing, another or 0."""

    traits: Traits
    texture: Texture
    label: int


@dataclass(frozen=True)
class Layer:
    """One kind of thing in a task; `label` 0 makes it a distractor."""

    shape: Shape
    traits: Traits
    texture: Texture
    label: int
    part: Part | None = None


@dataclass(frozen=True)
class Scene:
    """An image, `size x size x 3 float32` in [0, 1], and maps of its classes and things, uint8."""

    image: np.ndarray
    classes: np.ndarray
    things: np.ndarray
    """0: none; else the number of a labeled thing, up to 250."""


@dataclass(frozen=True)
class Task:
    """What all scenes of a task have in common."""

    background: Texture
    layers: tuple[Layer, ...]
    softness: float
    shading: float

    @classmethod
    def draw(cls, rng: Generator, hard: bool, single_things: bool = False) -> "Task":
        """Draw a task of one to four labeled kinds.

        A hard one may have distractors, parts, kinds that only pattern or shape tell apart, faint
        contrasts, soft edges and uneven light; in an easy one color tells. With `single_things`
        all shapes are of families that draw things which can be counted.
        """
        background = Texture.draw(rng)
        labels = list(range(1, LABELS[rng.integers(len(LABELS))] + 1))
        if hard:
            labels += [0] * int(rng.integers(0, 3))
        families = THINGS if single_things else FAMILIES
        layers: list[Layer] = []
        for label in labels:
            family = families[rng.integers(len(families))]
            texture = _look(rng, background, layers, hard)
            layer = Layer(family, rng.random(TRAITS), texture, label)
            if hard and family in THINGS and rng.random() < 0.3:
                layer = _with_part(rng, layer, new_label=max(labels) + len(layers) + 1)
            layers.append(layer)
        order = rng.permutation(len(layers))
        softness, shading = (
            (rng.choice((0.0, 0.6, 1.2)), rng.choice((0.0, 0.1, 0.3))) if hard else (0.0, 0.0)
        )
        return cls(background, tuple(layers[i] for i in order), softness, shading)

    def scene(self, rng: Generator, size: int) -> Scene:
        """Draw a scene."""
        image = self.background.paint(rng, size)
        classes, things = np.zeros((2, size, size), np.uint8)
        count = 0
        for layer in self.layers:
            drawn = layer.shape(rng, size, layer.traits)
            mask = drawn > 0
            self._blend(image, layer.texture.paint(rng, size), mask)
            classes[mask] = layer.label
            numbers = np.minimum(drawn + np.uint16(count), MAX_THINGS) if layer.label else 0 * drawn
            np.copyto(things, numbers, where=mask, casting="unsafe")
            count = int(things.max())
            if layer.part is not None:
                inner = part_of(rng, drawn, layer.part.traits)
                self._blend(image, layer.part.texture.paint(rng, size), inner)
                classes[inner] = layer.part.label
        if self.shading:
            image *= 1 + np.float32(self.shading) * smooth_noise(rng, size, 1)[..., None]
        return Scene(np.clip(image, 0, 1, out=image), classes, things)

    def _blend(self, image: np.ndarray, above: np.ndarray, mask: np.ndarray) -> None:
        if not self.softness:
            np.copyto(image, above, where=mask[..., None])
            return
        opacity = np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (5, 5), self.softness))
        above -= image
        above *= opacity[..., None]
        image += above


def _look(rng: Generator, background: Texture, layers: list[Layer], hard: bool) -> Texture:
    kind = rng.random() if hard else 1.0
    if kind < 0.15:
        return Texture.draw(rng, background.color)
    if kind < 0.3 and layers:  # same look as another kind: only the shape tells
        return layers[-1].texture
    return _contrasting(rng, background, rng.choice((0.12, 0.3, 0.5)) if hard else 0.5)


def _with_part(rng: Generator, layer: Layer, new_label: int) -> Layer:
    # A part without a label is a hole in its thing; one with the thing's label makes it two-tone.
    label = (layer.label, new_label, 0)[rng.choice(3, p=(0.4, 0.5, 0.1))] if layer.label else 0
    part = Part(rng.random(TRAITS), _contrasting(rng, layer.texture, 0.3), label)
    return Layer(layer.shape, layer.traits, layer.texture, layer.label, part)


def _contrasting(rng: Generator, background: Texture, least: float) -> Texture:
    """Draw a texture whose color differs from the background's by `least` in some channel."""
    texture = Texture.draw(rng)
    for color in rng.random((20, 3), dtype=np.float32):
        if np.abs(texture.color - background.color).max() > least:
            break
        texture.mixing[:, 3] = color
    return texture
