"""Glyphs as distances: positive inside, and read where they are asked for."""

import torch

from prompttune.pretraining.on_device.glyphs import (
    CHARACTERS,
    GLYPHS,
    SIDE,
    glyph_atlas,
    glyph_field,
)


def test_every_glyph_shows_something_and_no_two_are_alike() -> None:
    atlas = glyph_atlas(torch.device("cpu")).view(GLYPHS, SIDE, SIDE)
    cover = (atlas > 0).float().mean((1, 2))
    assert ((cover > 0.02) & (cover < 0.6)).all()
    flat = (atlas[: len(CHARACTERS)] > 0).flatten(1).float()
    assert (torch.cdist(flat, flat) + 9 * torch.eye(len(flat))).min() > 1
    steps = (atlas[:, 1:] - atlas[:, :-1]).abs().max()
    assert steps < 2.5 / SIDE, "a distance in parts of the box"


def test_places_are_columns_and_rows() -> None:
    atlas = glyph_atlas(torch.device("cpu")).view(GLYPHS, SIDE, SIDE)
    u, v = (
        torch.tensor([[0.5 / SIDE, 5.5 / SIDE, 9.0]]),
        torch.tensor([[0.5 / SIDE, 7.5 / SIDE, -1]]),
    )
    found = glyph_field(u, v, torch.tensor([[0, 3, 4]]))
    assert found.tolist() == [[atlas[0, 0, 0], atlas[3, 7, 5], atlas[4, 0, SIDE - 1]]]
