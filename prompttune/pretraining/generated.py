"""Generated tasks: what prompt and query share, and scenes drawn from it.

A task fixes which shapes there are, how they look and which of them bear a class; two scenes of one
task differ in everything else. Thousands of such tasks keep a small network from learning tasks by
heart (arXiv 2306.15063); the mix of families follows what transferred elsewhere (SynthMorph,
SegRCDB, VessShape).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from prompttune.pretraining.shapes import FAMILIES, TRAITS, Shape, smooth_noise


@dataclass(frozen=True)
class Texture:
    """A colour with two scales of noise; colours in [0, 1]."""

    colour: np.ndarray
    tint: np.ndarray
    cells: int
    grain: float

    @classmethod
    def draw(cls, rng: Generator, like: "Texture | None" = None) -> "Texture":
        """Draw a texture; with `like`, one of the same colour that differs in its pattern alone."""
        colour = rng.random(3) if like is None else like.colour
        strength = rng.choice((0.03, 0.1, 0.25)) if like is None else rng.choice((0.02, 0.3))
        cells = int(2 ** rng.uniform(1, 5))
        return cls(colour, rng.normal(0, strength, 3), cells, rng.choice((0.0, 0.02, 0.05, 0.1)))

    def paint(self, rng: Generator, size: int) -> np.ndarray:
        """Return `size x size x 3 float32`."""
        wave = smooth_noise(rng, size, self.cells)[..., None] * self.tint.astype(np.float32)
        image = self.colour.astype(np.float32) + wave
        if self.grain:
            image = image + self.grain * rng.standard_normal((size, size, 1), dtype=np.float32)
        return image


@dataclass(frozen=True)
class Layer:
    """One kind of thing in a task; `label` 0 makes it a distractor."""

    shape: Shape
    traits: np.ndarray
    texture: Texture
    label: int


@dataclass(frozen=True)
class Task:
    """What all scenes of a task have in common."""

    background: Texture
    layers: tuple[Layer, ...]
    softness: float
    shading: float

    @classmethod
    def draw(cls, rng: Generator, hard: bool) -> "Task":
        """Draw a task of one to three labelled kinds.

        A hard one may have distractors, kinds that only pattern or shape tell apart, faint
        contrasts, soft edges and uneven light; in an easy one colour tells.
        """
        background = Texture.draw(rng)
        labels = list(range(1, int(rng.choice((1, 1, 1, 2, 3))) + 1))
        if hard:
            labels += [0] * int(rng.integers(0, 3))
        layers: list[Layer] = []
        for label in labels:
            kind = rng.random() if hard else 1.0
            if kind < 0.15:
                texture = Texture.draw(rng, like=background)
            elif kind < 0.3 and layers:  # same look as another kind: only the shape tells
                texture = layers[-1].texture
            else:
                texture = _contrasting(
                    rng, background, rng.choice((0.12, 0.3, 0.5)) if hard else 0.5
                )
            family = FAMILIES[rng.integers(len(FAMILIES))]
            layers.append(Layer(family, rng.random(TRAITS), texture, label))
        order = rng.permutation(len(layers))
        softness, shading = (
            (rng.choice((0.0, 0.6, 1.2)), rng.choice((0.0, 0.1, 0.3))) if hard else (0.0, 0.0)
        )
        return cls(background, tuple(layers[i] for i in order), softness, shading)

    def scene(self, rng: Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw an image, `size x size x 3 float32` in [0, 1], and its class map, `uint8`."""
        image = self.background.paint(rng, size)
        class_map = np.zeros((size, size), np.uint8)
        for layer in self.layers:
            mask = layer.shape(rng, size, layer.traits)
            opacity: np.ndarray = mask.astype(np.float32)
            if self.softness:
                opacity = np.asarray(cv2.GaussianBlur(opacity, (5, 5), self.softness))
            opacity = opacity[..., None]
            image = image * (1 - opacity) + layer.texture.paint(rng, size) * opacity
            class_map[mask] = layer.label
        if self.shading:
            image *= 1 + np.float32(self.shading) * smooth_noise(rng, size, 1)[..., None]
        return np.clip(image, 0, 1).astype(np.float32), class_map


def _contrasting(rng: Generator, background: Texture, least: float) -> Texture:
    """Draw a texture whose colour differs from the background's by `least` in some channel."""
    for _ in range(20):
        texture = Texture.draw(rng)
        if np.abs(texture.colour - background.colour).max() > least:
            break
    return texture
