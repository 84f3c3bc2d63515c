"""Fields against sums and distances by hand."""

import math

import torch
from scene_items import layered as layered
from scene_items import some_items

from prompttune.synthetic.batched.fields import (
    CHARACTERS,
    GLYPHS,
    SIDE,
    glyph_atlas,
    glyph_field,
    nearest,
    noise_waves,
    segments,
    waves,
    waves_and_slope,
)


def test_waves_are_sums_of_cosines():
    items = some_items(6)
    vectors, phases = noise_waves(items, "n", torch.full((6,), 2.0), 5)
    turn, shift = items.affine
    y, x = torch.meshgrid(items.grid, items.grid, indexing="ij")
    for n in range(6):
        place = torch.stack((x, y), 2) @ turn[n].T + shift[n]
        expected = sum(
            torch.cos(2 * math.pi * (place @ vectors[n, k]) + phases[n, k]) for k in range(5)
        )
        torch.testing.assert_close(
            waves(items, vectors, phases)[n], expected * math.sqrt(2 / 5), atol=1e-4, rtol=1e-4
        )


def test_slope_is_that_of_small_steps():
    items = some_items(4, size=256)
    field, slope = waves_and_slope(items, *noise_waves(items, "n", torch.full((4,), 2.0)))
    by_y, by_x = torch.gradient(field, spacing=1 / 256, dim=(1, 2))
    inner = (slice(None), slice(2, -2), slice(2, -2))
    torch.testing.assert_close(torch.hypot(by_x, by_y)[inner], slope[inner], atol=0.1, rtol=0.02)


def test_nearest_and_next_nearest():
    items = some_items(6, size=16)
    points, radii = items.scene.uniform("p", 7, 2), items.scene.between("r", 0.5, 1, 7)
    radii[:, 3] = 0
    found = nearest(items, points, radii)
    place = torch.stack(items.place, 3).flatten(1, 2)
    ratio = (torch.cdist(place, points) / radii[:, None].clamp(min=1e-6)).square()
    best = ratio.topk(2, largest=False)
    assert (best.indices[..., 0] == found.index.flatten(1)).float().mean() > 0.99
    assert (best.indices[..., 1] == found.next_index.flatten(1)).float().mean() > 0.99
    torch.testing.assert_close(
        best.values[..., 1], found.next_squared.flatten(1), rtol=1e-2, atol=1e-3
    )


def test_pieces_are_discs_along_a_line():
    items = some_items(4, size=24)
    start, end = items.scene.uniform("a", 2, 2), items.scene.uniform("b", 2, 2)
    width = torch.full((4, 2, 2), 0.07)
    share = torch.linspace(0, 1, 400)[:, None]
    place = torch.stack(items.place, 3).flatten(1, 2)
    dense = start[:, :, None] + share * (end - start)[:, :, None]
    expected = 0.07 - torch.cdist(place, dense.flatten(1, 2)).amin(2)
    found = segments(items, start, end, width).flatten(1)
    torch.testing.assert_close(found, expected, atol=5e-3, rtol=0)
    absent = segments(items, start, end, torch.full_like(width, -1.0))
    assert (absent <= 0).all()


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
